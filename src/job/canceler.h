/*
 * src/job/canceler.h
 *	  Who has canceled work that gives way to sessions: autovacuum's, and that of the collector.
 *
 * PostgreSQL has a process send SIGINT to such a worker when it has waited longer than
 * deadlock_timeout for a lock that the worker holds. The functions allocate no memory and raise no
 * error. Locks: a partition of PostgreSQL's lock table, shared, for moments.
 */
#ifndef KWJ_JOB_CANCELER_H
#define KWJ_JOB_CANCELER_H

#include "kwjobs.h"

/*
 * Returns the pid of the process that has canceled this process's work because it waits for this
 * table, on which this process has a lock in at most ShareUpdateExclusiveLock; 0: there is none.
 * The caller has caught the error, and this process still holds its locks.
 */
extern int	kwj_canceler_of(Oid relid);

/* Writes "canceled by lock of pid 4711 (psql)" into a buffer. Takes ProcArrayLock, shared. */
extern void kwj_canceler_describe(int pid, char *buffer, Size size);

#endif

/*
 * src/shared/notify.h
 *	  Telling coordinators that they have something to do.
 *
 * Process: any. Each function takes kwj_shared->lock exclusively for a moment. None raises an
 * error, because they are called when a transaction has ended.
 */
#ifndef KWJ_SHARED_NOTIFY_H
#define KWJ_SHARED_NOTIFY_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Wakes the coordinator of the database; if there is none, has the launcher start one. Called by
 * sessions that have created or altered the database, or created the extension in it
 * (session/utility_hook.c). For a job, shared/wakeup.c calls kwj_wake_my_coordinator() or
 * kwj_offer_job().
 */
extern void kwj_shared_want_coordinator(Oid dboid);

/*
 * Wakes the coordinator of this database, because a transaction of this process has changed jobs
 * (see shared/wakeup.h). lowest_rank is the lowest rank of the jobs that it has created;
 * DT_NOBEGIN: it may have changed anything, and may have released row locks.
 */
extern void kwj_wake_my_coordinator(TimestampTz lowest_rank);

/*
 * A job may start because the transaction of this process has ended another one: puts it at the end
 * of the list from which workers claim by themselves, if there are jobs of its owner and type in
 * that list, as all workers are busy then. Otherwise wakes the coordinator.
 */
extern void kwj_offer_job(int64 job_id, Oid owner, const char *job_type, TimestampTz rank);

/*
 * Notes that a job is over, but a transaction of this process could not mark that in the jobs that
 * depend on it. The coordinator has to find these jobs.
 */
extern void kwj_note_overlooked(void);

/*
 * Wakes the coordinators that have jobs of roles that may not connect. Called when a role's right
 * to connect may have changed.
 */
extern void kwj_shared_wake_refused(void);

#endif

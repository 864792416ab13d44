/*
 * src/job/test_gate.h
 *	  Places at which tests can stop a process.
 *
 * Each gate has a number. These are the gates: the number, the process that stops there, and where.
 *
 *     4901  coordinator   before it has a worker's end watched                      (shared/slots.c)
 *     4902  worker        before the commit that ends an attempt               (lifecycle/attempt.c)
 *     4903  coordinator   in a full pass, before its first look at the tables        (coordinator.c)
 *     4904  coordinator   in a full pass, behind its last look                       (coordinator.c)
 *     4905  worker        before it leaves, as its session is not current          (worker/worker.c)
 *     4906  worker        has given the job back, and has yet to free its slot    (worker/worker.c)
 *     4920  worker        as the last part of a job, before it ends the attempt     (worker/parts.c)
 *     4921  worker        as a later part, before it enters                        (worker/worker.c)
 *     4922  session       after a tracked statement, with interrupts held            (track/track.c)
 *     4923  session       has committed the job for which it is to wait         (function/outcome.c)
 *     4924  coordinator   job by job, before it claims                        (coordinator/singly.c)
 *     4925  coordinator   has found a job that may start, before it locks it  (store/candidates.c)
 *     4926  coordinator   before it reads its jobs for another database       (coordinator/answer.c)
 *     4927  coordinator   before it sends errands                        (coordinator/errands_out.c)
 *     4928  coordinator   before it notes what has become of errands     (coordinator/errands_out.c)
 *     4929  coordinator   has done an errand, before the commit           (coordinator/errands_in.c)
 *     4930  worker        of an EXPORT, before files appear                   (type/export/export.c)
 *     4931  worker        of an EXPORT, when they have appeared, before the commit            (there)
 *     4934  worker        of an EXPORT, before it takes its snapshot            (type/export/export.c)
 *     4933  a parallel worker of an EXPORT, after each range of blocks      (type/export/parallel.c)
 *     4938  worker        of an EXPORT by several processes, before its first range          (there)
 *     4935  worker        has analyzed a table for the collector                (type/stats/stats.c)
 *     4936  coordinator   has looked when the last job ended, before it leaves (coordinator/leave.c)
 *     4937  session       knows how a job of another database stands, before it sleeps
 *                                                                               (lifecycle/wait.c)
 *     4940  worker        of an IMPORT, has created its table, before the commit (type/import/batch.c)
 *     4941  worker        ..., has created what follows the rows                           (there)
 *     4942  worker        ..., before it plans pieces                        (type/import/parts.c)
 *     4943  worker        ..., has written its reject file aside        (type/import/reject_file.c)
 *     4944  worker        ..., has renamed the reject file, before the commit              (there)
 *     4945  worker        of a BACKUP, before it verifies it by a restore     (type/backup/verify.c)
 *     4947  worker        of a BACKUP, has restored it, before it dumps it again               (there)
 *     4950  worker        of an IMPORT, compares a file with its checksum       (type/import/verify.c)
 *     4951  worker        of an IMPORT, has compared all files                               (there)
 *     4960  coordinator   before it looks which schedules are due              (coordinator/fire.c)
 *     4961  coordinator   has created the jobs of schedules, before the commit              (there)
 *     4962  coordinator   has found runs that have ended, before it notes that              (there)
 *
 * And these are the faults, which happen while a session has the lock:
 *
 *     4932  worker        the disk is full                                  (type/files/directory.c)
 *     4939  worker        a file cannot be made durable                          (type/files/sync.c)
 *     4946  a parallel worker: the same                                                     (there)
 */
#ifndef KWJ_JOB_TEST_GATE_H
#define KWJ_JOB_TEST_GATE_H

#include "postgres.h"

#ifdef KWJ_TEST_BUILD
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/fmgrprotos.h"

/*
 * Waits as long as a session of this database has the advisory lock with this number, whatever
 * lock_timeout says. Does nothing in a build that is not for tests. Needs a transaction; errors: those
 * of a wait for a lock.
 */
#define kwj_test_gate(number) \
	do { \
		int			kwj_timeout = LockTimeout; \
		LockTimeout = 0; \
		(void) DirectFunctionCall1(pg_advisory_lock_shared_int8, Int64GetDatum(number)); \
		LockTimeout = kwj_timeout; \
		(void) DirectFunctionCall1(pg_advisory_unlock_shared_int8, Int64GetDatum(number)); \
	} while (0)

/* Waits at the gate in a transaction of its own. Call it outside of one. */
#define kwj_test_gate_apart(number) \
	do { \
		StartTransactionCommand(); \
		kwj_test_gate(number); \
		CommitTransactionCommand(); \
	} while (0)

/*
 * Waits at the gate as kwj_test_gate does, but a signal that comes while the process waits does not
 * end the wait. The process obeys the signal later.
 */
#define kwj_test_gate_held(number) \
	do { \
		HOLD_INTERRUPTS(); \
		kwj_test_gate(number); \
		RESUME_INTERRUPTS(); \
	} while (0)

/*
 * Returns whether a session of this database has the advisory lock with this number: then something
 * is to fail. In a build that is not for tests, nothing does.
 */
#define kwj_test_fault(number) \
	(!DatumGetBool(DirectFunctionCall1(pg_try_advisory_lock_shared_int8, Int64GetDatum(number))) || \
	 (DirectFunctionCall1(pg_advisory_unlock_shared_int8, Int64GetDatum(number)), false))
#else
#define kwj_test_gate(number)	((void) 0)
#define kwj_test_gate_apart(number)	((void) 0)
#define kwj_test_fault(number)	(false)
#define kwj_test_gate_held(number)	((void) 0)
#endif

#endif

/*
 * src/lifecycle/wait.h
 *	  Waiting for jobs to be over.
 */
#ifndef KWJ_LIFECYCLE_WAIT_H
#define KWJ_LIFECYCLE_WAIT_H

#include "store/jobs.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/*
 * A wait calls this now and then, with the job as it is. The current memory context is reset at
 * the next look.
 */
typedef void (*KwjWaitNotice) (int64 job_id, const KwjOutcome *outcome);

/*
 * Waits until the job is over, or gone. Returns false if there is no such job, or none any more.
 * While it sleeps, this process has no snapshot. Errors: those of a query cancel and of
 * statement_timeout, and where the wait would never end: 25001 if this transaction has changed the
 * job; 25006 on a standby; 55000 if a job waits for itself, or the extension is being dropped;
 * 0A000 in single-user mode; in a worker, 40P01 if jobs that wait have all workers that the job
 * could get, and 55000 if this one has.
 *
 * notice: is called every interval_ms while the job is not over; NULL: none. until: when to stop
 * waiting although the job is not over; DT_NOEND: never.
 */
extern bool kwj_wait_for(int64 job_id, KwjOutcome *outcome,
						 KwjWaitNotice notice, int interval_ms, TimestampTz until);

/*
 * Returns the end of a wait that begins now and may take so long; DT_NOEND for NULL. A negative
 * timeout gives a time in the past, so that there is no wait.
 */
extern TimestampTz kwj_wait_end(const Interval *timeout);

/*
 * Returns those of the jobs that the current user may see, as a bigint[] like the argument. NULLs
 * and unknown ids are left out. Errors: 42501 if the user may see no jobs at all.
 */
extern ArrayType *kwj_visible_jobs(ArrayType *job_ids);

/*
 * Returns the job in an array, if the current user may see it by a function (KWJ_BY_FUNCTION);
 * otherwise an empty one.
 */
extern ArrayType *kwj_own_job(int64 job_id);

/* Calls kwj_wait_for for each of them, in order. */
extern void kwj_wait_for_all(ArrayType *job_ids, TimestampTz until);

#endif

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
 * A wait calls this function every interval_ms, with the present state of the job. The current
 * memory context is reset before the next call.
 */
typedef void (*KwjWaitNotice) (int64 job_id, const KwjOutcome *outcome);

/*
 * Waits until the job is over or deleted. Returns false if there is no such job, or if it was
 * deleted. While the process sleeps, this wait holds no snapshot.
 *
 * Errors: 57014 after a query cancel or statement_timeout. Errors where the wait would never end:
 * 25001 if this transaction has created or controlled the job; 25006 on a standby; 55000 if a job
 * waits for itself, or the extension is being dropped or altered; 0A000 in single-user mode; in a
 * worker, 40P01 if jobs that wait have all workers that the job could get, and 55000 if this job
 * has the only one.
 *
 * If kwjobs.scope is server and the user has the admin role, a job that is not in this database is
 * looked for in the others; there are no notices for it. Errors then: 0A000 in a worker; 55000 if
 * the time is up and that database does not answer.
 *
 * notice is called every interval_ms while the job is not over; it may be NULL. until is the time
 * when the wait ends although the job is not over; DT_NOEND: never.
 */
extern bool kwj_wait_for(int64 job_id, KwjOutcome *outcome,
						 KwjWaitNotice notice, int interval_ms, TimestampTz until);

/*
 * Returns when a wait ends that begins now and has this timeout; DT_NOEND for NULL. With a negative
 * timeout that is a time in the past, so the caller does not wait at all.
 */
extern TimestampTz kwj_wait_end(const Interval *timeout);

/*
 * Returns the ids in job_ids, a bigint[], of the jobs that the current user may see by statements,
 * also as a bigint[]. NULLs and unknown ids are left out. Errors: 42501 if the user may not run job
 * statements at all.
 */
extern ArrayType *kwj_visible_jobs(ArrayType *job_ids);

/*
 * Returns a bigint[] with job_id if the current user may see the job by a function
 * (KWJ_BY_FUNCTION), otherwise an empty array.
 */
extern ArrayType *kwj_own_job(int64 job_id);

/* Waits for each of the jobs in turn, as kwj_wait_for does. */
extern void kwj_wait_for_all(ArrayType *job_ids, TimestampTz until);

#endif

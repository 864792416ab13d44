/*
 * src/lifecycle/wait.h
 *	  Waiting for jobs to be over.
 */
#ifndef KWJ_LIFECYCLE_WAIT_H
#define KWJ_LIFECYCLE_WAIT_H

#include "store/jobs.h"
#include "utils/array.h"

/* Called now and then while waiting, with the job as it is, in a memory context of its own. */
typedef void (*KwjWaitNotice) (int64 job_id, const KwjOutcome *outcome);

/*
 * Wait until the job is over, or gone; false if there is none. Woken by events.
 * While it waits it holds no snapshot of its own. Errors: query cancel,
 * statement_timeout; where it would wait for ever: 25001 this transaction has changed
 * the job, 25006 standby, 55000 it is the job that waits, or the extension is being dropped;
 * in a job: 40P01 the workers are all kept by jobs that wait, 55000 by this one alone.
 *
 * notice: called every interval_ms while the job is not over; NULL for none.
 */
extern bool kwj_wait_for(int64 job_id, KwjOutcome *outcome,
						 KwjWaitNotice notice, int interval_ms);

/*
 * Those of the jobs that the current user may see, of bigint[] to bigint[]; NULLs and
 * unknown ids are left out. Errors: 42501 if the user may see no jobs at all.
 */
extern ArrayType *kwj_visible_jobs(ArrayType *job_ids);

/* kwj_wait_for each of them, in order. */
extern void kwj_wait_for_all(ArrayType *job_ids);

#endif

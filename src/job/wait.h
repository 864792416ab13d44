/*
 * src/job/wait.h
 *	  Waiting for jobs to be over.
 */
#ifndef KWJ_JOB_WAIT_H
#define KWJ_JOB_WAIT_H

#include "job/store.h"
#include "storage/condition_variable.h"
#include "utils/array.h"

/* Whether a wait can go on. */
typedef enum KwjWaitVerdict
{
	KWJ_WAIT_GOES_ON,
	KWJ_WAIT_HINDERS,			/* a command waits for this database's waits to end */
	KWJ_WAIT_DEADLOCK,			/* the job waits for others that wait */
	KWJ_WAIT_ALONE,				/* no worker may run beside the one that waits */
} KwjWaitVerdict;

/* What waits need of shared memory; process/shared_state.c is behind it. */
typedef struct KwjWaitHooks
{
	/* Where waiters of a job wait. */
	ConditionVariable *(*place) (int64 job_id);
	/* This process waits for that job from now on; 0: for none. */
	void		(*set) (int64 job_id);
	KwjWaitVerdict (*verdict) (void);
} KwjWaitHooks;

/* Set once. */
extern void kwj_wait_init(const KwjWaitHooks *hooks);

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

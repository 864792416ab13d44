/*
 * src/lifecycle/settle.h
 *	  What becomes of a job when an attempt ends otherwise than by success.
 *
 * The functions run in the caller's transaction, and lock the job's row until its end.
 */
#ifndef KWJ_LIFECYCLE_SETTLE_H
#define KWJ_LIFECYCLE_SETTLE_H

#include "job/progress.h"
#include "store/jobs.h"
#include "store/store.h"

typedef enum KwjEndKind
{
	KWJ_END_ERROR,				/* the work raised an error */
	KWJ_END_CRASHED,			/* its process is gone, and nobody knows why */
	/* its process was asked to exit: no failure */
	KWJ_END_INTERRUPTED,
	/*
	 * As KWJ_END_INTERRUPTED, because the server is being stopped: the retry gets its normal
	 * delay, so that it does not start again while the shutdown takes long.
	 */
	KWJ_END_STOPPED,
	KWJ_END_TIMEOUT,			/* it took longer than its timeout */
	/* it was interrupted for a request, or stopped itself */
	KWJ_END_REQUESTED,
	/* the owner was dropped: no worker can run the job */
	KWJ_END_IMPOSSIBLE,
} KwjEndKind;

/*
 * The attempt has stopped at a checkpoint because of this request. The job becomes paused; after
 * CANCEL it becomes reverting, or canceled if there is nothing to revert. If the PAUSE was taken
 * back meanwhile, the job goes on with a new attempt.
 */
extern void kwj_settle_request(int64 job_id, int32 attempt, KwjRequest request);

/*
 * Returns how many milliseconds an attempt of a job with this timeout may take, under
 * kwjobs.max_timeout as it is now. 0 stands for no limit, both as argument and as result.
 */
extern int64 kwj_settle_limit_timeout(int64 timeout_ms);

/*
 * Fills in the error of KWJ_END_TIMEOUT. timeout_ms: how long the attempt might take; by_job: the
 * job says so, else kwjobs.max_timeout.
 */
extern void kwj_settle_explain_timeout(KwjError *error, int64 timeout_ms, bool by_job);

/*
 * The attempt has ended without success. A request that is committed by now decides what becomes
 * of the job. Otherwise the job is retried, or fails: it is reverted first if there is something
 * to revert. A revert is retried, or the job becomes revert-failed.
 *
 * With KWJ_SKIP_LOCKED nothing happens while another transaction has locked the job's row; the end
 * of that transaction wakes the coordinator.
 */
extern void kwj_settle_error(int64 job_id, int32 attempt, KwjEndKind kind,
							 const KwjError *error, KwjLockWait wait);

#endif

/*
 * src/lifecycle/settle.h
 *	  What becomes of a job when an attempt ends without success.
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
	/* its process was asked to exit: this does not count as a failure */
	KWJ_END_INTERRUPTED,
	/*
	 * As KWJ_END_INTERRUPTED, but because the server is being stopped: the retry has the normal
	 * delay, so that it does not start during a long shutdown.
	 */
	KWJ_END_STOPPED,
	KWJ_END_TIMEOUT,			/* it took longer than its timeout */
	/* a request has interrupted the attempt, or it has stopped itself because of the request */
	KWJ_END_REQUESTED,
	/* the owner was dropped: no worker can run the job */
	KWJ_END_IMPOSSIBLE,
} KwjEndKind;

/*
 * Settles an attempt that has stopped at a checkpoint because of this request. After a PAUSE the
 * job becomes paused; after a CANCEL it becomes reverting, or canceled if there is nothing to
 * revert. If a RESUME has taken the PAUSE back meanwhile, the job goes on with a new attempt.
 */
extern void kwj_settle_request(int64 job_id, int32 attempt, KwjRequest request);

/*
 * Returns how many milliseconds an attempt of a job with this timeout may take: the shorter one of
 * timeout_ms and the present kwjobs.max_timeout. 0 stands for no limit in all three.
 */
extern int64 kwj_settle_limit_timeout(int64 timeout_ms);

/*
 * Fills in the error of KWJ_END_TIMEOUT. timeout_ms is how long the attempt was allowed to take.
 * by_job: this was the job's own timeout; otherwise it was kwjobs.max_timeout.
 */
extern void kwj_settle_explain_timeout(KwjError *error, int64 timeout_ms, bool by_job);

/*
 * Settles an attempt that has ended without success. A request that is committed by now decides
 * what becomes of the job. Otherwise the job is retried; or, if it may not be, it is paused, or it
 * fails, after a revert if there is something to revert. If the attempt was itself a revert, it is
 * retried, or the job becomes revert-failed.
 *
 * With KWJ_SKIP_LOCKED, this does nothing if another transaction has locked the job's row; the end
 * of that transaction wakes the coordinator.
 */
extern void kwj_settle_error(int64 job_id, int32 attempt, KwjEndKind kind,
							 const KwjError *error, KwjLockWait wait);

#endif

/*
 * src/lifecycle/settle.h
 *	  What becomes of a job when an attempt ends otherwise than by success.
 *
 * The functions run in the caller's transaction and lock the job's row.
 */
#ifndef KWJ_LIFECYCLE_SETTLE_H
#define KWJ_LIFECYCLE_SETTLE_H

#include "job/progress.h"
#include "store/jobs.h"
#include "store/store.h"

typedef enum KwjEndKind
{
	KWJ_END_ERROR,				/* the work raised an error */
	KWJ_END_CRASHED,			/* its process is gone, nobody knows why */
	KWJ_END_INTERRUPTED,		/* its process was asked to leave */
	KWJ_END_STOPPED,			/* the same, as the server stops, which may take long */
	KWJ_END_TIMEOUT,			/* it took too long */
	KWJ_END_REQUESTED,			/* it was interrupted because of a request, or stopped itself */
	KWJ_END_IMPOSSIBLE,			/* no process can ever be had */
} KwjEndKind;

/*
 * The attempt stopped at a checkpoint because of this request: the job becomes
 * paused, or reverting (canceled if it never wrote a checkpoint). If somebody has taken
 * the PAUSE back meanwhile, the job goes on with a new attempt.
 */
extern void kwj_settle_request(int64 job_id, int32 attempt, KwjRequest request);

/*
 * How long an attempt of a job with this timeout may take (0: without limit), as kwjobs.max_timeout is now.
 */
extern int64 kwj_settle_limit_timeout(int64 timeout_ms);

/* What the error of KWJ_END_TIMEOUT says. timeout_ms: how long it might take; by_job: the job says so. */
extern void kwj_settle_explain_timeout(KwjError *error, int64 timeout_ms, bool by_job);

/*
 * The attempt ended without success. A request that is committed by now decides;
 * otherwise the job is retried, or fails: reverting if it wrote a checkpoint.
 * An attempt that reverts is retried, or the job is revert-failed.
 *
 * With KWJ_SKIP_LOCKED nothing happens while another transaction has the job's row
 * locked; the end of that one wakes the coordinator.
 */
extern void kwj_settle_error(int64 job_id, int32 attempt, KwjEndKind kind,
							 const KwjError *error, KwjLockWait wait);

#endif

/*
 * src/lifecycle/broken.h
 *	  Ends a job whose rows in kwjobs's tables cannot be used as they are.
 */
#ifndef KWJ_LIFECYCLE_BROKEN_H
#define KWJ_LIFECYCLE_BROKEN_H

#include "kwjobs.h"

/*
 * Ends a job that cannot go on, because a step of the bookkeeping has raised the error edata. If
 * the job has changed something, it is reverted first. `what` says which step failed, such as "the
 * job could not be started". Rows that cannot be written are left as they are. The function raises
 * no error and logs none, because the caller already has edata to report. Call it outside of a
 * transaction.
 *
 * Returns false if there is no such job or it is over, if another transaction has locked its row,
 * or if not even the job's row could be written.
 */
extern bool kwj_break_job(int64 job_id, const char *what, const ErrorData *edata);

/* Returns whether the error is one that may not occur again, so that another try may succeed. */
extern bool kwj_error_may_pass(const ErrorData *edata);

#endif

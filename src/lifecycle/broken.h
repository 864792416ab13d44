/*
 * src/lifecycle/broken.h
 *	  How a job ends whose rows cannot be used as they are.
 */
#ifndef KWJ_LIFECYCLE_BROKEN_H
#define KWJ_LIFECYCLE_BROKEN_H

#include "kwjobs.h"

/*
 * Ends a job that cannot go on because of this error, which a step of the bookkeeping has raised.
 * If the job has changed something, it is reverted first. what: the step, as in "the job could not
 * be started". Rows that cannot be written are left as they are; this raises no error and logs
 * none, because the caller has one already. To be called outside of a transaction.
 *
 * Returns false if there is no such job or it is over, if another transaction has locked its row,
 * or if not even the job's end could be written.
 */
extern bool kwj_break_job(int64 job_id, const char *what, const ErrorData *edata);

/* Returns whether the error is not of the job's own making, so that another try may succeed. */
extern bool kwj_error_may_pass(const ErrorData *edata);

#endif

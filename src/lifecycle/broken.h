/*
 * src/lifecycle/broken.h
 *	  How a job ends whose rows cannot be used as they are.
 */
#ifndef KWJ_LIFECYCLE_BROKEN_H
#define KWJ_LIFECYCLE_BROKEN_H

#include "kwjobs.h"

/*
 * The job cannot go on because of this error, which a step of the bookkeeping has raised: what says
 * which, as in "the job could not be started". The job ends with it, or is reverted first if it has
 * changed something. Outside a transaction; what cannot be written is left, and never an error, not
 * even in the log: the caller has one already.
 *
 * False if not even the job's end can be written, or another transaction has its row locked, or
 * there is no such job that is not over.
 */
extern bool kwj_break_job(int64 job_id, const char *what, const ErrorData *edata);

/* Returns whether the error is none of the job's own making, and another try may not meet it. */
extern bool kwj_error_may_pass(const ErrorData *edata);

#endif

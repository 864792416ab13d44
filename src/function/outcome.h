/*
 * src/function/outcome.h
 *	  Statements that wait for the job that they have created.
 */
#ifndef KWJ_FUNCTION_OUTCOME_H
#define KWJ_FUNCTION_OUTCOME_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "store/jobs.h"

/*
 * Begin a procedure that creates a job, commits it (SPI_commit) and waits for it: connects to
 * SPI so that it can, and returns the description of the row that it has to return.
 * statement: what the user typed; hint: one or two whole sentences.
 *
 * Errors: 25001 where nothing can be committed.
 */
extern TupleDesc kwj_begin_to_wait(FunctionCallInfo fcinfo, const char *statement,
								   const char *hint);

/*
 * Wait until the job is over, telling its progress now and then; raise its error if it has not
 * succeeded. For a procedure, in the transaction after the one that created the job,
 * without a snapshot, so that the wait holds back nobody's vacuum.
 */
extern void kwj_wait_for_success(int64 job_id, KwjOutcome *outcome);

#endif

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
 * Begins a procedure that creates a job, commits it (SPI_commit) and waits for it: connects to SPI
 * in such a way that it can commit, and returns the description of the row that the procedure has
 * to return. statement: what the user has typed; hint: one or two whole sentences.
 *
 * Errors: 25001 where nothing can be committed; 0A000 in single-user mode.
 */
extern TupleDesc kwj_begin_to_wait(FunctionCallInfo fcinfo, const char *statement,
								   const char *hint);

/* Begins a procedure as kwj_begin_to_wait does, if the procedure returns no row. */
extern void kwj_connect_to_wait(FunctionCallInfo fcinfo, const char *statement, const char *hint);

/*
 * Waits until the job is over, and tells the client now and then how far it is. Raises the job's
 * error if it has not succeeded. To be called by a procedure in the transaction after the one that
 * has created the job. It must not hold a snapshot, because that would hold back vacuum for as
 * long as the wait lasts. Errors: also those of kwj_wait_for; 42704 if the job was deleted
 * meanwhile.
 */
extern void kwj_wait_for_success(int64 job_id, KwjOutcome *outcome);

#endif

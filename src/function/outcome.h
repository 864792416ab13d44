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
 * Ends a procedure that kwj_begin_to_wait or kwj_connect_to_wait has begun and that has created the
 * job: commits, waits until the job is over, and disconnects from SPI. Tells the client now and then
 * how far the job is. The session holds no snapshot while it waits, because a snapshot would hold back
 * vacuum for as long as the job takes.
 *
 * Leaves `memory` as the current memory context, and *returned in it; returned may be NULL. The texts of
 * *outcome are gone with SPI's memory. Errors: that of the job if it has not succeeded; those of kwj_wait_for;
 * 42704 if the job was deleted meanwhile.
 */
extern void kwj_commit_and_wait(int64 job_id, MemoryContext memory, KwjOutcome *outcome,
								KwjReturned *returned);

#endif

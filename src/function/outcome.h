/*
 * src/function/outcome.h
 *	  Statements that wait for the job that they have created.
 */
#ifndef KWJ_FUNCTION_OUTCOME_H
#define KWJ_FUNCTION_OUTCOME_H

#include "job/store.h"

/*
 * Wait until the job is over, telling its progress now and then; raise its error if it has not
 * succeeded. For a procedure, in the transaction after the one that created the job,
 * without a snapshot, so that the wait holds back nobody's vacuum.
 */
extern void kwj_wait_for_success(int64 job_id, KwjOutcome *outcome);

#endif

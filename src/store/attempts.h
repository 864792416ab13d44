/*
 * src/store/attempts.h
 *	  The rows of attempts and checkpoints, for workers, and for the coordinator where an attempt is gone.
 */
#ifndef KWJ_STORE_ATTEMPTS_H
#define KWJ_STORE_ATTEMPTS_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/current.h"
#include "job/progress.h"
#include "job/status.h"
#include "utils/array.h"

/*
 * Fill in the attempt (palloc'd in context). False if the job is not this
 * attempt's any more. *request: what is already asked for.
 */
extern bool kwj_store_load(int64 job_id, int32 attempt, KwjAttempt *into,
						   KwjRequest *request, MemoryContext context);

/*
 * Write the checkpoint; xid, if valid, becomes one of the job's transactions.
 * Returns the request that is committed for the job. Errors: 55000 if the job is
 * not this attempt's any more.
 */
extern KwjRequest kwj_store_checkpoint(int64 job_id, int32 attempt, Jsonb *state,
									   double fraction, int64 rows,
									   FullTransactionId xid);

/* The job's transactions: palloc'd, *n of them. */
extern FullTransactionId *kwj_store_transactions(int64 job_id, int *n);

/* The status in which a reverted job ends: failed or canceled. */
extern KwjStatus kwj_store_revert_to(int64 job_id);

#endif

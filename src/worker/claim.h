/*
 * src/worker/claim.h
 *	  How a worker claims its next job itself, mostly in the transaction that ends the last one.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_CLAIM_H
#define KWJ_WORKER_CLAIM_H

#include "job/current.h"
#include "store/job_tables.h"

extern void kwj_worker_claim_init(void);

/* The worker calls this when an attempt begins, for which it has claimed nothing yet. */
extern void kwj_worker_claim_nothing(void);

/*
 * Claims the next job in the current transaction, which ends attempt `done`. If the commit may wait
 * for a standby, or the claim could disturb it, leaves that to kwj_worker_claim_apart().
 */
extern void kwj_worker_claim_within(const KwjAttempt *done, KwjJobTables *tables);

/*
 * The worker calls this when the transaction in which it may have claimed the next job is
 * committed, or was rolled back: if it has, its slot gets the job, or forgets it.
 */
extern void kwj_worker_begin_claimed(bool committed);

/*
 * Claims the next job in a transaction of its own, if kwj_worker_claim_within() has left that to
 * this function. The caller is outside a transaction.
 */
extern void kwj_worker_claim_apart(KwjAttempt *done);

/* Returns whether a job was claimed. */
extern bool kwj_worker_has_claimed(void);

/*
 * Gets the attempt that was claimed, and sets *context to its memory. The old *context, the memory
 * of the last attempt, will be reset and used for the next claim.
 */
extern void kwj_worker_take_claimed(KwjAttempt *attempt, MemoryContext *context);

#endif

/*
 * src/worker/claim.h
 *	  The next job of a worker, which it claims itself, mostly with the end of the last one.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_CLAIM_H
#define KWJ_WORKER_CLAIM_H

#include "job/current.h"
#include "store/job_tables.h"

extern void kwj_worker_claim_init(void);

/* An attempt begins: nothing is claimed after it yet. */
extern void kwj_worker_claim_nothing(void);

/*
 * In the transaction that settles the job of this attempt: claims the next job, unless the claim
 * could be in the way of the commit.
 */
extern void kwj_worker_claim_within(const KwjAttempt *done, KwjJobTables *tables);

/* That transaction is committed, or was rolled back. Does nothing if it has claimed nothing. */
extern void kwj_worker_begin_claimed(bool committed);

/* The same in a transaction of its own, if it was left to one. Outside a transaction. */
extern void kwj_worker_claim_apart(KwjAttempt *done);

/* Returns whether a job was claimed. */
extern bool kwj_worker_has_claimed(void);

/*
 * Gives the attempt that was claimed, and its memory in *context. What *context was before, the
 * memory of the last attempt, is used for the one after this.
 */
extern void kwj_worker_take_claimed(KwjAttempt *attempt, MemoryContext *context);

#endif

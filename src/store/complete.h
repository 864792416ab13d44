/*
 * src/store/complete.h
 *	  The end of a job and the claim of the next one, in the transaction of the job's work.
 */
#ifndef KWJ_STORE_COMPLETE_H
#define KWJ_STORE_COMPLETE_H

#include "kwjobs.h"
#include "job/current.h"
#include "job/status.h"
#include "utils/array.h"

/* What both parts of a completion use: palloc'd, for an active snapshot and one transaction. */
typedef struct KwjCompletion KwjCompletion;

extern KwjCompletion *kwj_store_begin_completion(void);
extern void kwj_store_end_completion(KwjCompletion *completion);

/*
 * The attempt has succeeded, and so has the job. False if a CANCEL is committed, or the job
 * is not this attempt's any more: nothing is changed then.
 */
extern bool kwj_store_succeed(KwjCompletion *completion, KwjAttempt *attempt, int64 rows,
							  Jsonb *result, ArrayType *tags, ArrayType *messages);

/*
 * A job whose row this transaction has locked before is over, with this status: tell those
 * that depend on it, whatever the transaction's snapshot shows of them. With an active snapshot. An
 * error in that is not this job's: it goes into the log, and the coordinator is to find them.
 */
extern void kwj_store_tell_dependents(int64 job_id, KwjStatus status);

/*
 * Claim this job, which is of the same owner and type as the one that is done, for this
 * process, and fill in its attempt (palloc'd in context). False if it may not start any more, or
 * another transaction has its row locked, or this process does not fit what it is to do; or if its
 * rows raise an error, which goes into the log, while the transaction goes on: then the coordinator is
 * woken at the end of the transaction, and finds out what is to be done with the job.
 *
 * kwj_store_may_claim_within: false if somebody has made triggers or constraints on our tables, whose
 * errors would undo the work of the job that is done, too.
 */
typedef bool (*KwjFits) (Jsonb *payload);
extern bool kwj_store_may_claim_within(KwjCompletion *completion);
extern bool kwj_store_claim(KwjCompletion *completion, int64 job_id, const KwjAttempt *done,
							KwjFits fits, KwjAttempt *into, MemoryContext context);

#endif

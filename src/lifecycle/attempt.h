/*
 * src/lifecycle/attempt.h
 *	  What a job type may do with the attempt that it runs: begin a
 *	  transaction, write a checkpoint with the work it describes, end.
 *
 * Process: worker. The functions commit the current transaction where they say
 * so; the job type does no transaction control of its own.
 */
#ifndef KWJ_LIFECYCLE_ATTEMPT_H
#define KWJ_LIFECYCLE_ATTEMPT_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/current.h"
#include "job/progress.h"
#include "store/job_tables.h"
#include "utils/jsonb.h"

/*
 * Start a transaction with an active snapshot, as the owner. Memory allocated in
 * CurrentMemoryContext after this goes away at the next commit or abort.
 */
extern void kwj_attempt_begin(KwjAttempt *attempt);

/*
 * Write the checkpoint and commit it together with all that was done since
 * kwj_attempt_begin.
 *
 * state		the checkpoint; the next attempt finds it in attempt->checkpoint
 * fraction		0 .. 1, of the whole job
 * rows			rows so far, of all attempts
 * revertible	true: rows that this transaction inserted are removed if the job is
 *				reverted (kwj_attempt_transactions)
 *
 * Returns the request that was committed for this job by then: with PAUSE or
 * CANCEL the job type returns from execute() at once.
 *
 * Errors: 55000 if the job is not this attempt's any more.
 */
extern KwjRequest kwj_attempt_checkpoint(KwjAttempt *attempt, Jsonb *state,
										 double fraction, int64 rows,
										 bool revertible);

/*
 * Mark the job succeeded and commit that together with all that was done since
 * kwj_attempt_begin. result: kept in the job's row, may be NULL.
 *
 * If a CANCEL was committed first, this writes the checkpoint instead (same
 * arguments) and returns KWJ_REQUEST_CANCEL. A PAUSE that came too late does
 * not matter: the work is done.
 */
extern KwjRequest kwj_attempt_succeed(KwjAttempt *attempt, Jsonb *state,
									  int64 rows, bool revertible,
									  Jsonb *result);

/*
 * For a type whose whole work is the current transaction, or the last part of
 * it, begun by the type itself and without an active snapshot: mark the job succeeded and
 * commit. rows: of all attempts; result: as above.
 *
 * Errors: 57014 if a CANCEL was committed first, or is part of the work: the work is rolled
 * back, and the worker settles that.
 */
extern void kwj_attempt_complete(KwjAttempt *attempt, int64 rows, Jsonb *result);

/*
 * Write the checkpoint in the current transaction, which the caller commits; needs an
 * active snapshot. state: NULL leaves the last one. Returns the request that is committed
 * for the job by now. Errors: as kwj_attempt_checkpoint.
 */
extern KwjRequest kwj_attempt_note(KwjAttempt *attempt, Jsonb *state, double fraction,
								   int64 rows);

/* What the worker does in the transaction that ends an attempt. Set once. */
typedef struct KwjAttemptHooks
{
	/* All is done but the commit, and no request or timeout is to disturb that. */
	void		(*work_is_over) (const KwjAttempt *attempt);
	/* Of kwj_attempt_complete, after that: claim the next job, with what completes this one. */
	void		(*claim) (const KwjAttempt *attempt, KwjJobTables *tables);
} KwjAttemptHooks;
extern void kwj_attempt_init(const KwjAttemptHooks *hooks);

/*
 * In the transaction of the work, with an active snapshot: run the constraints and triggers that are
 * deferred to its end.
 */
extern void kwj_attempt_run_deferred(void);

/*
 * For revert(): mark the job reverted (failed or canceled, as was decided when
 * the revert began) and commit that together with the revert's work.
 * note: shown as running_status of the finished job, may be NULL.
 */
extern void kwj_attempt_reverted(KwjAttempt *attempt, const char *note);

/*
 * Between kwj_attempt_begin and the end of its transaction: the transactions of
 * the job's revertible checkpoints, as a palloc'd array, and their number in *n.
 */
extern FullTransactionId *kwj_attempt_transactions(KwjAttempt *attempt, int *n);

#endif

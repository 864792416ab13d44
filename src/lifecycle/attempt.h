/*
 * src/lifecycle/attempt.h
 *	  What a job type may do with the attempt that it runs: begin a transaction, write a
 *	  checkpoint with the work that it describes, end the attempt.
 *
 * Process: worker. The functions commit the current transaction where they say so; the job type
 * does no transaction control of its own.
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
 * Starts a transaction with an active snapshot, as the owner. Memory that is allocated in
 * CurrentMemoryContext after this goes away at the next commit or abort.
 */
extern void kwj_attempt_begin(KwjAttempt *attempt);

/*
 * Writes the checkpoint and commits it together with all that was done since kwj_attempt_begin.
 *
 * state		the checkpoint; the next attempt finds it in attempt->checkpoint
 * fraction		how much of the whole job is done, 0 to 1
 * rows			rows so far, of all attempts
 * revertible	if the job is reverted, the rows that this transaction inserted are removed
 *				(kwj_attempt_transactions)
 *
 * Returns the request that was committed for this job by then: with PAUSE or CANCEL the job type
 * returns from execute() at once.
 *
 * Errors: 55000 if this is not the job's active attempt any more.
 */
extern KwjRequest kwj_attempt_checkpoint(KwjAttempt *attempt, Jsonb *state,
										 double fraction, int64 rows,
										 bool revertible);

/*
 * Commits a checkpoint that is written, of the job or of a piece. It does not wait for the disk:
 * the checkpoint commits with the work that it describes, so that a crash of the server can lose
 * them only together.
 */
extern void kwj_attempt_commit_checkpoint(void);

/*
 * Marks the job as succeeded and commits that together with all that was done since
 * kwj_attempt_begin. result: is kept in the job's row; may be NULL.
 *
 * If a CANCEL was committed first, this writes a checkpoint instead, with the same arguments, and
 * returns KWJ_REQUEST_CANCEL. A PAUSE does not matter any more, because the work is done.
 */
extern KwjRequest kwj_attempt_succeed(KwjAttempt *attempt, Jsonb *state,
									  int64 rows, bool revertible,
									  Jsonb *result);

/*
 * Marks the job as succeeded and commits, for a type whose whole work, or the last part of it, is
 * the current transaction. The type has begun that itself, and there is no active snapshot. rows:
 * of all attempts; result: as above.
 *
 * Errors: 57014 if a CANCEL was committed first, or is part of the work. Then the work is rolled
 * back, and the worker settles the attempt.
 */
extern void kwj_attempt_complete(KwjAttempt *attempt, int64 rows, Jsonb *result);

/*
 * Writes the checkpoint in the current transaction, which the caller commits. Needs an active
 * snapshot. state: NULL keeps the last one. Returns the request that is committed for the job by
 * now. Errors: as kwj_attempt_checkpoint.
 */
extern KwjRequest kwj_attempt_note(KwjAttempt *attempt, Jsonb *state, double fraction,
								   int64 rows);

/*
 * What the worker does in the transaction that ends an attempt. The worker sets these functions
 * once.
 */
typedef struct KwjAttemptHooks
{
	/* Only the commit is left to do: sees that no request or timeout disturbs it. */
	void		(*work_is_over) (const KwjAttempt *attempt);
	/*
	 * kwj_attempt_complete calls this after work_is_over: claims the next job, in the tables that
	 * it has opened to end this one.
	 */
	void		(*claim) (const KwjAttempt *attempt, KwjJobTables *tables);
} KwjAttemptHooks;
extern void kwj_attempt_init(const KwjAttemptHooks *hooks);

/*
 * Runs the constraints and triggers that are deferred to the end of the transaction. To be called
 * in the transaction of the work, with an active snapshot.
 */
extern void kwj_attempt_run_deferred(void);

/*
 * Ends the revert of a job and commits that together with the work of the revert. The job is
 * failed or canceled then, as was decided when the revert began. note: the running_status of the
 * finished job; may be NULL. undone: nothing of the work is left, so that an attempt after a RETRY
 * does not go on from the checkpoint.
 */
extern void kwj_attempt_reverted(KwjAttempt *attempt, const char *note, bool undone);

/*
 * Returns the transactions of the job's revertible checkpoints, as a palloc'd array of *n. To be
 * called between kwj_attempt_begin and the end of its transaction.
 */
extern FullTransactionId *kwj_attempt_transactions(KwjAttempt *attempt, int *n);

#endif

/*
 * src/lifecycle/attempt.h
 *	  The functions by which a job type runs an attempt: they begin a transaction, commit a
 *	  checkpoint together with the work that it describes, and end the attempt.
 *
 * Process: worker. The comment of a function says if it commits the current transaction. A job
 * type controls transactions only by these functions.
 */
#ifndef KWJ_LIFECYCLE_ATTEMPT_H
#define KWJ_LIFECYCLE_ATTEMPT_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/current.h"
#include "job/progress.h"
#include "nodes/pg_list.h"
#include "store/job_tables.h"
#include "utils/jsonb.h"

/*
 * Starts a transaction with an active snapshot, as the owner of the job. Memory that the caller
 * then allocates in CurrentMemoryContext is freed at the end of the transaction.
 */
extern void kwj_attempt_begin(KwjAttempt *attempt);

/*
 * Starts a transaction for work that takes long and reads no table: without a snapshot, it does not
 * hold back vacuum.
 */
extern void kwj_attempt_begin_without_snapshot(void);

/*
 * Commits a transaction that one of the two functions above has started, and in which nothing was
 * written. Switches to the memory context.
 */
extern void kwj_attempt_end_look(MemoryContext context);

/*
 * Starts a transaction that only reads: all statements in it see one snapshot (REPEATABLE READ), and
 * none can write (READ ONLY), whatever defaults the owner has. The caller ends it with
 * kwj_attempt_end_reading, and writes checkpoints in transactions of their own, because a snapshot
 * would keep them from seeing a PAUSE or CANCEL.
 */
extern void kwj_attempt_begin_reading(KwjAttempt *attempt, List *tables);
extern void kwj_attempt_end_reading(KwjAttempt *attempt);

/*
 * Writes the checkpoint and commits it together with all that was done since kwj_attempt_begin.
 *
 * state		the checkpoint; the next attempt finds it in attempt->checkpoint
 * fraction		how much of the whole job is done, 0 to 1
 * rows			the rows that all attempts have processed so far
 * revertible	a revert of the job has to remove the rows that this transaction inserted; see
 *				kwj_attempt_transactions
 *
 * Returns the request that has been committed for this job by then, or KWJ_REQUEST_CLOSE. Unless it is
 * KWJ_REQUEST_NONE, the job type must return from execute() at once. If a stop of the server waits for
 * this checkpoint, the process exits after the commit, and the function does not return.
 *
 * Errors: 55000 if this is not the job's active attempt any more.
 */
extern KwjRequest kwj_attempt_checkpoint(KwjAttempt *attempt, Jsonb *state,
										 double fraction, int64 rows,
										 bool revertible);

/*
 * Notes the number of the current subtransaction for the next revertible checkpoint, so that a revert of
 * the job removes the rows that the subtransaction has inserted, too: they have its number as xmin, not
 * that of the transaction. Call it just before the subtransaction is committed. Returns how many numbers
 * it has noted: 1, or 0 if the subtransaction has none, because it has written nothing.
 */
extern int	kwj_attempt_note_subtransaction(void);

/*
 * Writes the numbers of the subtransactions that were noted since kwj_attempt_begin. piece: that of the
 * checkpoint, or KWJ_NO_PIECE.
 */
extern void kwj_attempt_write_subtransactions(const KwjAttempt *attempt, int64 piece);

/*
 * Writes and commits a checkpoint for a type that begins anew with each attempt, and that is about to do
 * something which neither a rollback nor a crash undoes, such as creating a file. state: what the next
 * attempt, or the revert, has to know of it. The checkpoint counts as no progress, so the job's
 * max_attempts applies. Returns when the commit is on disk. revertible, and what is returned: as for
 * kwj_attempt_checkpoint.
 */
extern KwjRequest kwj_attempt_note_on_disk(KwjAttempt *attempt, Jsonb *state, bool revertible);

/*
 * Commits the current transaction, which has written a checkpoint of the job or of a piece. The
 * commit does not wait for the disk (synchronous_commit = off): checkpoint and work are in one
 * transaction, so a crash of the server can lose both, but never one of them alone.
 */
extern void kwj_attempt_commit_checkpoint(void);

/*
 * Returns the request that an attempt has to obey after a checkpoint: the one that is committed in the
 * job's row or, if there is none, KWJ_REQUEST_CLOSE if the job's window has closed.
 */
extern KwjRequest kwj_attempt_request(KwjRequest in_row);

/*
 * Marks the job as succeeded and commits that together with all that was done since
 * kwj_attempt_begin. result is stored in the job's row; it may be NULL.
 *
 * If a CANCEL was committed first, this function only commits a checkpoint with the arguments, and
 * returns KWJ_REQUEST_CANCEL. It ignores a PAUSE, because the work is done.
 */
extern KwjRequest kwj_attempt_succeed(KwjAttempt *attempt, Jsonb *state,
									  int64 rows, bool revertible,
									  Jsonb *result);

/*
 * Marks the job as succeeded and commits, for a type that has started the current transaction
 * itself and has done its whole work, or the end of it, there. There must be no active snapshot.
 * rows: of all attempts; result: as for kwj_attempt_succeed.
 *
 * Errors: 57014 if a CANCEL was committed first, or if this transaction itself has canceled the
 * job. The error rolls the work back, and the worker settles the attempt.
 */
extern void kwj_attempt_succeed_and_claim(KwjAttempt *attempt, int64 rows, Jsonb *result);

/*
 * Writes a checkpoint in the current transaction, which the caller commits. Needs an active
 * snapshot. If state is NULL, the state of the last checkpoint stays. Returns the request that has
 * been committed for the job by now. Errors: as kwj_attempt_checkpoint.
 */
extern KwjRequest kwj_attempt_write_checkpoint(KwjAttempt *attempt, Jsonb *state, double fraction,
											   int64 rows);

/*
 * Functions of the worker that are called in the transaction that ends an attempt. The worker sets
 * them once, by kwj_attempt_init.
 */
typedef struct KwjAttemptHooks
{
	/* Only the commit is left to do: makes sure that no request and no timeout interrupts it. */
	void		(*work_is_over) (const KwjAttempt *attempt);
	/*
	 * Claims the next job, in the same transaction, so that one commit is enough for both.
	 * Only kwj_attempt_succeed_and_claim calls this, after work_is_over, with the tables that it
	 * has open.
	 */
	void		(*claim) (const KwjAttempt *attempt, KwjJobTables *tables);
} KwjAttemptHooks;
extern void kwj_attempt_init(const KwjAttemptHooks *hooks);

/*
 * Runs the constraints and triggers that are deferred to the end of the transaction, so that their
 * errors and messages count as errors and messages of the work, and a cancel can still interrupt
 * them. Call it in the transaction that does the work, with an active snapshot.
 */
extern void kwj_attempt_run_deferred(void);

/*
 * Ends the revert of a job and commits that together with the work of the revert. The job becomes
 * failed or canceled, as was decided when the revert began. note is the running_status that the
 * job then shows; it may be NULL. undone: nothing of the work is left. Then the checkpoint's state
 * is deleted, so that an attempt after a RETRY starts from the beginning.
 */
extern void kwj_attempt_reverted(KwjAttempt *attempt, const char *note, bool undone);

/*
 * Returns whether the revert is that of a job that has failed with an error that has a place in a file, not
 * of one that was canceled or has failed for another reason. Call it in a transaction that
 * kwj_attempt_begin has started.
 */
extern bool kwj_attempt_failed_at_record(const KwjAttempt *attempt);

/*
 * Returns the ids of the transactions that have committed a revertible checkpoint of the job, as a
 * palloc'd array of *n. Call it in a transaction that kwj_attempt_begin has started.
 */
extern FullTransactionId *kwj_attempt_transactions(KwjAttempt *attempt, int *n);

#endif

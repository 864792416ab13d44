/*
 * src/lifecycle/parts.h
 *	  Job types whose attempts several workers may carry together: the functions of such a type, and
 *	  what they call.
 *
 * doc/developers/parts.md says how the workers work together.
 */
#ifndef KWJ_LIFECYCLE_PARTS_H
#define KWJ_LIFECYCLE_PARTS_H

#include "job/current.h"
#include "job/progress.h"
#include "shared/team.h"
#include "store/pieces.h"
#include "utils/jsonb.h"

/* How far the planning of a job's pieces is. */
typedef struct KwjPlan
{
	Jsonb	   *state;			/* where the next step of planning goes on; NULL in the first one */
	bool		complete;		/* all pieces are planned */
	int64		total;			/* units of the whole work; 0: not known yet */
} KwjPlan;

/* The functions of a type. They run in workers that are connected as the owner of the job. */
typedef struct KwjParts
{
	/*
	 * Returns whether parts carry the attempts of this job; otherwise the type's execute() does.
	 * The answer depends on the payload only. NULL: they always do. Any part calls this, outside a
	 * transaction.
	 */
	bool		(*used) (const KwjAttempt *attempt);

	/*
	 * Returns how many workers may carry the attempt at most, 1 or more. Raises an error if the job
	 * cannot run now. Part 0 calls this, in a transaction.
	 */
	int			(*wanted) (KwjAttempt *attempt);

	/*
	 * Plans the next pieces: calls kwj_piece_add for a bounded number of them, in the order of the
	 * work, and updates *plan. Part 0 calls this, in a transaction that the caller commits. If this
	 * raises an error, all pieces that were planned before are done first; the attempt fails with
	 * the error if none of them fails.
	 */
	void		(*plan) (KwjAttempt *attempt, KwjPlan *plan);

	/*
	 * Does a piece; if piece->state is not NULL, goes on from there. Begins each transaction with
	 * kwj_attempt_begin, and ends it with kwj_piece_checkpoint or, for the last one, with
	 * kwj_piece_done. Must return at once if kwj_piece_checkpoint returns a request. Any part calls
	 * this, outside a transaction.
	 */
	void		(*work) (KwjAttempt *attempt, KwjPiece *piece);

	/*
	 * Ends the attempt, whose pieces are all done: calls kwj_attempt_begin and kwj_attempt_succeed,
	 * and returns the result of kwj_attempt_succeed. The last part calls this, outside a
	 * transaction. If that fails, another attempt may call it again.
	 */
	KwjRequest	(*finish) (KwjAttempt *attempt);

	/*
	 * The attempt is about to end with this error, which has come from this piece. All pieces
	 * before it are done now, but may not have been then, and later ones may be done in part, too.
	 * If the error may depend on that, does this piece, and the next ones if necessary, again in one
	 * transaction, without what the next ones have committed, and raises the error that comes then.
	 * If it returns, the error stands. NULL: no error depends on other pieces. The last part calls
	 * this in a transaction, which is then aborted.
	 */
	void		(*replay) (KwjAttempt *attempt, KwjPiece *piece, const KwjError *error);
} KwjParts;

/*
 * Plans a piece of `units` units, as the next one in the order of the work. `what` is all that
 * work() needs to know of the piece. Call it from plan().
 */
extern void kwj_piece_add(KwjAttempt *attempt, int64 units, Jsonb *what);

/*
 * Writes a checkpoint of the piece and commits it together with all that was done since
 * kwj_attempt_begin. If another part or attempt has to go on with the piece, it finds state in
 * piece->state. rows: how many rows all attempts have processed in this piece so far. revertible:
 * as for kwj_attempt_checkpoint. Returns the request that has been committed for the job by then;
 * KWJ_REQUEST_PAUSE also if only this part is to leave, because another job needs its worker.
 * Errors: 55000 if this is not the job's active attempt any more.
 */
extern KwjRequest kwj_piece_checkpoint(KwjAttempt *attempt, KwjPiece *piece, Jsonb *state, int64 rows,
									   bool revertible);

/*
 * Does for the last transaction of the piece what kwj_piece_checkpoint does for the others. What the
 * type has put into piece->result takes the place of the state.
 */
extern void kwj_piece_done(KwjAttempt *attempt, KwjPiece *piece, int64 rows, bool revertible);

/*
 * Shows the progress of the part's piece: how many units and rows it has come to since the piece's
 * last checkpoint. Returns the progress of the whole attempt, for kwj_progress_set_status.
 */
extern KwjTeamProgress kwj_piece_progress(const KwjPiece *piece, uint64 units, uint64 rows);

/*
 * Returns the number of rows in all pieces; finish() calls this, in a transaction. Errors: XX000 if
 * a piece is not done.
 */
extern int64 kwj_pieces_rows(const KwjAttempt *attempt);

/*
 * What the pieces have left, for a revert, finish() or replay(); in a transaction. palloc'd in
 * CurrentMemoryContext.
 *
 * kwj_pieces_rows_so_far	the rows that all attempts have committed
 * kwj_pieces_states		the states of the pieces that have this key, in the order of the work, as
 *							a list of Jsonb *
 * kwj_pieces_transactions	the ids of the *n transactions with revertible checkpoints of the pieces
 *							after this one
 * kwj_parts_state			the state of planning, as it is committed by now; NULL before the first step
 * kwj_parts_state_in		the same of a checkpoint that was read already
 */
extern int64 kwj_pieces_rows_so_far(const KwjAttempt *attempt);
extern List *kwj_pieces_states(const KwjAttempt *attempt, const char *key);
extern FullTransactionId *kwj_pieces_transactions(const KwjAttempt *attempt, const KwjPiece *after,
												  int *n);
extern Jsonb *kwj_parts_state(const KwjAttempt *attempt);
extern Jsonb *kwj_parts_state_in(Jsonb *checkpoint);

/* ---- for src/worker/parts.c ---- */

/* How far the attempts before this one have come. */
typedef struct KwjPartsBegin
{
	KwjPlan		plan;
	KwjWorkDone work;
} KwjPartsBegin;

/*
 * Deletes the errors of the last attempt, and reads how far the attempts before this one have come.
 * Part 0 calls this first, in a transaction. begin->plan.state is palloc'd in CurrentMemoryContext.
 */
extern void kwj_parts_begin(KwjAttempt *attempt, KwjPartsBegin *begin);

/*
 * Calls parts->plan, commits the pieces that it plans, and updates *plan, whose state is palloc'd
 * in the context. Returns the request that has been committed for the job by then. Part 0 calls
 * this, outside a transaction.
 */
extern KwjRequest kwj_parts_plan(KwjAttempt *attempt, const KwjParts *parts, KwjPlan *plan,
								 MemoryContext context);

/*
 * Takes the first piece that is not done, that no part holds, and that may be begun (stop_before in
 * shared/team.h). Returns false if there is none. What *piece points to is palloc'd in the context.
 * The caller is outside a transaction.
 */
extern bool kwj_parts_take(KwjAttempt *attempt, KwjPiece *piece, MemoryContext context);

/*
 * Returns whether kwj_parts_take would find a piece. The caller is outside a transaction.
 */
extern bool kwj_parts_is_any_left(KwjAttempt *attempt);

#endif

/*
 * src/lifecycle/parts.h
 *	  What a job type does whose attempts several workers may carry together.
 *
 * doc/developers/parts.md says how they work together.
 */
#ifndef KWJ_LIFECYCLE_PARTS_H
#define KWJ_LIFECYCLE_PARTS_H

#include "job/current.h"
#include "job/progress.h"
#include "shared/team.h"
#include "store/pieces.h"
#include "utils/jsonb.h"

/* What a step of planning gives. */
typedef struct KwjPlan
{
	Jsonb	   *state;			/* where the next step goes on; NULL in the first one */
	bool		complete;		/* these were the last pieces */
	int64		total;			/* units of the whole work; 0: not known yet */
} KwjPlan;

/* The functions of a type. All run in a worker connected as the owner of the job. */
typedef struct KwjParts
{
	/*
	 * Returns how many workers are to carry the attempt at most, 1 or more. Raises an error if the
	 * job cannot run now. In part 0, in a transaction.
	 */
	int			(*wanted) (KwjAttempt *attempt);

	/*
	 * Plans the next pieces with kwj_piece_add, a bounded number, in the order of the work, and
	 * sets *plan, whose state was palloc'd by the last step. In part 0, in a transaction, which
	 * the caller commits. An error comes, in the order of the work, after all pieces planned so
	 * far.
	 */
	void		(*plan) (KwjAttempt *attempt, KwjPlan *plan);

	/*
	 * Does a piece, from piece->state if that is not NULL. Begins each transaction with
	 * kwj_attempt_begin, and ends it with kwj_piece_checkpoint or, for the last one, with
	 * kwj_piece_done. Returns at once if kwj_piece_checkpoint returns a request. In any part,
	 * outside a transaction.
	 */
	void		(*work) (KwjAttempt *attempt, KwjPiece *piece);

	/*
	 * All pieces are done: ends the attempt with kwj_attempt_begin and kwj_attempt_succeed, and
	 * returns what that has returned. In the last part, outside a transaction. It may have to run
	 * again in another attempt.
	 */
	KwjRequest	(*finish) (KwjAttempt *attempt);
} KwjParts;

/*
 * Plans a piece of so many units, as the next one in the order of the work. what: all that work()
 * needs to know. Call it from plan().
 */
extern void kwj_piece_add(KwjAttempt *attempt, int64 units, Jsonb *what);

/*
 * Writes a checkpoint of the piece and commits it together with all that was done since
 * kwj_attempt_begin. state: the next transaction, perhaps of another attempt, finds it in
 * piece->state. rows: of this piece so far, of all attempts. revertible: as in
 * kwj_attempt_checkpoint. Returns the request that is committed for the job by then. Errors:
 * 55000 if the job is not this attempt's any more.
 */
extern KwjRequest kwj_piece_checkpoint(KwjAttempt *attempt, KwjPiece *piece, Jsonb *state, int64 rows,
									   bool revertible);

/* The same for the last transaction of the piece. */
extern void kwj_piece_done(KwjAttempt *attempt, KwjPiece *piece, int64 rows, bool revertible);

/* Rows of all pieces: for finish(). In a transaction. Errors: XX000 if one is not done. */
extern int64 kwj_pieces_rows(const KwjAttempt *attempt);

/* ---- for src/worker/parts.c ---- */

/*
 * Part 0 begins, in a transaction: forgets the errors of the last attempt, and reads how far that
 * has come. The plan's state is palloc'd in the context of attempt->checkpoint.
 */
typedef struct KwjPartsBegin
{
	KwjPlan		plan;
	KwjWorkDone work;
} KwjPartsBegin;

extern void kwj_parts_begin(KwjAttempt *attempt, KwjPartsBegin *begin);

/*
 * Plans the next pieces, and commits them. *plan is changed then; its state is palloc'd in the
 * context. Returns the request that is committed for the job. In part 0, outside a transaction.
 */
extern KwjRequest kwj_parts_plan(KwjAttempt *attempt, const KwjParts *parts, KwjPlan *plan,
								 MemoryContext context);

/*
 * Takes the first piece that is left; returns false if there is none, or none that may be begun.
 * Outside a transaction. *piece is palloc'd in the context.
 */
extern bool kwj_parts_take(KwjAttempt *attempt, KwjPiece *piece, MemoryContext context);

/*
 * Returns whether a piece is left that no part holds and that may be begun. Outside a
 * transaction.
 */
extern bool kwj_parts_is_any_left(KwjAttempt *attempt);

#endif

/*
 * src/store/pieces.h
 *	  Rows of the pieces of a job's work.
 */
#ifndef KWJ_STORE_PIECES_H
#define KWJ_STORE_PIECES_H

#include "kwjobs.h"
#include "job/progress.h"
#include "access/transam.h"
#include "nodes/pg_list.h"
#include "shared/team.h"
#include "store/store.h"
#include "utils/jsonb.h"

/* A piece that a part is about to do, or to go on with. */
typedef struct KwjPiece
{
	int64		number;			/* its place in the order of the work, from 0 */
	int64		units;			/* size of the piece, in units of the job type: for progress */
	Jsonb	   *what;			/* as planned */
	Jsonb	   *state;			/* of its last checkpoint, or NULL */
	int64		rows;			/* of its last checkpoint */
	int64		units_done;		/* as of its last checkpoint */

	/*
	 * What the type may set before it writes a checkpoint: how many units of the piece are done
	 * then. And before it writes that the piece is done: what finish() or the revert of the job has
	 * to know of it; NULL: the state of the last checkpoint stays.
	 */
	int64		units_next;
	Jsonb	   *result;
} KwjPiece;

/* Insert a piece that is not done. Errors: 23505 if there is a piece with this number. */
extern void kwj_store_piece_add(int64 job_id, int64 number, int64 units, Jsonb *what);

/*
 * Find the first piece that is not done, has a lower number than `before`, and is none of the n
 * pieces in `others`. Read it into *piece, palloc'd in CurrentMemoryContext. Returns false if there
 * is no such piece.
 */
extern bool kwj_store_piece_find(int64 job_id, int64 before, int64 *others, int n, KwjPiece *piece);

/* Read the piece. Returns false if it is done by now. */
extern bool kwj_store_piece_read(int64 job_id, int64 number, KwjPiece *piece);

/*
 * Write a checkpoint of the piece in the current transaction, with the number of units in
 * piece->units_next. done: the piece is done. state: NULL keeps the present one. xid, if valid, is
 * added to the transactions that a revert undoes. Returns the PAUSE or CANCEL that is committed for
 * the job. Errors: 55000 if this is not the job's active attempt any more, or the job's status is
 * unknown.
 */
extern KwjRequest kwj_store_piece_write(int64 job_id, int32 attempt, const KwjPiece *piece,
										Jsonb *state, int64 rows, bool done, FullTransactionId xid);

/*
 * Note that the piece failed. kind: a KwjEndKind. The error may concern no piece (an error of
 * planning, for example); number is then its place in the order of the work.
 */
extern void kwj_store_piece_fail(int64 job_id, int32 attempt, int64 number, int kind,
								 const KwjError *error);

/*
 * Read the first error in the order of the work, and its place there. Returns false if there is
 * none.
 */
extern bool kwj_store_piece_error(int64 job_id, int64 *number, int *kind, KwjError *error);

/*
 * A new attempt begins: forget the errors of the last attempt, let only the new one write the
 * pieces that are not done, and add up what is done. Sets all fields of *work except total.
 */
extern void kwj_store_pieces_begin(int64 job_id, KwjWorkDone *work);

/* Add up what is done, into all fields of *work except total. */
extern void kwj_store_pieces_sum(int64 job_id, KwjWorkDone *work);

/*
 * Returns the states of all pieces whose state has this key, in the order of the work: a list of
 * Jsonb *, palloc'd in CurrentMemoryContext.
 */
extern List *kwj_store_piece_states(int64 job_id, const char *key);

/* Delete all pieces of the job, which never needs them again. */
extern void kwj_store_pieces_forget(int64 job_id);

#endif

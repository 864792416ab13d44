/*
 * src/store/pieces.h
 *	  Rows of the pieces of a job's work.
 */
#ifndef KWJ_STORE_PIECES_H
#define KWJ_STORE_PIECES_H

#include "kwjobs.h"
#include "job/current.h"
#include "job/progress.h"
#include "access/transam.h"
#include "shared/team.h"
#include "store/store.h"
#include "utils/jsonb.h"

/* A piece that a part is about to do, or to go on with. */
typedef struct KwjPiece
{
	int64		number;			/* its place in the order of the work, from 0 */
	int64		units;			/* how much it is, for the progress; the unit is the type's */
	Jsonb	   *what;			/* as planned */
	Jsonb	   *state;			/* of its last checkpoint, or NULL */
	int64		rows;			/* as of then */
} KwjPiece;

/* Plan a piece, in the current transaction. Errors: 23505 if there is one of this number. */
extern void kwj_store_piece_add(int64 job_id, int64 number, int64 units, Jsonb *what);

/*
 * Find the first piece that is not done, below "before", and none of these n; read it into *piece,
 * palloc'd in CurrentMemoryContext. Returns false if there is none.
 */
extern bool kwj_store_piece_find(int64 job_id, int64 before, int64 *others, int n, KwjPiece *piece);

/* Read the piece again; returns false if it is done by now. */
extern bool kwj_store_piece_read(int64 job_id, int64 number, KwjPiece *piece);

/*
 * Write a checkpoint of the piece in the current transaction; done: it was the last one. state:
 * NULL leaves the last one. xid, if valid, is added to the transactions that a revert undoes.
 * Returns the request that is committed for the job. Errors: 55000 if this is not the job's
 * active attempt any more.
 */
extern KwjRequest kwj_store_piece_write(int64 job_id, int32 attempt, int64 number, Jsonb *state,
										int64 rows, bool done, FullTransactionId xid);

/*
 * Note that the piece failed: kind is a KwjEndKind. The number may be one of no piece: it is then
 * only a place in the order.
 */
extern void kwj_store_piece_fail(int64 job_id, int32 attempt, int64 number, int kind,
								 const KwjError *error);

/* The first error in the order of the work. Returns false if there is none. */
extern bool kwj_store_piece_error(int64 job_id, int *kind, KwjError *error);

/*
 * A new attempt begins: forget the errors of the last one, and add up what is done (not the
 * total).
 */
extern void kwj_store_pieces_begin(int64 job_id, KwjWorkDone *work);

/* Add up what is done, in the current transaction. */
extern void kwj_store_pieces_sum(int64 job_id, KwjWorkDone *work);

/* The job will never need its pieces again. */
extern void kwj_store_pieces_forget(int64 job_id);

#endif

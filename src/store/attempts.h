/*
 * src/store/attempts.h
 *	  Rows of attempts, checkpoints and transactions, as workers read and write them.
 */
#ifndef KWJ_STORE_ATTEMPTS_H
#define KWJ_STORE_ATTEMPTS_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/current.h"
#include "job/progress.h"
#include "job/status.h"
#include "utils/array.h"

/*
 * Read the attempt of which this worker is to run a part, into *into (palloc'd in context). Part 0
 * also writes this worker's pid into the attempt's row. *request becomes the PAUSE or CANCEL that
 * is committed already. Returns false if the attempt is not the job's active one any more. Errors:
 * 55000 if the job has no payload, or a status that kwjobs does not know.
 */
extern bool kwj_store_load(int64 job_id, int32 attempt, int part, KwjAttempt *into,
						   KwjRequest *request, MemoryContext context);

/*
 * Write the checkpoint; state NULL keeps the present one. fraction: 0 to 1. rows: so far, of all
 * attempts. xid, if valid, is added to the transactions that a revert undoes. Returns the PAUSE or
 * CANCEL that is committed for the job. Errors: 55000 if this is not the job's active attempt any
 * more, or the job's status is unknown.
 */
extern KwjRequest kwj_store_checkpoint(int64 job_id, int32 attempt, Jsonb *state,
									   double fraction, int64 rows,
									   FullTransactionId xid);

/*
 * Record another transaction of which a revert has to remove the rows. piece: as for
 * kwj_store_written.
 */
extern void kwj_store_note_transaction(int64 job_id, FullTransactionId xid, int64 piece);

/*
 * Write a checkpoint of an attempt that begins its work anew: it has no rows, and does not count as
 * progress, so that the retries of the job are counted. The rest is as for kwj_store_checkpoint.
 */
extern KwjRequest kwj_store_begin_anew(int64 job_id, int32 attempt, Jsonb *state, FullTransactionId xid);

/*
 * Finish a checkpoint of a job or of a piece, after the caller has tried to write its row. written:
 * the row was written; false if it belongs to another attempt by now, which raises 55000. xid,
 * result and errors: see kwj_store_checkpoint. piece: KWJ_NO_PIECE for a checkpoint of the job. Call
 * it between kwj_store_enter and kwj_store_leave.
 */
extern KwjRequest kwj_store_written(int64 job_id, int32 attempt, bool written,
									FullTransactionId xid, int64 piece);

/*
 * Returns the ids of the *n transactions in which the job changed its target, in order, palloc'd.
 * after: only those of pieces after this one; KWJ_NO_PIECE: all.
 */
extern FullTransactionId *kwj_store_transactions(int64 job_id, int64 after, int *n);

/* Returns the state of the job's checkpoint, palloc'd; NULL if there is none. */
extern Jsonb *kwj_store_state(int64 job_id);

/*
 * Write into the checkpoint, if there is one, how much of the job is done. This is what users see
 * while no attempt runs.
 */
extern void kwj_store_note_progress(int64 job_id, int32 attempt, double fraction, int64 rows);

/*
 * Set the state of the checkpoint to NULL, because the work is undone: an attempt after a RETRY
 * starts from the beginning.
 */
extern void kwj_store_forget_state(int64 job_id);

/* Returns the status in which the job ends when its revert is done: failed or canceled. */
extern KwjStatus kwj_store_revert_to(int64 job_id);

/*
 * Returns whether the job, which is reverting, becomes failed at the end of its revert, and has failed with an
 * error that names a place in a file.
 */
extern bool kwj_store_failed_at_record(int64 job_id);

#endif

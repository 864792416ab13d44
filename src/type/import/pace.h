/*
 * src/type/import/pace.h
 *	  How much of the files a batch takes, so that it takes about kwjobs.import_batch_time.
 */
#ifndef KWJ_TYPE_IMPORT_PACE_H
#define KWJ_TYPE_IMPORT_PACE_H

#include "postgres.h"

#include "utils/timestamp.h"

/* The pace of one attempt. Only pace.c reads the fields, except for piece. */
typedef struct KwjPace
{
	int			piece;			/* COPY is to get at most this many bytes at a time */

	int64		batch;			/* bytes that the batch takes at most */
	TimestampTz begun;			/* when the work of the batch began */
	TimestampTz asked;			/* when COPY asked for its last piece; 0: not in this batch yet */
	/* The last batch: its bytes, and its microseconds from begun until it was committed. */
	int64		last_bytes;
	int64		last_us;
	int64		fixed_us;		/* what a batch takes however small it is, by the last batches */
	bool		search_cut;		/* the batch has ended in the middle of a search for bad records */
	/* How many bytes a batch takes at most, because one before has ended so; 0: no such limit. */
	int64		after_search;
} KwjPace;

/* Begins an attempt, of whose speed nothing is known. */
extern void kwj_pace_init(KwjPace *pace);

/*
 * Begins a batch. The worker calls this when it has the locks of the batch, because to wait for
 * them says nothing about the speed. Returns how many bytes the batch takes at most.
 */
extern int64 kwj_pace_begin_batch(KwjPace *pace);

/*
 * The worker calls this when COPY has processed a piece of the file and asks for the next one. Sets
 * pace->piece to the size that the next piece should have. Returns true if the batch has taken
 * kwjobs.import_batch_time: then the caller gives COPY no more, and commits what it has.
 */
extern bool kwj_pace_next_piece(KwjPace *pace);

/* Returns whether the batch has taken kwjobs.import_batch_time already. */
extern bool kwj_pace_is_over(const KwjPace *pace);

/*
 * The worker calls this if the batch ends in the middle of a search for bad records. The next batch then
 * takes at most as many bytes as this one has got done.
 */
extern void kwj_pace_search_was_cut(KwjPace *pace);

/* The worker calls this when the batch is committed. bytes: how many it has got done. */
extern void kwj_pace_end_batch(KwjPace *pace, int64 bytes);

#endif

/*
 * src/type/import/pace.c
 *	  How much of the files a batch takes, so that it takes about kwjobs.import_batch_time.
 *
 * Callers: import.c, parts.c, batch.c, records.c and bad_records.c. Process: worker. Locks: none.
 *
 * What a crash, or a stop of the server, repeats is the batch that was not committed. So a batch
 * ends when one of these comes first:
 *
 *   kwjobs.import_batch_size     bytes
 *   kwjobs.import_batch_time     while COPY reads: it looks at the clock before each piece
 *   bytes, as the last search    after a batch that has ended in the middle of a search for bad records
 *   has come to, and more again  (bad_records.c)
 *   bytes, as the last batches   what comes after the last record takes time as well: AFTER
 *   let expect                   triggers, foreign keys, deferred constraints, the commit
 *
 * A piece is what COPY gets at a time. If records take long, because of a trigger for instance, the
 * pieces become small, so that the clock is seen often enough. Both sizes begin small and grow
 * fast, because nothing is known of the speed when an attempt begins.
 */
#include "postgres.h"

#include "kwjobs.h"
#include "type/import/pace.h"

/* The sizes of a piece; COPY's buffer has the largest one. */
#define SMALLEST_PIECE		1024
#define LARGEST_PIECE		65536

/* The first batch of an attempt, and the smallest one that the speed of the last ones demands. */
#define FIRST_BATCH			(256 * 1024)
#define SMALLEST_BATCH		1024

/* A batch takes at most this many times the bytes of the batch before it. */
#define BATCH_GROWTH		4

/* A piece is to take about this part of the batch's time. */
#define PIECES_IN_TIME		16

static int64
largest_batch(void)
{
	return (int64) kwj_import_batch_size * 1024;
}

static int64
time_limit_us(void)
{
	return (int64) kwj_import_batch_time * 1000;
}

void
kwj_pace_init(KwjPace *pace)
{
	memset(pace, 0, sizeof(*pace));
	pace->piece = SMALLEST_PIECE;
	pace->batch = FIRST_BATCH;
}

int64
kwj_pace_begin_batch(KwjPace *pace)
{
	int64		batch = kwj_import_batch_time == 0 ? largest_batch() : Min(pace->batch, largest_batch());

	pace->begun = GetCurrentTimestamp();
	pace->asked = 0;
	pace->search_cut = false;
	return pace->after_search > 0 ? Min(pace->after_search, batch) : batch;
}

bool
kwj_pace_is_over(const KwjPace *pace)
{
	return kwj_import_batch_time > 0 &&
		GetCurrentTimestamp() - pace->begun >= time_limit_us();
}

bool
kwj_pace_next_piece(KwjPace *pace)
{
	TimestampTz now;
	int64		took;

	if (kwj_import_batch_time == 0)
	{
		pace->piece = LARGEST_PIECE;
		return false;
	}
	now = GetCurrentTimestamp();
	took = now - pace->asked;
	if (pace->asked != 0 && took > time_limit_us() / PIECES_IN_TIME)
		pace->piece = Max(pace->piece / 2, SMALLEST_PIECE);
	else if (pace->asked != 0 && took < time_limit_us() / PIECES_IN_TIME / 4)
		pace->piece = Min(pace->piece * 2, LARGEST_PIECE);
	pace->asked = now;
	return now - pace->begun >= time_limit_us();
}

void
kwj_pace_search_was_cut(KwjPace *pace)
{
	pace->search_cut = true;
}

/*
 * Estimates the time that each batch takes besides its rows, for statement triggers or the commit,
 * say. Draws a line through the times of this batch and the last one over their bytes; the estimate
 * is its value at 0 bytes. Two batches of nearly the same size give no such line.
 */
static void
learn_fixed(KwjPace *pace, int64 bytes, int64 us)
{
	double		slope;

	if (pace->last_bytes > 0 && (bytes >= 2 * pace->last_bytes || pace->last_bytes >= 2 * bytes))
	{
		slope = (double) (us - pace->last_us) / (bytes - pace->last_bytes);
		pace->fixed_us = (int64) (us - slope * bytes);
	}
	pace->fixed_us = Min(Max(pace->fixed_us, 0), us);
	pace->last_bytes = bytes;
	pace->last_us = us;
}

/*
 * Sets the size of the next batch to what fits into kwjobs.import_batch_time. If the fixed time of
 * a batch is more than half of that, smaller batches would mostly repeat the fixed work. Then a
 * batch may take twice its fixed time.
 */
void
kwj_pace_end_batch(KwjPace *pace, int64 bytes)
{
	int64		us = Max(GetCurrentTimestamp() - pace->begun, 1);
	double		for_bytes;
	double		fitting;

	if (pace->search_cut)
	{
		/* The time went into the search, so it says nothing about the speed of other records. */
		pace->after_search = Max(bytes, SMALLEST_BATCH);
		return;
	}
	pace->after_search *= BATCH_GROWTH;
	if (pace->after_search > largest_batch())
		pace->after_search = 0;
	/* The end of a file, or records that were skipped, say nothing about the speed. */
	if (bytes < SMALLEST_BATCH || kwj_import_batch_time == 0)
		return;
	learn_fixed(pace, bytes, us);
	for_bytes = Max(time_limit_us() - pace->fixed_us, pace->fixed_us);
	fitting = bytes * (for_bytes / Max(us - pace->fixed_us, 1));
	fitting = Min(fitting, (double) BATCH_GROWTH * pace->batch);
	pace->batch = Max((int64) Min(fitting, (double) largest_batch()), SMALLEST_BATCH);
}

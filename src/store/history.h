/*
 * src/store/history.h
 *	  Jobs that are over: how retention forgets them, and those that are over from the
 *	  beginning, the starts of the server.
 *
 * Every function runs in the caller's transaction; see store.h.
 */
#ifndef KWJ_STORE_HISTORY_H
#define KWJ_STORE_HISTORY_H

#include "kwjobs.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* A place in the order in which jobs ended: that of a job, or a time. */
typedef struct KwjHistoryMark
{
	TimestampTz finished;
	int64		job_id;			/* of those that ended at the same time; PG_INT64_MAX: the last */
} KwjHistoryMark;

/*
 * Delete up to limit jobs that ended from *from on up to the mark, the oldest first, and add
 * them to the sums in kwjobs.history. Returns how many there were. Those that somebody has
 * locked, or that another job still depends on, stay. *from becomes the end of the
 * latest: the next step need not pass the index entries of this one again.
 */
extern int64 kwj_store_forget(TimestampTz *from, const KwjHistoryMark *mark, int limit);

/*
 * The first job beyond the `keep` that ended last. False if there is none. Reads `keep`
 * entries of an index: not for every pass.
 */
extern bool kwj_store_surplus(int64 keep, KwjHistoryMark *mark);

/* How many bytes a finished job takes, about: from those that ended last. At least 1. */
extern double kwj_store_finished_size(void);

/* When the oldest of the jobs that ended after `after` ended; DT_NOEND if there is none. */
extern TimestampTz kwj_store_oldest_after(TimestampTz after);

/* A start of the server, as a job that is over. */
typedef struct KwjRestartJob
{
	int64		job_id;
	const char *description;
	Oid			owner;
	TimestampTz started;
	TimestampTz finished;
	Jsonb	   *result;
} KwjRestartJob;

/* Insert it, unless it is there. */
extern void kwj_store_restart(const KwjRestartJob *job);

#endif

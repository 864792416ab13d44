/*
 * src/store/history.h
 *	  Jobs that are over: how retention and users delete them, and the RESTART jobs, which are
 *	  over from the start.
 */
#ifndef KWJ_STORE_HISTORY_H
#define KWJ_STORE_HISTORY_H

#include "kwjobs.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* A position in the order in which jobs ended: a job's, or a time. */
typedef struct KwjHistoryMark
{
	TimestampTz finished;
	int64		job_id;			/* among jobs that ended then; PG_INT64_MAX: behind them */
} KwjHistoryMark;

/*
 * Delete up to limit jobs that ended between *from and the mark, the oldest first, and add them to
 * the sums in kwjobs.history. Leaves out jobs that another transaction has locked, or on which
 * another job still depends. Returns how many were found. *from becomes the time at which the
 * latest of them ended, so that the next call need not step over their dead index entries.
 */
extern int64 kwj_store_forget(TimestampTz *from, const KwjHistoryMark *mark, int limit);

/*
 * Lock our tables, including kwjobs.history, in the order of their names. A session calls this
 * before it looks at the jobs that it will delete: if it locked kwjobs.history last, it could
 * deadlock with DROP EXTENSION.
 */
extern void kwj_store_prepare_delete(void);

/*
 * Delete these jobs, which are over and whose rows this transaction has locked FOR UPDATE
 * (KWJ_WAIT_TO_DELETE), and add them to kwjobs.history in loose rows (history.c). Leaves out jobs
 * on which another job depends. Returns how many were deleted.
 */
extern int64 kwj_store_delete(const int64 *job_ids, int n);

/*
 * Add up to limit loose rows of kwjobs.history (history.c) to the sums, and delete them. Returns
 * how many were found. Process: the coordinator.
 */
extern int64 kwj_store_sum_up(int limit);

/*
 * Get the position of the latest job that is not among the `keep` jobs that ended last. Returns
 * false if there is none. It reads `keep` entries of an index, so it is too slow for every pass.
 */
extern bool kwj_store_surplus(int64 keep, KwjHistoryMark *mark);

/*
 * About how many bytes a finished job takes, estimated from the jobs that ended last. At least 1.
 */
extern double kwj_store_finished_size(void);

/* Returns the first time after `after` at which a job ended; DT_NOEND if there is none. */
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

/* Insert the RESTART job, unless there is a job with this id. */
extern void kwj_store_restart(const KwjRestartJob *job);

#endif

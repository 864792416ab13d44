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
	int64		job_id;			/* orders jobs that ended at the same time; PG_INT64_MAX: behind all of
								 * them */
} KwjHistoryMark;

/*
 * Delete up to limit jobs that ended between *from and the mark, the oldest first, and add them to
 * the sums in kwjobs.history. Leaves out jobs that another transaction has locked, or on which
 * another job still depends. Returns how many were found. *from becomes the end of the latest of
 * them, so that the next call need not step over the index entries of this one.
 */
extern int64 kwj_store_forget(TimestampTz *from, const KwjHistoryMark *mark, int limit);

/*
 * Lock our tables, the history among them, in their order. To be called before the first look at
 * jobs that are to be deleted: a session that comes to the history last could deadlock with DROP
 * EXTENSION.
 */
extern void kwj_store_prepare_delete(void);

/*
 * Delete these jobs, which are over and whose rows this transaction has locked FOR UPDATE
 * (KWJ_WAIT_TO_DELETE), and add them to the history as retention does. Leaves out those on which
 * another job depends. Returns how many were deleted.
 */
extern int64 kwj_store_delete(const int64 *job_ids, int n);

/*
 * Add up to limit of the rows that users have added to the history when they deleted jobs to the
 * sums. Returns how many were found. Process: the coordinator.
 */
extern int64 kwj_store_sum_up(int limit);

/*
 * Get the position of the first job beyond the `keep` that ended last. Returns false if there is
 * none. It reads `keep` entries of an index, so it is too slow for every pass.
 */
extern bool kwj_store_surplus(int64 keep, KwjHistoryMark *mark);

/*
 * About how many bytes a finished job takes, estimated from the jobs that ended last. At least 1.
 */
extern double kwj_store_finished_size(void);

/* When the first job ended that ended after `after`; DT_NOEND if there is none. */
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

/* Insert the row, unless there is a job with this id. */
extern void kwj_store_restart(const KwjRestartJob *job);

#endif

/*
 * src/store/break.h
 *	  The store of jobs whose rows cannot be used as they are: how such a job is ended, and lists
 *	  of jobs for steps that are taken job by job.
 *
 * The rules are those of store.h.
 */
#ifndef KWJ_STORE_BREAK_H
#define KWJ_STORE_BREAK_H

#include "job/status.h"
#include "store/store.h"

/*
 * End this job, whatever its row says, with this error: failed, or reverting if it has changed
 * something, or revert-failed if it was reverting already. *status: which of them. plainly: nothing
 * of the job but its row in the main table is read or written, and nothing is reverted.
 *
 * False, and nothing happens, if there is no such job that is not over, or another transaction has
 * its row locked. Whoever waits for the job is woken at the end of the transaction; dependents are
 * not told (kwj_store_tell_dependents).
 */
extern bool kwj_store_break(int64 job_id, const KwjError *error, bool plainly,
							KwjStatus *status);

/* After kwj_store_break, plainly: the job's attempts that still count as running have failed. */
extern void kwj_store_end_attempts(int64 job_id, const KwjError *error);

/* The same for its dependencies, which go. */
extern void kwj_store_end_dependencies(int64 job_id);

/* Have the coordinator look at all dependencies of this job as if they were new. */
extern void kwj_store_look_again(int64 job_id);

/* Jobs with which a coordinator has something to do. */
typedef enum KwjList
{
	KWJ_LIST_ACTIVE,			/* with an active attempt */
	KWJ_LIST_REQUESTED,			/* to be settled: see kwj_store_settle_idle */
	KWJ_LIST_DEPENDENT,			/* something is known of what they depend on, or is to be looked up */
	KWJ_LIST_OVERLOOKED,		/* what they depend on is over, but their rows do not say so */
	KWJ_LIST_UNTOLD,			/* which have ended, and some that depend on them do not know it */
	KWJ_LIST_DUE,				/* whose time has come */
	KWJ_LIST_UNFINISHED,		/* all that are neither over nor paused */
} KwjList;

#define KWJ_LISTS	(KWJ_LIST_UNFINISHED + 1)

/* A place in the order of a list: that of an entry. Times are kept as integers. */
typedef struct KwjListPlace
{
	int64		due;			/* of KWJ_LIST_DUE only, which is in the order of (due, id), the others of ids */
	int64		job_id;
} KwjListPlace;

#define KWJ_LIST_HEAD	{PG_INT64_MIN, PG_INT64_MIN}
#define KWJ_LIST_END	{PG_INT64_MAX, PG_INT64_MAX}

/*
 * Up to limit of them, without the given ones: those behind the place `after`, which becomes that of the last one, and up to the
 * place `last`. The array is palloc'd.
 */
extern KwjJobs kwj_store_list(KwjList which, KwjJobs without, int limit, KwjListPlace *after,
							  KwjListPlace last);

/* Lock a job that may start. False if it may not, or another transaction has its row locked. */
extern bool kwj_store_lock_ready(int64 job_id);

#endif

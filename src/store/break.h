/*
 * src/store/break.h
 *	  Jobs whose rows cannot be used as they are: how such a job is ended. And lists of jobs for
 *	  passes that handle each job in transactions of its own.
 */
#ifndef KWJ_STORE_BREAK_H
#define KWJ_STORE_BREAK_H

#include "job/status.h"
#include "store/store.h"

/*
 * End this job with this error, whatever its row says. *status becomes its new status: failed, or
 * reverting if it has changed something, or revert-failed if it was being reverted already.
 * plainly: read and write nothing but the job's row in kwjobs.job, and revert nothing; *status is
 * then failed or revert-failed.
 *
 * Returns false, and changes nothing, if there is no such job, it is over, or another transaction
 * has locked its row. Arms the wake-up for sessions that wait for the job. Does not mark the
 * dependencies of other jobs on it: that is kwj_store_tell_dependents. Errors: whatever the rows
 * cause.
 */
extern bool kwj_store_break(int64 job_id, const KwjError *error, bool plainly,
							KwjStatus *status);

/*
 * After a plain kwj_store_break, in a transaction of its own: set attempts that still count as
 * running to failed.
 */
extern void kwj_store_end_attempts(int64 job_id, const KwjError *error);

/*
 * After a plain kwj_store_break, in a transaction of its own: delete the dependencies of this job
 * on others.
 */
extern void kwj_store_end_dependencies(int64 job_id);

/*
 * Make the dependencies of this job fresh again, so that the coordinator looks whether the other
 * jobs are over.
 */
extern void kwj_store_look_again(int64 job_id);

/* Lists of jobs with which the coordinator has something to do. */
typedef enum KwjList
{
	KWJ_LIST_ACTIVE,			/* jobs with an active attempt */
	KWJ_LIST_REQUESTED,			/* jobs to be settled: see kwj_store_settle_idle */
	KWJ_LIST_DEPENDENT,			/* jobs with dependencies that are fresh or marked */
	KWJ_LIST_OVERLOOKED,		/* jobs with an unmarked dependency on a job that is over */
	KWJ_LIST_UNTOLD,			/* jobs in kwjobs.untold */
	KWJ_LIST_LEFT,				/* jobs that are over and still in line */
	KWJ_LIST_FREED,				/* jobs in kwjobs.left_line */
	KWJ_LIST_DUE,				/* jobs that wait for a time that has come */
	KWJ_LIST_UNFINISHED,		/* all jobs that are neither over nor paused */
} KwjList;

#define KWJ_LISTS	(KWJ_LIST_UNFINISHED + 1)

/*
 * The position of an entry in a list. Lists are ordered by id, KWJ_LIST_DUE by (due, id).
 */
typedef struct KwjListPlace
{
	int64		due;			/* a TimestampTz; for KWJ_LIST_DUE only */
	int64		job_id;
} KwjListPlace;

#define KWJ_LIST_HEAD	{PG_INT64_MIN, PG_INT64_MIN}
#define KWJ_LIST_END	{PG_INT64_MAX, PG_INT64_MAX}

/*
 * Read up to limit jobs of the list, behind *after and up to `last`, leaving out jobs in `without`.
 * *after becomes the position of the last job that is returned. Locks no rows.
 */
extern KwjJobs kwj_store_list(KwjList which, KwjJobs without, int limit, KwjListPlace *after,
							  KwjListPlace last);

/*
 * Lock the job's row, if the job may start. Returns false if it may not, or if another transaction
 * has locked the row.
 */
extern bool kwj_store_lock_ready(int64 job_id);

#endif

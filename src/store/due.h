/*
 * src/store/due.h
 *	  What the coordinator finds in the tables and has to act on: jobs that may start, lost
 *	  attempts, requests.
 */
#ifndef KWJ_STORE_DUE_H
#define KWJ_STORE_DUE_H

#include "kwjobs.h"
#include "job/progress.h"
#include "nodes/pg_list.h"
#include "store/store.h"
#include "utils/timestamp.h"

/*
 * The entries of an index that the coordinator reads in one step: up to `limit` entries behind a
 * position, so that one role with very many entries cannot make the passes long. The position is
 * the last entry that was read, given by the first two columns of the index; a time is kept as an
 * integer.
 */
typedef struct KwjWindow
{
	int			limit;			/* in: the most entries to read */
	int64		only;			/* in: entries of this job only; 0: of all jobs */
	int64		first;			/* in: read behind this position; out: behind the last entry */
	int64		second;
	int			n_read;			/* out: entries read; fewer than limit: there are no more */
	bool		fruitful;		/* out: something was changed */
	bool		unfinished;		/* out: some entries must wait until others are handled */
} KwjWindow;

/* What there is to do in this database. Each field stands for one index. */
typedef struct KwjToDo
{
	bool		active;			/* attempts run, or have lost their worker */
	bool		requested;		/* jobs without an attempt are to be settled */
	bool		fresh;			/* some dependencies have not been checked yet */
	bool		known;			/* some dependencies are marked with the end of the other job */
	bool		untold;			/* kwjobs.untold has jobs whose dependents are not all marked */
	bool		left;			/* jobs have left their lines, and the turn was not passed on */
	bool		due;			/* jobs wait for a time that has come */
	bool		queues;			/* queues have limits, or had them */
	bool		ready;			/* jobs may start, as soon as there is a worker */
	bool		held;			/* there are holds */
	bool		errands;		/* control statements for jobs of other databases are on their way */
	bool		runs;			/* there are runs of schedules whose end was not noted */
	TimestampTz next_schedule;	/* when a schedule is due; DT_NOEND: none is */
} KwjToDo;

/*
 * SQL: the rank, a place in the order of jobs that may start, of the job in table alias j that
 * waits since that time: each step of priority counts for `ageing` seconds.
 */
#define KWJ_RANK(since, j, ageing) \
	since " - coalesce(" j ".priority, 0)::double precision * " ageing " * interval '1 second'"

/* Returns what KWJ_RANK computes in SQL. */
static inline TimestampTz
kwj_rank(TimestampTz since, int32 priority)
{
	return since - (int64) priority * kwj_priority_ageing * USECS_PER_SEC;
}

/*
 * Look at the heads of the indexes, which is cheap. behind: leave out schedules that are due by this
 * time.
 */
extern void kwj_store_look(TimestampTz now, TimestampTz behind, KwjToDo *todo);

/* A job that has to end before a job that some session or job waits for can end. */
typedef struct KwjNeeded
{
	int64		waited_for;		/* the job waited for: this one, or one that depends on it */
	int64		job_id;			/* 0: the job is over */
	Oid			owner;
	const char *job_type;
	bool		active;			/* an attempt of it runs */
	bool		startable;		/* it may start now, and only lacks a worker */
	const char *queue;			/* the queue in which it waits for a place; NULL: it does not */

	/* set by kwj_store_needed_step */
	int64		needed_by;		/* a job that depends on this one */
	int64		depends_on;		/* this job's id, even if it is over */
} KwjNeeded;

/*
 * Read the jobs, leaving out jobs that are over. Returns how many were read. by: a job that may
 * start by this time counts as startable. Neither this function nor kwj_store_needed_step sets
 * waited_for.
 */
extern int	kwj_store_needed(KwjJobs jobs, TimestampTz by, KwjNeeded **needed);

/*
 * Read up to limit dependencies of the jobs, job by job and in the order of ids; for the first job,
 * those behind the id `after`. Returns how many.
 */
extern int	kwj_store_needed_step(KwjJobs jobs, TimestampTz by, int64 after, int limit,
								  KwjNeeded **needed);

/*
 * One running job that has a place in a queue with a limit, or all jobs of one owner and type that
 * have a place there and do not run.
 */
typedef struct KwjPlace
{
	const char *queue;
	int			limit;			/* how many places the queue has: above 0 */
	int			n;				/* how many jobs these are */
	KwjNeeded	job;			/* the job, or the one with the lowest id */
} KwjPlace;

/*
 * Read which jobs have places in these queues (a list of strings). Queues that are held, and queues
 * whose limit is 0, are left out. Returns how many entries *places has.
 */
extern int	kwj_store_places(const List *queues, KwjPlace **places);

/*
 * Move these jobs to the first place of their owner and type, if they only wait for a worker. A job
 * is left as it is if another transaction has locked its row, or if the row cannot be changed.
 */
extern void kwj_store_put_first(const int64 *job_ids, int n);

/*
 * Returns whether the server has background workers that will end soon by themselves, such as
 * parallel workers. Then slots for background workers will come free.
 */
extern bool kwj_store_others_have_workers(void);

/*
 * Take a claim back, as if there had been no attempt, because no worker could begin it. The job may
 * start again after 1 s, 2 s, 4 s, ... but after longest_delay_ms at the latest. With
 * KWJ_KEEP_PLACE, it may start at once, in its old place in the order. why: the new running_status.
 * Returns false, and changes nothing, if this is not the job's active attempt or another
 * transaction has locked the row; the end of that transaction wakes the coordinator. Sends no
 * wake-up: the caller has to make sure that the coordinator looks again when the job is due.
 */
#define KWJ_KEEP_PLACE	(-1)
extern bool kwj_store_unclaim(int64 job_id, int32 attempt, const char *why,
							  int longest_delay_ms);

/*
 * Give those jobs of the list's window whose time has come by `now` a place in the order of jobs that
 * may start. Jobs whose own window is closed are put off. The list's window is in the order of (due,
 * id).
 */
extern void kwj_store_promote(TimestampTz now, KwjWindow *window);

/* A job with an active attempt. */
typedef struct KwjActive
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	KwjRequest	request;		/* the PAUSE or CANCEL that is committed for it */
	bool		paused;			/* the job is paused already, because the attempt stands still */
	int			pid;			/* of the worker; 0: no worker has begun the attempt */
	int64		exceeded_ms;	/* if the attempt has exceeded its timeout: that timeout; else 0 */
	bool		has_row;		/* the attempt has a row in kwjobs.attempt */
	const char *job_type;
	bool		reverting;		/* the attempt reverts the job */
	const char *window;			/* the hours in which the job may run; NULL: always */
	const char *window_end;		/* what becomes of it at their end */
	bool		patient;		/* KWJ_REQUEST_CLOSE waits for the next checkpoint, however long */
} KwjActive;

/*
 * Read all jobs with an active attempt: a list of KwjActive. only: read just this job; 0: all.
 * `patient` is left to coordinator/window.c, which may also change the request.
 */
extern List *kwj_store_active(int64 only);

/*
 * The attempt stands still for the PAUSE that is committed for the job: the job becomes paused, and keeps
 * the attempt. Does nothing if the attempt is not the job's active one, if the PAUSE was taken back, or if
 * another transaction has locked the row; the end of that transaction wakes the coordinator. Arms the
 * wake-up for sessions that wait for the job.
 */
extern void kwj_store_stand(int64 job_id, int32 attempt);

/*
 * Settle requests on jobs of the window, which no worker runs: pause-requested becomes paused;
 * cancel-requested becomes reverting, or canceled if there is nothing to revert; a status that
 * kwjobs does not know becomes reverting or failed. Unless a job becomes paused, its dependencies
 * are deleted first. A call deletes at most KWJ_FORGET_STEP dependencies of all these jobs
 * together; a later call settles the jobs that have some left. Arms the wake-up for sessions that
 * wait for these jobs. The window is in the order of ids.
 */
#define KWJ_FORGET_STEP	1000
extern void kwj_store_settle_idle(KwjWindow *window);

/*
 * The clock was set back, and shows `now`: lets at most `limit` jobs start earlier that were put off by
 * the old time until a time after `until`. One that waits for its next attempt waits from now on as
 * long as it was to wait; one that waits for its window is due now, and is looked at again. A time
 * that a user has named stays. Returns how many jobs have changed.
 */
extern int	kwj_store_bring_forward(TimestampTz now, TimestampTz until, int limit);

/* Returns when the next job after `now` is due; DT_NOEND if none is. */
extern TimestampTz kwj_store_next_due(TimestampTz now);

#endif

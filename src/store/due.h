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
} KwjToDo;

/*
 * SQL: the rank, a place in the order of jobs that may start, of the job in table alias j that
 * waits since that time: each step of priority counts for `ageing` seconds.
 */
#define KWJ_RANK(since, j, ageing) \
	since " - coalesce(" j ".priority, 0)::double precision * " ageing " * interval '1 second'"

/* The same in C. */
static inline TimestampTz
kwj_rank(TimestampTz since, int32 priority)
{
	return since - (int64) priority * kwj_priority_ageing * USECS_PER_SEC;
}

/* Look at the heads of the indexes, which is cheap. */
extern void kwj_store_look(TimestampTz now, KwjToDo *todo);

/* A job that may start now. */
typedef struct KwjCandidate
{
	int64		job_id;			/* 0: placeholder, see kwj_store_candidates */
	int32		attempt;		/* number of its next attempt; 0: see kwj_check_attempt */
	Oid			owner;
	const char *job_type;
	TimestampTz rank;			/* the lower, the more urgent */
} KwjCandidate;

/* A position in the order of the jobs of one group (an owner and a type) that may start. */
typedef struct KwjBlocked
{
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz rank;
	int64		job_id;
} KwjBlocked;

#define KWJ_MAX_BLOCKED		16

/* Which groups kwj_store_candidates reads, and where it continues. */
typedef struct KwjGroups
{
	int			limit;			/* find at most this many groups */
	int			most_groups;	/* read jobs of at most this many of these groups */
	int			most_jobs;		/* about how many jobs to read of all these groups */
	int			most_tried;		/* try to lock at most this many jobs of each group */
	List	   *running;		/* owners of the running jobs: one entry for each such job */
	List	   *full_types;		/* types whose limit is reached, as strings */
	const List *holds;			/* of KwjHold: groups that one of them is about are not chosen */

	/* in: begin behind this group (InvalidOid: with the first one); out: the last group found */
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];
	int			n_read;			/* out: groups found; fewer than limit: there are no more */
	int			n_held;			/* out: how many of them are held */

	/* in these groups, begin behind these positions, as other transactions lock the jobs before */
	int			n_blocked;
	KwjBlocked	blocked[KWJ_MAX_BLOCKED];
} KwjGroups;

/*
 * Choose groups, and lock up to limit jobs of each that may start now, the most urgent first,
 * leaving out jobs that other transactions have locked. Returns a list of KwjCandidate. The locks
 * last until the end of the transaction.
 *
 * Each chosen group has at least one candidate. If no job of the group could be locked, this is a
 * placeholder with id 0: either the owner is in `without` (a list of OIDs), whose jobs are not
 * read, or other transactions have locked all jobs that were tried. set_aside: leave out these
 * jobs. from: the caller knows that no job has a lower rank than this; DT_NOBEGIN: it does not
 * know.
 */
extern List *kwj_store_candidates(KwjGroups *groups, int limit, const List *without,
								  KwjJobs set_aside, TimestampTz from);

/*
 * Move the position behind the next n jobs of the group. If there are fewer, return false and leave
 * it.
 */
extern bool kwj_store_skip(KwjBlocked *group, int n);

/*
 * Read the most urgent pending jobs of an owner and type, up to limit, and lock none of them.
 * Returns how many. set_aside, from: as for kwj_store_candidates.
 */
extern int	kwj_store_ready(Oid owner, const char *job_type, KwjJobs set_aside,
							TimestampTz from, int64 *job_ids, int limit);

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
 * Give those jobs of the window whose time has come by `now` a place in the order of jobs that may
 * start. The window is in the order of (due, id).
 */
extern void kwj_store_promote(TimestampTz now, KwjWindow *window);

/* A job with an active attempt. */
typedef struct KwjActive
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	KwjRequest	request;		/* the PAUSE or CANCEL that is committed for it */
	int			pid;			/* of the worker; 0: no worker has begun the attempt */
	int64		exceeded_ms;	/* if the attempt has exceeded its timeout: that timeout; else 0 */
	bool		has_row;		/* the attempt has a row in kwjobs.attempt */
} KwjActive;

/* Read all jobs with an active attempt: a list of KwjActive. only: read just this job; 0: all. */
extern List *kwj_store_active(int64 only);

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

/* Returns when the next job after `now` is due; DT_NOEND if none is. */
extern TimestampTz kwj_store_next_due(TimestampTz now);

#endif

/*
 * src/store/due.h
 *	  What the coordinator finds in the tables: jobs that may start, attempts, requests.
 */
#ifndef KWJ_STORE_DUE_H
#define KWJ_STORE_DUE_H

#include "kwjobs.h"
#include "job/progress.h"
#include "nodes/pg_list.h"
#include "store/store.h"
#include "utils/timestamp.h"

/*
 * What a coordinator reads of an index at a time, so that one role cannot make its passes long: some
 * entries from a place on. The place is that of the entry that was read last, by the first two
 * columns of the index; times are kept as integers.
 */
typedef struct KwjWindow
{
	int			limit;			/* so many */
	int64		only;			/* those of this job; 0: of all */
	int64		first;			/* the place: before and after */
	int64		second;
	int			n_read;			/* out; less than limit: nothing comes after the place */
	bool		fruitful;		/* out: something was changed */
} KwjWindow;

/* What there is to do in this database. */
typedef struct KwjToDo
{
	bool		active;			/* attempts run, or have lost their worker */
	bool		requested;		/* something is asked of jobs that do not run */
	bool		fresh;			/* dependencies are new */
	bool		known;			/* dependencies may be met */
	bool		untold;			/* jobs have ended, and not all that depend on them know it */
	bool		due;			/* the time of jobs has come */
	bool		ready;			/* jobs may start */
} KwjToDo;

/* Look at the heads of the indexes: cheap. */
extern void kwj_store_look(TimestampTz now, KwjToDo *todo);

/* A job that may start now. */
typedef struct KwjCandidate
{
	int64		job_id;			/* 0: some job of the owner, which was not read */
	int32		attempt;		/* the number of its next */
	Oid			owner;
	const char *job_type;
	TimestampTz rank;			/* the lower, the more urgent */
} KwjCandidate;

/* A place in the order of the jobs of a group (an owner and a type) that may start. */
typedef struct KwjBlocked
{
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz rank;
	int64		job_id;
} KwjBlocked;

#define KWJ_MAX_BLOCKED		16

/* The groups whose jobs are read at a time. */
typedef struct KwjGroups
{
	int			limit;			/* so many groups */
	int			most_groups;	/* jobs are read of so many of them only: those that have their turn */
	int			most_jobs;		/* so many jobs of all of these together, but two of each */
	int			most_tried;		/* so many jobs of a group, of which others may have locked some */
	List	   *running;		/* the owners of running jobs, one for each */
	List	   *full_types;		/* types of which no other job may run, as strings */

	Oid			owner;			/* those that come after this one, InvalidOid: the first; out: the last */
	char		job_type[KWJ_JOB_TYPE_LEN];
	int			n_read;			/* out; less than limit: there are no others behind the last */
	int			n_blocked;		/* groups that do not begin with their first job */
	KwjBlocked	blocked[KWJ_MAX_BLOCKED];
} KwjGroups;

/*
 * Of each of these groups, up to limit jobs that may start now, the most urgent first: a
 * list of KwjCandidate. Their rows are locked. Each group of which jobs are read has at least one candidate, if need be one
 * without an id: no job is read of the owners in `without`, a list of OIDs, and all that were tried
 * of a group may be locked. from: no job has a lower rank, as is known; DT_NOBEGIN: nothing is.
 * set_aside: jobs that are left out, too.
 */
extern List *kwj_store_candidates(KwjGroups *groups, int limit, const List *without,
								  KwjJobs set_aside, TimestampTz from);

/* Move the place behind the next n jobs of the group; false: there are less. */
extern bool kwj_store_skip(KwjBlocked *group, int n);

/*
 * The most urgent jobs of an owner and type, not locked; returns how many, up to limit. set_aside,
 * from: as above.
 */
extern int	kwj_store_ready(Oid owner, const char *job_type, KwjJobs set_aside,
							TimestampTz from, int64 *job_ids, int limit);

/* A job that is not over and has to be, or to run, before a job that is waited for can end. */
typedef struct KwjNeeded
{
	int64		waited_for;		/* this one: itself, or what it depends on */
	int64		job_id;			/* 0: it is over */
	Oid			owner;
	const char *job_type;
	bool		active;			/* it runs */
	bool		startable;		/* it lacks nothing but a worker */

	/* of kwj_store_needed_step */
	int64		needed_by;		/* the job that depends on it */
	int64		depends_on;		/* its id, also if it is over */
} KwjNeeded;

/*
 * Those of the jobs that are not over; returns their number. by: what may start until then counts
 * as startable. Neither function sets waited_for.
 */
extern int	kwj_store_needed(KwjJobs jobs, TimestampTz by, KwjNeeded **needed);

/*
 * What the jobs depend on, job by job and in the order of ids, up to limit; of the first job, what
 * comes after the id `after`.
 */
extern int	kwj_store_needed_step(KwjJobs jobs, TimestampTz by, int64 after, int limit,
								  KwjNeeded **needed);

/*
 * Let these jobs start before all others of their role and type, as far as they only wait for a worker. One
 * whose row somebody has locked stays where it is.
 */
extern void kwj_store_put_first(const int64 *job_ids, int n);

/*
 * Whether the server has background workers that end soon by themselves, as those of parallel queries: slots come free
 * when they do.
 */
extern bool kwj_store_others_have_workers(void);

/*
 * Take an attempt back, as if it had never begun: no worker could be had. The job is
 * due again after 1 s, 2 s, 4 s, ... up to longest_delay_ms. False, and nothing happens, while
 * another transaction has its row locked; the end of that one wakes the coordinator. Wakes nobody itself: the
 * coordinator, whoever calls this, has to look again when the job is due.
 */
extern bool kwj_store_unclaim(int64 job_id, int32 attempt, const char *why,
							  int longest_delay_ms);

/* The window's jobs, whose time has come by now, may start. It is in the order of (due, id). */
extern void kwj_store_promote(TimestampTz now, KwjWindow *window);

typedef struct KwjActive
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	KwjRequest	request;
	int			pid;			/* of the worker; 0: it never said that it is there */
	int64		exceeded_ms;	/* what the attempt might take, if it has taken longer; else 0 */
	bool		has_row;		/* in the table of attempts */
} KwjActive;

/* All jobs with an active attempt: a list of KwjActive. */
extern List *kwj_store_active(int64 only);

/*
 * Settle requests on the window's jobs, which nobody runs: pause-requested becomes paused,
 * cancel-requested becomes reverting, or canceled if nothing was done yet, and a status that
 * kwjobs does not know becomes reverting or failed. A canceled job depends on nothing: if it has
 * more than KWJ_FORGET_STEP dependencies, it is settled when they have all gone, in several calls.
 * Whoever waits for these jobs is woken at the end of the transaction. The window is in the order
 * of ids.
 */
#define KWJ_FORGET_STEP	1000
extern void kwj_store_settle_idle(KwjWindow *window);

/* When, after `now`, a job is due that waits for its time. DT_NOEND: none. */
extern TimestampTz kwj_store_next_due(TimestampTz now);

#endif

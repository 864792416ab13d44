/*
 * src/store/candidates.h
 *	  The jobs that may start: which of them the coordinator tries to claim.
 */
#ifndef KWJ_STORE_CANDIDATES_H
#define KWJ_STORE_CANDIDATES_H

#include "kwjobs.h"
#include "nodes/pg_list.h"
#include "store/store.h"
#include "utils/timestamp.h"

/* A job that may start now. */
typedef struct KwjCandidate
{
	int64		job_id;			/* 0: placeholder, see kwj_store_candidates */
	int32		attempt;		/* number of its next attempt; 0: see kwj_check_attempt */
	Oid			owner;
	const char *job_type;
	TimestampTz rank;			/* the lower, the more urgent */
	const char *window;			/* the hours in which it may run; NULL: it may now */
	const char *window_end;		/* what becomes of it at their end */
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
	int			limit;			/* read at most this many groups that have jobs */
	int			most_empty;		/* step over at most this many entries of groups without jobs */
	int			most_groups;	/* read jobs of at most this many of these groups */
	int			most_jobs;		/* about how many jobs to read of all these groups */
	int			most_tried;		/* try to lock at most this many jobs of each group */
	List	   *running;		/* owners of the running jobs: one entry for each such job */
	List	   *full_types;		/* types whose limit is reached, as strings */
	const List *holds;			/* of KwjHold: groups that one of them is about are not chosen */

	/* in: begin behind this group (InvalidOid: with the first one); out: the last group read */
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];
	bool		more;			/* out: there may be further groups behind it */
	int			n_open;			/* out: how many groups have jobs and are not held */

	/* in these groups, begin behind these positions: other transactions have locked the jobs before */
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
 * Returns how many. It leaves out jobs that one of the holds is about, and jobs with a window, which
 * only the coordinator claims. set_aside, from: as for kwj_store_candidates.
 */
extern int	kwj_store_ready(Oid owner, const char *job_type, const List *holds, KwjJobs set_aside,
							TimestampTz from, int64 *job_ids, int limit);

#endif

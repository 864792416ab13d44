/*
 * src/store/candidates.c
 *	  The jobs that may start: which of them the coordinator tries to claim.
 *
 * Caller: the coordinator, in the transaction of a pass (src/coordinator/groups.c, claim.c).
 *
 * A job may start while it has a rank, and then it is in index job_ready (owner, job_type, rank,
 * job_id). Jobs of one owner and one type are a group. kwj_store_candidates goes through the index
 * from group to group, chooses some groups, and locks jobs of each:
 *
 *     job_ready   | group 1: job, job, job, ... | group 2: job, ... | group 3 ...
 *                   ^ head                        ^ head
 *     choose_groups: the heads only    ->  lock_jobs: of the chosen groups
 *
 * The search is not a query, because each job that is submitted alone costs one search, and to run
 * a plan takes ten times as long as the search itself.
 *
 * Locks: our tables in AccessShareLock (kwj_store_lock_tables), then kwjobs.job in RowShareLock;
 * rows of kwjobs.job, FOR NO KEY UPDATE SKIP LOCKED; all until the end of the pass. The coordinator
 * never waits for a user who has locked a row. The end of the transaction that holds the lock wakes
 * the coordinator, which looks again.
 *
 * If the coordinator dies, its pass is rolled back. Nothing is kept in the memory of the process.
 *
 * Known hole: while some session holds an old snapshot, the entries of jobs that ran since stay in
 * the index. In most passes the argument `from` lets the search begin behind them. Without it, the
 * search steps over them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/test_gate.h"
#include "store/candidates.h"
#include "store/held.h"
#include "store/query.h"
#include "store/table.h"
#include "utils/builtins.h"

#define INDEX	"job_ready"

/* Before all ids. */
#define FROM_START	PG_INT64_MIN

/* The columns of the index. */
enum
{
	OWNER = 1, JOB_TYPE, RANK, JOB_ID
};

/* An owner and a type, with the first job. */
typedef struct ReadyGroup
{
	Oid			owner;
	const char *job_type;
	TimestampTz rank;			/* of the first job */
	int			n_running;		/* jobs of this owner that run */
	bool		last;			/* no job of this group can start now, so other groups come first */
	int			number;			/* in the order of the index */
} ReadyGroup;

/*
 * A walk through the jobs of a group. Behind a position, it goes first through those with the same
 * rank and a higher id, then through those with a higher rank. Both are read as of the same moment:
 * else a job whose rank is raised in between would be found twice, and get two workers.
 */
typedef struct Walk
{
	KwjTable   *jobs;
	KwjKey		keys[4];
	bool		same_rank;
} Walk;

/*
 * Begin behind this position. FROM_START as id: begin with the first job of at least this rank,
 * which takes one scan only.
 */
static void
begin_walk(Walk *walk, KwjTable *jobs, Oid owner, const char *job_type, TimestampTz rank,
		   int64 job_id)
{
	walk->jobs = jobs;
	walk->same_rank = job_id != FROM_START;
	walk->keys[0] = (KwjKey) {OWNER, BTEqualStrategyNumber, ObjectIdGetDatum(owner)};
	walk->keys[1] = (KwjKey) {JOB_TYPE, BTEqualStrategyNumber, CStringGetTextDatum(job_type)};
	walk->keys[2] = (KwjKey) {RANK, walk->same_rank ? BTEqualStrategyNumber :
		BTGreaterEqualStrategyNumber, TimestampTzGetDatum(rank)};
	walk->keys[3] = (KwjKey) {JOB_ID, BTGreaterStrategyNumber, Int64GetDatum(job_id)};
	kwj_table_begin_scan(jobs, INDEX, walk->keys, walk->same_rank ? 4 : 3);
}

/* Find the next job. Returns false if there is none. */
static bool
next_job(Walk *walk)
{
	if (kwj_table_next(walk->jobs))
		return true;
	if (!walk->same_rank)
		return false;
	walk->same_rank = false;
	walk->keys[2].strategy = BTGreaterStrategyNumber;
	kwj_table_go_on_scan(walk->jobs, walk->keys, 3);
	return kwj_table_next(walk->jobs);
}

static void
end_walk(Walk *walk)
{
	kwj_table_end_scan(walk->jobs);
}

/* Begin at the rank `from`, or behind the jobs of the group that others keep locked. */
static void
begin_behind_blocked(Walk *walk, KwjTable *jobs, const KwjGroups *groups, const ReadyGroup *group,
					 TimestampTz from)
{
	TimestampTz rank = from;
	int64		job_id = FROM_START;

	for (int i = 0; i < groups->n_blocked; i++)
	{
		const KwjBlocked *blocked = &groups->blocked[i];

		if (blocked->owner == group->owner && strcmp(blocked->job_type, group->job_type) == 0 &&
			blocked->rank >= from)
		{
			rank = blocked->rank;
			job_id = blocked->job_id;
		}
	}
	begin_walk(walk, jobs, group->owner, group->job_type, rank, job_id);
}

/*
 * Set owner and type of the group to those of the first entry of the index for which the keys are
 * true. Returns false if there is none.
 */
static bool
find_first(KwjTable *jobs, const KwjKey *keys, int n, ReadyGroup *group)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	bool		found;

	kwj_table_begin_entries(jobs, INDEX, keys, n);
	found = kwj_table_next_entry(jobs, values, isnull);
	if (found)
	{
		group->owner = isnull[OWNER - 1] ? InvalidOid : DatumGetObjectId(values[OWNER - 1]);
		group->job_type = isnull[JOB_TYPE - 1] ? "" : TextDatumGetCString(values[JOB_TYPE - 1]);
	}
	kwj_table_end_scan(jobs);
	return found;
}

/*
 * Go on to the group behind this one in the index. The entries of this next group may all be of
 * jobs that have started or are deleted. Returns false if there is no group behind this one.
 */
static bool
next_group(KwjTable *jobs, ReadyGroup *group)
{
	KwjKey		same_owner[] = {
		{OWNER, BTEqualStrategyNumber, ObjectIdGetDatum(group->owner)},
		{JOB_TYPE, BTGreaterStrategyNumber, CStringGetTextDatum(group->job_type)}
	};
	KwjKey		next_owner = {OWNER, BTGreaterStrategyNumber, ObjectIdGetDatum(group->owner)};

	return (OidIsValid(group->owner) && find_first(jobs, same_owner, 2, group)) ||
		find_first(jobs, &next_owner, 1, group);
}

/* Find the first job of the group. Returns false if it has none. */
static bool
find_head(KwjTable *jobs, ReadyGroup *group, TimestampTz from)
{
	Walk		walk;
	bool		found;

	begin_walk(&walk, jobs, group->owner, group->job_type, from, FROM_START);
	found = next_job(&walk);
	if (found)
		group->rank = kwj_table_get_int64(jobs, "rank");
	end_walk(&walk);
	return found;
}

static int
count_oid(const List *oids, Oid oid)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		n += lfirst_oid(lc) == oid;
	return n;
}

/*
 * Read the heads of the groups of the window, and leave out groups that are held. Groups of which
 * only entries of past jobs are left have a limit of their own: there are many while a session has
 * an old snapshot, and each costs little. Returns a list of ReadyGroup. Moves the position of the
 * window behind the last group.
 */
static List *
read_groups(KwjTable *jobs, KwjGroups *groups, const List *without, TimestampTz from)
{
	List	   *open = NIL;
	ReadyGroup	group = {.owner = groups->owner, .job_type = pstrdup(groups->job_type)};
	int			n_held = 0;
	int			n_empty = 0;

	while (list_length(open) + n_held < groups->limit && n_empty < groups->most_empty)
	{
		ReadyGroup *copy;

		groups->more = next_group(jobs, &group);
		if (!groups->more)
			break;
		groups->owner = group.owner;
		strlcpy(groups->job_type, group.job_type, KWJ_JOB_TYPE_LEN);
		if (kwj_hold_find(groups->holds, group.owner, group.job_type, NULL) != NULL)
		{
			n_held++;
			continue;
		}
		if (!find_head(jobs, &group, from))
		{
			n_empty++;
			continue;
		}
		copy = palloc(sizeof(ReadyGroup));
		*copy = group;
		copy->n_running = count_oid(groups->running, group.owner);
		copy->last = list_member_oid(without, group.owner) ||
			kwj_strings_include(groups->full_types, group.job_type);
		copy->number = list_length(open);
		open = lappend(open, copy);
	}
	groups->n_open = list_length(open);
	return open;
}

/*
 * The order in which groups are chosen: owners with fewer running jobs come first, then groups with
 * a more urgent head.
 */
static int
by_turn(const ListCell *a, const ListCell *b)
{
	const ReadyGroup *left = lfirst(a);
	const ReadyGroup *right = lfirst(b);

	if (left->last != right->last)
		return left->last ? 1 : -1;
	if (left->n_running != right->n_running)
		return left->n_running < right->n_running ? -1 : 1;
	if (left->rank != right->rank)
		return left->rank < right->rank ? -1 : 1;
	return left->number < right->number ? -1 : 1;
}

static List *
choose_groups(KwjTable *jobs, KwjGroups *groups, const List *without, TimestampTz from)
{
	List	   *open = read_groups(jobs, groups, without, from);

	list_sort(open, by_turn);
	return list_truncate(open, groups->most_groups);
}

/* Returns a candidate of the group: the row that was found; or the placeholder if no job was locked. */
static KwjCandidate *
make_candidate(KwjTable *row, const ReadyGroup *group)
{
	KwjCandidate *candidate = palloc0(sizeof(KwjCandidate));
	char	   *status;

	candidate->owner = group->owner;
	candidate->job_type = group->job_type;
	if (row == NULL)
		return candidate;
	candidate->job_id = kwj_table_get_int64(row, "job_id");
	candidate->attempt = kwj_next_attempt(kwj_table_get_int32(row, "attempts"));
	candidate->rank = kwj_table_get_int64(row, "rank");
	/* A revert is not bound to the job's window. */
	if (kwj_table_get_status(row, &status) == KWJ_PENDING)
	{
		candidate->window = kwj_table_get_text(row, "window", CurrentMemoryContext);
		candidate->window_end = kwj_table_get_text(row, "window_end", CurrentMemoryContext);
	}
	return candidate;
}

/*
 * Returns whether one of the holds is about the job that was found. It may have become ready in a
 * transaction that did not see the hold on its queue; kwj_store_fill_queues takes its rank back.
 */
static bool
is_held(const List *holds, KwjTable *jobs, Oid owner, const char *job_type)
{
	bool		isnull;
	Datum		queue;

	if (holds == NIL)
		return false;
	queue = kwj_table_get(jobs, "queue", &isnull);
	return kwj_hold_find(holds, owner, job_type, isnull ? NULL : TextDatumGetCString(queue)) != NULL;
}

/* Lock the job that was found. Returns whether that was possible, and the job may still start. */
static bool
lock_job(KwjTable *jobs, const ReadyGroup *group, const List *holds)
{
	kwj_test_gate(4925);
	return kwj_table_lock_found(jobs, LockWaitSkip) && !kwj_table_is_null(jobs, "rank") &&
		!is_held(holds, jobs, group->owner, group->job_type);
}

/* Lock up to `most` jobs of the group, and add them to the list. Returns the list. */
static List *
lock_jobs(KwjTable *jobs, const KwjGroups *groups, const ReadyGroup *group, int most,
		  KwjJobs set_aside, TimestampTz from, List *candidates)
{
	int			n_tried = 0;
	int			n_locked = 0;
	Walk		walk;

	begin_behind_blocked(&walk, jobs, groups, group, from);
	while (n_locked < most && n_tried < groups->most_tried && next_job(&walk))
	{
		if (kwj_jobs_include(set_aside, kwj_table_get_int64(jobs, "job_id")))
			continue;
		n_tried++;
		if (!lock_job(jobs, group, groups->holds))
			continue;
		n_locked++;
		candidates = lappend(candidates, make_candidate(jobs, group));
	}
	end_walk(&walk);
	if (n_locked == 0)
		candidates = lappend(candidates, make_candidate(NULL, group));
	return candidates;
}

List *
kwj_store_candidates(KwjGroups *groups, int limit, const List *without, KwjJobs set_aside,
					 TimestampTz from)
{
	KwjTable   *jobs;
	List	   *chosen;
	List	   *candidates = NIL;
	ListCell   *lc;

	/* so that the scans see what the pass has changed so far, such as the ranks that it has given */
	CommandCounterIncrement();
	/*
	 * A short pass has locked no table yet. It locks all of ours in their order now, because it needs
	 * others, too, when it claims the jobs that are found.
	 */
	kwj_store_lock_tables(false);
	jobs = kwj_table_open_to_read("job", RowShareLock, NULL);
	chosen = choose_groups(jobs, groups, without, from);
	foreach(lc, chosen)
	{
		const ReadyGroup *group = lfirst(lc);
		int			share = Max(2, groups->most_jobs / list_length(chosen));

		if (list_member_oid(without, group->owner))
			candidates = lappend(candidates, make_candidate(NULL, group));
		else
			candidates = lock_jobs(jobs, groups, group, Min(limit, share), set_aside, from,
								   candidates);
	}
	kwj_table_close(jobs);
	return candidates;
}

bool
kwj_store_skip(KwjBlocked *group, int n)
{
	KwjTable   *jobs = kwj_table_open_to_read("job", RowShareLock, NULL);
	int			n_skipped = 0;
	Walk		walk;

	begin_walk(&walk, jobs, group->owner, group->job_type, group->rank, group->job_id);
	while (n_skipped < n && next_job(&walk))
		n_skipped++;
	if (n_skipped == n)
	{
		group->rank = kwj_table_get_int64(jobs, "rank");
		group->job_id = kwj_table_get_int64(jobs, "job_id");
	}
	end_walk(&walk);
	kwj_table_close(jobs);
	return n_skipped == n;
}

/*
 * Reverts, jobs with a window and held jobs are left out, but count towards the limit. Otherwise the search
 * might have to step over many of them to find other jobs.
 */
int
kwj_store_ready(Oid owner, const char *job_type, const List *holds, KwjJobs set_aside,
				TimestampTz from, int64 *job_ids, int limit)
{
	KwjTable   *jobs = kwj_table_open_to_read("job", RowShareLock, NULL);
	int			n_read = 0;
	int			n = 0;
	char	   *status;
	Walk		walk;

	begin_walk(&walk, jobs, owner, job_type, from, FROM_START);
	while (n_read < limit && next_job(&walk))
	{
		int64		job_id = kwj_table_get_int64(jobs, "job_id");

		if (kwj_jobs_include(set_aside, job_id))
			continue;
		n_read++;
		if (kwj_table_get_status(jobs, &status) == KWJ_PENDING && kwj_table_is_null(jobs, "window") &&
			!is_held(holds, jobs, owner, job_type))
			job_ids[n++] = job_id;
	}
	end_walk(&walk);
	kwj_table_close(jobs);
	return n;
}

/*
 * src/coordinator/groups.c
 *	  Which of the jobs that may start a pass looks at.
 *
 * Process: coordinator, in the transaction of a pass; claim.c calls this. Locks: the rows of the
 * jobs, with SKIP LOCKED, until the end of the transaction.
 *
 * The jobs of one owner and type are a group. There may be thousands of groups with jobs that may
 * start, while the server has few workers. So a pass reads the heads of a window of GROUPS_STEP
 * groups, and locks jobs only of the CHOSEN_STEP groups whose turn is next. As long as they fit
 * into one window, each pass sees all of them. While a session has an old snapshot, the index keeps
 * the entries of jobs that have run, also of groups without any other job. Those groups do not count
 * towards the window, up to EMPTY_STEP of them. If workers are still to be had after that, because
 * limits keep some of the jobs from running, the next passes go on: with other groups of the window
 * if there was progress, else with the next window.
 *
 * Nor may a pass take long because a role keeps its jobs locked. Of a group only TRIED_STEP jobs
 * are tried. If they are all locked, the group is blocked: later passes try the jobs behind them
 * while workers are to be had, and also the first ones again whenever there is news.
 *
 * All state is in this process's memory; a successor begins with the first window. It may be ahead
 * of a pass that was rolled back, which the next round makes good.
 */
#include "postgres.h"

#include "coordinator/groups.h"
#include "coordinator/held.h"
#include "shared/slots.h"
#include "store/candidates.h"
#include "type/limits.h"

/*
 * A pass reads the heads of GROUPS_STEP groups, and steps over up to EMPTY_STEP groups of which only
 * old entries are left in the index. It locks jobs of CHOSEN_STEP groups, about JOBS_STEP of them
 * together. Of one group it tries to lock TRIED_STEP jobs.
 */
#define GROUPS_STEP		1000
#define EMPTY_STEP		10000
#define CHOSEN_STEP		64
#define JOBS_STEP		64
#define TRIED_STEP		64

/* A place in the order of the groups: by owner, then by type. */
typedef struct Place
{
	Oid			owner;			/* InvalidOid: before the first one */
	char		job_type[KWJ_JOB_TYPE_LEN];
} Place;

static Place window;			/* the window of this pass begins behind this place */
static Place next_window;
static Place stop;				/* where the round through all windows began */
static bool wrapped;			/* whether it has passed the last group since */
static bool blocked_ones_moved;
static KwjGroups groups;

static bool
is_same_place(Oid owner, const char *job_type, const KwjBlocked *place)
{
	return place->owner == owner && strcmp(place->job_type, job_type) == 0;
}

/* Returns the index of the group among those that are blocked; -1 if it is not. */
static int
find_blocked(const KwjCandidate *group)
{
	for (int i = 0; i < groups.n_blocked; i++)
		if (is_same_place(group->owner, group->job_type, &groups.blocked[i]))
			return i;
	return -1;
}

static void
forget_blocked(int i)
{
	groups.blocked[i] = groups.blocked[--groups.n_blocked];
}

/* All jobs of this group that were tried are locked: the next pass tries those behind them. */
static void
note_blocked(const KwjCandidate *group, bool from_first)
{
	int			i = find_blocked(group);

	if (i < 0)
	{
		if (groups.n_blocked == KWJ_MAX_BLOCKED)
			return;
		i = groups.n_blocked++;
		groups.blocked[i].owner = group->owner;
		strlcpy(groups.blocked[i].job_type, group->job_type, KWJ_JOB_TYPE_LEN);
		groups.blocked[i].rank = DT_NOBEGIN;
		groups.blocked[i].job_id = PG_INT64_MIN;
	}
	else if (from_first)
	{
		/* Its first jobs are still locked: go on where the last pass has stopped. */
		blocked_ones_moved = true;
		return;
	}
	if (kwj_store_skip(&groups.blocked[i], TRIED_STEP))
		blocked_ones_moved = true;
	else
		forget_blocked(i);
}

/*
 * Takes out the candidates without a job: they stand for groups of which all jobs that were tried
 * are locked.
 */
static List *
leave_out_blocked(List *candidates, const List *without, bool from_first)
{
	ListCell   *lc;

	foreach(lc, candidates)
	{
		KwjCandidate *candidate = lfirst(lc);
		int			i;

		if (candidate->job_id != 0)
		{
			i = find_blocked(candidate);
			if (i >= 0 && from_first)
				forget_blocked(i);
			continue;
		}
		if (list_member_oid(without, candidate->owner))
			continue;
		note_blocked(candidate, from_first);
		candidates = foreach_delete_current(candidates, lc);
	}
	return candidates;
}

static bool
is_first(const Place *place)
{
	return !OidIsValid(place->owner);
}

static bool
is_before(const Place *place, const Place *other)
{
	return place->owner < other->owner ||
		(place->owner == other->owner && strcmp(place->job_type, other->job_type) < 0);
}

/* Notes where the window that was read ends. */
static void
note_end(void)
{
	memset(&next_window, 0, sizeof(next_window));
	if (!groups.more)
		return;
	next_window.owner = groups.owner;
	strlcpy(next_window.job_type, groups.job_type, KWJ_JOB_TYPE_LEN);
}

/* Goes on to the next window. Returns false if the round is over. */
static bool
advance(void)
{
	bool		over = wrapped && (is_first(&next_window) || !is_before(&next_window, &stop));

	window = next_window;
	wrapped |= is_first(&window);
	return !over;
}

/* Begins a round through all groups, with the next window if they do not fit into one. */
static void
begin_round(void)
{
	window = next_window;
	stop = window;
	wrapped = is_first(&window);
}

/*
 * Sets what the order of the groups depends on: which roles have running jobs, and which types are
 * at their limit.
 */
static void
note_running(const KwjWorkerInfo *workers, int n)
{
	groups.running = groups.full_types = NIL;
	for (int i = 0; i < n; i++)
	{
		int			limit = kwj_type_limit(workers[i].job_type);
		int			count = 0;

		if (workers[i].job_id == 0)
			continue;
		groups.running = lappend_oid(groups.running, workers[i].role);
		for (int k = 0; k < n; k++)
			count += workers[k].job_id != 0 &&
				strcmp(workers[k].job_type, workers[i].job_type) == 0;
		if (limit > 0 && count >= limit)
			groups.full_types = lappend(groups.full_types, pstrdup(workers[i].job_type));
	}
}

List *
kwj_groups_candidates(const KwjAsked *asked, const KwjWorkerInfo *workers, int n,
					  KwjSeen *seen)
{
	int			n_blocked = groups.n_blocked;
	List	   *candidates;
	int			n_chosen;

	if (asked->news)
		begin_round();
	note_running(workers, n);
	blocked_ones_moved = false;
	groups.limit = GROUPS_STEP;
	groups.most_empty = EMPTY_STEP;
	groups.most_groups = Max(CHOSEN_STEP, asked->limit);
	groups.most_jobs = Max(JOBS_STEP, 2 * asked->limit);
	groups.most_tried = TRIED_STEP + asked->limit;
	groups.holds = kwj_held_list();
	groups.owner = window.owner;
	strlcpy(groups.job_type, window.job_type, KWJ_JOB_TYPE_LEN);
	/* With news, all groups are tried from their first jobs on. */
	if (asked->news)
		groups.n_blocked = 0;
	candidates = kwj_store_candidates(&groups, asked->limit, asked->without, asked->set_aside,
									  asked->from);
	groups.n_blocked = n_blocked;
	note_end();
	candidates = leave_out_blocked(candidates, asked->without, asked->news);

	n_chosen = Min(groups.n_open, groups.most_groups);
	seen->all_groups = is_first(&window) && is_first(&next_window) && n_chosen == groups.n_open;
	seen->enough = groups.n_blocked == 0 &&
		(n_chosen == 0 || asked->limit <= Max(2, groups.most_jobs / n_chosen));
	return candidates;
}

bool
kwj_groups_more(bool progress)
{
	return blocked_ones_moved || progress || advance();
}

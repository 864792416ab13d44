/*
 * src/process/groups.c
 *	  Which of the jobs that may start a pass looks at.
 *
 * Process: coordinator. Locks: the rows of the jobs, with SKIP LOCKED.
 *
 * The jobs of one owner and type are a group. A pass reads the heads of the groups, of which there may be
 * thousands: so it reads a window of them, and the next pass goes on behind it. As long as they fit into
 * one window, which is the rule, each pass sees all of them, and the most urgent job of the role that
 * has the fewest workers comes first. If there are more, roles have their turn window by window.
 *
 * Nor may a pass take long because a role keeps its jobs locked. Of a group only so many jobs are tried. If
 * they are all locked, the group is blocked: later passes try the next ones, while there are workers
 * to be had, and whenever there is news also the first ones again.
 */
#include "postgres.h"

#include "process/groups.h"

#define GROUPS_STEP		64
#define JOBS_STEP		64
#define TRIED_STEP		64

static KwjGroups groups = {.limit = GROUPS_STEP};

/* Where the round through all groups began, and whether it is past the last one. */
static Oid	stop_owner;
static char stop_type[KWJ_GROUP_TYPE_LEN];
static bool wrapped;
static bool round_over;
static bool blocked_ones_moved;

static bool
is_same_place(Oid owner, const char *job_type, const KwjBlocked *place)
{
	return place->owner == owner && strcmp(place->job_type, job_type) == 0;
}

/* The index of the group among those that are blocked; -1: it is not. */
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

/* All jobs that were tried of this group are locked: the next pass tries those behind them. */
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
		strlcpy(groups.blocked[i].job_type, group->job_type, KWJ_GROUP_TYPE_LEN);
		groups.blocked[i].rank = DT_NOBEGIN;
		groups.blocked[i].job_id = PG_INT64_MIN;
	}
	else if (from_first)
	{
		/* its first jobs are still locked: go on where the last pass has stopped */
		blocked_ones_moved = true;
		return;
	}
	if (kwj_store_skip(&groups.blocked[i], TRIED_STEP))
		blocked_ones_moved = true;
	else
		forget_blocked(i);
}

/* Take out what stands for groups of which no job could be had. */
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

static void
begin_round(void)
{
	stop_owner = groups.owner;
	strlcpy(stop_type, groups.job_type, KWJ_GROUP_TYPE_LEN);
	wrapped = !OidIsValid(groups.owner);
	round_over = false;
}

static bool
is_past_stop(void)
{
	return groups.owner > stop_owner ||
		(groups.owner == stop_owner && strcmp(groups.job_type, stop_type) >= 0);
}

/* The next window begins behind the last group of this one. */
static void
advance(const List *candidates)
{
	if (groups.n_read < groups.limit)
	{
		round_over = round_over || wrapped;
		wrapped = true;
		groups.owner = InvalidOid;
		groups.job_type[0] = '\0';
		return;
	}
	groups.owner = ((KwjCandidate *) llast(candidates))->owner;
	strlcpy(groups.job_type, ((KwjCandidate *) llast(candidates))->job_type, KWJ_GROUP_TYPE_LEN);
	if (wrapped && OidIsValid(stop_owner) && is_past_stop())
		round_over = true;
}

List *
kwj_groups_candidates(int limit, const List *without, KwjJobs set_aside, TimestampTz from,
					  bool news, KwjSeen *seen)
{
	bool		first_window = !OidIsValid(groups.owner);
	int			n_blocked = groups.n_blocked;
	List	   *candidates;

	if (news)
		begin_round();
	blocked_ones_moved = false;
	groups.most_jobs = Max(JOBS_STEP, 2 * limit);
	groups.most_tried = TRIED_STEP + limit;
	/* with news, all groups are tried from their first jobs on */
	if (news)
		groups.n_blocked = 0;
	candidates = kwj_store_candidates(&groups, limit, without, set_aside, from);
	groups.n_blocked = n_blocked;

	seen->all_groups = first_window && groups.n_read < groups.limit;
	seen->enough = groups.n_read == 0 || limit <= Max(2, groups.most_jobs / groups.n_read);
	advance(candidates);
	candidates = leave_out_blocked(candidates, without, news);
	if (groups.n_blocked > 0)
		seen->enough = false;
	return candidates;
}

bool
kwj_groups_more(void)
{
	return blocked_ones_moved || !round_over;
}

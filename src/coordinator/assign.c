/*
 * src/coordinator/assign.c
 *	  Which of the jobs that may start get a worker now.
 *
 * Process: coordinator, in the transaction of a pass; claim.c calls this. Locks: kwj_shared->lock
 * for moments (kwj_shared_assign).
 *
 * Roles take turns: kwj_assign() gives one job at a time to the role with the fewest running jobs.
 * It stops when each candidate left is beyond a limit or of a role that was refused a worker.
 * Afterwards it describes in KwjReady which jobs still wait, which decides whether workers may
 * claim their next job without the coordinator:
 *
 *   KWJ_NOBODY_WAITS   no job is left: workers become idle
 *   KWJ_ONE_WAITS      jobs of one role and type: its workers go on by themselves
 *   KWJ_SEVERAL_WAIT   each free worker asks the coordinator who is next
 *
 * Assignments are in shared memory only until the claims commit. If the transaction fails or this
 * process dies, they are taken back.
 *
 * Known hole: limits are checked against what runs at this moment, and settings may have changed
 * since. Nothing is stopped for that; workers ask the coordinator until the numbers are within the
 * limits (is_over_limits).
 */
#include "postgres.h"

#include "coordinator/assign.h"
#include "coordinator/refusal.h"
#include "shared/ready.h"
#include "shared/slots.h"
#include "store/candidates.h"
#include "store/claim.h"
#include "type/limits.h"
#include "utils/syscache.h"

/* A job that runs, or was assigned in this pass. */
typedef struct Running
{
	Oid			owner;
	const char *job_type;
	/* the worker is not part 0 of its attempt, and leaves if a job needs its place */
	bool		is_part;
} Running;

typedef struct State
{
	Running    *running;
	int			n;
	/* owners of the jobs that run in other databases; empty unless roles have a limit */
	Oid		   *elsewhere;
	int			n_elsewhere;
	List	   *refused;		/* OIDs of owners who were refused a worker in this pass */
	bool		may_start;		/* the postmaster has room for workers, as far as is known */
	/* owners (OIDs) who are at kwjobs.max_workers_per_role */
	List	   *limited;
} State;

static void
add_running(State *state, Oid owner, const char *job_type, bool is_part)
{
	state->running[state->n].owner = owner;
	state->running[state->n].job_type = job_type;
	state->running[state->n].is_part = is_part;
	state->n++;
}

static int
count_of_owner(const State *state, Oid owner)
{
	int			count = 0;

	for (int i = 0; i < state->n; i++)
		count += state->running[i].owner == owner;
	return count;
}

/* Counts the role's running jobs in all databases together. */
static int
count_everywhere(const State *state, Oid owner)
{
	int			count = count_of_owner(state, owner);

	for (int i = 0; i < state->n_elsewhere; i++)
		count += state->elsewhere[i] == owner;
	return count;
}

static int
count_of_type(const State *state, const char *job_type)
{
	int			count = 0;

	for (int i = 0; i < state->n; i++)
		count += strcmp(state->running[i].job_type, job_type) == 0;
	return count;
}

/* Returns whether a job of the candidate's role and type runs. */
static bool
is_running(const State *state, const KwjCandidate *candidate)
{
	for (int i = 0; i < state->n; i++)
		if (state->running[i].owner == candidate->owner &&
			strcmp(state->running[i].job_type, candidate->job_type) == 0)
			return true;
	return false;
}

/*
 * Returns whether neither the candidate's role, nor its type, nor the database is at its limit, so
 * that the job may run. replaced: assumes that a running job of this one's role and type has ended;
 * NULL: assumes nothing.
 */
static bool
is_within_limits_without(const State *state, const KwjCandidate *candidate,
						 const KwjCandidate *replaced)
{
	int			of_type = kwj_type_limit(candidate->job_type);
	int			same_owner = replaced != NULL && replaced->owner == candidate->owner;
	int			same_type = replaced != NULL &&
		strcmp(replaced->job_type, candidate->job_type) == 0;

	return (kwj_max_workers_per_role == 0 ||
			count_everywhere(state, candidate->owner) - same_owner < kwj_max_workers_per_role) &&
		(same_owner || !list_member_oid(state->limited, candidate->owner)) &&
		(kwj_max_workers_per_database == 0 ||
		 state->n - (replaced != NULL) < kwj_max_workers_per_database) &&
		(of_type == 0 || count_of_type(state, candidate->job_type) - same_type < of_type);
}

static bool
is_within_limits(const State *state, const KwjCandidate *candidate)
{
	return is_within_limits_without(state, candidate, NULL);
}

/*
 * Returns whether kwjobs.max_workers_per_database leaves a place for one more job of a role of
 * which count_of_role jobs run already. One place is kept for each role that was refused a worker
 * in this pass: it gets a worker as soon as an idle one has exited to make room. Otherwise roles
 * that have idle workers would take all places meanwhile.
 */
static bool
is_place_left(const State *state, int count_of_role)
{
	int			kept = state->may_start && count_of_role > 0 ? list_length(state->refused) : 0;

	return kwj_max_workers_per_database == 0 || state->n + kept < kwj_max_workers_per_database;
}

/* Returns the candidate whose turn it is; NULL if none may have a worker. */
static KwjCandidate *
next_in_turn(const State *state, const List *candidates)
{
	KwjCandidate *best = NULL;
	int			fewest = 0;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		KwjCandidate *candidate = lfirst(lc);
		int			count;

		if (list_member_oid(state->refused, candidate->owner) ||
			!is_within_limits(state, candidate))
			continue;
		count = count_of_owner(state, candidate->owner);
		if (!is_place_left(state, count))
			continue;
		if (best == NULL || count < fewest ||
			(count == fewest && candidate->rank < best->rank))
		{
			best = candidate;
			fewest = count;
		}
	}
	return best;
}

/*
 * Returns the claim of the candidate if it gets a worker; else NULL, and notes the reason. If a
 * role has been refused a worker in this pass, later roles may only use workers that are already
 * idle.
 */
static KwjClaim *
claim(State *state, const KwjCandidate *candidate, bool may_start)
{
	KwjClaim   *result = palloc0(sizeof(KwjClaim));
	bool		limited;

	result->job_id = candidate->job_id;
	result->attempt = candidate->attempt;
	result->owner = candidate->owner;
	result->slot = kwj_shared_assign(candidate->job_id, candidate->attempt, candidate->job_type,
									 candidate->owner, may_start, state->refused != NIL,
									 &result->generation, &result->pid, &limited);
	if (result->slot >= 0)
		return result;
	if (limited)
		state->limited = lappend_oid(state->limited, candidate->owner);
	else
		state->refused = lappend_oid(state->refused, candidate->owner);
	return NULL;
}

/*
 * Returns claims without a worker for the jobs whose owner was dropped, and takes these out of the
 * candidates. A worker could not connect as such an owner, and would keep its place from others
 * meanwhile.
 */
static List *
claim_of_nobody(List **candidates)
{
	List	   *claims = NIL;
	ListCell   *lc;

	foreach(lc, *candidates)
	{
		KwjCandidate *candidate = lfirst(lc);
		KwjClaim   *result;

		if (candidate->job_id == 0 ||
			SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(candidate->owner)))
			continue;
		result = palloc0(sizeof(KwjClaim));
		result->job_id = candidate->job_id;
		result->attempt = candidate->attempt;
		result->owner = candidate->owner;
		result->slot = -1;
		claims = lappend(claims, result);
		*candidates = foreach_delete_current(*candidates, lc);
	}
	return claims;
}

/* Takes out the jobs of roles that cannot connect now. They wait, but not for a worker. */
static List *
leave_out_refused(List *candidates)
{
	ListCell   *lc;

	foreach(lc, candidates)
	{
		KwjCandidate *candidate = lfirst(lc);

		if (kwj_refusal_concerns(candidate->owner))
			candidates = foreach_delete_current(candidates, lc);
	}
	return candidates;
}

/* Returns whether more jobs run than the limits, which may have been lowered, allow. */
static bool
is_over_limits(const State *state)
{
	for (int i = 0; i < state->n; i++)
	{
		const Running *r = &state->running[i];
		int			of_type = kwj_type_limit(r->job_type);

		if ((kwj_max_workers_per_role > 0 &&
			 count_everywhere(state, r->owner) > kwj_max_workers_per_role) ||
			(kwj_max_workers_per_database > 0 && state->n > kwj_max_workers_per_database) ||
			(of_type > 0 && count_of_type(state, r->job_type) > of_type) ||
			kwj_type_is_stopped(r->job_type))
			return true;
	}
	return false;
}

static bool
is_same_group(const KwjCandidate *a, const KwjCandidate *b)
{
	return a->owner == b->owner && strcmp(a->job_type, b->job_type) == 0;
}

/*
 * Returns whether a worker that has done a job of this role and type may take another such job
 * without the coordinator. The new job replaces the old one, so limits stay met. But if the end of
 * the old one lets a job of another role or type start, the coordinator has to choose.
 */
static bool
is_alone(const State *state, const List *candidates, const KwjCandidate *group)
{
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const KwjCandidate *other = lfirst(lc);

		if (!is_same_group(other, group) && is_within_limits_without(state, other, group))
			return false;
	}
	return true;
}

/*
 * Finds, among the jobs that wait because of a limit, the first one whose role and type have a
 * worker that may go on without the coordinator. Returns NULL if there is none.
 */
static const KwjCandidate *
find_replacing(const State *state, const List *candidates)
{
	const KwjCandidate *last = NULL;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const KwjCandidate *group = lfirst(lc);

		/* Candidates of a role and type stand together. */
		if (last != NULL && is_same_group(group, last))
			continue;
		last = group;
		if (is_running(state, group) && is_alone(state, candidates, group))
			return group;
	}
	return NULL;
}

static void
set_one(KwjReady *ready, const KwjCandidate *group)
{
	ready->who = KWJ_ONE_WAITS;
	ready->owner = group->owner;
	strlcpy(ready->job_type, group->job_type, KWJ_JOB_TYPE_LEN);
}

/*
 * Returns whether the role may run only one more job, which waits here until an idle worker has
 * exited to make room for it. The role then counts as limited, so that this job is kept for this
 * database. Otherwise another database that has an idle worker of the role would run its job first.
 */
static bool
waits_with_last(const State *state, Oid owner)
{
	return state->may_start && list_member_oid(state->refused, owner) &&
		count_everywhere(state, owner) + 1 >= kwj_max_workers_per_role;
}

/*
 * Finds a role of which no job runs in this database, because its jobs in other databases use up
 * kwjobs.max_workers_per_role. The role's next job is kept for this database then
 * (kwj_is_kept_for_others). Returns InvalidOid if there is no such role.
 */
static Oid
find_limited(const State *state, const List *candidates)
{
	ListCell   *lc;

	if (kwj_max_workers_per_role == 0)
		return InvalidOid;
	foreach(lc, candidates)
	{
		const KwjCandidate *candidate = lfirst(lc);

		if (count_of_owner(state, candidate->owner) == 0 &&
			(count_everywhere(state, candidate->owner) >= kwj_max_workers_per_role ||
			 list_member_oid(state->limited, candidate->owner) ||
			 waits_with_last(state, candidate->owner)))
			return candidate->owner;
	}
	return InvalidOid;
}

/*
 * Describes which jobs are left. If any are within the limits, only these count, because they wait
 * for any worker; the others wait for a job of their own role or type to end. If too many jobs run,
 * no worker may go on without the coordinator.
 */
static void
describe_ready(const State *state, const List *candidates, KwjReady *ready)
{
	const KwjCandidate *first = NULL;
	ListCell   *lc;

	memset(ready, 0, sizeof(*ready));
	foreach(lc, candidates)
	{
		const KwjCandidate *candidate = lfirst(lc);

		if (!is_within_limits(state, candidate))
			continue;
		if (first == NULL)
			set_one(ready, first = candidate);
		else if (!is_same_group(candidate, first))
			ready->who = KWJ_SEVERAL_WAIT;
	}
	if (is_over_limits(state))
		ready->who = KWJ_SEVERAL_WAIT;
	else if (first == NULL && (first = find_replacing(state, candidates)) != NULL)
		set_one(ready, first);
	ready->limited = find_limited(state, candidates);
}

/*
 * Returns whether one of the candidates would be within all limits if each attempt had only its
 * first worker (part 0). Then parts are asked to leave.
 */
static bool
would_any_start(const State *state, const List *candidates)
{
	State		without = *state;
	ListCell   *lc;

	without.running = palloc(sizeof(Running) * Max(state->n, 1));
	without.n = 0;
	for (int i = 0; i < state->n; i++)
		if (!state->running[i].is_part)
			without.running[without.n++] = state->running[i];
	foreach(lc, candidates)
		if (is_within_limits(&without, lfirst(lc)))
			return true;
	return false;
}

List *
kwj_assign(List *candidates, const KwjWorkerInfo *workers, int n, bool may_start,
		   KwjReady *ready, bool *jobs_wait)
{
	State		state = {0};
	List	   *claims = claim_of_nobody(&candidates);
	KwjCandidate *candidate;

	candidates = leave_out_refused(candidates);
	state.may_start = may_start;
	state.running = palloc(sizeof(Running) * (n + kwj_worker_slots));
	for (int i = 0; i < n; i++)
		if (workers[i].job_id != 0)
			add_running(&state, workers[i].role, workers[i].job_type, workers[i].part > 0);
	if (kwj_max_workers_per_role > 0)
	{
		state.elsewhere = palloc(sizeof(Oid) * kwj_worker_slots);
		state.n_elsewhere = kwj_shared_roles_elsewhere(state.elsewhere);
	}
	while ((candidate = next_in_turn(&state, candidates)) != NULL)
	{
		KwjClaim   *result = claim(&state, candidate, may_start);

		if (result == NULL)
			continue;
		claims = lappend(claims, result);
		add_running(&state, candidate->owner, candidate->job_type, false);
		candidates = list_delete_ptr(candidates, candidate);
	}
	*jobs_wait = would_any_start(&state, candidates);
	describe_ready(&state, candidates, ready);
	return claims;
}

/*
 * src/coordinator/parts.c
 *	  More workers for attempts that several may carry.
 *
 * Process: coordinator, in the transaction of a pass; coordinator.c calls this. Locks:
 * kwj_shared->lock for moments.
 *
 * Jobs come first: as long as a job of this database waits for a worker, no attempt here gets
 * another one, and parts are asked to leave, one at a time (kwj_team_excuse_one). For all limits, a
 * part counts like a job. The assignments are handed over together with the claims of the pass when
 * it commits, or are taken back.
 */
#include "postgres.h"

#include "coordinator/parts.h"
#include "shared/team.h"
#include "store/claim.h"
#include "type/limits.h"

/*
 * Returns whether the limits of the database and of the type allow one more worker. The role's
 * limit is checked under the lock, by kwj_team_assign().
 */
static bool
is_within_limits(const KwjTeamInfo *team)
{
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n = kwj_shared_workers(workers, &elsewhere);
	int			limit = kwj_type_limit(team->job_type);
	int			running = 0;
	int			of_type = 0;

	for (int i = 0; i < n; i++)
	{
		if (workers[i].job_id == 0)
			continue;
		running++;
		of_type += strcmp(workers[i].job_type, team->job_type) == 0;
	}
	pfree(workers);
	return (kwj_max_workers_per_database == 0 || running < kwj_max_workers_per_database) &&
		(limit == 0 || of_type < limit);
}

/* Assigns a worker to the team. Returns a claim for it, or NULL if no worker is to be had. */
static KwjClaim *
assign_one(const KwjTeamInfo *team, bool may_start)
{
	KwjClaim   *claim = palloc0(sizeof(KwjClaim));

	if (!is_within_limits(team))
		return NULL;
	claim->job_id = team->job_id;
	claim->attempt = team->attempt;
	claim->owner = team->role;
	claim->slot = kwj_team_assign(team, may_start, &claim->generation, &claim->pid);
	return claim->slot < 0 ? NULL : claim;
}

void
kwj_parts_assign(KwjPass *pass)
{
	KwjTeamInfo *teams = palloc(sizeof(KwjTeamInfo) * kwj_worker_slots);
	bool		may_start = GetCurrentTimestamp() >= pass->coordinator->room_again;
	int			n = kwj_team_list(teams);

	if (pass->jobs_wait)
		kwj_team_excuse_one();
	for (int i = 0; i < n && !pass->told; i++)
	{
		KwjClaim   *part;

		while (!pass->jobs_wait && teams[i].lacking > 0 &&
			   (part = assign_one(&teams[i], may_start)) != NULL)
		{
			pass->parts = lappend(pass->parts, part);
			teams[i].lacking--;
		}
		pass->parts_lack |= teams[i].lacking > 0;
	}
}

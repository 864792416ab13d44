/*
 * src/process/deadlock.c
 *	  Jobs that wait for jobs which can get no worker, because waiting ones keep them all.
 *
 * Process: coordinator. Locks: that of shared memory, for moments.
 *
 * A worker is stuck if it waits for a job that is held up: one that runs in a stuck worker, one that
 * lacks only a worker and could get none but stuck ones, or one that depends on such a job. All that
 * wait are taken for stuck at first; who turns out to wait for something else is not, nor is then who
 * waits for that. Workers of other databases are never taken for stuck: nothing is known here of what
 * theirs wait for. Nor is the server taken for full while somebody else has background workers, who
 * may give them back.
 *
 * The workers are looked at before the rows. What changes in between is done by somebody who is
 * not stuck, or by somebody from outside, and a wait that has ended meanwhile is not ended again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/store.h"
#include "process/deadlock.h"
#include "process/limits.h"
#include "process/process.h"
#include "process/refusal.h"
#include "process/shared_state.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* No job that was refused for lack of room is tried again later than this. */
#define REFUSED_MS			5000

typedef struct View
{
	KwjWorkerInfo *workers;		/* of this database */
	int			n;
	bool	   *stuck;			/* of each */
	bool		full;			/* no other worker can be had */
	bool		no_room;		/* because the server has no room, not by kwjobs.max_workers */
	List	   *needed;			/* of KwjNeeded */
} View;

/* Which running jobs share a limit. */
typedef struct Group
{
	Oid			owner;			/* InvalidOid: any */
	const char *job_type;		/* NULL: any */
} Group;

static bool
is_of_group(const KwjWorkerInfo *worker, const Group *group)
{
	return worker->job_id != 0 &&
		(!OidIsValid(group->owner) || worker->role == group->owner) &&
		(group->job_type == NULL || strcmp(worker->job_type, group->job_type) == 0);
}

/* The limit is reached by jobs that are all stuck. 0: there is no limit. */
static bool
is_group_stuck(const View *view, const Group *group, int limit)
{
	int			count = 0;

	for (int i = 0; i < view->n; i++)
	{
		if (!is_of_group(&view->workers[i], group))
			continue;
		if (!view->stuck[i])
			return false;
		count++;
	}
	return limit > 0 && count >= limit;
}

static bool
are_all_stuck(const View *view)
{
	for (int i = 0; i < view->n; i++)
		if (!view->stuck[i])
			return false;
	return true;
}

/* The job lacks a worker, and could get none but stuck ones. */
static bool
is_kept_out(const View *view, const KwjNeeded *job)
{
	Group		of_owner = {job->owner, NULL};
	Group		of_type = {InvalidOid, job->job_type};

	return job->startable &&
		((view->full && are_all_stuck(view)) ||
		 is_group_stuck(view, &of_owner, kwj_max_workers_per_role) ||
		 is_group_stuck(view, &of_type, kwj_type_limit(job->job_type)));
}

/* The job runs in a stuck worker. */
static bool
runs_stuck(const View *view, int64 job_id)
{
	for (int i = 0; i < view->n; i++)
		if (view->workers[i].job_id == job_id)
			return view->stuck[i];
	return false;
}

static bool
is_held_up(const View *view, int64 waited_for)
{
	ListCell   *lc;

	foreach(lc, view->needed)
	{
		const KwjNeeded *job = lfirst(lc);

		if (job->waited_for == waited_for &&
			(is_kept_out(view, job) || runs_stuck(view, job->job_id)))
			return true;
	}
	return false;
}

/* Leave only those that are stuck. */
static void
find_stuck(View *view)
{
	bool		changed;

	do
	{
		changed = false;
		for (int i = 0; i < view->n; i++)
			if (view->stuck[i] && !is_held_up(view, view->workers[i].waits_for))
			{
				view->stuck[i] = false;
				changed = true;
			}
	} while (changed);
}

/* The rows of what is waited for; none if the extension is gone. */
static void
read_needed(View *view, bool no_room)
{
	int64	   *waited_for = palloc(sizeof(int64) * view->n);
	int			n = 0;
	TimestampTz by = GetCurrentTimestamp();
	ListCell   *lc;

	for (int i = 0; i < view->n; i++)
		if (view->stuck[i])
			waited_for[n++] = view->workers[i].waits_for;
	if (no_room)
		by = TimestampTzPlusMilliseconds(by, REFUSED_MS);
	if (!kwj_process_lock_extension())
		return;
	if (no_room && !kwj_store_others_have_workers())
		view->full = view->no_room = true;
	view->needed = kwj_store_needed(waited_for, n, by);
	foreach(lc, view->needed)
	{
		KwjNeeded  *job = lfirst(lc);

		/* making way does not help a role that cannot have a worker now */
		job->startable &= !kwj_refusal_concerns(job->owner);
	}
}

/* The worker is the only one of its group, and no other may be. */
static bool
is_only_one(const View *view, const KwjWorkerInfo *worker, const Group *group, int limit)
{
	return limit == 1 && is_of_group(worker, group) && is_group_stuck(view, group, limit);
}

/* What the worker waits for could get no other worker than this one, ever. */
static bool
keeps_the_only_one(const View *view, const KwjWorkerInfo *worker)
{
	ListCell   *lc;

	foreach(lc, view->needed)
	{
		const KwjNeeded *job = lfirst(lc);
		Group		all = {InvalidOid, NULL};
		Group		of_owner = {job->owner, NULL};
		Group		of_type = {InvalidOid, job->job_type};

		if (job->waited_for == worker->waits_for && is_kept_out(view, job) &&
			(is_only_one(view, worker, &all, view->no_room ? 0 : kwj_max_workers) ||
			 is_only_one(view, worker, &of_owner, kwj_max_workers_per_role) ||
			 is_only_one(view, worker, &of_type, kwj_type_limit(job->job_type))))
			return true;
	}
	return false;
}

static void
end_youngest(const View *view)
{
	const KwjWorkerInfo *youngest = NULL;

	for (int i = 0; i < view->n; i++)
		if (view->stuck[i] &&
			(youngest == NULL || view->workers[i].since > youngest->since))
			youngest = &view->workers[i];
	if (youngest != NULL)
		kwj_shared_end_wait(youngest, keeps_the_only_one(view, youngest) ?
							KWJ_WAIT_ALONE : KWJ_WAIT_DEADLOCK);
}

void
kwj_deadlock_end_one(bool no_room)
{
	View		view = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		any = false;
	int			elsewhere;

	view.workers = palloc(sizeof(KwjWorkerInfo) * kwj_max_workers);
	view.stuck = palloc(sizeof(bool) * kwj_max_workers);
	view.n = kwj_shared_workers(view.workers, &elsewhere);
	view.full = view.n == kwj_max_workers;
	for (int i = 0; i < view.n; i++)
		any |= view.stuck[i] = view.workers[i].waits_for != 0;
	if (!any)
		return;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
	read_needed(&view, no_room && elsewhere == 0);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	find_stuck(&view);
	end_youngest(&view);
}

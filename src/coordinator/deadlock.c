/*
 * src/coordinator/deadlock.c
 *	  Ends waits of jobs for jobs that can get no worker, because waiting jobs occupy all of
 *	  them.
 *
 * Process: coordinator, after a full pass and outside a transaction (coordinator.c). Locks: the
 * extension (shared), kwjobs.job and rows that are put first, in a transaction of its own;
 * kwj_shared->lock for moments.
 *
 * PostgreSQL's deadlock detector does not see such waits, as they are sleeps on a condition
 * variable. A worker is stuck if it waits for a job that is held up: one that runs in a stuck
 * worker, one that lacks only a worker and could get none but stuck ones, one that waits for a
 * place in a queue of which all places are taken by such jobs, or one that depends on a job that is
 * held up. find_stuck() starts by assuming that every waiting worker is stuck. Then it repeatedly
 * clears the flag of each worker whose job is not held up, and stops when nothing changes (greatest
 * fixed point).
 *
 *   no look --a job waits, news--> look under way (several passes, needed.c) --> nothing stuck
 *                                                                           \--> one wait is ended
 *
 * Workers of other databases never count as stuck, as nobody here knows what they wait for. Nor
 * does the server count as full while there are background workers that end by themselves, such as
 * parallel workers, and for ALONE_MS after them.
 *
 * The workers are read before the rows. Changes in between are made by processes that are not
 * stuck, or from outside, and a wait that has ended meanwhile is not ended again
 * (kwj_shared_end_wait). If this process dies, its successor looks anew; if the worker dies, there
 * is no wait any more.
 *
 * Known hole: a deadlock across databases, through kwjobs.max_workers, is not seen, because of what
 * is said above.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/deadlock.h"
#include "coordinator/held.h"
#include "coordinator/needed.h"
#include "coordinator/refusal.h"
#include "process/process.h"
#include "shared/ready.h"
#include "shared/slots.h"
#include "shared/wait.h"
#include "store/due.h"
#include "store/query.h"
#include "store/store.h"
#include "type/limits.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* How many jobs are put first at a time; the others follow when another job waits. */
#define FIRST_STEP			KWJ_NEEDED_STEP
/* Looks take at most one part in this many of the time. */
#define LOOK_SHARE			10
/*
 * The server counts as full only if this process has seen no background workers of others for this long.
 * When a parallel worker, for instance, is about to exit, nobody sees it any more, but some moments pass
 * until the postmaster hears of its exit and can give its slot to another worker.
 */
#define ALONE_MS			500

/* A look, which may take several passes. */
typedef struct Look
{
	bool		wanted;			/* something has changed since it began */
	bool		begun;
	bool		no_room;		/* see kwj_deadlock_end_one() */
	int64		spent_us;
	TimestampTz not_before;		/* the next look does not begin before this */
} Look;

static Look look;

/*
 * Since when this process has seen no background workers of others, each time that it found no slot for a
 * worker. 0: it saw some the last time, or there was a slot since.
 */
static TimestampTz alone_since;

typedef struct View
{
	KwjWorkerInfo *workers;		/* of this database */
	int			n;
	int			busy;			/* how many of the workers have a job */
	bool	   *stuck;			/* for each worker: whether it is stuck */
	bool		full;			/* no other worker can be had, */
	/* because the postmaster has no slot; else because of kwjobs.max_workers */
	bool		no_room;
	List	   *needed;			/* of KwjNeeded */
	KwjPlace   *places;			/* in the queues in which some of these wait for a place */
	int			n_places;
} View;

/* The running jobs that share a limit. */
typedef struct Sharing
{
	Oid			owner;			/* InvalidOid: any */
	const char *job_type;		/* NULL: any */
} Sharing;

static bool
is_of_group(const KwjWorkerInfo *worker, const Sharing *group)
{
	return worker->job_id != 0 &&
		(!OidIsValid(group->owner) || worker->role == group->owner) &&
		(group->job_type == NULL || strcmp(worker->job_type, group->job_type) == 0);
}

/*
 * Returns whether all workers that run jobs of the group are stuck, and are as many as the limit
 * allows. limit 0: there is none.
 */
static bool
is_group_stuck(const View *view, const Sharing *group, int limit)
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

/*
 * Returns whether the role may use the last slot: all running jobs are of one other role (see
 * kwj_may_run_one_more).
 */
static bool
has_reserve(const View *view, Oid role)
{
	Oid			others = InvalidOid;

	if (view->no_room || view->busy != kwj_max_workers)
		return false;
	for (int i = 0; i < view->n; i++)
	{
		if (view->workers[i].job_id == 0)
			continue;
		if (view->workers[i].role == role ||
			(OidIsValid(others) && view->workers[i].role != others))
			return false;
		others = view->workers[i].role;
	}
	return true;
}

/*
 * Returns whether all workers are stuck, so that no job can be expected to end. An idle worker does
 * not help where kwjobs.max_workers jobs run. It helps where the postmaster has no slot, because it
 * exits to make room.
 */
static bool
are_all_stuck(const View *view)
{
	for (int i = 0; i < view->n; i++)
		if (!view->stuck[i] && (view->workers[i].job_id != 0 || view->no_room))
			return false;
	return true;
}

/* Returns whether the job lacks only a worker, and could get only one that is stuck. */
static bool
is_kept_out(const View *view, const KwjNeeded *job)
{
	Sharing		of_owner = {job->owner, NULL};
	Sharing		of_type = {InvalidOid, job->job_type};
	Sharing		all = {InvalidOid, NULL};

	return job->startable &&
		((view->full && are_all_stuck(view) && !has_reserve(view, job->owner)) ||
		 is_group_stuck(view, &all, kwj_max_workers_per_database) ||
		 is_group_stuck(view, &of_owner, kwj_max_workers_per_role) ||
		 is_group_stuck(view, &of_type, kwj_type_limit(job->job_type)));
}

/* Returns whether the job runs in a stuck worker. */
static bool
runs_stuck(const View *view, int64 job_id)
{
	for (int i = 0; i < view->n; i++)
		if (view->workers[i].job_id == job_id)
			return view->stuck[i];
	return false;
}

/*
 * Returns whether no place of the queue can come free, because jobs that are held up have as many
 * places as its limit allows. For a held queue this returns false: kwj_store_places returns no
 * places of it, because to end a wait would not let its jobs start.
 */
static bool
is_queue_stuck(const View *view, const char *queue)
{
	int			limit = 0;
	int			taken = 0;

	for (int i = 0; i < view->n_places; i++)
	{
		const KwjPlace *place = &view->places[i];

		if (strcmp(place->queue, queue) != 0)
			continue;
		limit = place->limit;
		if (place->job.active ? runs_stuck(view, place->job.job_id) :
			is_kept_out(view, &place->job))
			taken += place->n;
	}
	return limit > 0 && taken >= limit;
}

static bool
is_held_up(const View *view, int64 waited_for)
{
	ListCell   *lc;

	foreach(lc, view->needed)
	{
		const KwjNeeded *job = lfirst(lc);

		if (job->waited_for == waited_for &&
			(is_kept_out(view, job) || runs_stuck(view, job->job_id) ||
			 (job->queue != NULL && is_queue_stuck(view, job->queue))))
			return true;
	}
	return false;
}

/* Clears the flag of each worker that is not stuck. */
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

/* Returns the jobs that stuck workers wait for. */
static KwjJobs
waited_for_jobs(const View *view)
{
	int64	   *ids = palloc(sizeof(int64) * Max(view->n, 1));
	KwjJobs		jobs = {ids, 0};

	for (int i = 0; i < view->n; i++)
		if (view->stuck[i])
			ids[jobs.n++] = view->workers[i].waits_for;
	return jobs;
}

/*
 * Clears `startable` if the job is held or its role cannot connect now, because to end a wait would
 * not let the job start.
 */
static void
see_if_startable(KwjNeeded *job)
{
	job->startable = job->startable && !kwj_held_concerns(job->owner, job->job_type) &&
		!kwj_refusal_concerns(job->owner);
}

/* Reads which jobs have places in the queues in which needed jobs wait for one. */
static void
read_places(View *view)
{
	List	   *queues = NIL;
	ListCell   *lc;

	foreach(lc, view->needed)
	{
		KwjNeeded  *job = lfirst(lc);

		if (job->queue != NULL && !kwj_strings_include(queues, job->queue))
			queues = lappend(queues, unconstify(char *, job->queue));
	}
	if (queues == NIL)
		return;
	view->n_places = kwj_store_places(queues, &view->places);
	for (int i = 0; i < view->n_places; i++)
		see_if_startable(&view->places[i].job);
}

/* The postmaster had no slot for a worker. Returns whether this counts as a full server (ALONE_MS). */
static bool
is_server_full(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (kwj_store_others_have_workers())
		alone_since = 0;
	else if (alone_since == 0)
		alone_since = now;
	return alone_since != 0 && TimestampDifferenceExceeds(alone_since, now, ALONE_MS);
}

/*
 * Reads the rows of the jobs that are waited for and needed. Returns false if there are more of
 * them than can be read in one pass.
 */
static bool
read_needed(View *view, bool no_room)
{
	TimestampTz by = GetCurrentTimestamp();
	ListCell   *lc;

	/* A job for which the postmaster had no slot is due again by then, and lacks only a worker. */
	if (no_room)
		by = TimestampTzPlusMilliseconds(by, KWJ_NO_ROOM_LONGEST_MS);
	if (!kwj_needed_search(waited_for_jobs(view), by))
		return false;
	if (no_room && is_server_full())
		view->full = view->no_room = true;
	view->needed = kwj_needed_result(by);
	foreach(lc, view->needed)
		see_if_startable(lfirst(lc));
	read_places(view);
	return true;
}

/* Returns whether the worker is the only one of its group, and the limit allows no other. */
static bool
is_only_one(const View *view, const KwjWorkerInfo *worker, const Sharing *group, int limit)
{
	return limit == 1 && is_of_group(worker, group) && is_group_stuck(view, group, limit);
}

/* Returns whether the job that the worker waits for could never get any worker but this one. */
static bool
keeps_the_only_one(const View *view, const KwjWorkerInfo *worker)
{
	ListCell   *lc;

	foreach(lc, view->needed)
	{
		const KwjNeeded *job = lfirst(lc);
		Sharing		all = {InvalidOid, NULL};
		Sharing		of_owner = {job->owner, NULL};
		Sharing		of_type = {InvalidOid, job->job_type};

		if (job->waited_for == worker->waits_for && is_kept_out(view, job) &&
			(is_only_one(view, worker, &all, view->no_room ? 0 : kwj_max_workers) ||
			 is_only_one(view, worker, &all, kwj_max_workers_per_database) ||
			 is_only_one(view, worker, &of_owner, kwj_max_workers_per_role) ||
			 is_only_one(view, worker, &of_type, kwj_type_limit(job->job_type))))
			return true;
	}
	return false;
}

/*
 * Chooses the worker whose wait ends: the one with the lowest number of its attempt, so that no job
 * runs out of attempts; among equals the one that began last. Returns NULL if none is stuck.
 */
static const KwjWorkerInfo *
choose_one(const View *view)
{
	const KwjWorkerInfo *chosen = NULL;

	for (int i = 0; i < view->n; i++)
	{
		const KwjWorkerInfo *worker = &view->workers[i];

		if (view->stuck[i] &&
			(chosen == NULL || worker->attempt < chosen->attempt ||
			 (worker->attempt == chosen->attempt && worker->since > chosen->since)))
			chosen = worker;
	}
	return chosen;
}

static bool
is_waited_for(const View *view, int64 job_id, const KwjWorkerInfo *except)
{
	for (int i = 0; i < view->n; i++)
		if (view->stuck[i] && &view->workers[i] != except &&
			view->workers[i].waits_for == job_id)
			return true;
	return false;
}

/*
 * Puts the jobs that the other stuck workers wait for first among the jobs that may start, so that
 * they get the worker that becomes free. Otherwise a job that stood before them would get it, and
 * might soon wait, too. If such a job waits for a place in a queue, the jobs that have the places
 * of this queue, and lack a worker, are put first instead.
 */
static void
put_needed_first(const View *view, const KwjWorkerInfo *chosen)
{
	int64		ids[FIRST_STEP];
	int			n = 0;
	ListCell   *lc;

	foreach(lc, view->needed)
	{
		const KwjNeeded *job = lfirst(lc);

		if (!is_waited_for(view, job->waited_for, chosen))
			continue;
		if (n < FIRST_STEP && is_kept_out(view, job))
			ids[n++] = job->job_id;
		for (int i = 0; i < view->n_places && n < FIRST_STEP; i++)
			if (job->queue != NULL && strcmp(view->places[i].queue, job->queue) == 0 &&
				is_kept_out(view, &view->places[i].job))
				ids[n++] = view->places[i].job.job_id;
	}
	if (n > 0)
		kwj_store_put_first(ids, n);
}

/*
 * Empties the list of ready jobs from which workers claim by themselves, because it does not have
 * the new order. Until the next pass sets a new list, workers that finish a job get the next one
 * from the coordinator.
 */
static void
forget_ready(void)
{
	KwjReady	ready = {.who = KWJ_SEVERAL_WAIT};

	kwj_shared_set_ready(&ready);
}

/* Reads the workers of this database. Returns false if none of them waits for a job. */
static bool
read_workers(View *view, int *elsewhere)
{
	bool		any = false;

	view->workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	view->stuck = palloc(sizeof(bool) * kwj_worker_slots);
	view->n = kwj_shared_workers(view->workers, elsewhere);
	for (int i = 0; i < view->n; i++)
	{
		view->busy += view->workers[i].job_id != 0;
		any |= view->stuck[i] = view->workers[i].waits_for != 0;
	}
	view->full = view->busy >= kwj_max_workers;
	return any;
}

/* Runs one transaction of a look. Returns false if the look goes on in the next pass. */
static bool
take_step(View *view, const KwjWorkerInfo **chosen)
{
	MemoryContext context = CurrentMemoryContext;
	bool		complete = true;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
	/*
	 * Without the extension there are no rows to read. If kwjobs.job is locked, the next pass waits for the lock,
	 * and answers sessions meanwhile (blocked.c).
	 */
	if (kwj_process_lock_extension())
		complete = kwj_store_try_lock_jobs() && read_needed(view, look.no_room);
	if (complete)
	{
		find_stuck(view);
		*chosen = choose_one(view);
		if (*chosen != NULL)
			put_needed_first(view, *chosen);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return complete;
}

/* Returns whether it is time to begin a look, or to go on with one. */
static bool
begin_look(bool no_room, bool news, TimestampTz *next)
{
	look.wanted |= news;
	if (look.begun)
	{
		look.no_room |= no_room;
		return true;
	}
	if (!look.wanted)
		return false;
	if (GetCurrentTimestamp() < look.not_before)
	{
		*next = Min(*next, look.not_before);
		return false;
	}
	look.begun = true;
	look.wanted = false;
	look.no_room = no_room;
	look.spent_us = 0;
	return true;
}

static void
end_look(void)
{
	kwj_needed_reset();
	look.begun = false;
	look.not_before = GetCurrentTimestamp() + look.spent_us * (LOOK_SHARE - 1);
}

void
kwj_deadlock_note_room(void)
{
	alone_since = 0;
}

bool
kwj_deadlock_end_one(bool no_room, bool news, TimestampTz *next)
{
	const KwjWorkerInfo *chosen = NULL;
	View		view = {0};
	int			elsewhere;
	TimestampTz began;
	bool		complete;

	Assert(!IsTransactionState());
	if (!read_workers(&view, &elsewhere))
	{
		if (look.begun)
			end_look();
		look.wanted = false;
		return false;
	}
	if (!begin_look(no_room && elsewhere == 0, news, next))
		return false;
	began = GetCurrentTimestamp();
	complete = take_step(&view, &chosen);
	look.spent_us += GetCurrentTimestamp() - began;
	if (!complete)
		return true;
	end_look();
	if (chosen == NULL)
		return false;
	/* Other workers may be stuck, too: look again. */
	look.wanted = true;
	forget_ready();
	kwj_shared_end_wait(chosen, keeps_the_only_one(&view, chosen) ?
						KWJ_WAIT_ALONE : KWJ_WAIT_DEADLOCK);
	return true;
}

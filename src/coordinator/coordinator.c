/*
 * src/coordinator/coordinator.c
 *	  The coordinator of a database: claims due jobs, gives them to workers, settles
 *	  what nobody else can, keeps the history short.
 *
 * Process: coordinator, one for each database with kwjobs, connected as the bootstrap
 * superuser. Locks: the extension, shared, until the end of a pass; rows of kwjobs.job
 * with SKIP LOCKED.
 *
 * Each pass is one short transaction that looks at the tables again; wake-ups only
 * shorten the wait for the next. A pass for which nothing is new but jobs that were created, or
 * workers that are idle, does not look at what has not changed: see begin_pass. What a pass decides takes effect outside the tables
 * (starting workers, signals) only after its commit.
 *
 * A pass does for many jobs at once what is to be done. If that raises an error, the pass is rolled back,
 * and for a while the coordinator goes job by job, each in a transaction of its own (careful.c): the
 * job whose rows are the cause ends with the error, and all others go on. It does so, too, as long
 * as there is a job that it cannot even end. Only an error that has nothing to do with a single job
 * ends the process; the launcher starts the next one, later and later if they die young.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "coordinator/adopt.h"
#include "coordinator/assign.h"
#include "coordinator/careful.h"
#include "coordinator/deadlock.h"
#include "coordinator/dispatch.h"
#include "coordinator/groups.h"
#include "coordinator/leave.h"
#include "coordinator/refusal.h"
#include "coordinator/retention.h"
#include "coordinator/rounds.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/process.h"
#include "process/room.h"
#include "process/server_start.h"
#include "shared/launch.h"
#include "shared/start.h"
#include "storage/ipc.h"
#include "store/break.h"
#include "store/claim.h"
#include "store/dependency.h"
#include "store/due.h"
#include "store/home.h"
#include "store/jobs.h"
#include "store/store.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A pass that does not look at everything is followed by one that does, after this at the latest. */
#define LOOK_AT_ALL_MS		1000

/* Where the coordinator goes job by job, at most so many jobs, and dependencies of one, in a pass. */
#define SINGLE_STEP			200
#define DEPENDENCY_STEP		500
/*
 * The first and the longest wait between two looks whether a worker can be had. The postmaster
 * frees the slot of one that leaves a moment after it has left; what lasts longer is reported.
 */
#define NO_ROOM_FIRST_MS	10
#define NO_ROOM_LONGEST_MS	5000
#define NO_ROOM_REPORT_MS	500
/* So long the coordinator goes job by job after an error. */
#define JOB_BY_JOB_MS		10000
/* So long after a start of the server coordinators wait for the disk, as a crash may have been the cause. */
#define CAREFUL_MS			60000

static bool first_pass = true;
static TimestampTz careful_until;
static bool at_home = false;	/* the jobs are known to be those of this database */
static TimestampTz job_by_job_until = DT_NOBEGIN;

/* No job that may start has a lower rank, as of the last pass. */
static TimestampTz lowest_rank;
static bool look_at_all = true; /* in the next pass */
static TimestampTz looked_at_all;
static TimestampTz next_due;	/* when a pass has to look at all, even if nobody says so */

/* The postmaster had no room for a worker: not tried again before this, or until one leaves. */
static TimestampTz room_again = 0;
static int	no_room_ms;
static int	workers_without_room;

/* What a pass found, for after its commit. */
typedef struct Pass
{
	bool		all;			/* look at everything */
	bool		news;			/* anything may be new, not only what a step of the last pass has left */
	KwjNews		for_rounds;		/* what that means for rounds */
	TimestampTz from;			/* no job that may start has a lower rank */
	bool		no_extension;
	List	   *active;			/* of KwjActive; only of a pass that looks at everything */
	List	   *claims;			/* of KwjClaim */
	KwjQueue	queue;			/* who still waits */
	bool		wait_for_disk;	/* before the claims are handed over */
	bool		no_room;		/* the server had none for a worker */
	bool		again;			/* more to do at once */
	bool		changed;		/* jobs may start now that could not */
	TimestampTz later;			/* when to go on with a step that rests */
	TimestampTz refused_again;	/* when to look again at roles that cannot have a worker */
	TimestampTz next;			/* else when to look again */
} Pass;

/* A job that is not begun for the first time may be what took the server down. */
static bool
is_retry_among(List *claims)
{
	ListCell   *lc;

	foreach(lc, claims)
		if (((KwjClaim *) lfirst(lc))->attempt > 1)
			return true;
	return false;
}

/* Attempts that nobody runs: the next pass finds them, and settles that. */
static bool
is_workerless_among(List *claims)
{
	ListCell   *lc;

	foreach(lc, claims)
		if (((KwjClaim *) lfirst(lc))->slot < 0)
			return true;
	return false;
}

static TimestampTz
find_lowest_rank(const List *candidates)
{
	TimestampTz lowest = DT_NOEND;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const KwjCandidate *candidate = lfirst(lc);

		if (candidate->job_id != 0)
			lowest = Min(lowest, candidate->rank);
	}
	return lowest;
}

/* Set jobs out for workers that go on by themselves. */
static void
fill_queue(Pass *pass, KwjJobs set_aside)
{
	KwjQueue   *queue = &pass->queue;

	if (queue->who == KWJ_ONE_WAITS)
		queue->n = kwj_store_ready(queue->owner, queue->job_type, set_aside, pass->from,
								   queue->job_ids, kwj_shared_queue_length());
	pass->refused_again = kwj_refusal_next();
	queue->refused = pass->refused_again != DT_NOEND;
}

/*
 * Find workers for jobs that may start: the claims are not in the tables yet. set_aside: jobs that get
 * none.
 */
static void
assign(Pass *pass, const KwjWorkerInfo *workers, int n, KwjJobs set_aside)
{
	/* one more than can have a worker now: who waits */
	KwjAsked	asked = {
		.limit = Min(kwj_shared_capacity() + 1, kwj_worker_slots),
		.without = kwj_refusal_review(), .set_aside = set_aside,
		.from = pass->from, .news = pass->news
	};
	KwjSeen		seen;
	int			n_refused = kwj_refusal_count();
	List	   *candidates = kwj_groups_candidates(&asked, workers, n, &seen);

	lowest_rank = seen.all_groups && seen.enough ? find_lowest_rank(candidates) : DT_NOBEGIN;
	pass->claims = kwj_assign(candidates, workers, n, GetCurrentTimestamp() >= room_again,
							  &pass->queue);
	if (!seen.all_groups || !seen.enough)
	{
		pass->queue.who = KWJ_SEVERAL_WAIT;

		/*
		 * The worker that is kept for other roles is no reason to try more jobs of these groups: what looks
		 * locked may just have been claimed by workers that go on by themselves.
		 */
		if (kwj_shared_capacity() > 0 && !(seen.all_groups && kwj_shared_has_reserve_only()))
			pass->again |= kwj_groups_more(pass->claims != NIL || n_refused < kwj_refusal_count());
	}
	fill_queue(pass, set_aside);
}

/* Find workers for jobs that may start, and begin their attempts. */
static void
claim(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	KwjJobs		nothing = {0};

	assign(pass, workers, n, nothing);
	if (pass->claims != NIL)
	{
		kwj_store_begin(pass->claims);
		pass->wait_for_disk = is_retry_among(pass->claims) ||
			GetCurrentTimestamp() < careful_until;
		pass->again |= is_workerless_among(pass->claims);
	}
}

/* In a copy of a database the jobs do not run a second time. */
static void
pause_copied(void)
{
	uint64		paused = kwj_store_come_home(0);

	at_home = true;
	if (paused > 0)
		ereport(LOG,
				(errmsg(UINT64_FORMAT " jobs are paused because this database is a copy of another one",
						paused),
				 errhint("RESUME JOB lets one run here, too, CANCEL JOB gives it up.")));
}

/* Of the jobs, only those that may start are new. */
static void
look_at_new(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	claim(pass, workers, n);
	next_due = Min(next_due, pass->refused_again);
	pass->next = next_due;
}

static void
promote(KwjWindow *window)
{
	kwj_store_promote(GetCurrentTimestamp(), window);
}

static KwjRound settling = {.look = kwj_store_settle_idle};
static KwjRound telling = {.look = kwj_store_tell_waiting};
static KwjRound looking_up = {.look = kwj_store_look_at_dependencies};
static KwjRound meeting = {.look = kwj_store_meet_dependencies};
static KwjRound promoting = {.look = promote};

/* Take steps with dependencies; returns whether some were met. */
static bool
look_at_dependencies(Pass *pass, const KwjToDo *todo)
{
	bool		changed = false;

	if (todo->untold)
		changed |= kwj_round_step(&telling, pass->for_rounds, &pass->again, &pass->later);
	if (todo->fresh)
		changed |= kwj_round_step(&looking_up, pass->for_rounds, &pass->again, &pass->later);
	if (todo->known || changed)
		return kwj_round_step(&meeting, changed ? KWJ_ALL_NEWS : pass->for_rounds,
							  &pass->again, &pass->later);
	return false;
}

static void
look_at_everything(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	KwjToDo		todo;
	bool		changed = false;

	kwj_store_look(now, &todo);
	if (todo.active)
	{
		List	   *active = kwj_store_active(0);
		int			n_active = list_length(active);

		pass->active = kwj_adopt_orphans(active, workers, n);
		/* what is asked of an attempt that was taken back is asked of a job that nobody runs */
		todo.requested |= list_length(pass->active) < n_active;
	}
	if (todo.requested)
		changed |= kwj_round_step(&settling, pass->for_rounds, &pass->again, &pass->later);
	/* before looking: what a worker's commit holds up now is looked at after it */
	kwj_shared_watch(todo.fresh || todo.known);
	changed |= look_at_dependencies(pass, &todo);

	/* what was settled may be due at once */
	now = GetCurrentTimestamp();
	changed |= todo.active;
	if (changed || todo.due)
		changed |= kwj_round_step(&promoting, Max(pass->for_rounds, changed ? KWJ_SOME_NEWS : 0),
								  &pass->again, &pass->later);
	lowest_rank = DT_NOEND;
	if (todo.ready || changed)
		claim(pass, workers, n);
	next_due = Min(kwj_store_next_due(now), pass->refused_again);
	next_due = Min(next_due, pass->later);
	pass->next = next_due;
	pass->changed = changed;
}

/* The transaction of a pass. */
static void
look(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	if (!kwj_process_lock_extension())
	{
		pass->no_extension = true;
		return;
	}
	if (first_pass)
		kwj_store_note_ids();
	if (!at_home)
		pause_copied();
	if (pass->all)
		look_at_everything(pass, workers, n);
	else
		look_at_new(pass, workers, n);
}

/* There is no room beside so many workers: when to look again. */
static void
wait_for_room(int n_workers)
{
	kwj_shared_make_room();
	no_room_ms = Min(Max(no_room_ms * 2, NO_ROOM_FIRST_MS), NO_ROOM_LONGEST_MS);
	room_again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), no_room_ms);
	workers_without_room = n_workers;
	if (no_room_ms >= NO_ROOM_REPORT_MS)
		kwj_report_room(false, "worker");
}

static void
unclaim(void *arg)
{
	const KwjClaim *claim = arg;

	kwj_store_unclaim(claim->job_id, claim->attempt, "waiting for a background worker slot",
					  no_room_ms);
}

static void
take_claim_back(KwjClaim *claim)
{
	(void) kwj_careful_step(claim->job_id, "the job could not be taken back from a worker",
							unclaim, claim);
	next_due = Min(next_due, room_again);
}

/*
 * Start the workers that are not there yet; a claim without one is taken back. False if the server
 * had no room for one.
 */
static bool
start_workers(List *claims, int n_workers)
{
	bool		room = true;
	ListCell   *lc;

	foreach(lc, claims)
	{
		KwjClaim   *item = lfirst(lc);

		if (item->pid != 0 || item->slot < 0)
			continue;
		if (kwj_dispatch_start(item))
		{
			kwj_report_room(true, "worker");
			no_room_ms = 0;
			room = true;
			n_workers++;
			continue;
		}
		if (room)
			wait_for_room(n_workers);
		room = false;
		take_claim_back(item);
	}
	return room;
}

/* The attempt, if this pass has read it; else NULL. */
static const KwjActive *
find_active(int64 job_id, int32 attempt, List *active)
{
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);

		if (item->job_id == job_id && item->attempt == attempt)
			return item;
	}
	return NULL;
}

/* Tell a worker what is asked of its job. Returns when to come back. */
static TimestampTz
deliver(Pass *pass, const KwjWorkerInfo *worker)
{
	const KwjActive *next = find_active(worker->next_job_id, worker->next_attempt, pass->active);

	/* a request can be for the job that it is about to begin, too */
	if (next != NULL && next->request != KWJ_REQUEST_NONE && !kwj_shared_watch_announced(worker))
		pass->again = true;
	if (worker->job_id == 0)
		return DT_NOEND;
	return kwj_dispatch_deliver(worker, find_active(worker->job_id, worker->attempt,
													pass->active));
}

/* After the commit: start workers, deliver requests. Returns when to come back. */
static TimestampTz
act(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	TimestampTz next = pass->next;

	pass->no_room = !start_workers(pass->claims, n);
	if (room_again > GetCurrentTimestamp())
		next = Min(next, room_again);
	for (int i = 0; i < n; i++)
		next = Min(next, deliver(pass, &workers[i]));
	return next;
}

/*
 * Commit the pass and hand its claims over, both or neither. The disk is waited for
 * afterwards, while the jobs start (doc/engine.md). Standbys are not waited for: they may
 * be gone, and jobs should still be stopped then; a failover repeats at most what was not sent.
 */
static void
commit(const Pass *pass)
{
	(void) set_config_option("synchronous_commit", pass->wait_for_disk ? "local" : "off",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	HOLD_INTERRUPTS();
	CommitTransactionCommand();
	kwj_shared_set_queue(&pass->queue);
	kwj_shared_hand_over();
	RESUME_INTERRUPTS();
}

/*
 * Before the pass's snapshot: what it has to look at. While somebody has an old snapshot, the
 * indexes keep all that has changed since, and looking at everything takes the longer, the more
 * that is. So a pass for jobs that were created, or for idle workers, looks at jobs that may start
 * only, from the lowest rank on that may be new. All else, like control statements and workers that leave,
 * says that anything may have changed. Should something have been overlooked, a later pass finds
 * it: the last one before a pause looks at everything.
 */
static void
begin_pass(Pass *pass)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz created = kwj_shared_take_lowest_rank();

	pass->next = pass->later = pass->refused_again = DT_NOEND;
	pass->news = first_pass || !look_at_all || created != DT_NOEND || now >= next_due;
	/* only a pass that looks at everything takes this: another one leaves it for the next */
	pass->for_rounds = pass->news ? KWJ_SOME_NEWS : KWJ_NO_NEWS;
	/* the last one before this process leaves looks at everything, too */
	pass->all = look_at_all || created == DT_NOBEGIN || now >= next_due || kwj_shared_told_to_leave() ||
		TimestampDifferenceExceeds(looked_at_all, now, LOOK_AT_ALL_MS);
	if (pass->all && (kwj_shared_take_released() || first_pass))
		pass->for_rounds = KWJ_ALL_NEWS;
	pass->from = pass->all ? DT_NOBEGIN : Min(lowest_rank, created);
	if (pass->all)
		looked_at_all = now;
	look_at_all = false;
}

/* When the next one is due. */
static TimestampTz
end_pass(const Pass *pass)
{
	look_at_all = pass->again;
	next_due = Min(next_due, pass->later);
	if (pass->again)
		return GetCurrentTimestamp();
	if (pass->all)
		return Min(pass->next, pass->later);
	return Min(pass->next, TimestampTzPlusMilliseconds(looked_at_all, LOOK_AT_ALL_MS));
}

/* The transaction of a pass. False if it was rolled back because of an error. */
static bool
look_at_once(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	MemoryContext scratch = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(scratch);
		look(pass, workers, n);
		PopActiveSnapshot();
		commit(pass);
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(scratch);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		kwj_shared_take_back();
		RESUME_INTERRUPTS();
		job_by_job_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), JOB_BY_JOB_MS);
		ereport(LOG,
				(errmsg("kwjobs goes job by job for a while, because of an error"),
				 errdetail("So the job whose rows are the cause ends, and all others go on.")));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(scratch);
	return done;
}

/* ---- job by job ---- */

static bool
goes_job_by_job(void)
{
	return job_by_job_until > GetCurrentTimestamp() || kwj_careful_next() != DT_NOEND;
}

/* A step, and what it is for. */
typedef struct Single
{
	Pass	   *pass;
	int64		job_id;
	KwjClaim   *claim;			/* of the steps of claim_singly; false: it may not begin any more */
	bool		done;
	KwjList		list;			/* of list_jobs */
	int			limit;
	KwjJobs		jobs;
	KwjStep		step;
	MemoryContext scratch;		/* what outlives the step */
} Single;

/* Nothing that is lost in a crash would not be done again; the end of the pass waits for the disk. */
static void
do_not_wait(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Unless the extension is gone. */
static void
run_locked(void *arg)
{
	Single	   *single = arg;

	do_not_wait();
	MemoryContextSwitchTo(single->scratch);
	if (kwj_process_lock_extension())
		single->step(single);
	else
		single->pass->no_extension = true;
}

/* What concerns no single job: its errors end the process. */
static void
run_step(Single *single, KwjStep step)
{
	single->step = step;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	run_locked(single);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(single->scratch);
}

static void
list_jobs(void *arg)
{
	Single	   *single = arg;

	single->jobs = kwj_store_list(single->list, kwj_careful_set_aside(), single->limit);
}

/* Take the step for up to limit jobs of the list. */
static void
for_each(Pass *pass, KwjList list, int limit, const char *what, KwjStep step)
{
	Single		single = {
		.pass = pass, .list = list, .limit = limit, .scratch = CurrentMemoryContext
	};

	if (pass->no_extension)
		return;
	run_step(&single, list_jobs);
	single.step = step;
	for (int i = 0; i < single.jobs.n && !pass->no_extension; i++)
	{
		single.job_id = single.jobs.ids[i];
		(void) kwj_careful_step(single.job_id, what, run_locked, &single);
		CHECK_FOR_INTERRUPTS();
	}
	pass->again |= single.jobs.n == limit;
}

static void
pause_copied_singly(void *arg)
{
	(void) kwj_store_come_home(((Single *) arg)->job_id);
}

static void
adopt_singly(void *arg)
{
	Single	   *single = arg;
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n = kwj_shared_workers(workers, &elsewhere);
	List	   *active = kwj_store_active(single->job_id);

	single->pass->active = list_concat(single->pass->active,
									   kwj_adopt_orphans(active, workers, n));
}

/* A window of all that there is of this one job. */
static KwjWindow
window_of(void *arg, int limit)
{
	KwjWindow	window = {
		.limit = limit, .only = ((Single *) arg)->job_id,
		.first = PG_INT64_MIN, .second = PG_INT64_MIN
	};

	return window;
}

static void
settle_singly(void *arg)
{
	KwjWindow	window = window_of(arg, 1);

	kwj_store_settle_idle(&window);
}

static void
tell_all(void *arg)
{
	KwjWindow	window = window_of(arg, DEPENDENCY_STEP);

	kwj_store_tell_waiting(&window);
}

static void
tell_singly(void *arg)
{
	if (kwj_isolate_within_quietly(tell_all, arg) != NULL)
		kwj_store_stop_telling(((Single *) arg)->job_id);
}

static void
meet_singly(void *arg)
{
	KwjWindow	fresh = window_of(arg, DEPENDENCY_STEP);
	KwjWindow	known = window_of(arg, DEPENDENCY_STEP);

	kwj_store_look_at_dependencies(&fresh);
	kwj_store_meet_dependencies(&known);
	((Single *) arg)->pass->again |= fresh.n_read == fresh.limit || known.n_read == known.limit;
}

static void
look_again_singly(void *arg)
{
	kwj_store_look_again(((Single *) arg)->job_id);
}

static void
promote_singly(void *arg)
{
	KwjWindow	window = window_of(arg, 1);

	kwj_store_promote(GetCurrentTimestamp(), &window);
}

static void
begin_singly(void *arg)
{
	Single	   *single = arg;

	/* it may be what takes the server down */
	(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	single->done = kwj_store_lock_ready(single->claim->job_id);
	if (single->done)
		kwj_store_begin(list_make1(single->claim));
}

/* Which of the jobs that may start get a worker. */
static void
assign_jobs(void *arg)
{
	Single	   *single = arg;
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n = kwj_shared_workers(workers, &elsewhere);

	single->pass->from = DT_NOBEGIN;
	assign(single->pass, workers, n, kwj_careful_set_aside());
}

/* Begin the attempts; a worker whose job could not begin gets another one in the next pass. */
static void
claim_singly(Pass *pass)
{
	Single		single = {.pass = pass, .scratch = CurrentMemoryContext};
	ListCell   *lc;

	run_step(&single, assign_jobs);
	single.step = begin_singly;
	foreach(lc, pass->claims)
	{
		single.claim = lfirst(lc);
		single.done = false;
		if (kwj_careful_step(single.claim->job_id, "the job could not be started",
							 run_locked, &single) && single.done)
			continue;
		kwj_shared_take_back_one(single.claim->slot, single.claim->generation);
		pass->claims = foreach_delete_current(pass->claims, lc);
		pass->again = true;
	}
	pass->again |= is_workerless_among(pass->claims);
	kwj_shared_set_queue(&pass->queue);
	kwj_shared_hand_over();
}

static void
find_next_due(void *arg)
{
	Single	   *single = arg;

	next_due = Min(kwj_store_next_due(GetCurrentTimestamp()), single->pass->refused_again);
}

static void
pause_all_copied(void *arg)
{
	pause_copied();
}

/*
 * In a copy of a database a job that cannot be paused is left alone; as long as there is one, this is not the
 * home of the jobs, so that each pass tries to pause it before it looks for jobs that may start.
 */
static void
come_home_singly(Pass *pass)
{
	Single		single = {
		.pass = pass, .step = pause_all_copied, .scratch = CurrentMemoryContext
	};

	if (kwj_isolate_quietly(run_locked, &single) != NULL)
		for_each(pass, KWJ_LIST_UNFINISHED, PG_INT32_MAX,
				 "the job could not be paused in this copy of its database", pause_copied_singly);
}

/* A pass that looks at everything, each job in transactions of its own. */
static void
look_job_by_job(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	Single		single = {.pass = pass, .scratch = CurrentMemoryContext};
	TimestampTz began = GetCurrentTimestamp();

	memset(pass, 0, sizeof(*pass));
	pass->next = pass->later = pass->refused_again = DT_NOEND;
	pass->all = pass->news = true;
	pass->for_rounds = KWJ_ALL_NEWS;
	looked_at_all = began;
	if (!at_home)
		come_home_singly(pass);
	for_each(pass, KWJ_LIST_ACTIVE, SINGLE_STEP, "the attempt could not be ended", adopt_singly);
	for_each(pass, KWJ_LIST_REQUESTED, SINGLE_STEP,
			 "what was asked of the job could not be done", settle_singly);
	kwj_shared_watch(true);
	for_each(pass, KWJ_LIST_UNTOLD, SINGLE_STEP,
			 "the jobs that depend on this one could not be told of its end", tell_singly);
	for_each(pass, KWJ_LIST_DEPENDENT, SINGLE_STEP,
			 "the jobs on which this one depends could not be looked up", meet_singly);
	for_each(pass, KWJ_LIST_DUE, SINGLE_STEP, "the job could not be made ready", promote_singly);
	if (!pass->no_extension)
		claim_singly(pass);
	if (!pass->no_extension)
		run_step(&single, find_next_due);
	kwj_careful_end_pass(began);
	next_due = Min(next_due, kwj_careful_next());
	pass->next = next_due;
}

/*
 * Jobs whose dependencies nobody could mark when the other job ended, if there may be any. Returns whether
 * there may be more.
 */
static bool
find_overlooked(void)
{
	static bool more = false;
	Pass		pass = {0};

	if (!kwj_shared_take_overlooked() && !more)
		return false;
	for_each(&pass, KWJ_LIST_OVERLOOKED, SINGLE_STEP,
			 "the end of a job on which this one depends could not be noted", look_again_singly);
	look_at_all = true;
	return more = pass.again;
}

static bool
is_any_requested(const List *active)
{
	ListCell   *lc;

	foreach(lc, active)
		if (((KwjActive *) lfirst(lc))->request != KWJ_REQUEST_NONE)
			return true;
	return false;
}

/*
 * Whether this process has something to do. While jobs run and nothing is asked of them it has not: their workers settle
 * them, and need a coordinator only afterwards. A pass that does not look at everything finds no less than the last one.
 */
static bool
is_busy(const Pass *pass)
{
	static bool busy = true;

	busy = pass->again || pass->no_room || pass->claims != NIL || pass->later != DT_NOEND ||
		pass->queue.who != KWJ_NOBODY_WAITS || pass->queue.refused || OidIsValid(pass->queue.limited) ||
		is_any_requested(pass->active) || goes_job_by_job() || (busy && !pass->all);
	return busy;
}

/* One pass. Returns when the next is due, if this process stays. */
static TimestampTz
run_pass(MemoryContext scratch)
{
	Pass		pass = {0};
	TimestampTz retention_next;
	TimestampTz leave_next;
	KwjWorkerInfo *workers;
	XLogRecPtr	last_commit;
	bool		overlooked;
	int			elsewhere;
	int			n;

	MemoryContextReset(scratch);
	MemoryContextSwitchTo(scratch);
	kwj_dispatch_reap();
	overlooked = find_overlooked();
	begin_pass(&pass);

	/*
	 * Workers before rows: an attempt whose worker leaves in between is still
	 * taken for live, and its exit wakes this process again.
	 */
	workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	n = kwj_shared_workers(workers, &elsewhere);
	if (n < workers_without_room)
	{
		room_again = 0;
		no_room_ms = 0;
	}
	workers_without_room = Min(workers_without_room, n);

	last_commit = XactLastCommitEnd;
	if (goes_job_by_job() || !look_at_once(&pass, workers, n))
		look_job_by_job(&pass, workers, n);
	pass.again |= overlooked;

	if (pass.no_extension)
	{
		kwj_shared_coordinator_leaves_for_good();
		proc_exit(0);
	}
	if (first_pass)
		kwj_shared_coordinator_at_home();
	first_pass = false;
	kwj_adopt_know_all();
	pass.next = act(&pass, workers, n);
	if (pass.all)
		pass.again |= kwj_deadlock_end_one(pass.no_room && no_room_ms >= NO_ROOM_REPORT_MS,
										   pass.news || pass.changed || pass.claims != NIL,
										   &pass.later);
	/* nothing else needs to be on disk: not what retention deleted, if this pass wrote nothing */
	if (XactLastCommitEnd != last_commit)
		XLogFlush(XactLastCommitEnd);
	/* else autovacuum would not know of the rows that passes leave dead */
	pgstat_report_stat(true);
	retention_next = kwj_retention_run();
	leave_next = kwj_leave_or_stay(is_busy(&pass), pass.all, pass.next);
	return Min(end_pass(&pass), Min(retention_next, leave_next));
}

void
kwj_coordinator_main(Datum arg)
{
	Oid			dboid = DatumGetObjectId(arg);
	MemoryContext scratch;
	bool		interrupted;

	kwj_process_set_signals();
	if (!kwj_shared_attach_coordinator(dboid, &interrupted))
		proc_exit(0);
	kwj_adopt_init(interrupted);
	kwj_process_connect(dboid);
	kwj_process_pin_settings();
	/* of what commits outside of passes */
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	/*
	 * What the store does not want in its plans makes them look very expensive, so they would be
	 * compiled; that takes longer than they do.
	 */
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	/* else deleting a job would leave behind what goes by ON DELETE CASCADE */
	SetConfigOption("session_replication_role", "origin", PGC_SUSET, PGC_S_OVERRIDE);
	/* rows that others have locked it leaves alone; whoever locks a whole table stops all jobs */
	SetConfigOption("log_lock_waits", "on", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname("kwjobs coordinator");

	kwj_process_reload_at_start();
	kwj_dispatch_init();
	careful_until = TimestampTzPlusMilliseconds(kwj_shared_ready_since(), CAREFUL_MS);
	scratch = AllocSetContextCreate(TopMemoryContext, "kwjobs pass",
									ALLOCSET_DEFAULT_SIZES);
	kwj_server_start_record();
	for (;;)
	{
		/* the first pass comes after a transaction that may take long */
		kwj_process_reload();
		kwj_process_wait(run_pass(scratch));
	}
}

/*
 * src/process/coordinator.c
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
 * (starting workers, signals) only after its commit. An error ends the process; the
 * launcher starts the next one, later and later if they die young.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "job/settle.h"
#include "job/store.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/assign.h"
#include "process/deadlock.h"
#include "process/dispatch.h"
#include "process/leave.h"
#include "process/no_room.h"
#include "process/process.h"
#include "process/refusal.h"
#include "process/retention.h"
#include "process/server_start.h"
#include "process/shared_state.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A pass that does not look at everything is followed by one that does, after this at the latest. */
#define LOOK_AT_ALL_MS		1000

/* At most so many at once, so that passes are short. */
#define PROMOTE_STEP		1000
#define DEPENDENCY_STEP		1000
#define SETTLE_STEP			1000
/*
 * The first and the longest wait between two looks whether a worker can be had. The postmaster
 * frees the slot of one that leaves a moment after it has left; what lasts longer is reported.
 */
#define NO_ROOM_FIRST_MS	10
#define NO_ROOM_LONGEST_MS	5000
#define NO_ROOM_REPORT_MS	500
#define REFUSED_RETRY_MS	60000
/* So long after a start of the server coordinators wait for the disk, as a crash may have been the cause. */
#define CAREFUL_MS			60000

static bool predecessor_interrupted;
static bool first_pass = true;
static TimestampTz careful_until;

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
	TimestampTz from;			/* no job that may start has a lower rank */
	bool		no_extension;
	List	   *active;			/* of KwjActive; only of a pass that looks at everything */
	List	   *claims;			/* of KwjClaim */
	KwjQueue	queue;			/* who still waits */
	bool		wait_for_disk;	/* before the claims are handed over */
	bool		no_room;		/* the server had none for a worker */
	bool		again;			/* more to do at once */
	TimestampTz refused_again;	/* when to look again at roles that cannot have a worker */
	TimestampTz next;			/* else when to look again */
} Pass;

/* The job's owner is gone: no worker can ever be had. */
static void
settle_impossible(const KwjActive *lost)
{
	KwjError	error = {
		.code = ERRCODE_UNDEFINED_OBJECT,
		.message = psprintf("the job's owner, the role with OID %u, does not exist any more",
							lost->owner),
		.hint = "Create the job again as another role. If its changes could not be reverted, undo them by hand.",
	};

	kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_IMPOSSIBLE, &error, KWJ_SKIP_LOCKED);
}

static void
settle_lost(const KwjActive *lost)
{
	KwjError	interrupted = {
		.code = ERRCODE_ADMIN_SHUTDOWN,
		.message = "the worker was stopped with the server, or for a command on its database or on the extension",
	};
	KwjError	timeout = {0};
	KwjError	crashed = {
		.code = ERRCODE_CRASH_SHUTDOWN,
		.message = first_pass ?
		"the server or the worker was stopped while the attempt ran" :
		"the worker ended before it could settle the attempt",
		.hint = "The server log says more.",
	};

	if (first_pass && predecessor_interrupted)
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_INTERRUPTED, &interrupted,
						 KWJ_SKIP_LOCKED);
	/* workers may be gone before the postmaster's signal is here */
	else if (!first_pass && lost->exceeded_ms == 0 && kwj_process_server_stops())
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_STOPPED, &interrupted,
						 KWJ_SKIP_LOCKED);
	/* it did not heed its interrupts, and was terminated: no crash, even if nobody asks any more */
	else if (kwj_dispatch_has_terminated(lost->job_id, lost->attempt))
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_REQUESTED, &crashed,
						 KWJ_SKIP_LOCKED);
	else if (!first_pass && lost->exceeded_ms > 0)
	{
		/* it did not heed its interrupts, and was terminated */
		kwj_settle_explain_timeout(&timeout, lost->exceeded_ms, lost->exceeded_ms != kwj_max_timeout);
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_TIMEOUT, &timeout,
						 KWJ_SKIP_LOCKED);
	}
	else
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_CRASHED, &crashed,
						 KWJ_SKIP_LOCKED);
}

/*
 * Settle an attempt whose worker is gone. One that never said that it is there, or left in
 * order before, has not begun.
 */
static void
adopt(const KwjActive *lost)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(lost->owner)))
		settle_impossible(lost);
	else if (lost->pid == 0 && !first_pass)
		kwj_store_unclaim(lost->job_id, lost->attempt,
						  "waiting: its worker could not connect, the server log says why",
						  REFUSED_RETRY_MS);
	else if (lost->pid == 0 || kwj_shared_was_unbegun(lost->job_id, lost->attempt))
		kwj_store_unclaim(lost->job_id, lost->attempt, "waiting for a new worker", 0);
	else
		settle_lost(lost);
}

/*
 * Settle the attempts that no worker has: neither before the rows were read, as a worker
 * may have left since, nor after, as it may have gone on to another job. Returns
 * the others.
 */
static List *
adopt_orphans(List *active, const KwjWorkerInfo *before, int n_before)
{
	KwjWorkerInfo *after = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n_after = kwj_shared_workers(after, &elsewhere);
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);

		if (kwj_has_worker(before, n_before, item->job_id, item->attempt) ||
			kwj_has_worker(after, n_after, item->job_id, item->attempt))
			continue;
		adopt(item);
		active = foreach_delete_current(active, lc);
	}
	return active;
}

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

/* Find workers for jobs that may start, and begin their attempts. */
static void
claim(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	/* one more than can have a worker now: who waits */
	int			limit = Min(kwj_shared_capacity() + 1, kwj_worker_slots);
	KwjQueue   *queue = &pass->queue;
	List	   *refused = kwj_refusal_review();
	List	   *candidates = kwj_store_candidates(limit, refused, pass->from);

	lowest_rank = find_lowest_rank(candidates);
	pass->claims = kwj_assign(candidates, workers, n, GetCurrentTimestamp() >= room_again, queue);
	if (pass->claims != NIL)
	{
		kwj_store_begin(pass->claims);
		pass->wait_for_disk = is_retry_among(pass->claims) ||
			GetCurrentTimestamp() < careful_until;
		pass->again |= is_workerless_among(pass->claims);
	}
	if (queue->who == KWJ_ONE_WAITS)
		queue->n = kwj_store_ready(queue->owner, queue->job_type, pass->from, queue->job_ids,
								   kwj_shared_queue_length());
	pass->refused_again = kwj_refusal_next();
	queue->refused = pass->refused_again != DT_NOEND;
}

/* In a copy of a database the jobs do not run a second time. */
static void
pause_copied(void)
{
	uint64		paused = kwj_store_come_home();

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
look_at_everything(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	KwjToDo		todo;
	uint64		promoted = 0;

	kwj_store_look(now, &todo);
	if (todo.active)
	{
		List	   *active = kwj_store_active();
		int			n_active = list_length(active);

		pass->active = adopt_orphans(active, workers, n);
		/* what is asked of an attempt that was taken back is asked of a job that nobody runs */
		todo.requested |= list_length(pass->active) < n_active;
	}
	if (todo.requested)
		pass->again |= kwj_store_settle_idle(SETTLE_STEP);
	/* before looking: what a worker's commit holds up now is looked at after it */
	kwj_shared_watch(todo.dependencies);
	if (todo.dependencies)
		pass->again |= kwj_store_meet_dependencies(DEPENDENCY_STEP);

	/* what was settled may be due at once */
	if (todo.active || todo.requested || todo.dependencies || todo.due)
	{
		now = GetCurrentTimestamp();
		promoted = kwj_store_promote(now, PROMOTE_STEP);
		pass->again |= promoted == PROMOTE_STEP;
	}
	lowest_rank = DT_NOEND;
	if (todo.ready || promoted > 0)
		claim(pass, workers, n);
	next_due = Min(kwj_store_next_due(now), pass->refused_again);
	pass->next = next_due;
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
take_claim_back(const KwjClaim *claim)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	kwj_store_unclaim(claim->job_id, claim->attempt, "waiting for a background worker slot",
					  no_room_ms);
	PopActiveSnapshot();
	CommitTransactionCommand();
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

	pass->next = pass->refused_again = DT_NOEND;
	pass->all = look_at_all || created == DT_NOBEGIN || now >= next_due ||
		TimestampDifferenceExceeds(looked_at_all, now, LOOK_AT_ALL_MS);
	pass->from = pass->all ? DT_NOBEGIN : Min(lowest_rank, created);
	if (pass->all)
		looked_at_all = now;
	look_at_all = false;
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

	busy = pass->again || pass->no_room || pass->claims != NIL ||
		pass->queue.who != KWJ_NOBODY_WAITS || pass->queue.refused || OidIsValid(pass->queue.limited) ||
		is_any_requested(pass->active) || (busy && !pass->all);
	return busy;
}

/* When the next one is due. */
static TimestampTz
end_pass(const Pass *pass)
{
	look_at_all = pass->again;
	if (pass->again)
		return GetCurrentTimestamp();
	if (pass->all)
		return pass->next;
	return Min(pass->next, TimestampTzPlusMilliseconds(looked_at_all, LOOK_AT_ALL_MS));
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
	int			elsewhere;
	int			n;

	MemoryContextReset(scratch);
	MemoryContextSwitchTo(scratch);
	kwj_dispatch_reap();
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

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(scratch);
	look(&pass, workers, n);
	PopActiveSnapshot();
	last_commit = XactLastCommitEnd;
	commit(&pass);
	MemoryContextSwitchTo(scratch);

	if (pass.no_extension)
	{
		kwj_shared_coordinator_leaves_for_good();
		proc_exit(0);
	}
	if (first_pass)
		kwj_shared_coordinator_at_home();
	first_pass = false;
	pass.next = act(&pass, workers, n);
	if (pass.all)
		pass.again |= kwj_deadlock_end_one(pass.no_room && no_room_ms >= NO_ROOM_REPORT_MS);
	/* nothing else needs to be on disk: not what retention deleted, if this pass wrote nothing */
	if (XactLastCommitEnd != last_commit)
		XLogFlush(XactLastCommitEnd);
	/* else autovacuum would not know of the rows that passes leave dead */
	pgstat_report_stat(true);
	retention_next = kwj_retention_run();
	leave_next = kwj_leave_or_stay(is_busy(&pass), pass.all, pass.next);
	return Min(end_pass(&pass), Min(retention_next, leave_next));
}

bool
kwj_coordinator_start(Oid dboid, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	kwj_process_describe(&worker, "kwj_coordinator_main", "kwjobs coordinator");
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = ObjectIdGetDatum(dboid);
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

void
kwj_coordinator_main(Datum arg)
{
	Oid			dboid = DatumGetObjectId(arg);
	MemoryContext scratch;

	kwj_process_set_signals();
	if (!kwj_shared_attach_coordinator(dboid, &predecessor_interrupted))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, 0);
	kwj_process_pin_settings();
	/* of what commits outside of passes */
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	/* else deleting a job would leave behind what goes by ON DELETE CASCADE */
	SetConfigOption("session_replication_role", "origin", PGC_SUSET, PGC_S_OVERRIDE);
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

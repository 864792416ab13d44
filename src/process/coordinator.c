/*
 * src/process/coordinator.c
 *	  The coordinator of a database: claims due jobs, gives them to workers, settles
 *	  what nobody else can, keeps the history short.
 *
 * Process: coordinator, one for each database with kwjobs, connected as the bootstrap
 * superuser. Locks: the extension, shared, until the end of a pass; rows of kwjobs.job
 * with SKIP LOCKED.
 *
 * Each pass is one short transaction that looks at everything again; wake-ups only
 * shorten the wait for the next. What a pass decides takes effect outside the tables
 * (starting workers, signals) only after its commit. An error ends the process; the
 * launcher starts the next one, later and later if they die young.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "job/settle.h"
#include "job/store.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/process.h"
#include "process/retention.h"
#include "process/server_start.h"
#include "process/shared_state.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A paused attempt that has not stopped by itself after this is interrupted. */
#define PAUSE_GRACE_MS		500
/* A worker that the postmaster could not fork is given up after this. */
#define ATTACH_LIMIT_MS		60000
#define NO_ROOM_RETRY_MS	1000

/* What this process remembers of a slot, to deliver requests once. */
typedef struct Dispatch
{
	uint32		generation;		/* of the slot; else the rest is old */
	BackgroundWorkerHandle *handle; /* or NULL: started by a predecessor */
	KwjRequest	delivered;
	TimestampTz interrupt_at;	/* DT_NOEND: not, or done */
} Dispatch;

static Dispatch *dispatches;	/* kwj_max_workers, by slot */
static bool predecessor_interrupted;
static bool first_pass = true;
static bool no_room_logged = false;

/* What a pass found, for after its commit. */
typedef struct Pass
{
	bool		no_extension;
	List	   *active;			/* of KwjActive */
	List	   *claims;			/* of KwjClaim */
	TimestampTz next;			/* when to look again */
} Pass;

static bool
is_live(const KwjActive *active, const KwjWorkerInfo *workers, int n)
{
	for (int i = 0; i < n; i++)
		if (workers[i].job_id == active->job_id && workers[i].attempt == active->attempt)
			return true;
	return false;
}

/* Why an attempt's worker could not be had, or *kind = CRASHED: it is just gone. */
static void
explain_loss(const KwjActive *lost, KwjEndKind *kind, KwjError *error)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(lost->owner));

	memset(error, 0, sizeof(*error));
	*kind = KWJ_END_REFUSED;
	if (!HeapTupleIsValid(tuple))
	{
		error->code = ERRCODE_UNDEFINED_OBJECT;
		error->message = psprintf("the job's owner, the role with OID %u, does not exist any more",
								  lost->owner);
		error->hint = "Create the job again as another role. If its changes could not be reverted, undo them by hand.";
		return;
	}
	if (!((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin)
	{
		error->code = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		error->message = psprintf("the job's owner, role \"%s\", is not permitted to log in",
								  NameStr(((Form_pg_authid) GETSTRUCT(tuple))->rolname));
		error->hint = "Run ALTER ROLE ... LOGIN and create the job again.";
	}
	else if (first_pass && predecessor_interrupted)
	{
		*kind = KWJ_END_INTERRUPTED;
		error->code = ERRCODE_ADMIN_SHUTDOWN;
		error->message = "the worker was stopped for a command on its database or on the extension";
	}
	else
	{
		*kind = KWJ_END_CRASHED;
		error->code = ERRCODE_CRASH_SHUTDOWN;
		error->message = first_pass ?
			"the server or the worker was stopped while the attempt ran" :
			"the worker ended before it could settle the attempt";
		error->hint = "The server log says more.";
	}
	ReleaseSysCache(tuple);
}

/* Settle attempts whose worker is gone. */
static void
adopt_orphans(List *active, const KwjWorkerInfo *workers, int n)
{
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);
		KwjEndKind	kind;
		KwjError	error;

		if (is_live(item, workers, n))
			continue;
		explain_loss(item, &kind, &error);
		kwj_settle_error(item->job_id, item->attempt, kind, &error, KWJ_SKIP_LOCKED);
	}
}

/* The transaction of a pass. */
static void
look(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	TimestampTz now;
	int			free_slots;

	if (!kwj_process_lock_extension())
	{
		pass->no_extension = true;
		return;
	}
	pass->active = kwj_store_active();
	adopt_orphans(pass->active, workers, n);
	kwj_store_settle_idle();

	now = GetCurrentTimestamp();
	free_slots = kwj_shared_free_slots();
	if (free_slots > 0)
		pass->claims = kwj_store_claim(free_slots, now);
	pass->next = kwj_store_next_due(now);
}

static void
log_no_room(void)
{
	if (!no_room_logged)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("kwjobs cannot start a worker: out of background worker slots"),
				 errdetail("Jobs wait."),
				 errhint("Increase max_worker_processes and restart the server.")));
	no_room_logged = true;
}

/*
 * Start the worker of a claim. NULL if that worked, otherwise what the job has to wait
 * for.
 */
static const char *
dispatch(const KwjClaim *claim)
{
	uint32		generation;
	int			slot = kwj_shared_reserve_slot(claim->job_id, claim->attempt,
											   claim->owner, &generation);
	Dispatch   *d;
	MemoryContext old;
	bool		room;

	/* another database's coordinator was faster; the next free slot wakes this one */
	if (slot < 0)
		return "waiting for a free worker";
	d = &dispatches[slot];
	if (d->handle != NULL)
		pfree(d->handle);
	memset(d, 0, sizeof(*d));
	d->generation = generation;
	d->interrupt_at = DT_NOEND;

	old = MemoryContextSwitchTo(TopMemoryContext);
	room = kwj_worker_start(slot, generation, claim->owner, &d->handle);
	MemoryContextSwitchTo(old);
	if (room)
	{
		no_room_logged = false;
		return NULL;
	}
	kwj_shared_free_slot(slot, generation);
	log_no_room();
	return "waiting for a background worker slot";
}

/* Start workers for what was claimed; what has no room goes back. */
static void
dispatch_all(List *claims)
{
	ListCell   *lc;

	foreach(lc, claims)
	{
		const char *why = dispatch(lfirst(lc));

		if (why == NULL)
			continue;
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		kwj_store_unclaim(lfirst(lc), why, NO_ROOM_RETRY_MS);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
}

static KwjRequest
request_for(const KwjWorkerInfo *worker, List *active)
{
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);

		if (item->job_id == worker->job_id && item->attempt == worker->attempt)
			return item->request;
	}
	return KWJ_REQUEST_NONE;
}

/* Tell a worker what is asked of its job; returns when to come back for that. */
static TimestampTz
deliver(const KwjWorkerInfo *worker, KwjRequest request)
{
	Dispatch   *d = &dispatches[worker->slot];
	TimestampTz now = GetCurrentTimestamp();

	if (d->generation != worker->generation)
	{
		memset(d, 0, sizeof(*d));
		d->generation = worker->generation;
		d->interrupt_at = DT_NOEND;
	}
	if (request != KWJ_REQUEST_NONE && request != d->delivered)
	{
		d->delivered = request;
		d->interrupt_at = TimestampTzPlusMilliseconds(now,
													  request == KWJ_REQUEST_PAUSE ? PAUSE_GRACE_MS : 0);
		kwj_shared_deliver(worker->slot, worker->generation, request, false);
	}
	if (d->interrupt_at <= now)
	{
		d->interrupt_at = DT_NOEND;
		kwj_shared_deliver(worker->slot, worker->generation, d->delivered, true);
	}
	return d->interrupt_at;
}

/*
 * Until when to wait for a worker that has not come to life yet. The postmaster tells
 * who started it; of a predecessor's nobody tells.
 */
static TimestampTz
attach_deadline(const KwjWorkerInfo *worker)
{
	Dispatch   *d = &dispatches[worker->slot];

	if (worker->pid != 0 ||
		(d->generation == worker->generation && d->handle != NULL))
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(worker->launched, ATTACH_LIMIT_MS);
}

/* Whether the worker of a slot never came to life. */
static bool
is_stillborn(const KwjWorkerInfo *worker)
{
	TimestampTz deadline = attach_deadline(worker);
	pid_t		pid;

	if (worker->pid != 0)
		return false;
	if (deadline != DT_NOEND)
		return deadline <= GetCurrentTimestamp();
	return GetBackgroundWorkerPid(dispatches[worker->slot].handle, &pid) == BGWH_STOPPED;
}

/* Free the slots of workers that never came to life: their attempts are lost. */
static void
reap_stillborn(void)
{
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_max_workers);
	int			n = kwj_shared_workers(workers);

	for (int i = 0; i < n; i++)
		if (is_stillborn(&workers[i]))
			kwj_shared_free_slot(workers[i].slot, workers[i].generation);
	pfree(workers);
}

/* After the commit: start workers, deliver requests. Returns when to come back. */
static TimestampTz
act(Pass *pass, const KwjWorkerInfo *workers, int n)
{
	TimestampTz next = pass->next;

	dispatch_all(pass->claims);
	for (int i = 0; i < n; i++)
	{
		TimestampTz due = deliver(&workers[i], request_for(&workers[i], pass->active));

		next = Min(next, Min(due, attach_deadline(&workers[i])));
	}
	return next;
}

/* One pass. Returns when the next is due. */
static TimestampTz
run_pass(MemoryContext scratch)
{
	Pass		pass = {.next = DT_NOEND};
	KwjWorkerInfo *workers;
	int			n;

	MemoryContextReset(scratch);
	MemoryContextSwitchTo(scratch);
	reap_stillborn();

	/*
	 * Workers before rows: an attempt whose worker leaves in between is still
	 * taken for live, and its exit wakes this process again.
	 */
	workers = palloc(sizeof(KwjWorkerInfo) * kwj_max_workers);
	n = kwj_shared_workers(workers);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(scratch);
	look(&pass, workers, n);
	PopActiveSnapshot();
	CommitTransactionCommand();
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
	/* else autovacuum would not know of the rows that passes leave dead */
	pgstat_report_stat(true);
	return Min(pass.next, kwj_retention_run());
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
	/*
	 * Bookkeeping does not wait for standbys: they may be gone, and jobs should still
	 * be stopped then. A failover repeats at most what was not yet sent.
	 */
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname("kwjobs coordinator");

	dispatches = MemoryContextAllocZero(TopMemoryContext,
										sizeof(Dispatch) * kwj_max_workers);
	scratch = AllocSetContextCreate(TopMemoryContext, "kwjobs pass",
									ALLOCSET_DEFAULT_SIZES);
	kwj_server_start_record();
	for (;;)
		kwj_process_wait(run_pass(scratch));
}

/*
 * src/worker/worker.c
 *	  The worker: runs attempts of jobs of one role, connected as that role.
 *
 * Process: worker. The coordinator registers it, the postmaster starts it (process/spawn.h). The
 * states of its slot are drawn in shared/memory.h, the ends of an attempt in lifecycle/settle.c.
 *
 *      attach      to the slot
 *      connect     as the owner of the job
 *      load        read the job <-------------------------------------------+
 *      execute     run the type; settle an error or a request <--+          |
 *         |                                                      |          |
 *         +-- the next job was claimed with the end of this one: reset      |
 *         v                                                                 |
 *      reset       the session                                              |
 *      idle        the coordinator hands a job over ------------------------+
 *         v
 *      exit        after kwjobs.worker_idle_timeout, or when told to; after a reset, if a new
 *                  session of the role would be another one than this
 *
 * The worker attaches first, because exit callbacks run in reverse order: its slot is freed after
 * the session is gone, so that a process which sees the slot free knows that the transaction is
 * over. If the connection is refused, the process ends, and the coordinator finds an attempt
 * without a worker.
 *
 * Locks: those of the work. The settling locks the job's row, and waits for it; a claim locks rows
 * without waiting (store/claim.c). kwj_shared->lock for moments.
 *
 * Interrupts: SIGINT interrupts the work. The coordinator sends it for CANCEL, and for PAUSE after
 * a grace; the worker sends it to itself when the time of the attempt is over. It never interrupts
 * the settling or an idle worker, because cancels are held off except between begin_work and
 * end_work.
 *
 * If the worker dies while it is idle, nothing is lost. If it dies before the work has begun, its
 * exit callback tells the coordinator, which takes the claim back. If it dies later, the
 * coordinator finds an attempt without a worker, and settles that; the next attempt goes on from
 * the last checkpoint. If the coordinator dies, the worker goes on and settles its job, and the
 * next coordinator finds it in the slot. If the postmaster dies, the worker claims no more jobs,
 * and exits when it next waits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "jit/jit.h"
#include "job/isolate.h"
#include "job/transcript.h"
#include "libpq/pqsignal.h"
#include "lifecycle/attempt.h"
#include "lifecycle/authority.h"
#include "lifecycle/broken.h"
#include "lifecycle/settle.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/process.h"
#include "process/spawn.h"
#include "replication/slot.h"
#include "replication/syncrep.h"
#include "shared/worker.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "store/attempts.h"
#include "store/claim.h"
#include "store/due.h"
#include "store/store.h"
#include "tcop/tcopprot.h"
#include "type/type.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "worker/reset.h"

/*
 * The attempt that claim_next has claimed, for the time after the commit. This and the next
 * attempt are in contexts of their own, because the next one is loaded while this one is still
 * needed.
 */
static KwjAttempt next;
static bool has_next = false;
static bool claims_apart = false;	/* claim_next is to run in a transaction of its own */
static MemoryContext this_context;
static MemoryContext next_context;

/*
 * An attempt that goes on after its time is over is interrupted again so many times, then
 * terminated.
 */
#define INTERRUPT_AGAIN_MS	1000
#define MAX_INTERRUPTS		5
/* The timeouts of PostgreSQL are of type int, so a long one is armed in several steps. */
#define LONGEST_TIMEOUT_MS	(24 * 60 * 60 * 1000)

static volatile sig_atomic_t timed_out = false;
static int64 limit_ms;			/* how long the attempt may take; 0: no limit */
static TimeoutId attempt_timeout;
static int64 time_left_ms;		/* what is left after the timeout that is armed */
static int	interrupts;

static void
arm_timeout(int64 ms)
{
	int			now = (int) Min(ms, LONGEST_TIMEOUT_MS);

	time_left_ms = ms - now;
	enable_timeout_after(attempt_timeout, now);
}

static void
on_timeout(void)
{
	if (time_left_ms > 0)
	{
		arm_timeout(time_left_ms);
		return;
	}
	timed_out = true;
	kill(MyProcPid, interrupts++ < MAX_INTERRUPTS ? SIGINT : SIGTERM);
	arm_timeout(INTERRUPT_AGAIN_MS);
}

static void
name_attempt(void *arg)
{
	KwjAttempt *attempt = arg;

	errcontext("kwjobs job " INT64_FORMAT " (%s), attempt %d",
			   attempt->job_id, attempt->job_type, attempt->attempt);
}

/* Runs the attempt: executes or reverts the job. */
static KwjRequest
run(KwjAttempt *attempt)
{
	const KwjType *type = kwj_type_by_name(attempt->job_type);

	if (!attempt->reverting)
	{
		kwj_authority_check(attempt);
		if (type->execute == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a job of type %s cannot be executed", type->name),
					 errhint("Such jobs are over when they are created.")));
		return type->execute(attempt);
	}
	/*
	 * The type undoes what it did itself, whatever rights the creator of the job still has. Before
	 * it runs what the user gave (on_revert), it checks these rights itself.
	 */
	if (type->revert != NULL)
		type->revert(attempt);
	else
	{
		kwj_attempt_begin(attempt);
		kwj_attempt_reverted(attempt, NULL);
	}
	return KWJ_REQUEST_NONE;
}

/*
 * Takes the claim back, because the attempt needs another session of the role. Returns what
 * kwj_store_unclaim does.
 */
static bool
give_back(int64 job_id, int32 attempt)
{
	return kwj_store_unclaim(job_id, attempt, "waiting for a new worker", 0);
}

/*
 * Returns whether a commit waits for standbys now. A claim in such a commit could not be seen for
 * as long as they are gone, and the job could be neither paused nor canceled.
 */
static bool
commit_waits_for_standby(void)
{
	return SyncRepRequested() && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/*
 * Claims the next job, if no other role or type waits for a worker. Runs in the transaction that
 * settles the job of this attempt, or after it. The slot learns of the claim before the commit. A
 * job whose rows raise an error is left to the coordinator.
 */
static void
claim_next(const KwjAttempt *done, KwjJobTables *tables)
{
	int64		job_id;

	/*
	 * Without a postmaster, the server is about to stop. In a serializable transaction, the reads
	 * for the claim would cause conflicts.
	 */
	if (!PostmasterIsAlive() || IsolationIsSerializable())
		return;
	while (!has_next && kwj_worker_session_is_current() &&
		   kwj_shared_take_job(done->job_type, &job_id))
	{
		MemoryContextReset(next_context);
		has_next = kwj_store_claim(tables, job_id, done, kwj_worker_session_fits, &next,
								   next_context);
	}
	if (has_next)
		kwj_shared_announce(next.job_id, next.attempt);
}

/*
 * Claims the next job in the transaction that settles this one, unless the claim could be in the
 * way of its commit.
 */
static void
claim_within(const KwjAttempt *done, KwjJobTables *tables)
{
	claims_apart = commit_waits_for_standby() || !kwj_store_may_claim_within(tables);
	if (!claims_apart)
		claim_next(done, tables);
}

/* The transaction in which the next job was claimed is committed, or was rolled back. */
static void
begin_next(bool committed)
{
	if (has_next)
		kwj_shared_begin_announced(committed);
	has_next &= committed;
}

/* How the worker settles an attempt that has not settled itself. */
typedef struct Settling
{
	int64		job_id;
	int32		attempt;
	KwjRequest	request;		/* it stopped for this; else it ended by an error: */
	KwjEndKind	kind;
	KwjError	error;
	const KwjAttempt *done;		/* the attempt after which a job may be claimed, or NULL */
} Settling;

/*
 * Returns whether the work was canceled because of a request, which may have been taken back
 * since.
 */
static bool
ends_by_request(const KwjAttempt *attempt, const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		(attempt->stopped || kwj_progress_interrupted());
}

static void
settle_step(void *arg)
{
	Settling   *settling = arg;
	KwjJobTables *tables;

	if (settling->request != KWJ_REQUEST_NONE)
		kwj_settle_request(settling->job_id, settling->attempt, settling->request);
	else
		kwj_settle_error(settling->job_id, settling->attempt, settling->kind, &settling->error,
						 KWJ_WAIT);
	if (settling->done != NULL)
	{
		tables = kwj_open_job_tables();
		claim_within(settling->done, tables);
		kwj_close_job_tables(tables);
	}
}

/*
 * Settles the attempt in a transaction that no cancel interrupts. If its rows raise an error
 * twice, the job ends with that error. If the error is one that may pass, or the job cannot even
 * be ended, the coordinator finds an attempt without a worker.
 */
static void
settle(Settling *settling)
{
	ErrorData  *edata;

	/* A cancel that came too late for the work would end the wait of the commit for a standby. */
	kwj_shared_begin_commit();
	QueryCancelPending = false;
	edata = kwj_isolate(settle_step, settling);
	begin_next(edata == NULL);
	if (edata == NULL)
		return;
	/* An error that comes only once does not end the job. */
	edata = kwj_isolate_quietly(settle_step, settling);
	begin_next(edata == NULL);
	if (edata != NULL && !kwj_error_may_pass(edata))
		(void) kwj_break_job(settling->job_id, "the attempt could not be ended", edata);
}

static void
settle_request(const KwjAttempt *attempt, KwjRequest request)
{
	Settling	settling = {
		.job_id = attempt->job_id, .attempt = attempt->attempt, .request = request
	};

	settle(&settling);
}

static KwjError
error_of(const ErrorData *edata)
{
	KwjError	error = {
		.code = edata->sqlerrcode,
		.message = edata->message,
		.detail = edata->detail,
		.hint = edata->hint,
		.context = edata->context,
	};

	return error;
}

static void
settle_error(KwjAttempt *attempt, const ErrorData *edata)
{
	Settling	settling = {
		.job_id = attempt->job_id, .attempt = attempt->attempt,
		.kind = KWJ_END_ERROR, .error = error_of(edata), .done = attempt
	};

	settling.error.file = attempt->error_file;
	settling.error.line = attempt->error_line;
	settling.error.column = attempt->error_column;
	if (attempt->canceled)
		settling.request = KWJ_REQUEST_CANCEL;
	else if (timed_out && edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		settling.kind = KWJ_END_TIMEOUT;
		kwj_settle_explain_timeout(&settling.error, limit_ms, limit_ms == attempt->timeout_ms);
	}
	else if (ends_by_request(attempt, edata))
		settling.kind = KWJ_END_REQUESTED;
	settle(&settling);
}

static void
claim_step(void *arg)
{
	KwjJobTables *tables;

	(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	tables = kwj_open_job_tables();
	claim_next(arg, tables);
	kwj_close_job_tables(tables);
}

/*
 * Claims the next job in a transaction of its own, after the attempt is settled. That transaction
 * waits for no standby.
 */
static void
claim_apart(KwjAttempt *done)
{
	begin_next(kwj_isolate(claim_step, done) == NULL);
}

/* Only the commit is left to do: neither the timeout nor a request may disturb it. */
static void
work_is_over(const KwjAttempt *attempt)
{
	if (limit_ms > 0)
		disable_timeout(attempt_timeout, false);
	kwj_shared_begin_commit();
}

static const KwjAttemptHooks attempt_hooks = {work_is_over, claim_within};

/*
 * Returns the type that the attempt reverts; NULL if it does not revert, or its type is unknown.
 */
static const KwjType *
reverted_type(const KwjAttempt *attempt)
{
	return attempt->reverting && kwj_type_exists(attempt->job_type) ?
		kwj_type_by_name(attempt->job_type) : NULL;
}

/* Returns how many milliseconds the attempt may take; 0: there is no limit. */
static int64
time_limit(const KwjAttempt *attempt)
{
	const KwjType *reverted = reverted_type(attempt);

	if (reverted != NULL && reverted->reverts_at_length)
		return attempt->timeout_ms;
	return kwj_settle_limit_timeout(attempt->timeout_ms);
}

/* Begins the work: from now on it may be interrupted, and its time runs. */
static void
begin_work(KwjAttempt *attempt)
{
	kwj_shared_begin_work();
	/*
	 * A pending cancel may have been for the last job. It is pending from now on exactly if there
	 * is a request for this one.
	 */
	QueryCancelPending = kwj_progress_request() != KWJ_REQUEST_NONE;
	attempt->stopped = QueryCancelPending;
	InterruptPending |= QueryCancelPending;
	timed_out = false;
	interrupts = 0;
	limit_ms = time_limit(attempt);
	if (limit_ms > 0)
		arm_timeout(limit_ms);
	RESUME_CANCEL_INTERRUPTS();
}

static void
end_work(const KwjAttempt *attempt)
{
	/*
	 * If the work has raised an error, elog.c has set the counters to 0, so this is right in both
	 * cases.
	 */
	HOLD_CANCEL_INTERRUPTS();
	if (limit_ms > 0)
		disable_timeout(attempt_timeout, false);
}

/* Does what a session does after an error, beside aborting the transaction. */
static void
forget_error(void)
{
	PortalErrorCleanup();
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	kwj_replication_slot_cleanup();
	jit_reset_after_error();
}

/*
 * Returns the error that the work has raised, copied into the context. Reports it, unless it is
 * the interrupt that a request has sent, which is no news. A library may change an error when it
 * is reported, as Citus does with its distributed deadlocks: then the changed one is the job's
 * error.
 */
static ErrorData *
take_error(const KwjAttempt *attempt, MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	if (!attempt->canceled && !ends_by_request(attempt, edata))
	{
		EmitErrorReport();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
	}
	FlushErrorState();
	return edata;
}

/* Runs the attempt, and settles how it has ended unless the type has done that. */
static void
run_and_settle(KwjAttempt *attempt, MemoryContext context)
{
	ErrorContextCallback callback = {error_context_stack, name_attempt, attempt};
	volatile KwjRequest request = KWJ_REQUEST_NONE;
	ErrorData  *volatile edata = NULL;

	error_context_stack = &callback;
	begin_work(attempt);
	PG_TRY();
	{
		request = run(attempt);
		end_work(attempt);
		begin_next(true);
	}
	PG_CATCH();
	{
		end_work(attempt);
		begin_next(false);
		edata = take_error(attempt, context);
		HOLD_INTERRUPTS();
		AbortCurrentTransaction();
		forget_error();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(context);

	if (edata != NULL)
		settle_error(attempt, edata);
	else if (request != KWJ_REQUEST_NONE)
		settle_request(attempt, request);
}

typedef struct Loading
{
	const KwjAssignment *assignment;
	KwjAttempt *attempt;
	KwjRequest	request;
	bool		mine;
	bool		given_back;
} Loading;

/* Returns whether the attempt may run in this session. */
static bool
fits(const KwjAttempt *attempt)
{
	const KwjType *reverted = reverted_type(attempt);

	if (reverted != NULL && reverted->reverts_in_new_session && !kwj_worker_session_is_new())
		return false;
	return kwj_worker_session_fits(attempt->payload);
}

static void
load_step(void *arg)
{
	Loading    *loading = arg;
	int64		job_id = loading->assignment->job_id;
	int32		attempt = loading->assignment->attempt;

	/*
	 * No standby has to know that the work begins. The disk does, because the work may crash the
	 * server.
	 */
	(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (kwj_worker_session_is_current())
		loading->mine = kwj_store_load(job_id, attempt, loading->attempt, &loading->request,
									   this_context);
	else
		loading->given_back = give_back(job_id, attempt);
	if (loading->mine && !fits(loading->attempt))
	{
		loading->given_back = give_back(job_id, attempt);
		loading->mine = false;
	}
}

/* The job's rows cannot be read: ends the attempt with that error. */
static void
settle_unreadable(const KwjAssignment *assignment, const ErrorData *edata)
{
	Settling	settling = {
		.job_id = assignment->job_id, .attempt = assignment->attempt,
		.kind = KWJ_END_ERROR, .error = error_of(edata)
	};

	kwj_transcript_reset();
	settling.error.message = psprintf("the job could not be read: %s", edata->message);
	settle(&settling);
}

/*
 * Reads the job. Returns false if this is not its active attempt any more, or if it cannot be
 * read. If the job needs another session of the role, the claim is taken back, and this worker
 * exits.
 */
static bool
load(const KwjAssignment *assignment, KwjAttempt *attempt, KwjRequest *request)
{
	Loading		loading = {.assignment = assignment, .attempt = attempt};
	ErrorData  *edata;

	has_next = false;
	edata = kwj_isolate(load_step, &loading);
	if (edata != NULL)
	{
		settle_unreadable(assignment, edata);
		return false;
	}
	if (loading.given_back)
		kwj_shared_worker_gives_back();
	*request = loading.request;
	return loading.mine;
}

static void
report_activity(const KwjAttempt *attempt)
{
	char	   *what = psprintf("kwjobs job " INT64_FORMAT " (%s)%s", attempt->job_id,
								attempt->job_type, attempt->reverting ? " reverting" : "");

	pgstat_report_appname(what);
	pgstat_report_activity(STATE_RUNNING, what);
	pfree(what);
}

static void
report_idle(void)
{
	pgstat_report_appname("kwjobs worker");
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(true);
}

/* Runs an attempt that is loaded, and settles it. */
static void
execute(KwjAttempt *attempt, KwjRequest request)
{
	kwj_process_reload();
	MemoryContextSwitchTo(this_context);
	has_next = claims_apart = false;
	kwj_transcript_reset();
	report_activity(attempt);
	kwj_progress_begin(attempt->reverting);
	kwj_attempt_set_current(attempt);
	if (request != KWJ_REQUEST_NONE)
		settle_request(attempt, request);
	else
		run_and_settle(attempt, this_context);
	kwj_attempt_set_current(NULL);
	if (!has_next && claims_apart)
		claim_apart(attempt);
}

/* The attempt that was claimed becomes the one that runs. */
static void
take_next(KwjAttempt *attempt)
{
	MemoryContext done = this_context;

	*attempt = next;
	this_context = next_context;
	next_context = done;
}

/*
 * Runs the attempt that was handed over, and those that are claimed after it. Between two jobs the
 * session is reset. If that fails, the error ends the process.
 */
static void
work(const KwjAssignment *assignment)
{
	KwjAttempt	attempt;
	KwjRequest	request = KWJ_REQUEST_NONE;

	MemoryContextReset(this_context);
	MemoryContextSwitchTo(this_context);
	if (!load(assignment, &attempt, &request))
		return;
	execute(&attempt, request);
	while (has_next)
	{
		kwj_worker_session_reset();
		take_next(&attempt);
		execute(&attempt, KWJ_REQUEST_NONE);
	}
}

/* Returns whether a new session of the role would be like this one. */
static bool
is_session_current(void)
{
	bool		current;

	StartTransactionCommand();
	current = kwj_worker_session_is_current();
	CommitTransactionCommand();
	return current;
}

/* Waits for another job. Returns false if it is time to exit. */
static bool
wait_for_work(KwjAssignment *assignment)
{
	TimestampTz idle_since = GetCurrentTimestamp();

	kwj_shared_worker_idle();
	report_idle();
	while (!kwj_shared_assignment(assignment))
	{
		/* The setting may change meanwhile. */
		TimestampTz deadline = TimestampTzPlusMilliseconds(idle_since, kwj_worker_idle_timeout);
		bool		late = GetCurrentTimestamp() >= deadline;

		if (kwj_shared_worker_leaves(late))
			return false;
		/*
		 * If this worker is late but may not exit, a job is assigned to it, which is about to be
		 * handed over or taken back.
		 */
		kwj_process_wait(late ? DT_NOEND : deadline);
	}
	return true;
}

static void
init(void)
{
	kwj_process_pin_settings();
	attempt_timeout = RegisterTimeout(USER_TIMEOUT, on_timeout);
	this_context = AllocSetContextCreate(TopMemoryContext, "kwjobs attempt",
										 ALLOCSET_DEFAULT_SIZES);
	next_context = AllocSetContextCreate(TopMemoryContext, "kwjobs next attempt",
										 ALLOCSET_DEFAULT_SIZES);
	kwj_attempt_init(&attempt_hooks);
	kwj_worker_session_init();
}

void
kwj_worker_main(Datum arg)
{
	KwjWorkerExtra extra;
	KwjAssignment assignment;

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	pqsignal(SIGINT, StatementCancelHandler);
	kwj_process_set_signals();
	if (!kwj_shared_attach_worker(DatumGetInt32(arg), extra.generation, &assignment))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(assignment.dboid, assignment.role, 0);
	init();

	/* Cancels are for the work only, and begin_work lets them through. */
	HOLD_CANCEL_INTERRUPTS();
	do
	{
		work(&assignment);
		kwj_worker_session_reset();
	} while (is_session_current() && wait_for_work(&assignment));
	proc_exit(0);
}

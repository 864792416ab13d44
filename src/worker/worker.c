/*
 * src/worker/worker.c
 *	  The worker: runs attempts of jobs of one role, connected as that role.
 *
 * Process: worker. The order of its start matters:
 *
 * 1. attach to the slot, which also registers the callback that frees it. Exit
 *	  callbacks run in reverse, so the slot is freed after the session is gone:
 *	  who sees the slot free knows that the transaction is over.
 * 2. connect as the owner. A refused connection ends the process; the
 *	  coordinator then finds an attempt without a worker, and why.
 * 3. read the job. If it is not this attempt's any more, be idle.
 * 4. run; an error aborts the transaction and is settled in a new one.
 * 5. go on with the job that was claimed in the transaction that settled the last one,
 *	  or be idle until the coordinator hands one over.
 *
 * SIGINT interrupts the work (the coordinator sends it for CANCEL, and for PAUSE after
 * a grace), but never the settling, nor an idle worker.
 */
#include "postgres.h"

#include "access/xact.h"
#include "child/child.h"
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
 * What claim_next found, for after the commit. Both are in contexts of their own, as the next
 * attempt is loaded while this one is still there.
 */
static KwjAttempt next;
static bool has_next = false;
static bool claims_apart = false;	/* claim_next is left to a transaction of its own */
static MemoryContext this_context;
static MemoryContext next_context;

/* One that goes on after its time is up is interrupted again, so many times, then terminated. */
#define INTERRUPT_AGAIN_MS	1000
#define MAX_INTERRUPTS		5
/* A timeout of PostgreSQL's is an int. */
#define LONGEST_TIMEOUT_MS	(24 * 60 * 60 * 1000)

static volatile sig_atomic_t timed_out = false;
static int64 limit_ms;			/* what the attempt may take; 0: no limit */
static TimeoutId attempt_timeout;
static int64 time_left_ms;		/* after the timeout that is armed */
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

/* Run what the attempt is for. */
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
	/* the type undoes what it did itself, whatever rights are left, and checks them before it runs what the user gave */
	if (type->revert != NULL)
		type->revert(attempt);
	else
	{
		kwj_attempt_begin(attempt);
		kwj_attempt_reverted(attempt, NULL);
	}
	return KWJ_REQUEST_NONE;
}

/* The attempt is for another session of the role. False: see kwj_store_unclaim. */
static bool
give_back(int64 job_id, int32 attempt)
{
	return kwj_store_unclaim(job_id, attempt, "waiting for a new worker", 0);
}

/*
 * Returns whether a commit now waits for standbys. A claim in it would not be seen meanwhile, and nobody could
 * pause or cancel the job, for as long as they are gone.
 */
static bool
commit_waits_for_standby(void)
{
	return SyncRepRequested() && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/*
 * In the transaction that settles the job of this attempt, or after it: claim the next one, if nobody
 * else waits for a worker. The slot knows of it before the commit. One whose rows raise an error is
 * left to the coordinator.
 */
static void
claim_next(const KwjAttempt *done, KwjJobTables *tables)
{
	int64		job_id;

	/*
	 * Without a postmaster the server is to end. Of serializable transactions, looking for jobs
	 * would make conflicts.
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

/* The same in the transaction that settles, unless the claim could be in the way of its commit. */
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

/* How an attempt is settled that has not settled itself. */
typedef struct Settling
{
	int64		job_id;
	int32		attempt;
	KwjRequest	request;		/* it ended because of this; else by an error: */
	KwjEndKind	kind;
	KwjError	error;
	const KwjAttempt *done;		/* what may be followed by a claim, or NULL */
} Settling;

/* Returns whether the work was canceled because of a request, which may have been taken back since. */
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
 * Settle it in a transaction that no cancel interrupts. If its rows raise an error twice, the job ends with
 * that; should not even that be possible, or the error one that may pass, the coordinator finds an attempt that
 * has no worker.
 */
static void
settle(Settling *settling)
{
	ErrorData  *edata;

	/* a cancel that came too late for the work would end the wait of the commit for a standby */
	kwj_shared_begin_commit();
	QueryCancelPending = false;
	edata = kwj_isolate(settle_step, settling);
	begin_next(edata == NULL);
	if (edata == NULL)
		return;
	/* a job does not end for what has happened once */
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

/* The attempt is settled: claim the next job in a transaction of its own, which waits for no standby. */
static void
claim_apart(KwjAttempt *done)
{
	begin_next(kwj_isolate(claim_step, done) == NULL);
}

/* Neither the job's timeout nor a request is to disturb the commit. */
static void
work_is_over(const KwjAttempt *attempt)
{
	if (limit_ms > 0)
		disable_timeout(attempt_timeout, false);
	kwj_shared_begin_commit();
}

static const KwjAttemptHooks attempt_hooks = {work_is_over, claim_within};

/* What the attempt undoes; NULL if it does not revert, or its type is unknown. */
static const KwjType *
reverted_type(const KwjAttempt *attempt)
{
	return attempt->reverting && kwj_type_exists(attempt->job_type) ?
		kwj_type_by_name(attempt->job_type) : NULL;
}

/* How long this attempt may take. */
static int64
time_limit(const KwjAttempt *attempt)
{
	const KwjType *reverted = reverted_type(attempt);

	if (reverted != NULL && reverted->reverts_at_length)
		return attempt->timeout_ms;
	return kwj_settle_limit_timeout(attempt->timeout_ms);
}

/* The work may be interrupted, and takes no longer than it may. */
static void
begin_work(KwjAttempt *attempt)
{
	kwj_shared_begin_work();
	/* one that came for the last job, or already for this one */
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
	/* after an error nothing is held any more */
	HOLD_CANCEL_INTERRUPTS();
	if (limit_ms > 0)
		disable_timeout(attempt_timeout, false);
	/* before the transaction is aborted, whose snapshot a program may use */
	kwj_children_end();
}

/* What a session does after an error, beside aborting the transaction. */
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
 * The error that the work has raised, copied into the context, and reported unless it is a request that has
 * interrupted the work, which is no news. Libraries may change an error when it is reported, as Citus
 * does with its distributed deadlocks: that is the job's error.
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

/* Run the attempt and settle how it ended, unless the type has done that. */
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

	/* no standby has to know that the work begins; the disk does, in case that it crashes the server */
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

/* The job's rows cannot be read: that is how the attempt ends. */
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
 * Read the job; false if it is not this attempt's any more, or cannot be read. If a new session of the
 * role would be another one than this, or none, the job goes back for such a session, and this one leaves.
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

/* Run an attempt that is loaded, from its beginning to its settling. */
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
 * Run what was handed over, and what follows from it. Between two jobs the session is
 * reset; if that fails, the process ends by the error.
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

/* Wait for another job; false: it is time to leave. */
static bool
wait_for_work(KwjAssignment *assignment)
{
	TimestampTz idle_since = GetCurrentTimestamp();

	kwj_shared_worker_idle();
	report_idle();
	while (!kwj_shared_assignment(assignment))
	{
		/* the setting may change meanwhile */
		TimestampTz deadline = TimestampTzPlusMilliseconds(idle_since, kwj_worker_idle_timeout);
		bool		late = GetCurrentTimestamp() >= deadline;

		if (kwj_shared_worker_leaves(late))
			return false;
		/* late, and not to leave: a job is assigned, and handed over or taken back at once */
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

	/* cancels are for the work only: begin_work lets them through */
	HOLD_CANCEL_INTERRUPTS();
	do
	{
		work(&assignment);
		kwj_worker_session_reset();
	} while (is_session_current() && wait_for_work(&assignment));
	proc_exit(0);
}

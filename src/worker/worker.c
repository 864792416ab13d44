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
 *      execute     run the job; settle an error or a request <---+          |
 *         |                                                      |          |
 *         +-- the next job was claimed with the end of this one: reset      |
 *         v                                                                 |
 *      reset       the session                                              |
 *      idle        the coordinator hands a job over ------------------------+
 *         v
 *      exit        after kwjobs.worker_idle_timeout, or when told to; after a reset, if a new
 *                  session of the role would differ from this one
 *
 * The worker attaches first, because exit callbacks run in reverse order: its slot is freed after
 * the session has ended, so that a process which sees the slot free knows that the transaction is
 * over. If the connection is refused, the process exits, and the coordinator finds an attempt
 * without a worker.
 *
 * Locks: whatever the work takes. To settle an attempt, the worker locks the job's row, and waits
 * for it; a claim locks rows without waiting (store/claim.c). kwj_shared->lock for moments.
 *
 * Interrupts: SIGINT interrupts the work; work.c says who sends it. It never interrupts the
 * settling of an attempt or an idle worker, because query cancels are held off except between
 * begin_work and end_work (work.c).
 *
 * If the worker dies while it is idle, nothing is lost. If it dies before the work has begun, its
 * exit callback tells the coordinator, which takes the claim back. If it dies later, the
 * coordinator finds an attempt without a worker, and settles it; the next attempt goes on from the
 * last checkpoint. If it is killed (kill -9), the server goes through a crash restart: no exit
 * callback runs, and the first pass of a new coordinator settles the attempt. If the coordinator
 * dies, the worker goes on and settles its job, and the next coordinator finds the worker in its
 * slot. If the postmaster dies, the worker claims no more jobs, and exits when it next waits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "job/isolate.h"
#include "job/messages.h"
#include "job/result.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "job/transcript.h"
#include "libpq/pqsignal.h"
#include "lifecycle/attempt.h"
#include "lifecycle/authority.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/process.h"
#include "process/spawn.h"
#include "process/stop.h"
#include "shared/worker.h"
#include "storage/ipc.h"
#include "store/attempts.h"
#include "store/claim.h"
#include "store/due.h"
#include "store/store.h"
#include "tcop/tcopprot.h"
#include "type/type.h"
#include "utils/memutils.h"
#include "worker/claim.h"
#include "worker/held.h"
#include "worker/parts.h"
#include "worker/reset.h"
#include "worker/settle.h"
#include "worker/work.h"

/* The memory of the attempt that runs. */
static MemoryContext this_context;

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
	 * A revert undoes what the job type has done, so it needs no check of the creator's rights.
	 * Only before it runs a statement of the user (on_revert), the type calls
	 * kwj_authority_check().
	 */
	if (type->revert != NULL)
		type->revert(attempt);
	else
	{
		kwj_attempt_begin(attempt);
		kwj_attempt_reverted(attempt, NULL, true);
	}
	return KWJ_REQUEST_NONE;
}

/*
 * Takes the claim of the attempt back, because it needs another session of the role. Returns
 * whether the claim was taken back. A part other than 0 is just dropped, because the other parts go
 * on.
 */
static bool
give_back(const KwjAssignment *assignment)
{
	return assignment->part > 0 ||
		kwj_store_unclaim(assignment->job_id, assignment->attempt, "waiting for a new worker", 0);
}

typedef struct Loading
{
	const KwjAssignment *assignment;
	KwjAttempt *attempt;
	KwjRequest	request;
	bool		mine;
	bool		given_back;
	bool		reads_holds;		/* an error is not one of the job's rows */
} Loading;

/* Returns whether the attempt may run in this session. */
static bool
fits(const KwjAttempt *attempt)
{
	const KwjType *reverted = kwj_work_reverted_type(attempt);

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
	 * The commit waits for no standby, but it does wait for the disk: if the work crashes the
	 * server, the attempt must be in the tables.
	 */
	kwj_set_locally("synchronous_commit", "local");
	if (kwj_worker_session_is_current())
		loading->mine = kwj_store_load(job_id, attempt, loading->assignment->part,
									   loading->attempt, &loading->request, this_context);
	else
		loading->given_back = give_back(loading->assignment);
	loading->reads_holds = true;
	if (loading->mine && kwj_worker_gives_to_hold(loading->attempt))
		loading->mine = false;
	loading->reads_holds = false;
	if (loading->mine && !fits(loading->attempt))
	{
		loading->given_back = give_back(loading->assignment);
		loading->mine = false;
	}
	if (loading->assignment->part > 0)
		kwj_test_gate(4921);
}

/* Ends the attempt with this error, because the job's rows cannot be read. */
static void
settle_unreadable(const KwjAssignment *assignment, const ErrorData *edata)
{
	KwjError	error = {
		.code = edata->sqlerrcode,
		.message = psprintf("the job could not be read: %s", edata->message),
		.detail = edata->detail,
		.hint = edata->hint,
		.context = edata->context,
	};

	/* If the error lasts, part 0 settles the attempt. */
	if (assignment->part > 0)
		return;
	kwj_transcript_reset();
	kwj_worker_settle_error(assignment->job_id, assignment->attempt, KWJ_END_ERROR, &error, NULL);
}

/*
 * Reads the job. Returns false if this is not the job's active attempt any more, if the job cannot
 * be read, or if it needs another session of the role. In the last case, the claim is taken back,
 * and this worker exits. It also exits if the holds cannot be read.
 */
static bool
load(const KwjAssignment *assignment, KwjAttempt *attempt, KwjRequest *request)
{
	Loading		loading = {.assignment = assignment, .attempt = attempt};
	ErrorData  *edata;

	edata = kwj_isolate(load_step, &loading);
	if (edata != NULL && loading.reads_holds)
		proc_exit(0);
	if (edata != NULL)
	{
		settle_unreadable(assignment, edata);
		return false;
	}
	if (loading.given_back)
	{
		kwj_test_gate_apart(4906);
		kwj_shared_worker_gives_back();
	}
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

/* Runs the attempt, and stores in *request the request for which it has stopped. */
static void
run_work(KwjAttempt *attempt, void *request)
{
	*(KwjRequest *) request = run(attempt);
}

/* Runs the attempt, and settles it unless the job type has ended it. */
static void
run_and_settle(KwjAttempt *attempt)
{
	KwjRequest	request = KWJ_REQUEST_NONE;
	ErrorData  *edata = kwj_work_try(attempt, this_context, run_work, &request);

	if (edata != NULL)
		kwj_worker_settle_work_error(attempt, edata);
	else if (request != KWJ_REQUEST_NONE)
		kwj_worker_settle_request(attempt, request);
}

/* Settles an attempt for which there was a request before it began. Only part 0 has to do that. */
static void
settle_at_once(const KwjAttempt *attempt, KwjRequest request)
{
	if (attempt->part == 0)
		kwj_worker_settle_request(attempt, request);
}

/*
 * Runs and settles an attempt that is loaded. request: what was requested for the job before; then
 * the attempt is only settled.
 */
static void
execute(KwjAttempt *attempt, KwjRequest request)
{
	kwj_process_reload();
	MemoryContextSwitchTo(this_context);
	kwj_worker_claim_nothing();
	kwj_transcript_reset();
	kwj_messages_begin(attempt->job_id, attempt->attempt);
	kwj_result_reset();
	report_activity(attempt);
	kwj_progress_begin(attempt->reverting);
	kwj_attempt_set_current(attempt);
	if (request != KWJ_REQUEST_NONE)
		settle_at_once(attempt, request);
	else if (kwj_has_parts(attempt))
		kwj_part_run(attempt, this_context);
	else
		run_and_settle(attempt);
	kwj_attempt_set_current(NULL);
	kwj_worker_claim_apart(attempt);
}

/*
 * Runs the attempt that was handed over, and then the attempts that this worker claims itself,
 * unless they are held by now.
 * Between two jobs the session is reset; if that raises an error, the process exits.
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
	while (kwj_worker_has_claimed())
	{
		kwj_worker_session_reset();
		kwj_worker_take_claimed(&attempt, &this_context);
		if (kwj_worker_gives_to_hold_apart(&attempt))
			return;
		execute(&attempt, KWJ_REQUEST_NONE);
	}
}

/*
 * Returns whether a new session of the role would be like this one. If not, this worker leaves; in
 * test builds, it waits at a gate before it leaves.
 */
static bool
is_session_current(void)
{
	bool		current;

	StartTransactionCommand();
	current = kwj_worker_session_is_current();
	if (!current)
		kwj_test_gate(4905);
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
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz deadline;
		bool		late;

		/* If the clock was set back, this worker would stay until it shows the same time again. */
		idle_since = Min(idle_since, now);
		/* Computed each time, because the setting may change. */
		deadline = TimestampTzPlusMilliseconds(idle_since, kwj_worker_idle_timeout);
		late = now >= deadline;
		if (kwj_shared_worker_leaves(late))
			return false;
		/*
		 * If this worker is late but must not exit, the coordinator has assigned a job to it, and
		 * will hand it over or take it back.
		 */
		kwj_process_wait(late ? DT_NOEND : deadline);
	}
	return true;
}

static void
init(void)
{
	kwj_process_pin_settings();
	this_context = AllocSetContextCreate(TopMemoryContext, "kwjobs attempt",
										 ALLOCSET_DEFAULT_SIZES);
	kwj_worker_claim_init();
	kwj_work_init();
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
	kwj_worker_stops_at_checkpoint();
	if (!kwj_shared_attach_worker(DatumGetInt32(arg), extra.generation, &assignment))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(assignment.dboid, assignment.role, 0);
	init();

	/* Query cancels are for the work only; begin_work() lets them through. */
	HOLD_CANCEL_INTERRUPTS();
	do
	{
		work(&assignment);
		kwj_worker_session_reset();
	} while (is_session_current() && wait_for_work(&assignment));
	proc_exit(0);
}

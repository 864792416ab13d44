/*
 * src/process/worker.c
 *	  The worker: runs one attempt, connected as the job's owner.
 *
 * Process: worker. The order of its start matters:
 *
 * 1. attach to the slot, which also registers the callback that frees it. Exit
 *	  callbacks run in reverse, so the slot is freed after the session is gone:
 *	  who sees the slot free knows that the transaction is over.
 * 2. connect as the owner. A refused connection ends the process; the
 *	  coordinator then finds an attempt without a worker, and why.
 * 3. read the job. If it is not this attempt's any more, leave.
 * 4. run; an error aborts the transaction and is settled in a new one.
 *
 * SIGINT interrupts the work (the coordinator sends it for CANCEL, and for PAUSE after
 * a grace), but never the settling.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/settle.h"
#include "job/store.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/process.h"
#include "process/shared_state.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "type/type.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* In bgw_extra. */
typedef struct WorkerExtra
{
	uint32		generation;		/* of the slot */
} WorkerExtra;

StaticAssertDecl(sizeof(WorkerExtra) <= BGW_EXTRALEN, "WorkerExtra must fit into bgw_extra");

bool
kwj_worker_start(int slot, uint32 generation, Oid role, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;
	WorkerExtra extra = {.generation = generation};

	kwj_process_describe(&worker, "kwj_worker_main", "kwjobs worker");
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum(slot);
	memcpy(worker.bgw_extra, &extra, sizeof(extra));
	return RegisterDynamicBackgroundWorker(&worker, handle);
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
		return type->execute(attempt);
	type->revert(attempt);
	return KWJ_REQUEST_NONE;
}

/* Begin a transaction that settles: no cancel interrupts it. */
static void
begin_settling(void)
{
	HOLD_CANCEL_INTERRUPTS();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
end_settling(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	RESUME_CANCEL_INTERRUPTS();
}

static void
settle_error(KwjAttempt *attempt, const ErrorData *edata)
{
	KwjError	error = {
		.code = edata->sqlerrcode,
		.message = edata->message,
		.detail = edata->detail,
		.hint = edata->hint,
		.context = edata->context,
		.file = attempt->error_file,
		.line = attempt->error_line,
		.column = attempt->error_column,
	};

	begin_settling();
	kwj_settle_error(attempt->job_id, attempt->attempt, KWJ_END_ERROR, &error,
					 KWJ_WAIT);
	end_settling();
}

/* Run the attempt and settle how it ended, unless the type has done that. */
static void
run_and_settle(KwjAttempt *attempt, MemoryContext context)
{
	ErrorContextCallback callback = {error_context_stack, name_attempt, attempt};
	volatile KwjRequest request = KWJ_REQUEST_NONE;
	ErrorData  *volatile edata = NULL;

	error_context_stack = &callback;
	PG_TRY();
	{
		request = run(attempt);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		/* That a request interrupts the work is no news. */
		if (edata->sqlerrcode != ERRCODE_QUERY_CANCELED ||
			kwj_progress_request() == KWJ_REQUEST_NONE)
			EmitErrorReport();
		FlushErrorState();
		HOLD_INTERRUPTS();
		AbortCurrentTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(context);

	if (edata != NULL)
		settle_error(attempt, edata);
	else if (request != KWJ_REQUEST_NONE)
	{
		begin_settling();
		kwj_settle_request(attempt->job_id, attempt->attempt, request);
		end_settling();
	}
}

/* Read the job; false if it is not this attempt's any more. */
static bool
load(const KwjAssignment *assignment, KwjAttempt *attempt, KwjRequest *request,
	 MemoryContext context)
{
	bool		mine;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	mine = kwj_store_load(assignment->job_id, assignment->attempt, attempt, request,
						  context);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return mine;
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

void
kwj_worker_main(Datum arg)
{
	WorkerExtra extra;
	KwjAssignment assignment;
	KwjAttempt	attempt;
	KwjRequest	request;
	MemoryContext context;

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	pqsignal(SIGINT, StatementCancelHandler);
	kwj_process_set_signals();
	if (!kwj_shared_attach_worker(DatumGetInt32(arg), extra.generation, &assignment))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(assignment.dboid, assignment.role, 0);
	kwj_process_pin_settings();

	context = AllocSetContextCreate(TopMemoryContext, "kwjobs attempt",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	if (!load(&assignment, &attempt, &request, context))
		proc_exit(0);
	report_activity(&attempt);
	kwj_progress_begin(attempt.reverting);

	if (request != KWJ_REQUEST_NONE)
	{
		begin_settling();
		kwj_settle_request(attempt.job_id, attempt.attempt, request);
		end_settling();
	}
	else
		run_and_settle(&attempt, context);
	proc_exit(0);
}

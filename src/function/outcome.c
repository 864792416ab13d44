/*
 * src/function/outcome.c
 *	  Statements that wait for the job that they have created.
 *
 * Process: sessions. Locks: none that lasts; each look at the job's row takes AccessShareLock on
 * tables of kwjobs and releases it.
 *
 *    kwj_begin_to_wait or kwj_connect_to_wait
 *                          check that this procedure can commit; connect to SPI
 *    (the caller)          create the job
 *    kwj_commit_and_wait   commit the job, wait in the next transaction, then return, or raise the
 *                          job's error
 *
 * If the session dies before the commit, there is no job. If it dies, or its wait is canceled,
 * afterwards, the job goes on in the background. If the worker dies, the session goes on waiting,
 * until a later attempt or the coordinator has ended the job.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "function/outcome.h"
#include "function/waits.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "lifecycle/control.h"
#include "lifecycle/wait.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "shared/live.h"
#include "store/jobs.h"

/*
 * What the error of a canceled wait tells the user. The session finds it out before the commit of
 * the job, because it cannot look into tables while it raises an error.
 */
typedef struct CanceledWait
{
	int64		job_id;
	const char *to_stop;		/* what to type to stop the job */
} CanceledWait;

/* An error context callback: tells the user that a canceled wait does not stop the job. */
static void
explain_canceled_wait(void *arg)
{
	const CanceledWait *wait = arg;

	if (geterrcode() != ERRCODE_QUERY_CANCELED && geterrcode() != ERRCODE_ADMIN_SHUTDOWN)
		return;
	errdetail("Job " INT64_FORMAT " goes on in the background.", wait->job_id);
	errhint("To stop it, type %s.", wait->to_stop);
}

/*
 * Tells a waiting client in one line how far the job is. While an attempt runs, shared memory says
 * it, because it is more recent than the row.
 */
static void
tell_progress(int64 job_id, const KwjOutcome *outcome)
{
	KwjLive		live;
	double		fraction = outcome->fraction;
	const char *what = outcome->running_status ? outcome->running_status : "";

	/* the wait itself tells why the job does not run */
	if (outcome->waits)
		return;
	if (kwj_shared_live_of(job_id, &live) && live.total > 0)
	{
		fraction = kwj_live_fraction(&live);
		what = kwj_words_with_waits(&live);
	}
	ereport(INFO,
			(errmsg("job " INT64_FORMAT " %s: %.0f %%%s%s", job_id,
					kwj_status_name(outcome->status), fraction * 100,
					what[0] ? ", " : "", what)));
}

static void
wait_for(int64 job_id, KwjOutcome *outcome)
{
	/* t/008_import_changes.pl stops the session here. */
	kwj_test_gate(4923);
	/*
	 * Under REPEATABLE READ, the transaction would keep the snapshot of the first look, and hold
	 * back vacuum as long as it waits.
	 */
	kwj_set_locally("transaction_isolation", "read committed");
	if (!kwj_wait_for(job_id, outcome, tell_progress, kwj_progress_interval, DT_NOEND))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("job with ID " INT64_FORMAT " does not exist any more", job_id),
				 errhint("It was deleted while this session waited for it.")));
}

/* Raises the error that the job has ended with. */
static void
raise_job_error(int64 job_id, const KwjOutcome *outcome)
{
	ereport(ERROR,
			(errcode(outcome->error_code ? outcome->error_code : ERRCODE_INTERNAL_ERROR),
			 errmsg("%s", outcome->error),
			 outcome->error_detail ? errdetail_internal("%s", outcome->error_detail) : 0,
			 outcome->error_hint ? errhint("%s", outcome->error_hint) : 0,
			 outcome->error_context ? errcontext_msg("%s", outcome->error_context) : 0,
			 errcontext_msg("job " INT64_FORMAT ", now %s", job_id,
							kwj_status_name(outcome->status))));
}

void
kwj_connect_to_wait(FunctionCallInfo fcinfo, const char *statement, const char *hint)
{
	CallContext *call = (CallContext *) fcinfo->context;

	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s cannot run in single-user mode", statement),
				 errdetail("It waits for a job, which needs a process of its own."),
				 errhint("Use kwjobs.submit, or IMPORT ... WITH detached: the job starts when the server does.")));
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", statement),
				 errdetail("It waits for a job that starts when the transaction commits."),
				 errhint("%s", hint)));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

TupleDesc
kwj_begin_to_wait(FunctionCallInfo fcinfo, const char *statement, const char *hint)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	kwj_connect_to_wait(fcinfo, statement, hint);
	return desc;
}

void
kwj_commit_and_wait(int64 job_id, MemoryContext memory, KwjOutcome *outcome,
					KwjReturned *returned)
{
	CanceledWait wait = {job_id, kwj_to_type("CANCEL JOB", "kwjobs.cancel", job_id)};
	ErrorContextCallback callback = {error_context_stack, explain_canceled_wait, &wait};

	SPI_commit();
	/* From the commit on, the job goes on: nothing in between can be canceled. */
	error_context_stack = &callback;
	wait_for(job_id, outcome);
	error_context_stack = callback.previous;
	if (outcome->status != KWJ_SUCCEEDED)
		raise_job_error(job_id, outcome);
	MemoryContextSwitchTo(memory);
	if (returned != NULL)
		kwj_store_returned(job_id, returned);
	SPI_finish();
	MemoryContextSwitchTo(memory);
}

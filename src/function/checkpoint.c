/*
 * src/function/checkpoint.c
 *	  SQL-callable: what the statement of a SQL job may ask and tell about its job.
 *
 * Process: worker; in sessions, where there is no job, the functions do next to nothing. Locks:
 * the row of the checkpoint, until the commit in kwjobs.checkpoint().
 *
 * If the worker dies before that commit, the state and the work since the last checkpoint are both
 * rolled back; if it dies afterwards, the next attempt finds both.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "function/args.h"
#include "job/progress.h"
#include "job/stop.h"
#include "job/result.h"
#include "lifecycle/attempt.h"
#include "lifecycle/bounds.h"
#include "nodes/parsenodes.h"
#include "store/jobs.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(kwjobs_checkpoint);
PG_FUNCTION_INFO_V1(kwjobs_checkpoint_state);
PG_FUNCTION_INFO_V1(kwjobs_progress);
PG_FUNCTION_INFO_V1(kwjobs_set_result);
PG_FUNCTION_INFO_V1(kwjobs_current_job);

/* KwjProgress counts units of work. This is how many of them the fraction 1 stands for. */
#define UNITS	1000000

static void
check_fraction(double fraction)
{
	if (isnan(fraction) || fraction < 0 || fraction > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fraction is out of range: %g", fraction),
				 errhint("Give a number from 0 to 1.")));
}

/* Shows the fraction unless it is negative, and the text unless it is NULL. */
static void
show_progress(const KwjAttempt *attempt, double fraction, const text *status)
{
	uint64		done = (uint64) (Max(fraction, 0) * UNITS);

	if (fraction >= 0 && status != NULL)
		kwj_progress_set_all(done, UNITS, attempt->rows, text_to_cstring(status));
	else if (fraction >= 0)
		kwj_progress_set(done, UNITS, attempt->rows);
	else if (status != NULL)
		kwj_progress_set_status(text_to_cstring(status));
}

static void
refuse_commit(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
			 errmsg("kwjobs.checkpoint() cannot commit here"),
			 errdetail("It is called in a transaction block, in a function, in a block with an exception handler, or in a job of several statements."),
			 errhint("CALL it from a procedure that is the only statement of the job, as where COMMIT is allowed.")));
}

/* Returns the fraction of the last checkpoint. */
static double
last_fraction(const KwjAttempt *attempt)
{
	KwjOutcome	outcome;

	return kwj_store_outcome(attempt->job_id, false, &outcome) ? outcome.fraction : 0;
}

/*
 * Has kwjobs.checkpoint_state() return this state from now on. The copy lives as long as the
 * attempt, in the context of its payload.
 */
static void
remember_state(KwjAttempt *attempt, Jsonb *state)
{
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(attempt->payload));
	Jsonb	   *old = attempt->checkpoint;

	attempt->checkpoint = DatumGetJsonbPCopy(JsonbPGetDatum(state));
	if (old)
		pfree(old);
	MemoryContextSwitchTo(caller);
}

/*
 * Ends the work with an error, after the commit of the checkpoint. No exception handler of PL/pgSQL
 * can catch it, because nothing can commit within one. attempt->stopped tells the worker that the
 * work has ended for a request, and is no failure.
 */
static void
stop(KwjAttempt *attempt, KwjRequest request)
{
	attempt->stopped = true;
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 request == KWJ_REQUEST_PAUSE ?
			 errmsg("job " INT64_FORMAT " ends here because it is to be paused", attempt->job_id) :
			 request == KWJ_REQUEST_CLOSE ?
			 errmsg("job " INT64_FORMAT " ends here because its window has closed", attempt->job_id) :
			 errmsg("job " INT64_FORMAT " ends here because it is to be canceled", attempt->job_id)));
}

/*
 * Checks the size of a jsonb argument before it is read, so that no huge value is read. what: the value, for
 * the message. hint: what to do instead. Errors: 54000 if it is too large.
 */
static void
check_jsonb_size(FunctionCallInfo fcinfo, int number, const char *what, const char *hint)
{
	if (!PG_ARGISNULL(number))
		kwj_check_size(what, toast_raw_datum_size(PG_GETARG_DATUM(number)), KWJ_TEXT_BOUND, hint);
}

/*
 * Writes the checkpoint and commits it with the work. The caller has opened an SPI connection that
 * may commit (SPI_OPT_NONATOMIC).
 */
static void
checkpoint(KwjAttempt *attempt, FunctionCallInfo fcinfo)
{
	Jsonb	   *state;
	double		fraction;
	KwjRequest	request;

	check_jsonb_size(fcinfo, 1, "the state of the checkpoint",
					 "Write large things into a table, and their keys into the state.");
	state = kwj_arg_jsonb(fcinfo, 1);
	EnsurePortalSnapshotExists();
	fraction = PG_ARGISNULL(0) ? last_fraction(attempt) : PG_GETARG_FLOAT8(0);
	request = kwj_attempt_write_checkpoint(attempt, state, fraction, attempt->rows);
	SPI_commit();

	if (state != NULL)
		remember_state(attempt, state);
	kwj_stop_at_checkpoint();
	show_progress(attempt, fraction, PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2));
	if (request != KWJ_REQUEST_NONE)
		stop(attempt, request);
}

Datum
kwjobs_checkpoint(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	KwjAttempt *attempt = kwj_attempt_current();

	if (!PG_ARGISNULL(0))
		check_fraction(PG_GETARG_FLOAT8(0));
	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		refuse_commit();

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (attempt != NULL)
		checkpoint(attempt, fcinfo);
	else
		SPI_commit();
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
kwjobs_checkpoint_state(PG_FUNCTION_ARGS)
{
	KwjAttempt *attempt = kwj_attempt_current();

	if (attempt == NULL || attempt->checkpoint == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(DatumGetJsonbPCopy(JsonbPGetDatum(attempt->checkpoint)));
}

Datum
kwjobs_progress(PG_FUNCTION_ARGS)
{
	KwjAttempt *attempt = kwj_attempt_current();

	if (!PG_ARGISNULL(0))
		check_fraction(PG_GETARG_FLOAT8(0));
	if (attempt != NULL)
		show_progress(attempt, PG_ARGISNULL(0) ? -1 : PG_GETARG_FLOAT8(0),
					  PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	PG_RETURN_VOID();
}

Datum
kwjobs_set_result(PG_FUNCTION_ARGS)
{
	KwjAttempt *attempt = kwj_attempt_current();

	check_jsonb_size(fcinfo, 0, "the result of the job",
					 "Write large things into a table, and their keys into the result.");
	if (attempt != NULL)
		kwj_result_set(kwj_arg_jsonb(fcinfo, 0));
	PG_RETURN_VOID();
}

Datum
kwjobs_current_job(PG_FUNCTION_ARGS)
{
	KwjAttempt *attempt = kwj_attempt_current();

	if (attempt == NULL)
		PG_RETURN_NULL();
	PG_RETURN_INT64(attempt->job_id);
}

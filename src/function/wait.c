/*
 * src/function/wait.c
 *	  SQL-callable: kwjobs.wait, with which every role can wait for its own jobs.
 *
 * Process: sessions, and workers whose statement waits for another job. Locks: the function first
 * reads kwjobs.job to find out whether the caller may see the job, and keeps AccessShareLock on the
 * tables of kwjobs until the end of the transaction. While it waits, it reads the row again and
 * again; each time it releases the locks that this has taken.
 *
 * If a query calls the function in FROM, src/session/wait_hook.c has waited before the query runs,
 * so that the query's snapshot does not hold back vacuum during the wait. The function then finds
 * that the job is over, and returns at once.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lifecycle/control.h"
#include "lifecycle/wait.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_wait);

/* The columns of the result, in the order of the function's OUT arguments. */
enum
{
	COLUMN_STATUS,
	COLUMN_ROWS,
	COLUMN_ERROR,
	COLUMN_ERROR_CODE,
	COLUMN_ERROR_DETAIL,
	COLUMN_ERROR_HINT,
	COLUMN_FRACTION_COMPLETED,
	COLUMN_RUNNING_STATUS,
	COLUMN_COMMAND_TAGS,
	COLUMN_RESULT,
	COLUMN_COUNT
};

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || text[0] == '\0';
	if (!nulls[column])
		values[column] = CStringGetTextDatum(text);
}

static HeapTuple
tuple_of_outcome(TupleDesc desc, int64 job_id, const KwjOutcome *outcome)
{
	Datum		values[COLUMN_COUNT] = {0};
	bool		nulls[COLUMN_COUNT] = {0};
	bool		succeeded = outcome->status == KWJ_SUCCEEDED;
	KwjReturned returned = {0};

	if (outcome->elsewhere)
		returned = outcome->returned;
	else if (succeeded)
		kwj_store_returned(job_id, &returned);
	put_text(values, nulls, COLUMN_STATUS, kwj_status_name(outcome->status));
	values[COLUMN_ROWS] = Int64GetDatum(outcome->rows);
	put_text(values, nulls, COLUMN_ERROR, outcome->error);
	put_text(values, nulls, COLUMN_ERROR_CODE,
			 outcome->error_code ? unpack_sql_state(outcome->error_code) : NULL);
	put_text(values, nulls, COLUMN_ERROR_DETAIL, outcome->error_detail);
	put_text(values, nulls, COLUMN_ERROR_HINT, outcome->error_hint);
	values[COLUMN_FRACTION_COMPLETED] = Float8GetDatum(succeeded ? 1.0 : outcome->fraction);
	put_text(values, nulls, COLUMN_RUNNING_STATUS, outcome->running_status);
	values[COLUMN_COMMAND_TAGS] = PointerGetDatum(returned.tags);
	nulls[COLUMN_COMMAND_TAGS] = returned.tags == NULL;
	values[COLUMN_RESULT] = PointerGetDatum(returned.result);
	nulls[COLUMN_RESULT] = returned.result == NULL;
	return heap_form_tuple(desc, values, nulls);
}

Datum
kwjobs_wait(PG_FUNCTION_ARGS)
{
	TimestampTz until = kwj_wait_end(PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1));
	TupleDesc	desc;
	KwjOutcome	outcome;
	int64		job_id;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	job_id = PG_GETARG_INT64(0);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	kwj_check_visible_before_lock(KWJ_BY_FUNCTION, job_id);
	if (!kwj_wait_for(job_id, &outcome, NULL, 0, until))
		kwj_no_such_job(job_id);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple_of_outcome(BlessTupleDesc(desc), job_id, &outcome)));
}

/*
 * src/function/submit.c
 *	  SQL-callable: jobs of type SQL.
 *
 * Process: sessions.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "function/outcome.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "tcop/utility.h"
#include "type/sql/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_submit);
PG_FUNCTION_INFO_V1(kwjobs_run);

#define LONGEST_KEY			200
#define LARGEST_PRIORITY	1000
#define MOST_ATTEMPTS		1000
#define LONGEST_MS			(INT64CONST(100) * MONTHS_PER_YEAR * DAYS_PER_MONTH * SECS_PER_DAY * 1000)

/* The arguments of both, in order. */
enum
{
	ARG_STATEMENT,
	ARG_DESCRIPTION,
	ARG_PRIORITY,
	ARG_MAX_ATTEMPTS,
	ARG_RETRY_INITIAL_DELAY,
	ARG_TIMEOUT,
	ARG_RUN_AT,
	ARG_KEY,
	ARG_DEPENDS_ON,
	ARG_ON_FAILURE,
	ARG_ON_REVERT,
	ARG_RUN_AS,
	ARG_SETTINGS,
};

static const char *const arg_names[] = {
	"statement", "description", "priority", "max_attempts", "retry_initial_delay",
	"timeout", "run_at", "key", "depends_on", "on_failure", "on_revert", "run_as",
	"settings",
};

static void
check_not_null(FunctionCallInfo fcinfo, int arg)
{
	if (!PG_ARGISNULL(arg))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" of a job must not be null", arg_names[arg]),
			 arg == ARG_STATEMENT ?
			 errhint("For instance: SELECT kwjobs.submit('VACUUM my_table').") :
			 errhint("Leave the argument out for its default.")));
}

static char *
text_arg(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg))
		return NULL;
	/* before it is read */
	kwj_check_size(psprintf("argument \"%s\" of a job", arg_names[arg]),
				   toast_raw_datum_size(PG_GETARG_DATUM(arg)) - VARHDRSZ, KWJ_TEXT_BOUND,
				   arg == ARG_STATEMENT || arg == ARG_ON_REVERT ?
				   "Create a procedure, and have the job CALL it." : "Give a shorter text.");
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

static int
int_arg(FunctionCallInfo fcinfo, int arg, int lowest, int highest)
{
	int			value;

	check_not_null(fcinfo, arg);
	value = PG_GETARG_INT32(arg);
	if (value < lowest || value > highest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" of a job is out of range: %d", arg_names[arg], value),
				 errhint("Give a number from %d to %d.", lowest, highest)));
	return value;
}

/* In milliseconds, rounded up; a month has 30 days. */
static int64
duration_arg(FunctionCallInfo fcinfo, int arg)
{
	Interval   *value = PG_GETARG_INTERVAL_P(arg);
	double		ms = value->time / 1000.0 +
		((double) value->month * DAYS_PER_MONTH + value->day) * SECS_PER_DAY * 1000.0;

	if (ms <= 0 || ms >= LONGEST_MS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" of a job is out of range: %s", arg_names[arg],
						DatumGetCString(DirectFunctionCall1(interval_out,
															IntervalPGetDatum(value)))),
				 errhint("Give a time that is longer than 0 and shorter than 100 years.")));
	return Max(1, (int64) ms);
}

static TimestampTz
run_at_arg(FunctionCallInfo fcinfo)
{
	TimestampTz value;

	if (PG_ARGISNULL(ARG_RUN_AT))
		return 0;
	value = PG_GETARG_TIMESTAMPTZ(ARG_RUN_AT);
	if (TIMESTAMP_NOT_FINITE(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"run_at\" of a job must not be infinite"),
				 errhint("Give a time, or leave the argument out to run the job at once.")));
	return value;
}

static char *
key_arg(FunctionCallInfo fcinfo)
{
	char	   *key = text_arg(fcinfo, ARG_KEY);

	if (key != NULL && (key[0] == '\0' || strlen(key) > LONGEST_KEY))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 key[0] == '\0' ?
				 errmsg("argument \"key\" of a job must not be empty") :
				 errmsg("argument \"key\" of a job is too long: %zu bytes", strlen(key)),
				 errhint("Give 1 to %d bytes, or leave the argument out.", LONGEST_KEY)));
	return key;
}

static const char *
on_failure_arg(FunctionCallInfo fcinfo)
{
	char	   *value;

	check_not_null(fcinfo, ARG_ON_FAILURE);
	value = text_arg(fcinfo, ARG_ON_FAILURE);
	if (strcmp(value, "fail") != 0 && strcmp(value, "retry") != 0 && strcmp(value, "pause") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"on_failure\" of a job: \"%s\"", value),
				 errhint("Valid values are \"fail\", \"retry\" and \"pause\".")));
	return value;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Each id once; what is said twice counts twice for the bound, so that no longer list is gone through. */
static void
set_dependencies(FunctionCallInfo fcinfo, KwjNewJob *job)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	int64	   *ids;
	int			n;
	int			kept = 0;

	if (PG_ARGISNULL(ARG_DEPENDS_ON))
		return;
	array = PG_GETARG_ARRAYTYPE_P(ARG_DEPENDS_ON);
	kwj_check_dependencies(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	deconstruct_array(array, INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"depends_on\" of a job must not contain nulls"),
					 errhint("Give the ids of existing jobs.")));
		ids[i] = DatumGetInt64(values[i]);
	}
	qsort(ids, n, sizeof(int64), compare_ids);
	for (int i = 0; i < n; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			ids[kept++] = ids[i];
	job->depends_on = ids;
	job->n_depends_on = kept;
}

static int64
submit(FunctionCallInfo fcinfo, const char *function)
{
	KwjNewJob	job;
	char	   *statement;
	char	   *description;
	char	   *on_revert;

	kwj_check_primary(function);
	if (XactReadOnly)
		PreventCommandIfReadOnly(function);
	check_not_null(fcinfo, ARG_STATEMENT);
	check_not_null(fcinfo, ARG_RETRY_INITIAL_DELAY);
	check_not_null(fcinfo, ARG_SETTINGS);
	statement = text_arg(fcinfo, ARG_STATEMENT);
	description = text_arg(fcinfo, ARG_DESCRIPTION);
	on_revert = text_arg(fcinfo, ARG_ON_REVERT);

	kwj_new_job(&job, kwj_type_sql.name, description ? description : statement, NULL);
	job.statement = description ? statement : NULL;
	job.priority = int_arg(fcinfo, ARG_PRIORITY, -LARGEST_PRIORITY, LARGEST_PRIORITY);
	job.max_attempts = int_arg(fcinfo, ARG_MAX_ATTEMPTS, 1, MOST_ATTEMPTS);
	job.retry_delay_ms = duration_arg(fcinfo, ARG_RETRY_INITIAL_DELAY);
	if (!PG_ARGISNULL(ARG_TIMEOUT))
		job.timeout_ms = duration_arg(fcinfo, ARG_TIMEOUT);
	job.run_at = run_at_arg(fcinfo);
	job.key = key_arg(fcinfo);
	set_dependencies(fcinfo, &job);
	job.on_failure = on_failure_arg(fcinfo);
	job.has_revert = on_revert != NULL;
	if (!PG_ARGISNULL(ARG_RUN_AS))
		job.owner = PG_GETARG_OID(ARG_RUN_AS);

	/* before the settings are checked as that role */
	kwj_check_may_own(job.owner);
	job.payload = kwj_sql_validate(statement, on_revert, PG_GETARG_JSONB_P(ARG_SETTINGS),
								   job.owner);
	return kwj_submit(&job);
}

Datum
kwjobs_submit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit(fcinfo, "kwjobs.submit"));
}

/* A procedure: it commits the new job, then waits. */
Datum
kwjobs_run(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc;
	KwjOutcome	outcome;
	ArrayType  *tags;
	int64		job_id;
	Datum		values[4];
	bool		nulls[4] = {0};

	desc = kwj_begin_to_wait(fcinfo, "kwjobs.run",
							 "Use kwjobs.submit, or CALL it outside of a transaction block, a function and a string of several statements.");
	job_id = submit(fcinfo, "kwjobs.run");
	SPI_commit();
	kwj_wait_for_success(job_id, &outcome);
	MemoryContextSwitchTo(caller);
	tags = kwj_store_tags(job_id);
	SPI_finish();

	MemoryContextSwitchTo(caller);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(kwj_status_name(outcome.status));
	values[2] = Int64GetDatum(outcome.rows);
	values[3] = PointerGetDatum(tags);
	nulls[3] = tags == NULL;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

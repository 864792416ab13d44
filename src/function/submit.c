/*
 * src/function/submit.c
 *	  SQL-callable: kwjobs.submit, kwjobs.submit_job and kwjobs.run, which create jobs of type SQL.
 *
 * Process: sessions. Locks: those of lifecycle/submit.c.
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
#include "function/options.h"
#include "function/outcome.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "tcop/utility.h"
#include "type/sql/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_submit);
PG_FUNCTION_INFO_V1(kwjobs_submit_job);
PG_FUNCTION_INFO_V1(kwjobs_run);

/*
 * The arguments of these functions, in their order. on_revert stands before run_as. Of kwjobs.run,
 * tags is what it returns, too: it gets tags for the job, and returns command tags. The options
 * behind tags follow in the order of KwjOption.
 */
enum
{
	ARG_STATEMENT,
	ARG_FIRST_OPTION,
	ARG_ON_REVERT = ARG_FIRST_OPTION + KWJ_OPTION_RUN_AS,
	ARG_RUN_AS,
	ARG_SETTINGS,
	ARG_TAGS_OF_SUBMIT,
	ARG_JOB_ID = ARG_TAGS_OF_SUBMIT,
	ARG_STATUS,
	ARG_ROWS,
	ARG_TAGS_OF_RUN,
};

static char *
statement_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	return PG_ARGISNULL(arg) ? NULL :
		kwj_bounded_text(name, PG_GETARG_DATUM(arg), KWJ_LONG_STATEMENT_HINT);
}

static void
refuse_null(const char *name, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" of a job must not be null", name),
			 errhint("%s", hint)));
}

static int64
submit(FunctionCallInfo fcinfo, const char *function, int arg_tags, bool *is_new)
{
	KwjNewJob	job;
	int64		job_id;
	char	   *statement;
	char	   *on_revert;

	kwj_check_primary(function);
	if (XactReadOnly)
		PreventCommandIfReadOnly(function);
	statement = statement_arg(fcinfo, ARG_STATEMENT, "statement");
	if (statement == NULL)
		refuse_null("statement", "For instance: SELECT kwjobs.submit('VACUUM my_table').");
	if (PG_ARGISNULL(ARG_SETTINGS))
		refuse_null("settings", "Leave the argument out for its default.");
	on_revert = statement_arg(fcinfo, ARG_ON_REVERT, "on_revert");

	kwj_new_job(&job, kwj_type_sql.name);
	kwj_read_options(fcinfo, ARG_FIRST_OPTION, ARG_RUN_AS, arg_tags, &job);
	kwj_sql_validate(statement, on_revert, PG_GETARG_JSONB_P(ARG_SETTINGS), &job);
	job_id = kwj_submit(&job);
	*is_new = job.is_new;
	return job_id;
}

Datum
kwjobs_submit(PG_FUNCTION_ARGS)
{
	bool		is_new;

	PG_RETURN_INT64(submit(fcinfo, "kwjobs.submit", ARG_TAGS_OF_SUBMIT, &is_new));
}

Datum
kwjobs_submit_job(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {0};
	bool		is_new;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(submit(fcinfo, "kwjobs.submit_job", ARG_TAGS_OF_SUBMIT, &is_new));
	values[1] = BoolGetDatum(is_new);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* This is a procedure, so that it can commit the new job before it waits. */
Datum
kwjobs_run(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc;
	KwjOutcome	outcome;
	ArrayType  *tags;
	int64		job_id;
	bool		is_new;
	Datum		values[4];
	bool		nulls[4] = {0};

	desc = kwj_begin_to_wait(fcinfo, "kwjobs.run",
							 "Use kwjobs.submit, or CALL it outside of a transaction block, a function and a string of several statements.");
	job_id = submit(fcinfo, "kwjobs.run", ARG_TAGS_OF_RUN, &is_new);
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

/*
 * src/function/submit.c
 *	  SQL-callable: kwjobs.submit, kwjobs.submit_job and kwjobs.run, which create jobs of type SQL.
 *
 * Process: sessions. Locks: those of lifecycle/submit.c.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "function/options.h"
#include "function/outcome.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "type/sql/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_submit);
PG_FUNCTION_INFO_V1(kwjobs_submit_job);
PG_FUNCTION_INFO_V1(kwjobs_run);

/*
 * The position of each argument in kwjobs.submit, kwjobs.submit_job and kwjobs.run. All three begin
 * with the statement. The options that jobs of all types have come next, in the order of KwjOption.
 * The arguments that only SQL jobs have come last, except two: on_revert stands right before the
 * option run_as, and settings right behind it.
 *
 * kwjobs.run has three more arguments before tags, which it returns: job_id, status and rows. Its
 * argument tags is INOUT: the caller passes in the tags of the new job, and kwjobs.run returns the
 * command tags of the job's statements.
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

/* The arguments after the last option. Their numbers are counted from the number of tags. */
enum
{
	ARG_ARGUMENTS = KWJ_OPTION_COUNT - KWJ_OPTION_TAGS,
	ARG_KEEP_RESULT,
	ARG_RESULT,					/* of kwjobs.run only */
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

/* Returns the argument "arguments", NULL for NULL. Its size is checked before it is read. */
static Jsonb *
arguments_arg(FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg))
		return NULL;
	kwj_check_size("argument \"arguments\" of a job", toast_raw_datum_size(PG_GETARG_DATUM(arg)),
				   KWJ_TEXT_BOUND, "Write large values into a table that the statement reads.");
	return PG_GETARG_JSONB_P(arg);
}

static int64
submit(FunctionCallInfo fcinfo, const char *function, int arg_tags, bool *is_new)
{
	KwjNewJob	job;
	KwjNewSql	sql = {0};
	int64		job_id;

	kwj_check_writable(function);
	sql.statement = statement_arg(fcinfo, ARG_STATEMENT, "statement");
	if (sql.statement == NULL)
		refuse_null("statement", "For instance: SELECT kwjobs.submit('VACUUM my_table').");
	if (PG_ARGISNULL(ARG_SETTINGS))
		refuse_null("settings", "Leave the argument out for its default.");
	if (PG_ARGISNULL(arg_tags + ARG_KEEP_RESULT))
		refuse_null("keep_result", "Give true or false, or leave the argument out.");
	sql.on_revert = statement_arg(fcinfo, ARG_ON_REVERT, "on_revert");
	sql.settings = PG_GETARG_JSONB_P(ARG_SETTINGS);
	sql.arguments = arguments_arg(fcinfo, arg_tags + ARG_ARGUMENTS);
	sql.keep_result = PG_GETARG_BOOL(arg_tags + ARG_KEEP_RESULT);

	kwj_new_job(&job, kwj_type_sql.name);
	kwj_read_options(fcinfo, ARG_FIRST_OPTION, ARG_RUN_AS, arg_tags, &job);
	kwj_sql_validate(&sql, &job);
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
	KwjReturned returned;
	int64		job_id;
	bool		is_new;
	Datum		values[5];
	bool		nulls[5] = {0};

	desc = kwj_begin_to_wait(fcinfo, "kwjobs.run",
							 "Use kwjobs.submit, or CALL it outside of a transaction block, a function and a string of several statements.");
	job_id = submit(fcinfo, "kwjobs.run", ARG_TAGS_OF_RUN, &is_new);
	kwj_commit_and_wait(job_id, caller, &outcome, &returned);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(kwj_status_name(outcome.status));
	values[2] = Int64GetDatum(outcome.rows);
	values[3] = PointerGetDatum(returned.tags);
	nulls[3] = returned.tags == NULL;
	values[4] = PointerGetDatum(returned.result);
	nulls[4] = returned.result == NULL;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * src/function/import.c
 *	  SQL-callable: IMPORT.
 *
 * Process: sessions. Locks: the target, in RowExclusiveLock, and the rows of jobs on which the new
 * one depends (FOR KEY SHARE), until the transaction that creates the job ends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "function/args.h"
#include "function/outcome.h"
#include "job/json.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "store/jobs.h"
#include "type/create.h"
#include "type/import/import.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_import);
PG_FUNCTION_INFO_V1(kwjobs_import_and_wait);
PG_FUNCTION_INFO_V1(kwjobs_import_database);
PG_FUNCTION_INFO_V1(kwjobs_import_database_and_wait);
PG_FUNCTION_INFO_V1(kwjobs_import_table);
PG_FUNCTION_INFO_V1(kwjobs_import_table_and_wait);

/* Creates a job from the arguments of an SQL function, and returns its id. */
typedef int64 (*Submit) (FunctionCallInfo fcinfo);

static int64
submit_new(const KwjNewImport *new)
{
	KwjNewJob	job;

	kwj_new_job(&job, kwj_type_import.name);
	kwj_import_validate(new, &job);
	return kwj_create_checked(&kwj_type_import, &job);
}

/* The arguments are target, files, columns, options. */
static int64
submit_into(FunctionCallInfo fcinfo)
{
	KwjNewImport new = {0};

	kwj_check_primary("IMPORT");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table to import into must not be null"),
				 errhint("Type IMPORT INTO table CSV DATA ('/absolute/path.csv').")));
	new.target = PG_GETARG_OID(0);
	new.files = kwj_arg_array(fcinfo, 1);
	new.columns = kwj_arg_array(fcinfo, 2);
	new.options = kwj_arg_jsonb(fcinfo, 3);
	return submit_new(&new);
}

/* The arguments are definition, files, options, definition_file. */
static int64
submit_table(FunctionCallInfo fcinfo)
{
	KwjNewImport new = {0};

	kwj_check_primary("IMPORT");
	new.definition = kwj_arg_text(fcinfo, 0);
	new.files = kwj_arg_array(fcinfo, 1);
	new.options = kwj_arg_jsonb(fcinfo, 2);
	new.definition_file = kwj_arg_text(fcinfo, 3);
	return submit_new(&new);
}

/* The arguments are directory, options. */
static int64
submit_database(FunctionCallInfo fcinfo)
{
	KwjNewImport new = {0};

	kwj_check_primary("IMPORT");
	new.directory = kwj_arg_text(fcinfo, 0);
	new.options = kwj_arg_jsonb(fcinfo, 1);
	if (new.directory == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the directory to import from must not be null"),
				 errhint("Type IMPORT DATABASE CSV DATA ('/absolute/path') with the directory of an EXPORT.")));
	return submit_new(&new);
}

Datum
kwjobs_import(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit_into(fcinfo));
}

Datum
kwjobs_import_table(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit_table(fcinfo));
}

Datum
kwjobs_import_database(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit_database(fcinfo));
}

/* Returns how many records the job has left out. */
static int64
rejected_of(const KwjReturned *returned)
{
	return returned->result ? kwj_json_int64_or(returned->result, "rejected", 0) : 0;
}

/* Returns where the records are that the job has left out. */
static const char *
note_of(const KwjReturned *returned)
{
	char	   *table;
	char	   *file;

	if (rejected_of(returned) == 0)
		return "None";
	table = kwj_json_text_or_null(returned->result, "reject_table");
	file = kwj_json_text_or_null(returned->result, "reject_file");
	if (table != NULL && file != NULL)
		return psprintf("rejected records are in table %s and in file %s", table, file);
	if (table != NULL)
		return psprintf("rejected records are in table %s", table);
	return file ? psprintf("rejected records are in file %s", file) :
		"records were rejected: kwjobs.messages tells the first ones";
}

/*
 * Creates a job and waits until it is over. Only procedures call this, because it commits the new
 * job before it waits.
 */
static Datum
submit_and_wait(FunctionCallInfo fcinfo, Submit submit)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc;
	KwjOutcome	outcome;
	KwjReturned returned;
	int64		job_id;
	Datum		values[7];
	bool		nulls[7] = {0};

	desc = kwj_begin_to_wait(fcinfo, "IMPORT",
							 "Type IMPORT ... WITH detached, or run it outside of a transaction block, a function and a string of several statements.");
	job_id = submit(fcinfo);
	kwj_commit_and_wait(job_id, caller, &outcome, &returned);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(kwj_status_name(outcome.status));
	values[2] = Float8GetDatum(1.0);
	values[3] = Int64GetDatum(outcome.rows);
	values[4] = CStringGetTextDatum("0");
	values[5] = CStringGetTextDatum(psprintf(INT64_FORMAT, rejected_of(&returned)));
	values[6] = CStringGetTextDatum(note_of(&returned));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

Datum
kwjobs_import_and_wait(PG_FUNCTION_ARGS)
{
	return submit_and_wait(fcinfo, submit_into);
}

Datum
kwjobs_import_table_and_wait(PG_FUNCTION_ARGS)
{
	return submit_and_wait(fcinfo, submit_table);
}

Datum
kwjobs_import_database_and_wait(PG_FUNCTION_ARGS)
{
	return submit_and_wait(fcinfo, submit_database);
}

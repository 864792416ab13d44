/*
 * src/function/export.c
 *	  SQL-callable: EXPORT.
 *
 * Process: sessions. Locks: the tables, in AccessShareLock, and the rows of jobs on which the new
 * one depends (FOR KEY SHARE), until the transaction that creates the job ends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
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
#include "type/export/export.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_export);
PG_FUNCTION_INFO_V1(kwjobs_export_and_wait);

/*
 * Returns the argument tables; NULL: it is not given. It is the last one, because kwjobs.export_and_wait has
 * its results before it.
 */
static ArrayType *
arg_tables(FunctionCallInfo fcinfo)
{
	int			last = PG_NARGS() - 1;

	return kwj_arg_array(fcinfo, last);
}

/*
 * Creates the job. Both functions begin with the same arguments: directory, target, query, database,
 * options.
 */
static int64
submit(FunctionCallInfo fcinfo)
{
	KwjNewExport new = {0};
	KwjNewJob	job;

	kwj_check_primary("EXPORT");
	new.directory = kwj_arg_text(fcinfo, 0);
	new.table = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	new.query = kwj_arg_text(fcinfo, 2);
	new.database = kwj_arg_text(fcinfo, 3);
	new.options = kwj_arg_jsonb(fcinfo, 4);
	new.tables = arg_tables(fcinfo);
	kwj_new_job(&job, kwj_type_export.name);
	kwj_export_validate(&new, &job);
	return kwj_create_checked(&kwj_type_export, &job);
}

Datum
kwjobs_export(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit(fcinfo));
}

static char *
names_of_tables(ArrayType *tables)
{
	StringInfoData names;
	Datum	   *elements;
	int			n;

	deconstruct_array(tables, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &elements, NULL, &n);
	initStringInfo(&names);
	for (int i = 0; i < n; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "TABLE ",
						 DatumGetCString(DirectFunctionCall1(regclassout, elements[i])));
	return names.data;
}

/* Returns what the statement has exported, as the specification shows it. */
static char *
name_of_source(FunctionCallInfo fcinfo)
{
	if (arg_tables(fcinfo) != NULL)
		return names_of_tables(arg_tables(fcinfo));
	if (!PG_ARGISNULL(1))
		return psprintf("TABLE %s", DatumGetCString(DirectFunctionCall1(regclassout, PG_GETARG_DATUM(1))));
	if (!PG_ARGISNULL(2))
		return kwj_arg_text(fcinfo, 2);
	return psprintf("DATABASE %s", quote_identifier(kwj_arg_text(fcinfo, 3)));
}

/* This is a procedure, so that it can commit the new job before it waits. */
Datum
kwjobs_export_and_wait(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc;
	KwjOutcome	outcome;
	KwjReturned returned;
	char	   *name;
	int64		job_id;
	Datum		values[5];
	bool		nulls[5] = {0};

	desc = kwj_begin_to_wait(fcinfo, "EXPORT",
							 "Type EXPORT ... WITH detached, or run it outside of a transaction block, a function and a string of several statements.");
	job_id = submit(fcinfo);
	name = MemoryContextStrdup(caller, name_of_source(fcinfo));
	kwj_commit_and_wait(job_id, caller, &outcome, &returned);
	values[0] = CStringGetTextDatum(name);
	values[1] = Int64GetDatum(outcome.rows);
	values[2] = Int32GetDatum(kwj_node_id);
	values[3] = Int64GetDatum(kwj_json_int64(returned.result, "files"));
	values[4] = Int64GetDatum(job_id);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * src/function/backup.c
 *	  SQL-callable: BACKUP, RESTORE and SHOW BACKUP.
 *
 * Process: sessions. Locks: AccessShareLock on the tables, until the transaction that creates the job
 * ends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "function/args.h"
#include "function/outcome.h"
#include "function/rows.h"
#include "job/json.h"
#include "job/texts.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "store/jobs.h"
#include "type/backup/backup.h"
#include "type/create.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(kwjobs_backup);
PG_FUNCTION_INFO_V1(kwjobs_backup_and_wait);
PG_FUNCTION_INFO_V1(kwjobs_restore);
PG_FUNCTION_INFO_V1(kwjobs_restore_and_wait);
PG_FUNCTION_INFO_V1(kwjobs_show_backup);

/* BACKUP or RESTORE: the type of its jobs, and the function that checks its arguments. */
typedef struct Kind
{
	const KwjType *type;
	void		(*validate) (const KwjNewBackup *given, KwjNewJob *job);
} Kind;

static const Kind backup_kind = {&kwj_type_backup, kwj_backup_validate};
static const Kind restore_kind = {&kwj_type_restore, kwj_restore_validate};

/* Creates the job. All functions have the same arguments: directory, tables, database, options. */
static int64
submit(FunctionCallInfo fcinfo, const Kind *kind)
{
	KwjNewBackup given = {0};
	KwjNewJob	job;

	kwj_check_primary(kind->type->name);
	given.directory = kwj_arg_text(fcinfo, 0);
	given.tables = kwj_arg_array(fcinfo, 1);
	given.database = kwj_arg_text(fcinfo, 2);
	given.options = kwj_arg_jsonb(fcinfo, 3);
	kwj_new_job(&job, kind->type->name);
	kind->validate(&given, &job);
	return kwj_create_checked(kind->type, &job);
}

static Datum
submit_and_wait(FunctionCallInfo fcinfo, const Kind *kind)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc = kwj_begin_to_wait(fcinfo, kind->type->name,
										 psprintf("Type %s ... WITH detached, or run it outside of a transaction block, a function and a string of several statements.",
												  kind->type->name));
	int64		job_id = submit(fcinfo, kind);
	KwjOutcome	outcome;
	KwjReturned returned;
	Datum		values[4];
	bool		nulls[4] = {0};

	kwj_commit_and_wait(job_id, caller, &outcome, &returned);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(kwj_status_name(outcome.status));
	values[2] = Float8GetDatum(1.0);
	values[3] = Int64GetDatum(kwj_json_int64(returned.result, "bytes"));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

Datum
kwjobs_backup(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit(fcinfo, &backup_kind));
}

Datum
kwjobs_backup_and_wait(PG_FUNCTION_ARGS)
{
	return submit_and_wait(fcinfo, &backup_kind);
}

Datum
kwjobs_restore(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit(fcinfo, &restore_kind));
}

Datum
kwjobs_restore_and_wait(PG_FUNCTION_ARGS)
{
	return submit_and_wait(fcinfo, &restore_kind);
}

/* Returns the names of the tables that are in a backup, a text[]; NULL if it holds a whole database. */
static Datum
tables_of(const KwjManifest *manifest, bool *isnull)
{
	*isnull = manifest->tables == NIL;
	return PointerGetDatum(kwj_array_of_texts(manifest->tables));
}

/* Returns one row, for which it reads all files of the backup. */
Datum
kwjobs_show_backup(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *rows = kwj_materialize(fcinfo, &desc);
	KwjDirectory *directory;
	KwjManifest *manifest;
	char	   *path = kwj_arg_text(fcinfo, 0);
	char	   *problem;
	Datum		values[9];
	bool		nulls[9] = {0};

	if (path == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the directory of a backup must not be null"),
				 errhint("Type SHOW BACKUP '/absolute/path'.")));
	manifest = kwj_backup_open("SHOW BACKUP", path, &directory);
	/*
	 * If a SQL job runs this, the check stops when somebody asks the job to pause or to end. Then some
	 * checksums have not been compared, so there is no row to return.
	 */
	if (kwj_manifest_check(manifest, directory, &problem) != KWJ_REQUEST_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling statement due to user request")));
	kwj_directory_close(directory);
	values[0] = CStringGetTextDatum(manifest->database);
	values[1] = tables_of(manifest, &nulls[1]);
	values[2] = DirectFunctionCall3(timestamptz_in, CStringGetDatum(manifest->created),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	values[3] = CStringGetTextDatum(manifest->server_version);
	values[4] = Int32GetDatum(list_length(manifest->files));
	values[5] = Int64GetDatum(manifest->bytes);
	values[6] = BoolGetDatum(problem == NULL);
	nulls[7] = problem == NULL;
	values[7] = problem ? CStringGetTextDatum(problem) : (Datum) 0;
	values[8] = CStringGetTextDatum(manifest->verified);
	tuplestore_putvalues(rows, desc, values, nulls);
	return (Datum) 0;
}

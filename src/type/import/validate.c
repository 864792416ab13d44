/*
 * src/type/import/validate.c
 *	  Checks an IMPORT when the job is created.
 *
 * Process: session. Locks: RowExclusiveLock on the target, until the end of the transaction.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "lifecycle/submit.h"
#include "type/columns.h"
#include "type/given.h"
#include "type/import/import.h"
#include "type/import/options.h"
#include "type/import/patterns.h"
#include "type/import/reader.h"
#include "type/import/statement.h"
#include "type/import/target.h"

/* If the user has not said how many workers import: one for so many bytes, but no more than these. */
#define BYTES_FOR_WORKER	(INT64CONST(32) * 1024 * 1024)
#define MOST_BY_DEFAULT		4

/* Refuses a path that is not absolute. Other systems would accept some of these. */
static void
refuse_path(const char *path)
{
	const char *scheme = strstr(path, "://");

	if (path[0] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("path of a file to import is empty"),
				errhint("Give the absolute path of the file on the server."));
	if (scheme != NULL && scheme > path)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot import from \"%s\": IMPORT reads files of the server", path),
				strncmp(path, "file:///", 8) == 0 ?
				errhint("Give its absolute path: '%s'.", path + 7) :
				errhint("Copy the file to the server and give its absolute path."));
	ereport(ERROR,
			errcode(ERRCODE_INVALID_NAME),
			errmsg("relative path \"%s\" not allowed for IMPORT", path),
			errhint("Give the absolute path of the file on the server."));
}

/* Returns the size of all files. */
static int64
check_files(List *files, const KwjImportOptions *options)
{
	int64		bytes = 0;
	ListCell   *lc;

	if (files == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no files to import"),
				errhint("Give the absolute paths of one or more CSV files on the server."));
	foreach(lc, files)
	{
		const char *path = lfirst(lc);
		char	   *remark;
		int64		size;

		if (!is_absolute_path(path))
			refuse_path(path);
		remark = kwj_import_check_file(path, options, &size);
		if (remark != NULL)
			ereport(NOTICE,
					errmsg_internal("%s", remark),
					errhint("The option skip counts lines as an editor does; a header that goes on within quotes is left out to its end."));
		bytes += size;
	}
	return bytes;
}

/* If the user has not said how many workers import at most, decides by the size of the files. */
static void
choose_workers(KwjImportOptions *options, int64 bytes)
{
	if (options->workers == 0)
		options->workers = Min(Min(bytes / BYTES_FOR_WORKER, MOST_BY_DEFAULT),
							   sysconf(_SC_NPROCESSORS_ONLN));
}

/* What validate_as_owner checks, and what it makes of that. */
typedef struct Checking
{
	ArrayType  *files;
	ArrayType  *columns;
	Jsonb	   *options;
	KwjImportSpec spec;
	List	   *numbers;		/* of the columns to fill, as integers */
	char	   *description;
} Checking;

/*
 * Makes the specification and the job's description from the arguments, with the files that patterns
 * match, and checks all but the files. Returns the target, open and locked.
 */
static Relation
read_spec(Checking *checking)
{
	KwjImportSpec *spec = &checking->spec;
	List	   *given;
	List	   *names;
	Relation	rel;

	kwj_import_read_options(checking->options, &spec->options, &given);
	names = kwj_array_texts(checking->columns, "column of an IMPORT must not be NULL");
	if (checking->columns != NULL && names == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no columns to import into"),
				errhint("Leave the columns out to import into all of them."));

	rel = kwj_import_lock_target(spec->target, NULL);
	spec->table = kwj_qualified_name(rel);
	checking->numbers = kwj_import_column_numbers(rel, names);
	spec->numbers = names == NIL ? checking->numbers : NIL;
	spec->columns = kwj_import_column_names(rel, checking->numbers, NIL);
	spec->options.fields = list_length(checking->numbers);
	spec->options.names = spec->columns;
	kwj_import_read_column_options(&spec->options, given);
	spec->files = kwj_import_expand_patterns(kwj_array_texts(checking->files, "file of an IMPORT must not be NULL"));
	checking->description = kwj_import_description(spec, names, given);
	return rel;
}

/* Checks the import; the current user is the job's owner. */
static void
validate_as_owner(void *arg)
{
	Checking   *checking = arg;
	KwjImportSpec *spec = &checking->spec;
	ParseState *pstate = make_parsestate(NULL);
	KwjStorageMap storage = {.context = CurrentMemoryContext};
	Relation	rel;

	kwj_import_check_may_read_files();
	rel = read_spec(checking);
	(void) kwj_import_run_statement(kwj_import_begin(pstate, rel, checking->numbers, checking->description),
									NULL, NULL);
	kwj_storage_note(&storage, rel);
	choose_workers(&spec->options, check_files(spec->files, &spec->options));
	relation_close(rel, NoLock);
	free_parsestate(pstate);
}

void
kwj_import_validate(Oid target, ArrayType *files, ArrayType *columns,
					Jsonb *options, KwjNewJob *job)
{
	Checking	checking = {.files = files, .columns = columns, .options = options, .spec.target = target};

	PreventCommandDuringRecovery("IMPORT");
	PreventCommandIfReadOnly("IMPORT");
	kwj_given_set_job_options("IMPORT", options, job);
	kwj_check_as_owner(job->owner, validate_as_owner, &checking);
	job->payload = kwj_import_payload(&checking.spec);
	if (job->description == NULL)
		job->description = checking.description;
}

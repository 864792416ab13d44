/*
 * src/type/export/validate.c
 *	  Checks an EXPORT when the job is created.
 *
 * Process: session. Locks: AccessShareLock on the tables, until the end of the transaction.
 */
#include "postgres.h"

#include <sys/stat.h>

#include "catalog/pg_type.h"
#include "job/arguments.h"
#include "job/texts.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "type/export/export.h"
#include "type/export/options.h"
#include "type/export/source.h"
#include "type/export/stage.h"
#include "type/files/directory.h"
#include "type/given.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#define USAGE	"Type EXPORT INTO CSV 'directory' FROM {TABLE table, ... | query | DATABASE database}."

/* ---- the directory ---- */

/*
 * Checks that the directory is empty, or can be created. The job does it again, but a user who has
 * mistyped something learns it at once.
 */
static void
check_directory(KwjExportSpec *spec)
{
	KwjDirectory *directory;
	const char *path = spec->directory;
	struct stat st;

	spec->create = stat(path, &st) != 0 && errno == ENOENT;
	if (spec->create)
		path = kwj_directory_parent(path);
	directory = kwj_directory_open("EXPORT", path, false);
	if (!spec->create)
		kwj_stage_check_empty(directory, 0);
	kwj_directory_check_writable(directory);
	kwj_directory_close(directory);
}

/* ---- what is exported ---- */

/* Sets which tables the job exports. A table that is named twice is exported once. */
static void
set_tables(KwjExportSpec *spec, ArrayType *tables)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(tables, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("a table of an EXPORT must not be null"),
					errhint(USAGE));
		spec->tables = list_append_unique_oid(spec->tables, DatumGetObjectId(elements[i]));
	}
	if (spec->tables == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no tables to export"),
				errhint(USAGE));
}

/* Sets what is to be exported: a table, several, a query or a database. The user has to give exactly one of these. */
static void
set_source(KwjExportSpec *spec, const KwjNewExport *new)
{
	int			given = OidIsValid(new->table) + (new->query != NULL) + (new->database != NULL) + (new->tables != NULL);

	if (given != 1)
		ereport(ERROR,
				errcode(given == 0 ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_INVALID_PARAMETER_VALUE),
				given == 0 ? errmsg("EXPORT needs a table, a query or a database") :
				errmsg("EXPORT takes one of a table, a query and a database"),
				errhint(USAGE));
	spec->kind = OidIsValid(new->table) ? KWJ_EXPORT_TABLE : new->tables != NULL ? KWJ_EXPORT_TABLES :
		new->query != NULL ? KWJ_EXPORT_QUERY : KWJ_EXPORT_DATABASE;
	spec->table = new->table;
	if (new->query != NULL)
		spec->query = kwj_export_check_query(new->query);
	if (new->database != NULL)
		spec->name = pstrdup(new->database);
	if (new->tables != NULL)
		set_tables(spec, new->tables);
}

/* Checks the job as its owner, who is the current user. */
static void
validate_as_owner(void *arg)
{
	KwjExportSpec *spec = arg;
	bool		needs_snapshot = !ActiveSnapshotSet();
	List	   *items;
	ListCell   *lc;

	kwj_export_check_may_write_files();
	spec->directory = kwj_directory_check_path("EXPORT", spec->directory);
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	items = kwj_export_items(spec);
	foreach(lc, items)
	{
		const KwjExportItem *item = lfirst(lc);

		kwj_export_check_may_read(item);
		if (spec->kind == KWJ_EXPORT_TABLE)
			spec->name = quote_qualified_identifier(item->schema, item->name);
		if (spec->kind == KWJ_EXPORT_TABLES)
			spec->names = lappend(spec->names, quote_qualified_identifier(item->schema, item->name));
	}
	if (needs_snapshot)
		PopActiveSnapshot();
	check_directory(spec);
}

/*
 * Returns the arguments by which the same EXPORT can be created in another database. NULL: its query may mean
 * something else there, as standard_conforming_strings is off here.
 */
static Jsonb *
make_arguments(const KwjNewExport *new, const KwjExportSpec *spec)
{
	StringInfoData json;

	if (spec->query != NULL && strcmp(GetConfigOption("standard_conforming_strings", false, false), "on") != 0)
		return NULL;
	initStringInfo(&json);
	kwj_arguments_add_text(&json, "directory", spec->directory);
	kwj_arguments_add_text(&json, "table", spec->kind == KWJ_EXPORT_TABLE ? spec->name : NULL);
	kwj_arguments_add_texts(&json, "tables", spec->names);
	kwj_arguments_add_text(&json, "query", spec->query);
	kwj_arguments_add_text(&json, "database", new->database);
	kwj_arguments_add_object(&json, "options", kwj_given_own_options(new->options));
	return kwj_arguments_made(&json);
}

void
kwj_export_validate(const KwjNewExport *new, KwjNewJob *job)
{
	KwjExportSpec spec = {0};
	List	   *given;

	PreventCommandDuringRecovery("EXPORT");
	PreventCommandIfReadOnly("EXPORT");
	if (new->directory == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("the directory of an EXPORT must not be null"),
				errhint(USAGE));
	spec.directory = unconstify(char *, new->directory);
	set_source(&spec, new);
	kwj_export_read_options(new->options, spec.kind, &spec.options, &given);
	kwj_given_set_job_options("EXPORT", new->options, job);
	kwj_check_as_owner(job->owner, validate_as_owner, &spec);
	job->payload = kwj_export_payload(&spec);
	job->arguments = make_arguments(new, &spec);
	if (job->description == NULL)
		job->description = kwj_export_description(&spec, given);
}

/* Returns a regclass[] of these names (text[]); NULL for NULL. */
static ArrayType *
tables_of(ArrayType *names)
{
	List	   *texts = kwj_texts_of_array(names, "a table of an EXPORT must not be null");
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	int			n = 0;
	ListCell   *lc;

	if (names == NULL)
		return NULL;
	foreach(lc, texts)
		elements[n++] = DirectFunctionCall1(regclassin, CStringGetDatum(lfirst(lc)));
	return construct_array(elements, n, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT);
}

void
kwj_export_validate_arguments(Jsonb *arguments, KwjNewJob *job)
{
	static const char *const names[] = {"directory", "table", "query", "database", "tables", "options", NULL};
	KwjNewExport new = {0};
	char	   *table;

	kwj_arguments_check(arguments, job->job_type, names);
	new.directory = kwj_argument_text(arguments, "directory");
	if (new.directory == NULL)
		kwj_argument_missing(job->job_type, "directory");
	table = kwj_argument_text(arguments, "table");
	if (table != NULL)
		new.table = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(table)));
	new.tables = tables_of(kwj_argument_texts(arguments, "tables"));
	new.query = kwj_argument_text(arguments, "query");
	new.database = kwj_argument_text(arguments, "database");
	new.options = kwj_argument_object(arguments, "options");
	kwj_export_validate(&new, job);
}

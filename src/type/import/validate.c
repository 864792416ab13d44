/*
 * src/type/import/validate.c
 *	  Checks an IMPORT when the job is created.
 *
 * Process: session. Locks: RowExclusiveLock on the target, until the end of the transaction; if the job
 * is to create it, those of its definition, until that was tried.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "job/arguments.h"
#include "job/isolate.h"
#include "job/texts.h"
#include "lifecycle/submit.h"
#include "type/columns.h"
#include "type/given.h"
#include "type/import/definition.h"
#include "type/import/import.h"
#include "type/import/maintain.h"
#include "type/import/manifest.h"
#include "type/import/options.h"
#include "type/import/patterns.h"
#include "type/import/reader.h"
#include "type/import/reject_file.h"
#include "type/import/reject_table.h"
#include "type/import/statement.h"
#include "type/import/target.h"
#include "type/import/verify.h"

/* If the user has not said how many workers import: one for this many bytes, but no more than these. */
#define BYTES_FOR_WORKER	(INT64CONST(32) * 1024 * 1024)
#define MOST_BY_DEFAULT		4

/*
 * Checks all files. Returns their size, and why one worker has to read one of them; NULL: several may
 * read all of them.
 */
static int64
check_files(KwjImportSpec *spec, const char **one_reader)
{
	int64		bytes = 0;
	List	   *sizes = NIL;
	bool		is_remote = false;
	ListCell   *lc;

	*one_reader = NULL;
	/* A manifest of an empty table has none. */
	if (spec->files == NIL && spec->checksum == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no files to import"),
				errhint("Give the absolute paths of one or more CSV files on the server."));
	foreach(lc, spec->files)
	{
		KwjImportFile file = kwj_import_check_file(lfirst(lc), &spec->options);

		if (file.remark != NULL)
			ereport(NOTICE,
					errmsg_internal("%s", file.remark),
					errhint("The option skip counts lines as an editor does; a header that goes on within quotes is left out to its end."));
		if (*one_reader == NULL)
			*one_reader = file.one_reader;
		bytes += Max(file.size, 0);
		sizes = lappend(sizes, psprintf(INT64_FORMAT, file.size));
		is_remote |= kwj_source_is_remote(lfirst(lc));
	}
	if (is_remote)
		spec->sizes = sizes;
	return bytes;
}

/*
 * If the user has not said how many workers import at most, decides by the size of the files. If one
 * worker has to read them, there is only one; if there would have been more without that, it shows the
 * reason in running_status. If the rows are to be kept, one worker imports, too, because after a failure
 * RETRY has to know where to go on.
 */
static void
choose_workers(KwjImportOptions *options, int64 bytes, const char *one_reader)
{
	if (options->workers == 0)
		options->workers = Min(Min(bytes / BYTES_FOR_WORKER, MOST_BY_DEFAULT),
							   sysconf(_SC_NPROCESSORS_ONLN));
	if (one_reader == NULL && options->keeps_rows)
		one_reader = "revert = 'none'";
	if (options->workers > 1 && one_reader != NULL)
	{
		options->workers = 1;
		options->one_worker = one_reader;
	}
}

/* What a user has given, and the specification and description that validate_as_owner makes of it. */
typedef struct Checking
{
	const KwjNewImport *new;
	KwjImportSpec spec;
	List	   *numbers;		/* of the columns to fill, as integers */
	char	   *description;
} Checking;

/* Returns the locations that the user has given (char *). Errors: 22004 if one is NULL. */
static List *
files_of(const KwjNewImport *new)
{
	return kwj_texts_of_array(new->files, "file of an IMPORT must not be NULL");
}

/* Returns the names of the columns that the user has given (char *). Errors: 22004 if one is NULL. */
static List *
columns_of(const KwjNewImport *new)
{
	return kwj_texts_of_array(new->columns, "column of an IMPORT must not be NULL");
}

/* Sets the beginning of the description of a job that creates its target. */
static void
set_head(KwjImportSpec *spec, const KwjDefinition *definition, const KwjNewImport *new)
{
	if (new->definition_file != NULL)
		spec->head = psprintf("IMPORT TABLE CREATE USING %s", quote_literal_cstr(new->definition_file));
	else
		spec->head = psprintf("IMPORT TABLE %s %s", spec->table, kwj_definition_body(definition));
}

/* Returns the columns that the files of a manifest fill. names: those that the user gave; NIL: none. */
static List *
columns_of_manifest(const KwjImportManifest *manifest, const KwjExported *exported, List *names)
{
	if (names == NIL || exported->columns == NIL)
		return names != NIL ? names : exported->columns;
	if (list_length(names) != list_length(exported->columns))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the files of the manifest \"%s\" have %d columns, and the IMPORT fills %d",
					   manifest->path, list_length(exported->columns), list_length(names)),
				errhint("Name a column for each of theirs, in their order, or leave the columns out: then they are found by their names."));
	return names;
}

/* Returns the given options without those that a manifest has added. added: the names of these (char *). */
static List *
without_options(List *given, List *added)
{
	List	   *own = NIL;
	ListCell   *lc;
	ListCell   *la;

	foreach(lc, given)
	{
		bool		is_own = true;

		foreach(la, added)
			is_own &= strcmp(((KwjGiven *) lfirst(lc))->name, lfirst(la)) != 0;
		if (is_own)
			own = lappend(own, lfirst(lc));
	}
	return own;
}

/* Sets the files of the import, and its description, which names the manifest instead if there is one. */
static void
set_files(Checking *checking, const KwjImportManifest *manifest, const KwjExported *exported, List *files,
		  List *names, List *given)
{
	KwjImportSpec *spec = &checking->spec;

	spec->files = manifest ? files : kwj_import_expand_patterns(files);
	checking->description = kwj_import_description(spec, names, given);
	if (manifest == NULL)
		return;
	spec->files = exported->files;
	spec->sizes = exported->sizes;
	spec->checksums = exported->checksums;
	spec->checksum = manifest->checksum;
}

/*
 * Makes the specification and the job's description from the arguments, with the files that patterns
 * match or that a manifest names, and checks all but the files. definition: what has created the target
 * just now, to try it; NULL: the target was there before. Returns the target, open and locked.
 */
static Relation
read_spec(Checking *checking, const KwjDefinition *definition)
{
	const KwjNewImport *new = checking->new;
	KwjImportSpec *spec = &checking->spec;
	List	   *files = files_of(new);
	KwjImportManifest *manifest = kwj_import_find_manifest(files);
	KwjExported *exported = NULL;
	Jsonb	   *options = new->options;
	List	   *added = NIL;
	List	   *given;
	List	   *names;
	List	   *filled;
	Relation	rel;

	if (manifest != NULL)
		options = kwj_import_manifest_options(manifest, options, &added);
	kwj_import_read_options(options, &spec->options, &given);
	names = filled = columns_of(new);
	if (new->columns != NULL && names == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no columns to import into"),
				errhint("Leave the columns out to import into all of them."));

	rel = kwj_import_lock_target(spec->target, NULL);
	if (manifest != NULL)
	{
		exported = kwj_import_exported(manifest, get_namespace_name(RelationGetNamespace(rel)),
									   RelationGetRelationName(rel));
		filled = columns_of_manifest(manifest, exported, names);
	}
	spec->table = kwj_qualified_name(rel);
	checking->numbers = kwj_import_column_numbers(rel, filled);
	/* The columns of a table that does not exist yet have no numbers. */
	spec->numbers = filled == NIL && definition == NULL ? checking->numbers : NIL;
	spec->columns = kwj_import_column_names(rel, checking->numbers, NIL);
	spec->options.fields = list_length(checking->numbers);
	spec->options.names = spec->columns;
	kwj_import_read_column_options(&spec->options, given);
	kwj_import_check_skips(&spec->options, rel);
	kwj_reject_file_check_place(&spec->options);
	kwj_import_check_maintains(&spec->options, rel);
	if (definition != NULL)
	{
		spec->schema = get_namespace_name(RelationGetNamespace(rel));
		set_head(spec, definition, new);
	}
	set_files(checking, manifest, exported, files, names, without_options(given, added));
	return rel;
}

/* Checks a target of which a revert could not remove the rows, and tells the user that they would stay. */
static void
accept_elsewhere(Relation rel)
{
	kwj_import_check_elsewhere(rel);
	ereport(NOTICE,
			errmsg("rows imported into \"%s\" stay there if the job fails or is canceled",
				   RelationGetRelationName(rel)),
			errdetail("The job imports by COPY statements. If they write to another server that does not take part in two-phase commit, a crash can have it import the last batch once more."));
}

/* Checks the import into a target that exists now. definition: as for read_spec. */
static void
check_target(Checking *checking, const KwjDefinition *definition)
{
	KwjImportSpec *spec = &checking->spec;
	ParseState *pstate = make_parsestate(NULL);
	KwjStorageMap storage = {.context = CurrentMemoryContext};
	Relation	rel = read_spec(checking, definition);

	(void) kwj_import_run_statement(kwj_import_begin(pstate, rel, checking->numbers, checking->description),
									NULL, NULL);
	if (spec->options.keeps_rows && kwj_import_is_elsewhere(rel))
		accept_elsewhere(rel);
	else
		kwj_storage_note(&storage, rel);
	if (definition == NULL || spec->files != NIL)
	{
		const char *one_reader;
		int64		bytes = check_files(spec, &one_reader);

		choose_workers(&spec->options, bytes, one_reader);
	}
	relation_close(rel, NoLock);
	free_parsestate(pstate);
}

/* ---- all tables of an EXPORT ---- */

static void
add_exported(KwjImportSpec *spec, const KwjImportManifest *manifest, const KwjExported *exported)
{
	KwjImportTable *table = palloc0(sizeof(KwjImportTable));

	if (exported->table == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the manifest \"%s\" is of a query, not of tables", manifest->path),
				errhint("Create a table, then type IMPORT INTO table CSV DATA ('%s').", manifest->path));
	table->schema = exported->schema;
	table->name = exported->table;
	table->columns = exported->columns;
	table->n_files = list_length(exported->files);
	spec->tables = lappend(spec->tables, table);
	spec->files = list_concat(spec->files, exported->files);
	spec->sizes = list_concat(spec->sizes, exported->sizes);
	spec->checksums = list_concat(spec->checksums, exported->checksums);
}

/* Refuses options that are about one table: those that name columns, and those of the last step. */
static void
refuse_options_of_table(const List *given)
{
	ListCell   *lc;

	foreach(lc, given)
	{
		const KwjGiven *option = lfirst(lc);

		if (strncmp(option->name, "force_", strlen("force_")) == 0 || strcmp(option->name, "analyze") == 0 ||
			strcmp(option->name, "freeze") == 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("IMPORT DATABASE has no option \"%s\"", option->name),
					errhint("It is about one table. Leave it out, or type IMPORT INTO for the table."));
	}
}

/* Reads the definition of the tables, after comparing it with the manifest. */
static char *
read_meta(const KwjImportManifest *manifest)
{
	const KwjExported *meta = manifest->meta;

	if (meta == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the EXPORT of the manifest \"%s\" has written no meta.sql", manifest->path),
				errhint("Export without data_only, or create the tables and type IMPORT INTO table CSV DATA ('%s') for each.",
						manifest->path));
	kwj_import_check_sum(linitial(meta->files), manifest->checksum, linitial(meta->sizes),
						 linitial(meta->checksums));
	return kwj_definition_read_file(linitial(meta->files));
}

/* Makes the specification and the description of an import of all tables in a directory. */
static void
read_directory(Checking *checking)
{
	const KwjNewImport *new = checking->new;
	KwjImportSpec *spec = &checking->spec;
	KwjImportManifest *manifest = kwj_import_read_manifest(psprintf("%s/manifest.json", new->directory));
	List	   *added = NIL;
	List	   *given;
	Jsonb	   *options = kwj_import_manifest_options(manifest, new->options, &added);
	ListCell   *lc;

	kwj_import_read_options(options, &spec->options, &given);
	refuse_options_of_table(given);
	kwj_reject_file_check_right(&spec->options);
	kwj_reject_file_check_place(&spec->options);
	spec->head = "IMPORT DATABASE";
	spec->table = psprintf("%d tables", list_length(manifest->exported));
	spec->files = list_make1(unconstify(char *, new->directory));
	checking->description = kwj_import_description(spec, NIL, without_options(given, added));
	spec->files = NIL;
	foreach(lc, manifest->exported)
		add_exported(spec, manifest, lfirst(lc));
	if (spec->tables == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the manifest \"%s\" has no tables", manifest->path),
				errhint("Give the directory of an EXPORT that has tables."));
	spec->checksum = manifest->checksum;
	spec->definition = read_meta(manifest);
}

/* Checks the import into the tables that the definition has just created. */
static void
check_tables(Checking *checking, const KwjCreated *created)
{
	KwjImportSpec one = checking->spec;
	const char *one_reader = NULL;
	int64		bytes = 0;
	int			file = 0;
	ListCell   *lc;

	foreach(lc, checking->spec.tables)
	{
		const KwjImportTable *table = lfirst(lc);
		Relation	rel = kwj_import_lock_target(kwj_created_find(created, table->schema, table->name), NULL);
		const char *found;

		one.columns = one.options.names = table->columns;
		one.options.fields = list_length(kwj_import_column_numbers(rel, table->columns));
		one.files = list_truncate(list_copy_tail(checking->spec.files, file), table->n_files);
		file += table->n_files;
		bytes += check_files(&one, &found);
		if (one_reader == NULL)
			one_reader = found;
		relation_close(rel, NoLock);
	}
	choose_workers(&checking->spec.options, bytes, one_reader);
}

/* What try_definition tries. */
typedef struct Trying
{
	Checking   *checking;
	KwjDefinition *definition;
} Trying;

static void
define_and_check(void *arg)
{
	const Trying *trying = arg;
	Checking   *checking = trying->checking;
	KwjCreated	created = {.context = CurrentMemoryContext};

	PushActiveSnapshot(GetTransactionSnapshot());
	kwj_definition_run(trying->definition, KWJ_DEFINE_ALL, NULL, true, &created);
	checking->spec.target = created.target;
	if (checking->spec.tables != NIL)
		check_tables(checking, &created);
	else
		check_target(checking, trying->definition);
	PopActiveSnapshot();
}

/*
 * Runs the definition, checks the import into the table that it creates, and rolls both back. So a user
 * learns at once what is wrong with either.
 */
static void
try_definition(Checking *checking)
{
	Trying		trying = {checking, kwj_definition_parse(checking->spec.definition, checking->spec.tables == NIL)};
	ErrorData  *edata;

	checking->spec.has_rest = trying.definition->has_rest;
	edata = kwj_isolate_and_undo(define_and_check, &trying);
	checking->spec.target = InvalidOid;
	if (edata != NULL)
		ReThrowError(edata);
}

/*
 * Returns the text of a definition that the session has given. A definition is parsed as psql parses a
 * file, with standard_conforming_strings; a backslash would get another meaning.
 */
static char *
given_text(const char *definition)
{
	const char *conforming = GetConfigOption("standard_conforming_strings", true, false);

	if (conforming != NULL && strcmp(conforming, "off") == 0 && strchr(definition, '\\') != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the definition of a table to import into has a backslash, and standard_conforming_strings is off"),
				errhint("Type SET standard_conforming_strings = on, and a string with escapes as E'...'."));
	return pstrdup(definition);
}

/* Checks the import; the current user is the job's owner. */
static void
validate_as_owner(void *arg)
{
	Checking   *checking = arg;
	const KwjNewImport *new = checking->new;

	if (new->directory != NULL)
	{
		kwj_import_check_may_read_files();
		read_directory(checking);
		try_definition(checking);
		return;
	}
	kwj_import_check_may_read(files_of(new));
	if (new->definition_file != NULL)
		kwj_import_check_may_read_files();
	if (OidIsValid(new->target))
	{
		checking->spec.target = new->target;
		check_target(checking, NULL);
		return;
	}
	checking->spec.definition = new->definition != NULL ? given_text(new->definition) :
		kwj_definition_read_file(new->definition_file);
	try_definition(checking);
}

/* Checks that the user has said what to import into, and only once. */
static void
check_given(const KwjNewImport *new)
{
	int			given = OidIsValid(new->target) + (new->definition != NULL) + (new->definition_file != NULL) +
		(new->directory != NULL);

	if (given == 1)
		return;
	ereport(ERROR,
			errcode(given == 0 ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_INVALID_PARAMETER_VALUE),
			given == 0 ? errmsg("IMPORT needs a table, or the definition of a table to create") :
			errmsg("IMPORT takes one of a table, a definition, a file with a definition and a directory"),
			errhint("Type IMPORT INTO table CSV DATA ('file', ...), or IMPORT TABLE table (column type, ...) CSV DATA ('file', ...)."));
}

/* Returns the arguments by which the same IMPORT can be created in another database. */
static Jsonb *
make_arguments(const KwjNewImport *new, const KwjImportSpec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	kwj_arguments_add_text(&json, "target", OidIsValid(new->target) ? spec->table : NULL);
	kwj_arguments_add_text(&json, "definition", new->definition);
	kwj_arguments_add_text(&json, "definition_file", new->definition_file);
	kwj_arguments_add_text(&json, "directory", new->directory);
	kwj_arguments_add_texts(&json, "files", files_of(new));
	kwj_arguments_add_texts(&json, "columns", columns_of(new));
	kwj_arguments_add_object(&json, "options", kwj_given_own_options(new->options));
	return kwj_arguments_made(&json);
}

void
kwj_import_validate(const KwjNewImport *new, KwjNewJob *job)
{
	Checking	checking = {.new = new};

	PreventCommandDuringRecovery("IMPORT");
	PreventCommandIfReadOnly("IMPORT");
	check_given(new);
	kwj_given_set_job_options("IMPORT", new->options, job);
	kwj_check_as_owner(job->owner, validate_as_owner, &checking);
	job->payload = kwj_import_payload(&checking.spec);
	job->arguments = make_arguments(new, &checking.spec);
	if (job->description == NULL)
		job->description = checking.description;
}

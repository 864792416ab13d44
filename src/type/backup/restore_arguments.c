/*
 * src/type/backup/restore_arguments.c
 *	  What a user gives for a RESTORE, and the payload of the job.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "job/json.h"
#include "job/texts.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "serve/server.h"
#include "tcop/utility.h"
#include "type/backup/arguments.h"
#include "type/backup/backup.h"
#include "type/backup/manifest.h"
#include "type/backup/program.h"
#include "type/backup/restore.h"
#include "type/backup/work.h"
#include "type/files/directory.h"
#include "type/given.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/regproc.h"

/* ---- options ---- */

static const struct
{
	const char *name;
	bool		is_flag;
}			known_options[] =
{
	{"into_db", false},
	{"no_owner", true},
	{"no_privileges", true},
	{"skip_missing_foreign_keys", true},
	{"thread_concurrency", false},
};

/* Returns whether the option is a flag. Raises an error if there is no such option. */
static bool
is_flag(const char *name)
{
	for (int i = 0; i < lengthof(known_options); i++)
		if (strcmp(name, known_options[i].name) == 0)
			return known_options[i].is_flag;
	kwj_given_refuse_option("RESTORE", name, NULL, 0,
							"Valid options are into_db, no_owner, no_privileges, skip_missing_foreign_keys, thread_concurrency, those of all jobs such as priority, and in the statement RESTORE also detached.");
}

static void
set_option(KwjRestoreSpec *spec, const KwjGiven *option)
{
	if (strcmp(option->name, "no_owner") == 0)
		spec->no_owner = kwj_given_flag("RESTORE", option);
	else if (strcmp(option->name, "no_privileges") == 0)
		spec->no_privileges = kwj_given_flag("RESTORE", option);
	else if (strcmp(option->name, "skip_missing_foreign_keys") == 0)
		spec->skip_missing_foreign_keys = kwj_given_flag("RESTORE", option);
	else if (strcmp(option->name, "into_db") == 0)
	{
		if (option->value == NULL || option->value[0] == '\0' || strlen(option->value) >= NAMEDATALEN)
			kwj_given_refuse_value("RESTORE", option->name, option->value, "Give the name of a database.");
		spec->target = option->value;
	}
	else
		spec->workers = kwj_backup_workers("RESTORE", option, "processes that restore");
}

/* ---- the session that creates the job ---- */

typedef struct Checking
{
	const KwjNewBackup *given;
	KwjRestoreSpec *spec;
} Checking;

void
kwj_restore_check_target(const char *target)
{
	if (OidIsValid(get_database_oid(target, true)))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_DATABASE),
				errmsg("database \"%s\" already exists", target),
				errhint("RESTORE never writes into a database that exists. Type WITH into_db = 'name' for another one, or drop it first."));
	kwj_work_check_may_create(NULL);
}

/* Returns the name as kwj_qualified_name() writes it, if it has a schema; else that part of it. */
static char *
normal_name(const char *text)
{
	List	   *parts = stringToQualifiedNameList(text KWJ_NO_ESCONTEXT);

	if (list_length(parts) == 1)
		return pstrdup(quote_identifier(strVal(linitial(parts))));
	if (list_length(parts) > 2)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("improper name of a table in a backup: %s", text),
				errhint("Type table or schema.table."));
	return quote_qualified_identifier(strVal(linitial(parts)), strVal(lsecond(parts)));
}

/* Returns whether the manifest's quoted, qualified name is that of the table that was typed. */
static bool
is_table(const char *of_manifest, const char *typed)
{
	const char *last = of_manifest + strlen(of_manifest) - strlen(typed);

	if (strcmp(of_manifest, typed) == 0)
		return true;
	return last > of_manifest && last[-1] == '.' && strcmp(last, typed) == 0;
}

/* Returns the name in the manifest of a backup of tables. Errors: 42P01. */
static char *
name_in_manifest(const KwjManifest *manifest, const char *name)
{
	ListCell   *lc;

	foreach(lc, manifest->tables)
		if (is_table(lfirst(lc), name))
			return lfirst(lc);
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_TABLE),
			errmsg("the backup does not hold table %s", name),
			errhint("SHOW BACKUP 'directory' names its tables."));
}

static bool
has_name(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/*
 * Sets which tables are to be restored. Whether the backup of a database holds them, pg_restore tells the
 * worker.
 */
static void
set_tables(const Checking *checking, const KwjManifest *manifest)
{
	List	   *names = kwj_texts_of_array(checking->given->tables, "table of a RESTORE must not be NULL");
	KwjRestoreSpec *spec = checking->spec;
	ListCell   *lc;

	if (checking->given->tables != NULL && names == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no tables to restore"),
				errhint("Leave the tables out to restore all that the backup holds."));
	foreach(lc, names)
	{
		char	   *name = normal_name(lfirst(lc));

		if (manifest->tables != NIL)
			name = name_in_manifest(manifest, name);
		if (!has_name(spec->tables, name))
			spec->tables = lappend(spec->tables, name);
	}
	if (manifest->tables != NIL && list_length(spec->tables) == list_length(manifest->tables))
		spec->tables = NIL;
}

/* A later version of pg_dump may have written what this pg_restore does not know. */
static void
check_version(const KwjManifest *manifest)
{
	if (manifest->version_num / 10000 <= PG_MAJORVERSION_NUM)
		return;
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("the backup was made by PostgreSQL %d, and this server is PostgreSQL %d",
				   manifest->version_num / 10000, PG_MAJORVERSION_NUM),
			errdetail("A backup can be restored by the version that has made it, and by later ones."),
			errhint("Restore it on a server of that version, or try pg_restore by hand."));
}

/* Checks the RESTORE as its owner, who is the current user, and decides on the target. */
static void
validate_as_owner(void *arg)
{
	Checking   *checking = arg;
	KwjRestoreSpec *spec = checking->spec;
	const char *database = checking->given->database;
	KwjDirectory *directory;
	KwjManifest *manifest = kwj_backup_open("RESTORE", spec->directory, &directory);

	kwj_directory_close(directory);
	check_version(manifest);
	set_tables(checking, manifest);
	spec->creates = manifest->tables == NIL && spec->tables == NIL;
	if (database != NULL && strcmp(database, manifest->database) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the backup is one of database \"%s\", not of \"%s\"", manifest->database, database),
				errhint("To restore it under another name, type RESTORE FROM 'directory' WITH into_db = 'name'."));
	if (spec->target == NULL)
		spec->target = spec->creates ? manifest->database : get_database_name(MyDatabaseId);
	if (spec->creates)
		kwj_restore_check_target(spec->target);
	else
		kwj_backup_check_may_connect(spec->target, NULL);
}

static Jsonb *
make_payload(const KwjRestoreSpec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"directory\": ");
	escape_json(&json, spec->directory);
	appendStringInfoString(&json, ", \"target\": ");
	escape_json(&json, spec->target);
	appendStringInfoString(&json, ", \"tables\": ");
	kwj_json_append_texts(&json, spec->tables);
	appendStringInfo(&json, ", \"creates\": %s, \"workers\": %d, \"no_owner\": %s, \"no_privileges\": %s,"
					 " \"skip_missing_foreign_keys\": %s}",
					 spec->creates ? "true" : "false", spec->workers, spec->no_owner ? "true" : "false",
					 spec->no_privileges ? "true" : "false",
					 spec->skip_missing_foreign_keys ? "true" : "false");
	return kwj_json_parse(json.data);
}

int
kwj_restore_sessions(const KwjRestoreSpec *spec)
{
	return spec->creates ? kwj_backup_sessions(spec->workers) : 1;
}

void
kwj_restore_read_payload(Jsonb *payload, KwjRestoreSpec *spec)
{
	spec->directory = kwj_json_text(payload, "directory");
	spec->target = kwj_json_text(payload, "target");
	spec->creates = kwj_json_bool_or_false(payload, "creates");
	spec->tables = kwj_json_texts(payload, "tables");
	spec->workers = (int) kwj_json_int64(payload, "workers");
	spec->no_owner = kwj_json_bool_or_false(payload, "no_owner");
	spec->no_privileges = kwj_json_bool_or_false(payload, "no_privileges");
	spec->skip_missing_foreign_keys = kwj_json_bool_or_false(payload, "skip_missing_foreign_keys");
}

static char *
describe(const KwjRestoreSpec *spec)
{
	StringInfoData text;
	const char *separator = " TABLE ";
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, "RESTORE");
	foreach(lc, spec->tables)
	{
		appendStringInfo(&text, "%s%s", separator, (char *) lfirst(lc));
		separator = ", ";
	}
	appendStringInfo(&text, " FROM %s WITH into_db = %s", quote_literal_cstr(spec->directory),
					 quote_literal_cstr(spec->target));
	return text.data;
}

void
kwj_restore_validate(const KwjNewBackup *restore, KwjNewJob *job)
{
	KwjRestoreSpec spec = {.workers = KWJ_BACKUP_WORKERS};
	Checking	checking = {restore, &spec};
	ListCell   *lc;

	PreventCommandDuringRecovery("RESTORE");
	PreventCommandIfReadOnly("RESTORE");
	kwj_given_set_job_options("RESTORE", restore->options, job);
	foreach(lc, kwj_given_options("RESTORE", restore->options, is_flag))
		set_option(&spec, lfirst(lc));
	if (restore->directory == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("the directory of a RESTORE must not be null"),
				errhint("Type RESTORE FROM '/absolute/path'."));
	spec.directory = kwj_directory_check_path("RESTORE", restore->directory);
	(void) kwj_program_path("pg_restore");
	(void) kwj_program_path("psql");
	kwj_check_as_owner(job->owner, validate_as_owner, &checking);
	kwj_server_check_places("RESTORE", kwj_restore_sessions(&spec));
	job->payload = make_payload(&spec);
	job->arguments = kwj_backup_made_arguments(restore, spec.directory, spec.tables);
	/* What the first attempt leaves is dropped, whether it has written a checkpoint or not. */
	job->has_revert = spec.creates;
	if (job->description == NULL)
		job->description = describe(&spec);
}


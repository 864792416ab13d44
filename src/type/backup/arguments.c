/*
 * src/type/backup/arguments.c
 *	  What a user gives for a BACKUP, and the payload of the job.
 *
 * Process: session (when the job is created), worker. Locks: AccessShareLock on the tables, until the
 * end of the transaction that creates the job.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "common/string.h"
#include "compat.h"
#include "job/arguments.h"
#include "job/json.h"
#include "job/texts.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "serve/server.h"
#include "tcop/utility.h"
#include "type/backup/arguments.h"
#include "type/backup/backup.h"
#include "type/backup/program.h"
#include "type/backup/work.h"
#include "type/columns.h"
#include "type/files/directory.h"
#include "type/given.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define MOST_WORKERS	32

KwjNewBackup
kwj_backup_arguments(Jsonb *arguments, const char *job_type)
{
	static const char *const names[] = {"directory", "tables", "database", "options", NULL};
	KwjNewBackup given;

	kwj_arguments_check(arguments, job_type, names);
	given.directory = kwj_argument_text(arguments, "directory");
	if (given.directory == NULL)
		kwj_argument_missing(job_type, "directory");
	given.tables = kwj_argument_texts(arguments, "tables");
	given.database = kwj_argument_text(arguments, "database");
	given.options = kwj_argument_object(arguments, "options");
	return given;
}

Jsonb *
kwj_backup_made_arguments(const KwjNewBackup *given, const char *directory, const List *tables)
{
	StringInfoData json;

	initStringInfo(&json);
	kwj_arguments_add_text(&json, "directory", directory);
	kwj_arguments_add_texts(&json, "tables", tables);
	kwj_arguments_add_text(&json, "database", given->database);
	kwj_arguments_add_object(&json, "options", kwj_given_own_options(given->options));
	return kwj_arguments_made(&json);
}

/* ---- options ---- */

static const struct
{
	const char *name;
	bool		is_flag;
}			known_options[] =
{
	{"compress", false},
	{"lock_timeout", false},
	{"schema_only", true},
	{"thread_concurrency", false},
	{"verify", false},
};

/* Options that other systems have, or that one types by habit. */
static const KwjForeignOption foreign_options[] = {
	{"detached", "It belongs to the statement: BACKUP ... WITH detached. kwjobs.backup returns at once, kwjobs.backup_and_wait waits."},
	{"encryption_passphrase", "Backups are not encrypted. Use an encrypted file system, or encrypt the directory afterwards."},
	{"format", "A backup is a directory in pg_dump's format; there is no option for it."},
	{"jobs", "The number of tables that are dumped at the same time is the option thread_concurrency."},
	{"kms", "Backups are not encrypted. Use an encrypted file system, or encrypt the directory afterwards."},
	{"revision_history", "A backup holds one state of the database. For earlier ones, archive WAL."},
};

/* Returns whether the option is a flag. Raises an error if there is no such option. */
static bool
is_flag(const char *name)
{
	for (int i = 0; i < lengthof(known_options); i++)
		if (strcmp(name, known_options[i].name) == 0)
			return known_options[i].is_flag;
	kwj_given_refuse_option("BACKUP", name, foreign_options, lengthof(foreign_options),
							"Valid options are compress, lock_timeout, schema_only, thread_concurrency, verify, those of all jobs such as priority, and in the statement BACKUP also detached.");
}

/* Returns whether pg_dump of this version takes this for --compress. */
static bool
is_compression(const char *value)
{
	static const char *const methods[] = {"none", "gzip", "lz4", "zstd"};

	if (value[0] >= '0' && value[0] <= '9' && value[1] == '\0')
		return true;
	for (int i = 0; KWJ_HAS_DUMP_METHODS && i < lengthof(methods); i++)
	{
		size_t		length = strlen(methods[i]);
		const char *level = value + length;

		if (strncmp(value, methods[i], length) != 0)
			continue;
		if (level[0] == '\0')
			return true;
		return level[0] == ':' && strlen(level) >= 2 && strlen(level) <= 3 &&
			strspn(level + 1, "0123456789") == strlen(level + 1);
	}
	return false;
}

int
kwj_backup_workers(const char *statement, const KwjGiven *option, const char *what)
{
	return (int) kwj_given_number(statement, option->name, option->value, 1, MOST_WORKERS,
								  psprintf("Give the number of %s, 1 to %d.", what, MOST_WORKERS));
}

static void
set_lock_timeout(KwjBackupSpec *spec, const KwjGiven *option)
{
	const char *hint = NULL;

	if (option->value == NULL || !parse_int(option->value, &spec->lock_timeout_ms, GUC_UNIT_MS, &hint) ||
		spec->lock_timeout_ms < 0)
		kwj_given_refuse_value("BACKUP", option->name, option->value,
							   hint ? hint : "Give a time, for example '30s'; 0: no limit.");
}

static void
set_verify(KwjBackupSpec *spec, const KwjGiven *option)
{
	static const char *const values[] = {KWJ_VERIFIED_READ, KWJ_VERIFIED_RESTORE, KWJ_VERIFIED_NO_OWNER};

	spec->verify = NULL;
	for (int i = 0; i < lengthof(values) && option->value != NULL; i++)
		if (strcmp(option->value, values[i]) == 0)
			spec->verify = option->value;
	if (spec->verify == NULL)
		kwj_given_refuse_value("BACKUP", option->name, option->value,
							   "Type verify = 'read' to read the backup back, as is the default, or 'restore' to also restore it into a scratch database and compare, or 'restore_no_owner' to do that without owners, rights and publications.");
}

bool
kwj_backup_is_restored(const KwjBackupSpec *spec)
{
	return strcmp(spec->verify, KWJ_VERIFIED_READ) != 0;
}

static void
set_option(KwjBackupSpec *spec, const KwjGiven *option)
{
	if (strcmp(option->name, "compress") == 0)
	{
		if (option->value == NULL || !is_compression(option->value))
			kwj_given_refuse_value("BACKUP", option->name, option->value, KWJ_HAS_DUMP_METHODS ?
						   "Give a level from 0 (none) to 9, or a method with or without a level: none, gzip, lz4 or zstd, as in 'zstd:3'." :
						   "Give a level from 0 (none) to 9.");
		spec->compress = option->value;
	}
	else if (strcmp(option->name, "verify") == 0)
		set_verify(spec, option);
	else if (strcmp(option->name, "lock_timeout") == 0)
		set_lock_timeout(spec, option);
	else if (strcmp(option->name, "thread_concurrency") == 0)
		spec->workers = kwj_backup_workers("BACKUP", option, "tables that are dumped at the same time");
	else
		spec->schema_only = kwj_given_flag("BACKUP", option);
}

/* ---- targets ---- */

/* A BACKUP that is being checked. */
typedef struct Checking
{
	const KwjNewBackup *given;
	KwjBackupSpec *spec;
} Checking;

static void
check_kind(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_VIEW:
		case RELKIND_MATVIEW:
		case RELKIND_SEQUENCE:
		case RELKIND_FOREIGN_TABLE:
			break;
		default:
			ereport(ERROR,
					errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("cannot back up \"%s\"", RelationGetRelationName(rel)),
					errhint("Name tables, views, materialized views, sequences or foreign tables."));
	}
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot back up temporary table \"%s\"", RelationGetRelationName(rel)),
				errhint("Only this session has it. Copy it to a table first."));
}

/* Checks a table as the owner, and returns its quoted name. */
static char *
check_table(const char *text)
{
	List	   *names = stringToQualifiedNameList(text KWJ_NO_ESCONTEXT);
	Relation	rel = relation_openrv_extended(makeRangeVarFromNameList(names), AccessShareLock, true);
	char	   *full;

	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation \"%s\" does not exist", NameListToString(names)),
				errhint("BACKUP TABLE takes the names of tables; type BACKUP DATABASE name TO 'directory' for a database."));
	check_kind(rel);
	if (pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for table %s", RelationGetRelationName(rel)),
				errdetail("A backup holds what its owner may read."),
				errhint("Ask the table's owner for: GRANT SELECT ON %s TO %s", kwj_qualified_name(rel),
						quote_identifier(GetUserNameFromId(GetUserId(), false))));
	full = kwj_qualified_name(rel);
	relation_close(rel, NoLock);
	return full;
}

static void
check_tables(Checking *checking)
{
	List	   *names = kwj_texts_of_array(checking->given->tables, "table of a BACKUP must not be NULL");
	ListCell   *lc;

	if (checking->given->tables == NULL)
		return;
	if (names == NIL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("no tables to back up"),
				errhint("Leave the tables out to back up the whole database."));
	if (strcmp(checking->spec->database, get_database_name(MyDatabaseId)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot back up tables of another database"),
				errhint("Connect to database \"%s\", and type BACKUP TABLE table, ... TO 'directory'.",
						checking->spec->database));
	foreach(lc, names)
		checking->spec->tables = lappend(checking->spec->tables, check_table(lfirst(lc)));
}

void
kwj_backup_check_may_connect(const char *database, const char *detail)
{
	Oid			dboid = get_database_oid(database, true);

	if (!OidIsValid(dboid))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_DATABASE),
				errmsg("database \"%s\" does not exist", database),
				errhint("SELECT datname FROM pg_database lists the databases of this server. BACKUP and RESTORE of tables do not create one."));
	if (kwj_database_aclcheck(dboid, GetUserId(), ACL_CONNECT) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied for database %s", database),
			detail ? errdetail("%s", detail) : 0,
			errhint("Ask an administrator for: GRANT CONNECT ON DATABASE %s TO %s", quote_identifier(database),
					quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

void
kwj_backup_check_may_write(void)
{
	kwj_check_may_use_files(ROLE_PG_WRITE_SERVER_FILES, "BACKUP to a directory of the server", NULL);
}

void
kwj_backup_split_path(const char *path, char **parent, char **name)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("cannot BACKUP to \"%s\"", path),
				errhint("Give the path of a directory that does not exist yet."));
	*parent = slash == path ? pstrdup("/") : pnstrdup(path, slash - path);
	*name = pstrdup(slash + 1);
}

void
kwj_backup_check_directory(const char *path)
{
	char	   *parent;
	char	   *name;
	KwjDirectory *directory;
	KwjDirectory *there;

	kwj_backup_split_path(path, &parent, &name);
	directory = kwj_directory_open("BACKUP", parent, false);
	if (kwj_directory_has(directory, name))
	{
		there = kwj_directory_open_in(directory, name, false, false);
		if (kwj_directory_names(there) != NIL)
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_FILE),
					errmsg("directory \"%s\" exists and is not empty", path),
					errhint("Give the path of a directory that does not exist yet; a backup never replaces another one."));
		kwj_directory_close(there);
	}
	kwj_directory_close(directory);
}

/* Checks the BACKUP; the current user is its owner. */
static void
validate_as_owner(void *arg)
{
	Checking   *checking = arg;

	kwj_backup_check_may_write();
	kwj_backup_check_may_connect(checking->spec->database, "A backup is made in sessions of its owner.");
	check_tables(checking);
	if (kwj_backup_is_restored(checking->spec))
		kwj_work_check_may_create(KWJ_VERIFY_NEEDS);
	kwj_backup_check_directory(checking->spec->directory);
}

/* ---- payload and description ---- */

static Jsonb *
make_payload(const KwjBackupSpec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"directory\": ");
	escape_json(&json, spec->directory);
	appendStringInfoString(&json, ", \"database\": ");
	escape_json(&json, spec->database);
	appendStringInfoString(&json, ", \"tables\": ");
	kwj_json_append_texts(&json, spec->tables);
	appendStringInfo(&json, ", \"workers\": %d, \"lock_timeout_ms\": %d, \"schema_only\": %s, \"verify\": \"%s\"",
					 spec->workers, spec->lock_timeout_ms, spec->schema_only ? "true" : "false",
					 spec->verify);
	if (spec->compress)
		appendStringInfo(&json, ", \"compress\": \"%s\"", spec->compress);
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

void
kwj_backup_read_payload(Jsonb *payload, KwjBackupSpec *spec)
{
	spec->directory = kwj_json_text(payload, "directory");
	spec->database = kwj_json_text(payload, "database");
	spec->tables = kwj_json_texts(payload, "tables");
	spec->workers = (int) kwj_json_int64(payload, "workers");
	spec->lock_timeout_ms = (int) kwj_json_int64(payload, "lock_timeout_ms");
	spec->schema_only = kwj_json_bool_or_false(payload, "schema_only");
	spec->verify = kwj_json_text(payload, "verify");
	spec->compress = kwj_json_text_or_null(payload, "compress");
}

int
kwj_backup_sessions(int workers)
{
	/* one for itself, and one for each of its processes, if it has any */
	return workers > 1 ? workers + 1 : 1;
}

int
kwj_backup_sessions_of(const KwjBackupSpec *spec)
{
	return kwj_backup_sessions(kwj_backup_is_restored(spec) ? Max(spec->workers, KWJ_VERIFY_WORKERS) : spec->workers);
}

List *
kwj_backup_dump_options(const KwjBackupSpec *spec)
{
	List	   *options = list_make3("-Fd", "-v", "-f" KWJ_PROGRAM_DIRECTORY);

	if (spec->workers > 1)
		options = lappend(options, psprintf("-j%d", spec->workers));
	if (spec->compress != NULL)
		options = lappend(options, psprintf("-Z%s", spec->compress));
	if (spec->lock_timeout_ms > 0)
		options = lappend(options, psprintf("--lock-wait-timeout=%d", spec->lock_timeout_ms));
	if (spec->schema_only)
		options = lappend(options, "-s");
	/* Jobs belong to the server on which they run, and most roles may not read all of them. */
	return lappend(options, "--exclude-table-data=kwjobs.*");
}

static char *
describe(const KwjBackupSpec *spec, List *given)
{
	StringInfoData text;
	const char *separator = " TABLE ";
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, "BACKUP");
	if (spec->tables == NIL)
		appendStringInfo(&text, " DATABASE %s", quote_identifier(spec->database));
	foreach(lc, spec->tables)
	{
		appendStringInfo(&text, "%s%s", separator, (char *) lfirst(lc));
		separator = ", ";
	}
	appendStringInfo(&text, " TO %s", quote_literal_cstr(spec->directory));
	kwj_given_append(&text, given);
	return text.data;
}

void
kwj_backup_validate(const KwjNewBackup *backup, KwjNewJob *job)
{
	KwjBackupSpec spec = {.workers = KWJ_BACKUP_WORKERS, .verify = KWJ_VERIFIED_READ};
	Checking	checking = {backup, &spec};
	List	   *given;
	ListCell   *lc;

	PreventCommandDuringRecovery("BACKUP");
	PreventCommandIfReadOnly("BACKUP");
	kwj_given_set_job_options("BACKUP", backup->options, job);
	given = kwj_given_options("BACKUP", backup->options, is_flag);
	foreach(lc, given)
		set_option(&spec, lfirst(lc));
	if (backup->directory == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("the directory of a BACKUP must not be null"),
				errhint("Type BACKUP TO '/absolute/path'."));
	spec.directory = kwj_directory_check_path("BACKUP", backup->directory);
	spec.database = pstrdup(backup->database ? backup->database : get_database_name(MyDatabaseId));
	(void) kwj_program_path("pg_dump");
	(void) kwj_program_path("pg_restore");
	(void) kwj_program_path("psql");
	kwj_check_as_owner(job->owner, validate_as_owner, &checking);
	kwj_server_check_places("BACKUP", kwj_backup_sessions_of(&spec));
	job->payload = make_payload(&spec);
	job->arguments = kwj_backup_made_arguments(backup, spec.directory, spec.tables);
	/* What the first attempt leaves is removed, whether it has written a checkpoint or not. */
	job->has_revert = true;
	if (job->description == NULL)
		job->description = describe(&spec, given);
}

/*
 * src/type/backup/restore.c
 *	  Jobs of type RESTORE: a backup is read by pg_restore, into a new database or, if it holds some
 *	  tables only, into a database that exists.
 *
 * Callers: sessions, when the job is created (function/backup.c, type/create.h); the worker, for each
 * attempt and for the revert.
 *
 *     check       the owner's rights; the target must not be there yet
 *     compare     the worker reads all files, and compares them with the manifest: nothing has been
 *                 touched if one has changed
 *     create      psql creates the database kwjobs_restore_JOB, after it has dropped what an earlier
 *                 attempt has left
 *     list        pg_restore lists what there is to do; the worker leaves out what the owner cannot do
 *     restore     pg_restore restores it; tables, into an existing database, in one transaction
 *     complete    the database gets its name, in the transaction in which the job succeeds
 *
 * An attempt that fails or dies leaves no database of the target's name. The revert, after CANCEL or
 * the last failure, drops the one that was being restored.
 *
 * Known hole: if the worker dies after the transaction that has restored tables into an existing
 * database, and before the job's end is committed, the next attempt finds the tables, and fails.
 *
 * Locks: those of pg_restore's sessions.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "executor/spi.h"
#include "job/json.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "serve/server.h"
#include "tcop/utility.h"
#include "type/backup/arguments.h"
#include "type/backup/backup.h"
#include "type/backup/manifest.h"
#include "type/backup/program.h"
#include "type/columns.h"
#include "type/files/directory.h"
#include "type/given.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define RIGHTS_HINT \
	"A backup is restored with the rights of the job's owner. To leave out owners and grants, type WITH no_owner, no_privileges; or have a role with the right create the job."

/* How much of the progress the data is; the rest is indexes and constraints. */
#define DATA_PERCENT	70

typedef struct Spec
{
	char	   *directory;
	char	   *target;			/* the database */
	bool		creates;		/* the target is created; false: it gets tables */
	int			workers;
	bool		no_owner;
	bool		no_privileges;
} Spec;

/* ---- options ---- */

static const char *const option_names[] = {
	"into_db", "no_owner", "no_privileges", "thread_concurrency"
};

static void
check_option(const char *name)
{
	for (int i = 0; i < lengthof(option_names); i++)
		if (strcmp(name, option_names[i]) == 0)
			return;
	kwj_given_refuse_option("RESTORE", name, NULL, 0,
							"Valid options are into_db, no_owner, no_privileges, thread_concurrency, those of all jobs such as priority, and in the statement RESTORE also detached.");
}

static void
set_option(Spec *spec, const KwjGiven *option)
{
	if (strcmp(option->name, "no_owner") == 0)
		spec->no_owner = kwj_given_flag("RESTORE", option);
	else if (strcmp(option->name, "no_privileges") == 0)
		spec->no_privileges = kwj_given_flag("RESTORE", option);
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
	Spec	   *spec;
} Checking;

static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		may = superuser();

	if (!HeapTupleIsValid(tuple))
		return may;
	may |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return may;
}

/* The current user is to own the new database. */
static void
check_may_create(const char *target)
{
	if (OidIsValid(get_database_oid(target, true)))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_DATABASE),
				errmsg("database \"%s\" already exists", target),
				errhint("RESTORE never writes into a database that exists. Type WITH into_db = 'name' for another one, or drop it first."));
	if (!may_create_databases())
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied to create database"),
				errhint("Ask an administrator for: ALTER ROLE %s CREATEDB",
						quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

/* Returns the name as kwj_qualified_name() writes it, if it has a schema; else that part of it. */
static char *
normal_name(const char *text)
{
	List	   *parts = stringToQualifiedNameList(text KWJ_NO_ESCONTEXT);

	if (list_length(parts) == 1)
		return pstrdup(quote_identifier(strVal(linitial(parts))));
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

/* If the user names tables, they have to be those of the backup: pg_restore cannot restore a part. */
static void
check_tables(const Checking *checking, const KwjManifest *manifest)
{
	List	   *names = kwj_array_texts(checking->given->tables, "table of a RESTORE must not be NULL");
	int			found = 0;
	ListCell   *lc;
	ListCell   *of_manifest;

	if (checking->given->tables == NULL)
		return;
	foreach(lc, names)
	{
		char	   *name = normal_name(lfirst(lc));
		bool		is_there = false;

		foreach(of_manifest, manifest->tables)
			is_there |= is_table(lfirst(of_manifest), name);
		if (!is_there)
			ereport(ERROR,
					errcode(manifest->tables ? ERRCODE_UNDEFINED_TABLE : ERRCODE_FEATURE_NOT_SUPPORTED),
					manifest->tables ? errmsg("the backup does not hold table %s", name) :
					errmsg("cannot restore a table of a whole database"),
					errhint("Type RESTORE FROM 'directory' WITH into_db = 'name' for a new database, and copy the table from there."));
		found++;
	}
	if (found != list_length(manifest->tables))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot restore some of the tables of a backup"),
				errhint("Leave the tables out to restore all of them."));
}

/* Checks the RESTORE as its owner, who is the current user, and decides on the target. */
static void
validate_as_owner(void *arg)
{
	Checking   *checking = arg;
	Spec	   *spec = checking->spec;
	const char *database = checking->given->database;
	KwjDirectory *directory;
	KwjManifest *manifest = kwj_backup_open("RESTORE", spec->directory, &directory);

	kwj_directory_close(directory);
	check_tables(checking, manifest);
	spec->creates = manifest->tables == NIL;
	if (database != NULL && strcmp(database, manifest->database) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the backup is one of database \"%s\", not of \"%s\"", manifest->database, database),
				errhint("To restore it under another name, type RESTORE FROM 'directory' WITH into_db = 'name'."));
	if (spec->target == NULL)
		spec->target = spec->creates ? manifest->database : get_database_name(MyDatabaseId);
	if (spec->creates)
		check_may_create(spec->target);
	else
		kwj_backup_check_may_connect(spec->target, NULL);
}

static Jsonb *
make_payload(const Spec *spec)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"directory\": ");
	escape_json(&json, spec->directory);
	appendStringInfoString(&json, ", \"target\": ");
	escape_json(&json, spec->target);
	appendStringInfo(&json, ", \"creates\": %s, \"workers\": %d, \"no_owner\": %s, \"no_privileges\": %s}",
					 spec->creates ? "true" : "false", spec->workers, spec->no_owner ? "true" : "false",
					 spec->no_privileges ? "true" : "false");
	return kwj_json_parse(json.data);
}

static void
read_payload(Jsonb *payload, Spec *spec)
{
	spec->directory = kwj_json_text(payload, "directory");
	spec->target = kwj_json_text(payload, "target");
	spec->creates = kwj_json_bool_or_false(payload, "creates");
	spec->workers = (int) kwj_json_int64(payload, "workers");
	spec->no_owner = kwj_json_bool_or_false(payload, "no_owner");
	spec->no_privileges = kwj_json_bool_or_false(payload, "no_privileges");
}

void
kwj_restore_validate(const KwjNewBackup *restore, KwjNewJob *job)
{
	Spec		spec = {.workers = KWJ_BACKUP_WORKERS};
	Checking	checking = {restore, &spec};
	ListCell   *lc;

	PreventCommandDuringRecovery("RESTORE");
	PreventCommandIfReadOnly("RESTORE");
	kwj_given_set_job_options("RESTORE", restore->options, job);
	foreach(lc, kwj_given_options("RESTORE", restore->options, true, check_option))
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
	job->payload = make_payload(&spec);
	/* What the first attempt leaves is dropped, whether it has written a checkpoint or not. */
	job->has_revert = spec.creates;
	if (job->description == NULL)
		job->description = psprintf("RESTORE FROM %s WITH into_db = %s", quote_literal_cstr(spec.directory),
									quote_literal_cstr(spec.target));
}

/* ---- the worker ---- */

/* An execution of the job by this process. */
typedef struct Restore
{
	KwjAttempt *attempt;
	Spec		spec;
	MemoryContext context;		/* lives as long as the execution */
	KwjServer  *server;
	KwjDirectory *directory;
	KwjManifest *manifest;
	bool		is_superuser;	/* of the owner */
	char	   *own_database;	/* in which the job is */
	char	   *work_database;	/* into which pg_restore restores */
	Oid			work_oid;
	StringInfoData list;		/* what pg_restore is to do */
	bool		has_kwjobs;		/* the backup holds the extension kwjobs, which the owner cannot create */
	int			left_out;		/* lines of its list */
	int			tables;			/* how many tables have data, and are done */
	int			tables_done;
	int			indexes;		/* the same, of indexes and constraints */
	int			indexes_done;
	uint64		bytes;			/* of files with data, and of those that are done */
	uint64		bytes_done;
} Restore;

static char *
work_database_of(const KwjAttempt *attempt)
{
	return psprintf("kwjobs_restore_" INT64_FORMAT, attempt->job_id);
}

/* In a transaction: checks again, and opens what the other steps need. */
static void
begin(Restore *restore)
{
	const Spec *spec = &restore->spec;

	read_payload(restore->attempt->payload, &restore->spec);
	restore->manifest = kwj_backup_open("RESTORE", spec->directory, &restore->directory);
	restore->own_database = get_database_name(MyDatabaseId);
	restore->is_superuser = superuser_arg(restore->attempt->owner);
	if (spec->creates)
	{
		check_may_create(spec->target);
		restore->work_database = work_database_of(restore->attempt);
	}
	else
	{
		kwj_backup_check_may_connect(spec->target, NULL);
		restore->work_database = spec->target;
		restore->work_oid = get_database_oid(spec->target, false);
	}
	/* pg_restore has one session for itself and one for each of its processes, and cancels by one more. */
	restore->server = kwj_server_open(restore->attempt->owner, spec->workers + 2);
}

/* Begins a transaction whose memory is not that of the caller. */
static void
begin_transaction(KwjAttempt *attempt, MemoryContext context)
{
	kwj_attempt_begin(attempt);
	MemoryContextSwitchTo(context);
}

/* Nothing is touched before all files are known to be those that BACKUP has written. */
static KwjRequest
compare(Restore *restore)
{
	char	   *problem;
	KwjRequest	request;

	kwj_progress_set_status("comparing the files with the manifest");
	/* The checksums need a transaction for their memory. */
	kwj_attempt_begin_without_snapshot();
	MemoryContextSwitchTo(restore->context);
	request = kwj_manifest_check(restore->manifest, restore->directory, &problem);
	kwj_attempt_end_look(restore->context);
	if (request == KWJ_REQUEST_NONE && problem != NULL)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("backup \"%s\" is damaged: %s", restore->directory->path, problem),
				errdetail("Nothing was restored."),
				errhint("Use another backup."));
	return request;
}

/* Runs a statement in the job's own database, outside of a transaction block. */
static KwjRequest
run_statement(KwjServer *server, const char *database, const char *statement)
{
	KwjProgram	program = {
		.server = server,
		.database = MyDatabaseId,
		.database_name = database,
		.rights_hint = RIGHTS_HINT,
	};

	return kwj_program_run(&program, "psql", list_make5("-X", "-q", "-A", "-vON_ERROR_STOP=1",
														psprintf("-c%s", statement)));
}

/*
 * Not WITH (FORCE): that fails for ordinary roles while autovacuum or a process of kwjobs is in the
 * database, which DROP DATABASE itself makes leave. Other roles cannot be in there (create_statement).
 */
static char *
drop_statement(const char *database)
{
	return psprintf("DROP DATABASE IF EXISTS %s", quote_identifier(database));
}

/*
 * Creates a database as that of the backup was. Nobody but superusers can connect to it before it is
 * complete: who did would see it half restored, and would keep it from being renamed. The limit is
 * not one for sessions of the private server.
 */
static char *
create_statement(const Restore *restore)
{
	const KwjManifest *manifest = restore->manifest;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE DATABASE %s TEMPLATE template0 CONNECTION LIMIT 0 ENCODING %s LC_COLLATE %s LC_CTYPE %s",
					 quote_identifier(restore->work_database), quote_literal_cstr(manifest->encoding),
					 quote_literal_cstr(manifest->collate), quote_literal_cstr(manifest->ctype));
	if (strcmp(manifest->provider, "i") == 0)
		appendStringInfo(&text, " LOCALE_PROVIDER icu ICU_LOCALE %s", quote_literal_cstr(manifest->locale));
	else if (strcmp(manifest->provider, "b") == 0)
		appendStringInfo(&text, " LOCALE_PROVIDER builtin BUILTIN_LOCALE %s", quote_literal_cstr(manifest->locale));
	return text.data;
}

static KwjRequest
create(Restore *restore)
{
	KwjRequest	request;

	if (!restore->spec.creates)
		return KWJ_REQUEST_NONE;
	kwj_progress_set_status("creating the database");
	request = run_statement(restore->server, restore->own_database,
							drop_statement(restore->work_database));
	if (request == KWJ_REQUEST_NONE)
		request = run_statement(restore->server, restore->own_database, create_statement(restore));
	if (request != KWJ_REQUEST_NONE)
		return request;
	begin_transaction(restore->attempt, restore->context);
	restore->work_oid = get_database_oid(restore->work_database, false);
	kwj_attempt_end_look(restore->context);
	return KWJ_REQUEST_NONE;
}

/* ---- the list of what there is to do ---- */

/* Returns where the rest begins after the number and the two OIDs of a line; NULL for a comment. */
static const char *
skip_numbers(const char *line)
{
	if (line[0] < '0' || line[0] > '9')
		return NULL;
	line += strspn(line, "0123456789");
	if (*line++ != ';')
		return NULL;
	for (int i = 0; i < 2; i++)
	{
		line += strspn(line, " ");
		line += strspn(line, "0123456789");
	}
	return line + strspn(line, " ");
}

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/*
 * Returns whether the owner cannot do this: only a superuser can create the extension kwjobs. Rights
 * on what belongs to it come after it in the list, and are left out, too.
 */
static bool
is_left_out(Restore *restore, const char *what)
{
	static const char *const rights[] = {
		"ACL kwjobs ", "ACL kwdb_internal ", "ACL - SCHEMA kwjobs ", "ACL - SCHEMA kwdb_internal ",
		"ACL pg_catalog FUNCTION kwjobs_", "ACL pg_catalog PROCEDURE kwjobs_",
	};

	if (restore->is_superuser)
		return false;
	if (starts_with(what, "EXTENSION - kwjobs ") || starts_with(what, "COMMENT - EXTENSION kwjobs "))
	{
		restore->has_kwjobs = true;
		return true;
	}
	for (int i = 0; restore->has_kwjobs && i < lengthof(rights); i++)
		if (starts_with(what, rights[i]))
			return true;
	return false;
}

static bool
is_index(const char *what)
{
	return starts_with(what, "INDEX ") || starts_with(what, "CONSTRAINT ") || starts_with(what, "FK CONSTRAINT ");
}

/* Returns the size of the file with the data of this entry of the list; 0 if there is none. */
static int64
bytes_of(const Restore *restore, int number)
{
	char	   *start = psprintf("%d.dat", number);
	ListCell   *lc;

	foreach(lc, restore->manifest->files)
	{
		const KwjBackupFile *file = lfirst(lc);

		if (starts_with(file->name, start))
			return file->bytes;
	}
	return 0;
}

static void
take_entry(const char *line, void *arg)
{
	Restore    *restore = arg;
	const char *what = skip_numbers(line);

	if (what != NULL && is_left_out(restore, what))
	{
		restore->left_out++;
		return;
	}
	appendStringInfo(&restore->list, "%s\n", line);
	if (what == NULL)
		return;
	if (starts_with(what, "TABLE DATA "))
	{
		restore->tables++;
		restore->bytes += bytes_of(restore, atoi(line));
	}
	else if (is_index(what))
		restore->indexes++;
}

static KwjProgram
program_of(Restore *restore)
{
	return (KwjProgram) {
		.database = restore->work_oid,
		.database_name = restore->work_database,
		.directory = restore->directory->path,
		.fds = {restore->directory->fd},
		.n_fds = 1,
		.rights_hint = RIGHTS_HINT,
		.arg = restore,
	};
}

static KwjRequest
list(Restore *restore)
{
	KwjProgram	program = program_of(restore);
	KwjRequest	request;

	initStringInfo(&restore->list);
	program.on_output = take_entry;
	program.is_silent = true;
	request = kwj_program_run(&program, "pg_restore", list_make3("-l", "-Fd", KWJ_PROGRAM_DIRECTORY));
	if (restore->left_out > 0)
		kwj_transcript_add_message(psprintf("NOTICE:  the extension kwjobs is left out, %d entries, because only a superuser can create it",
											restore->left_out));
	return request;
}

/* ---- restoring ---- */

static void
show_progress(const Restore *restore)
{
	double		data = restore->bytes > 0 ? (double) restore->bytes_done / restore->bytes : 1;
	double		indexes = restore->indexes > 0 ? (double) restore->indexes_done / restore->indexes : 1;

	if (kwj_progress_request() != KWJ_REQUEST_NONE)
		return;
	kwj_progress_set_all((uint64) (data * DATA_PERCENT * 100 + indexes * (100 - DATA_PERCENT) * 100), 100 * 100, 0,
						 psprintf("data %d/%d tables, indexes %d/%d", restore->tables_done,
								  restore->tables, restore->indexes_done, restore->indexes));
}

/* What pg_restore says of an entry that is done, if several processes restore. */
#define FINISHED	"pg_restore: finished item "

static void
take_message(const char *line, void *arg)
{
	Restore    *restore = arg;
	const char *what;

	if (!starts_with(line, FINISHED))
		return;
	line += strlen(FINISHED);
	what = line + strspn(line, "0123456789") + 1;
	if (starts_with(what, "TABLE DATA "))
	{
		restore->tables_done++;
		restore->bytes_done += bytes_of(restore, atoi(line));
	}
	else if (is_index(what))
		restore->indexes_done++;
	show_progress(restore);
}

/* Returns an open file of the system's memory that holds the list. */
static int
open_list(const Restore *restore)
{
	int			fd = memfd_create("kwjobs list", MFD_CLOEXEC);
	ssize_t		n = fd < 0 ? -1 : write(fd, restore->list.data, restore->list.len);

	if (n != restore->list.len)
	{
		int			failure = n < 0 ? errno : ENOSPC;

		if (fd >= 0)
			close(fd);
		errno = failure;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not write a file in memory: %m"));
	}
	return fd;
}

/* Returns a connection string for a database of any name. */
static char *
connection_to(const char *database)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "dbname='");
	for (const char *c = database; *c; c++)
	{
		if (*c == '\'' || *c == '\\')
			appendStringInfoChar(&text, '\\');
		appendStringInfoChar(&text, *c);
	}
	appendStringInfoChar(&text, '\'');
	return text.data;
}

static KwjRequest
run_restore(Restore *restore)
{
	const Spec *spec = &restore->spec;
	KwjProgram	program = program_of(restore);
	List	   *arguments = list_make4("-Fd", "-v", "--exit-on-error", "-L" KWJ_PROGRAM_FILE);
	volatile KwjRequest request = KWJ_REQUEST_NONE;

	arguments = lappend(arguments, psprintf("-d%s", connection_to(restore->work_database)));
	arguments = lappend(arguments, spec->creates ? psprintf("-j%d", spec->workers) : "--single-transaction");
	if (spec->no_owner)
		arguments = lappend(arguments, "--no-owner");
	if (spec->no_privileges)
		arguments = lappend(arguments, "--no-privileges");
	arguments = lappend(arguments, KWJ_PROGRAM_DIRECTORY);
	program.server = restore->server;
	program.on_message = take_message;
	show_progress(restore);
	program.fds[1] = open_list(restore);
	program.n_fds = 2;
	PG_TRY();
	{
		request = kwj_program_run(&program, "pg_restore", arguments);
	}
	PG_FINALLY();
	{
		close(program.fds[1]);
	}
	PG_END_TRY();
	return request;
}

static void
alter_database(const Restore *restore, const char *change)
{
	char	   *statement = psprintf("ALTER DATABASE %s %s", quote_identifier(restore->work_database), change);

	SPI_connect();
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not change the database");
	SPI_finish();
}

/* In the transaction that ends the job: the new database gets its name, and all may connect. */
static void
publish(const Restore *restore)
{
	alter_database(restore, "CONNECTION LIMIT -1");
	alter_database(restore, psprintf("RENAME TO %s", quote_identifier(restore->spec.target)));
}

static KwjRequest
run_steps(Restore *restore)
{
	KwjRequest	request = compare(restore);

	if (request == KWJ_REQUEST_NONE)
		request = create(restore);
	if (request == KWJ_REQUEST_NONE)
		request = list(restore);
	if (request == KWJ_REQUEST_NONE)
		request = run_restore(restore);
	return request;
}

static KwjRequest
restore_execute(KwjAttempt *attempt)
{
	MemoryContext context = CurrentMemoryContext;
	Restore    *restore = palloc0(sizeof(Restore));
	KwjRequest	request;

	restore->attempt = attempt;
	restore->context = context;
	begin_transaction(attempt, context);
	begin(restore);
	kwj_attempt_end_look(context);
	request = run_steps(restore);
	if (request != KWJ_REQUEST_NONE)
		return request;
	kwj_server_close(restore->server);
	kwj_attempt_begin(attempt);
	if (restore->spec.creates)
		publish(restore);
	return kwj_attempt_succeed(attempt, NULL, 0, false,
							   kwj_json_parse(psprintf("{\"bytes\": " INT64_FORMAT ", \"tables\": %d, \"indexes\": %d}",
													   restore->manifest->bytes, restore->tables,
													   restore->indexes)));
}

/* Drops the database that was being restored. */
static void
restore_revert(KwjAttempt *attempt)
{
	MemoryContext context = CurrentMemoryContext;
	KwjServer  *server;
	char	   *database;

	begin_transaction(attempt, context);
	database = get_database_name(MyDatabaseId);
	server = kwj_server_open(attempt->owner, 2);
	kwj_attempt_end_look(context);
	/* A revert is not canceled. */
	(void) run_statement(server, database, drop_statement(work_database_of(attempt)));
	kwj_server_close(server);
	kwj_attempt_begin(attempt);
	kwj_attempt_reverted(attempt, NULL, true);
}

static void
restore_validate(Jsonb *arguments, KwjNewJob *job)
{
	KwjNewBackup restore = kwj_backup_arguments(arguments, job->job_type);

	kwj_restore_validate(&restore, job);
}

const KwjType kwj_type_restore = {
	.name = "RESTORE",
	.pausable = true,
	.cancelable = true,
	.reverts_at_length = true,
	.validate = restore_validate,
	.execute = restore_execute,
	.revert = restore_revert,
};

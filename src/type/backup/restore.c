/*
 * src/type/backup/restore.c
 *	  Jobs of type RESTORE: a backup is read by pg_restore, into a new database or, if it holds some
 *	  tables only, or only some tables are wanted, into a database that exists.
 *
 * Callers: the worker, for each attempt and for the revert.
 *
 *     check       the owner's rights; the target must not be there yet
 *     compare     the worker reads all files, and compares them with the manifest: nothing has been
 *                 touched if one has changed
 *     create      psql creates the database kwjobs_restore_JOB_..., after it has dropped what an earlier
 *                 attempt has left (work.c)
 *     list        pg_restore lists what there is to do; the worker leaves out what the owner cannot do
 *                 (contents.c), or all but the tables that are wanted; psql tells what the target has
 *                 already of what they need
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
#include "type/backup/arguments.h"
#include "type/backup/backup.h"
#include "type/backup/contents.h"
#include "type/backup/manifest.h"
#include "type/backup/program.h"
#include "type/backup/restore.h"
#include "type/backup/work.h"
#include "type/files/directory.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* How much of the progress the data is; the rest is indexes and constraints. */
#define DATA_PERCENT	70

/* How many entries psql is asked about at a time. */
#define ASKED_AT_ONCE	100

/* An execution of the job by this process. */
typedef struct Restore
{
	KwjAttempt *attempt;
	KwjRestoreSpec spec;
	MemoryContext context;		/* lives as long as the execution */
	KwjServer  *server;
	KwjDirectory *directory;
	KwjManifest *manifest;
	bool		is_superuser;	/* of the owner */
	KwjWorkDatabase *work;		/* NULL: the target exists */
	const char *database;		/* into which pg_restore restores */
	Oid			database_oid;
	KwjContents contents;
	int			tables;			/* how many tables have data, and are done */
	int			tables_done;
	int			indexes;		/* how many indexes and constraints there are, and are done */
	int			indexes_done;
	uint64		bytes;			/* of files with data, and of those that are done */
	uint64		bytes_done;
} Restore;

/* In a transaction: checks again, and opens what the other steps need. */
static void
begin(Restore *restore)
{
	const KwjRestoreSpec *spec = &restore->spec;

	kwj_restore_read_payload(restore->attempt->payload, &restore->spec);
	restore->manifest = kwj_backup_open("RESTORE", spec->directory, &restore->directory);
	restore->is_superuser = superuser_arg(restore->attempt->owner);
	if (spec->creates)
	{
		kwj_restore_check_target(spec->target);
		restore->work = kwj_work_open(restore->attempt, restore->context);
	}
	else
	{
		kwj_backup_check_may_connect(spec->target, NULL);
		restore->database = spec->target;
		restore->database_oid = get_database_oid(spec->target, false);
	}
	restore->server = kwj_server_open(restore->attempt->owner, kwj_restore_sessions(spec));
}

/* Compares all files with the manifest, so that nothing is touched if one is not as BACKUP has written it. */
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

static KwjRequest
create(Restore *restore)
{
	KwjRequest	request;

	if (restore->work == NULL)
		return KWJ_REQUEST_NONE;
	kwj_progress_set_status("creating the database");
	request = kwj_work_create(restore->work, restore->server, "kwjobs_restore", restore->manifest);
	restore->database = restore->work->name;
	restore->database_oid = restore->work->oid;
	return request;
}

/* ---- what there is to do ---- */

static KwjProgram
program_of(Restore *restore)
{
	return (KwjProgram) {
		.database = restore->database_oid,
		.database_name = restore->database,
		.directory = restore->directory->path,
		.fds = {restore->directory->fd},
		.n_fds = 1,
		.rights_hint = KWJ_WORK_RIGHTS_HINT,
		.exists_hint = "RESTORE never replaces anything. Drop or rename what is there, or type WITH into_db = 'name' for another database.",
		.arg = restore,
	};
}

/* Returns the size of the file with the data of this entry; 0 if there is none. */
static int64
bytes_of(const Restore *restore, int id)
{
	const KwjBackupFile *file = kwj_manifest_data_of(restore->manifest, id);

	return file != NULL ? file->bytes : 0;
}

static void
count(Restore *restore)
{
	ListCell   *lc;

	foreach(lc, restore->contents.entries)
	{
		const KwjEntry *entry = lfirst(lc);

		if (!entry->chosen)
			continue;
		if (kwj_is_data(entry->what))
		{
			restore->tables++;
			restore->bytes += bytes_of(restore, entry->id);
		}
		restore->indexes += kwj_is_index(entry->what);
	}
}

/* Entries that the target is asked about: it names those for which it has a relation. */
typedef struct Asked
{
	Restore    *restore;
	List	   *there;			/* KwjEntry * */
} Asked;

static void
take_answer(const char *line, void *arg)
{
	Asked	   *asked = arg;
	KwjEntry   *entry = kwj_contents_entry(&asked->restore->contents, atoi(line));
	MemoryContext old = MemoryContextSwitchTo(asked->restore->context);

	if (entry != NULL)
		asked->there = lappend(asked->there, entry);
	MemoryContextSwitchTo(old);
}

/*
 * An entry is "schema name owner", and nobody knows where the name ends; so the target looks for a relation
 * with whose names it begins.
 */
static char *
question(List *entries, int first)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT v.id FROM (VALUES ");
	for (int i = first; i < Min(list_length(entries), first + ASKED_AT_ONCE); i++)
	{
		const KwjEntry *entry = list_nth(entries, i);

		appendStringInfo(&text, "%s(%d, %s)", i > first ? ", " : "", entry->id, quote_literal_cstr(entry->rest));
	}
	appendStringInfoString(&text, ") AS v (id, rest) WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c"
						   " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
						   " WHERE pg_catalog.starts_with(v.rest, n.nspname || ' ' || c.relname || ' '))");
	return text.data;
}

/* Asks the target which of these relations it has. */
static KwjRequest
ask_target(Restore *restore, List *entries, List **there)
{
	Asked		asked = {.restore = restore};
	KwjRequest	request = KWJ_REQUEST_NONE;

	for (int i = 0; i < list_length(entries) && request == KWJ_REQUEST_NONE; i += ASKED_AT_ONCE)
	{
		KwjProgram	program = program_of(restore);

		program.server = restore->server;
		program.on_output = take_answer;
		program.arg = &asked;
		program.is_silent = true;
		request = kwj_program_run_psql(&program,
									   list_make3(psprintf("SET client_encoding = %s", quote_literal_cstr(restore->manifest->encoding)),
												  "SET search_path = ''", question(entries, i)));
	}
	*there = asked.there;
	return request;
}

/*
 * The target does not have this table, to which chosen foreign keys refer. Leaves these out if the user wants
 * that; otherwise raises an error.
 */
static void
handle_missing(Restore *restore, const KwjEntry *table)
{
	const char *owner = strrchr(table->rest, ' ');
	int			length = owner ? owner - table->rest : (int) strlen(table->rest);

	if (!restore->spec.skip_missing_foreign_keys)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("a foreign key refers to a table that is not restored, and that database \"%s\" does not have: %.*s",
					   restore->database, length, table->rest),
				errdetail("Nothing was restored."),
				errhint("Name that table, too, or type WITH skip_missing_foreign_keys."));
	kwj_transcript_add_message(psprintf("NOTICE:  foreign keys to a table that is not there are left out: %.*s, %d of them",
										length, table->rest, kwj_contents_leave_out(&restore->contents, table)));
}

/*
 * Asks the target what it has of that which the chosen tables need: sequences that belong to none of them, and
 * tables to which their foreign keys refer. Leaves out the sequences that it has. handle_missing() decides
 * about foreign keys whose other table it does not have.
 */
static KwjRequest
fit_to_target(Restore *restore)
{
	List	   *borrowed = kwj_contents_borrowed(&restore->contents);
	List	   *referred = kwj_contents_referred(&restore->contents);
	List	   *there;
	KwjRequest	request = ask_target(restore, list_concat_copy(borrowed, referred), &there);
	ListCell   *lc;

	if (request != KWJ_REQUEST_NONE)
		return request;
	foreach(lc, borrowed)
		if (list_member_ptr(there, lfirst(lc)))
			(void) kwj_contents_leave_out(&restore->contents, lfirst(lc));
	foreach(lc, referred)
		if (!list_member_ptr(there, lfirst(lc)))
			handle_missing(restore, lfirst(lc));
	return request;
}

static KwjRequest
list(Restore *restore)
{
	KwjProgram	program = program_of(restore);
	KwjRequest	request = kwj_contents_read(&restore->contents, &program);
	int			left_out = restore->is_superuser ? 0 : kwj_contents_leave_kwjobs_out(&restore->contents);

	if (left_out > 0 && restore->spec.tables == NIL)
		kwj_transcript_add_message(psprintf("NOTICE:  the extension kwjobs is left out, %d entries, because only a superuser can create it",
											left_out));
	if (restore->spec.creates)
		kwj_contents_tell_of_database(&restore->contents, restore->directory->path);
	if (request == KWJ_REQUEST_NONE && restore->spec.tables != NIL)
	{
		request = kwj_contents_choose(&restore->contents, &program, restore->spec.tables);
		if (request == KWJ_REQUEST_NONE)
			request = fit_to_target(restore);
	}
	count(restore);
	return request;
}

/* ---- restoring ---- */

static void
show_progress(const Restore *restore)
{
	double		data = restore->bytes > 0 ? Min((double) restore->bytes_done / restore->bytes, 1) : 1;
	double		indexes = restore->indexes > 0 ? Min((double) restore->indexes_done / restore->indexes, 1) : 1;

	if (kwj_progress_request() != KWJ_REQUEST_NONE)
		return;
	kwj_progress_set_all((uint64) (data * DATA_PERCENT * 100 + indexes * (100 - DATA_PERCENT) * 100), 100 * 100, 0,
						 psprintf("data %d/%d tables, indexes %d/%d", restore->tables_done,
								  restore->tables, restore->indexes_done, restore->indexes));
}

/* What pg_restore says before it begins with an entry, if it does all alone. */
#define BEGINS_DATA	"processing data for table "
#define CREATES		"creating "

/*
 * For a pg_restore that does all in one transaction: counts an entry when pg_restore begins with it, because it
 * does not say when an entry is done.
 */
static void
take_beginning(Restore *restore, const char *message)
{
	if (kwj_line_begins(message, BEGINS_DATA))
		restore->tables_done++;
	else if (kwj_line_begins(message, CREATES) && kwj_is_index(message + strlen(CREATES)))
		restore->indexes_done++;
	else
		return;
	restore->bytes_done = restore->bytes * restore->tables_done / Max(restore->tables, 1);
	show_progress(restore);
}

static void
take_message(const char *message, void *arg)
{
	Restore    *restore = arg;
	int			id;
	const char *what = kwj_contents_finished(message, &id);

	if (!restore->spec.creates)
		take_beginning(restore, message);
	if (what == NULL)
		return;
	if (kwj_is_data(what))
	{
		restore->tables_done++;
		restore->bytes_done += bytes_of(restore, id);
	}
	else if (kwj_is_index(what))
		restore->indexes_done++;
	show_progress(restore);
}

static KwjRequest
run_restore(Restore *restore)
{
	const KwjRestoreSpec *spec = &restore->spec;
	KwjProgram	program = program_of(restore);
	List	   *arguments = list_make3("-v", "--exit-on-error",
									   psprintf("-d%s", kwj_program_connection(restore->database)));

	if (spec->no_owner)
		arguments = lappend(arguments, "--no-owner");
	if (spec->no_privileges)
		arguments = lappend(arguments, "--no-privileges");
	program.server = restore->server;
	program.on_message = take_message;
	show_progress(restore);
	if (spec->creates)
		return kwj_contents_restore_in_parallel(&restore->contents, spec->workers, &program, arguments);
	return kwj_contents_restore(&restore->contents, KWJ_HOLDS_OTHER, &program,
								lappend(arguments, "--single-transaction"));
}

static void
alter_database(const Restore *restore, const char *change)
{
	char	   *statement = psprintf("ALTER DATABASE %s %s", quote_identifier(restore->database), change);

	SPI_connect();
	if (SPI_execute(statement, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not change the database");
	SPI_finish();
}

/* In the transaction that ends the job: gives the new database its name, and lets all roles connect. */
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
	kwj_attempt_begin(attempt);
	MemoryContextSwitchTo(context);
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
	kwj_work_revert(attempt);
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

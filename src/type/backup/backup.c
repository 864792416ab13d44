/*
 * src/type/backup/backup.c
 *	  Jobs of type BACKUP: a logical backup of a database or of some tables, made by pg_dump.
 *
 * Callers: sessions, when the job is created (function/backup.c, type/create.h); the worker, for each
 * attempt and for the revert.
 *
 *     check       the owner's rights; the directory must not be there yet
 *     look        psql asks the database for its properties, and how much there is to dump
 *     dump        pg_dump writes into DIRECTORY.kwjobs-JOB, beside the directory; of a partitioned
 *                 table also the partitions that it has then, or the attempt fails
 *     sum up      the worker reads all files, for their checksums
 *     read back   pg_restore reads and decompresses every block that pg_dump has written
 *     verify      with verify = 'restore' or 'restore_no_owner': it is restored into a scratch database, and compared (verify.c)
 *     complete    the manifest is written, the directory renamed, the job succeeds
 *
 * An attempt that fails or dies has done nothing that counts: the next one removes what is left, and
 * begins anew. The revert, after CANCEL or the last failure, removes it, too. If the worker dies
 * between the renaming and the end of the job, the next attempt finds a complete backup with the
 * job's id in its manifest.
 *
 * Locks: those of pg_dump's sessions: AccessShareLock on all that is dumped, until it has ended.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "serve/server.h"
#include "storage/fd.h"
#include "type/backup/arguments.h"
#include "type/backup/backup.h"
#include "type/backup/manifest.h"
#include "type/backup/program.h"
#include "type/backup/verify.h"
#include "type/backup/work.h"
#include "type/files/directory.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define RIGHTS_HINT \
	"A backup holds what its owner may read. Grant the right to the owner, back up tables that it may read, or have a role with the right create the job."

/* How much of the progress the dump is; the rest is reading it back, and restoring it. */
#define DUMP_PERCENT	90
#define DUMP_PERCENT_OF_RESTORE	45

/* What psql tells of the database, line by line. */
typedef enum Fact
{
	FACT_ENCODING,
	FACT_COLLATE,
	FACT_CTYPE,
	FACT_PROVIDER,
	FACT_LOCALE,
	FACT_TABLES,				/* how many tables have data to be dumped */
	FACT_BYTES,					/* how large they are */
	N_FACTS,
} Fact;

/* An execution of the job by this process. */
typedef struct Backup
{
	KwjAttempt *attempt;
	KwjBackupSpec spec;
	Oid			database;
	MemoryContext context;		/* lives as long as the execution */
	KwjServer  *server;
	KwjDirectory *parent;		/* in which the directory is to be */
	char	   *name;			/* of the directory */
	char	   *partial;		/* the name under which it is written */
	KwjDirectory *directory;	/* partial */
	char	   *again;			/* the name of the directory for the second dump */
	KwjWorkDatabase *work;		/* to verify it; NULL: not wanted */
	List	   *dumped;			/* quoted names: the tables that were named, and their partitions */
	char	   *facts[N_FACTS];
	int			n_facts;
	uint64		tables;
	uint64		bytes;			/* estimated */
	uint64		begun;			/* tables */
	bool		is_dumped;
	KwjManifest manifest;
} Backup;

/* ---- progress ---- */

static void
show_progress(void *arg)
{
	Backup	   *backup = arg;
	uint64		sent = kwj_server_bytes(backup->server);
	uint64		total = Max(backup->bytes, 1);
	/* The size of a table is not that of its text. */
	uint64		done = backup->is_dumped ? total : Min(sent, total);
	char		text[KWJ_RUNNING_STATUS_LEN];

	if (kwj_progress_request() != KWJ_REQUEST_NONE)
		return;
	if (backup->is_dumped)
		strlcpy(text, "reading back what was dumped", sizeof(text));
	else
		snprintf(text, sizeof(text), "data " UINT64_FORMAT "/" UINT64_FORMAT " tables, " UINT64_FORMAT " MB",
				 Min(backup->begun, backup->tables), backup->tables, sent / (1024 * 1024));
	kwj_progress_set_all(done * (kwj_backup_is_restored(&backup->spec) ? DUMP_PERCENT_OF_RESTORE : DUMP_PERCENT),
						 total * 100, 0, text);
}

static void
take_message(const char *message, void *arg)
{
	Backup	   *backup = arg;

	if (!kwj_line_begins(message, KWJ_DUMPS_TABLE))
		return;
	backup->begun++;
	show_progress(backup);
}

/* ---- the steps ---- */

/* The name of the directory while the job writes it. */
static char *
partial_name(const KwjAttempt *attempt, const char *name)
{
	return psprintf("%s" KWJ_NAME_ASIDE, name, attempt->job_id);
}

/* Returns the name of the directory for the second dump, if the backup is verified by a restore. */
static char *
again_name(const char *partial)
{
	return psprintf("%s-verify", partial);
}

/*
 * If the directory of this name is a complete backup that this job has made, returns its manifest;
 * otherwise NULL. Whatever else is there, is somebody else's.
 */
static KwjManifest *
find_made(const KwjAttempt *attempt, KwjDirectory *parent, const char *name)
{
	KwjDirectory *there;
	KwjManifest *manifest;

	if (!kwj_directory_has(parent, name))
		return NULL;
	there = kwj_directory_open_in(parent, name, false, false);
	manifest = kwj_manifest_read(there);
	kwj_directory_close(there);
	return manifest != NULL && manifest->job_id == attempt->job_id ? manifest : NULL;
}

/*
 * In a transaction: the quoted names of the tables that were named, and of the partitions that they
 * have now. For pg_dump a partitioned table is one without rows. Nothing is locked here, because only
 * pg_dump waits with the job's lock_timeout.
 */
static List *
with_partitions(List *tables)
{
	List	   *names = NIL;
	ListCell   *lc;
	ListCell   *partition;

	foreach(lc, tables)
	{
		char	   *name = lfirst(lc);
		Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(stringToQualifiedNameList(name KWJ_NO_ESCONTEXT)),
											 NoLock, true);

		names = lappend(names, name);
		if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
			continue;
		foreach(partition, find_all_inheritors(relid, NoLock, NULL))
		{
			Oid			oid = lfirst_oid(partition);
			char	   *relname = get_rel_name(oid);
			char	   *schema = get_namespace_name(get_rel_namespace(oid));

			if (oid != relid && relname != NULL && schema != NULL)
				names = lappend(names, quote_qualified_identifier(schema, relname));
		}
	}
	return names;
}

/* In a transaction: opens what the other steps need. Returns whether the backup is complete already. */
static bool
begin(Backup *backup)
{
	char	   *parent;
	KwjManifest *made;

	kwj_backup_read_payload(backup->attempt->payload, &backup->spec);
	kwj_backup_check_may_write();
	backup->database = get_database_oid(backup->spec.database, false);
	kwj_backup_split_path(backup->spec.directory, &parent, &backup->name);
	backup->partial = partial_name(backup->attempt, backup->name);
	backup->again = again_name(backup->partial);
	backup->parent = kwj_directory_open("BACKUP", parent, false);
	made = find_made(backup->attempt, backup->parent, backup->name);
	if (made != NULL)
	{
		backup->manifest = *made;
		return true;
	}
	kwj_backup_check_directory(backup->spec.directory);
	if (kwj_backup_is_restored(&backup->spec))
	{
		kwj_work_check_may_create(KWJ_VERIFY_NEEDS);
		backup->work = kwj_work_open(backup->attempt, backup->context);
	}
	backup->dumped = with_partitions(backup->spec.tables);
	backup->server = kwj_server_open(backup->attempt->owner, kwj_backup_sessions_of(&backup->spec));
	return false;
}

/* Makes a directory in which pg_dump writes, and which nobody else may read. */
static KwjDirectory *
make_directory(const Backup *backup, const char *name)
{
	char	   *path = psprintf("%s/%s", backup->parent->path, name);

	if (!kwj_directory_remove(backup->parent->fd, name) ||
		mkdirat(backup->parent->fd, name, S_IRWXU) < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not create directory \"%s\": %m", path),
				errhint("The server's operating system user must be able to write to the directory in which it lies."));
	return kwj_directory_open_in(backup->parent, name, false, false);
}

static void
take_fact(const char *line, void *arg)
{
	Backup	   *backup = arg;

	if (backup->n_facts < N_FACTS)
		backup->facts[backup->n_facts++] = MemoryContextStrdup(backup->context, line);
}

/* Returns an SQL condition for the tables that are to be dumped, which it calls c. */
static char *
table_condition(const Backup *backup)
{
	StringInfoData text;
	ListCell   *lc;

	if (backup->spec.tables == NIL)
		return "c.relkind IN ('r', 'm') AND c.relpersistence <> 't'"
			" AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
			" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.objid = c.oid AND e.deptype = 'e')";
	initStringInfo(&text);
	appendStringInfoString(&text, "c.relkind IN ('r', 'm') AND c.oid IN (");
	foreach(lc, backup->spec.tables)
	{
		char	   *name = quote_literal_cstr(lfirst(lc));

		appendStringInfo(&text, "SELECT %s::pg_catalog.regclass"
						 " UNION SELECT relid FROM pg_catalog.pg_partition_tree(%s)%s", name, name,
						 lnext(backup->spec.tables, lc) ? " UNION " : ")");
	}
	return text.data;
}

static char *
facts_query(const Backup *backup)
{
	return psprintf("SELECT pg_catalog.unnest(ARRAY[pg_catalog.pg_encoding_to_char(d.encoding),"
					" d.datcollate, d.datctype,"
					" coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),"
					" coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale', ''),"
					" t.n::text, t.bytes::text])"
					" FROM pg_catalog.pg_database d,"
					" (SELECT pg_catalog.count(*) AS n, coalesce(pg_catalog.sum(pg_catalog.pg_table_size(c.oid)), 0) AS bytes"
					" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE %s) AS t"
					" WHERE d.datname = pg_catalog.current_database()", table_condition(backup));
}

/* Returns what all programs of the job have in common. */
static KwjProgram
program_of(Backup *backup)
{
	return (KwjProgram) {
		.server = backup->server,
		.database = backup->database,
		.database_name = backup->spec.database,
		.directory = psprintf("%s/%s", backup->parent->path, backup->partial),
		.fds = {backup->directory->fd},
		.n_fds = 1,
		.rights_hint = RIGHTS_HINT,
		.arg = backup,
	};
}

static KwjRequest
look(Backup *backup)
{
	KwjProgram	program = program_of(backup);
	KwjRequest	request;

	program.on_output = take_fact;
	program.is_silent = true;
	/* The owner of the database may have given it a search_path to operators that are traps. */
	request = kwj_program_run_psql(&program, list_make3("SET search_path = ''",
														psprintf("SET lock_timeout = %d", backup->spec.lock_timeout_ms),
														facts_query(backup)));
	if (request != KWJ_REQUEST_NONE)
		return request;
	if (backup->n_facts != N_FACTS)
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("database \"%s\" has not told its properties", backup->spec.database));
	backup->tables = backup->spec.schema_only ? 0 : strtoull(backup->facts[FACT_TABLES], NULL, 10);
	backup->bytes = backup->spec.schema_only ? 0 : strtoull(backup->facts[FACT_BYTES], NULL, 10);
	return KWJ_REQUEST_NONE;
}

/* Returns the quoted name of a table as a pattern of pg_dump that fits only this table. */
static char *
table_pattern(const char *name)
{
	List	   *parts = stringToQualifiedNameList(name KWJ_NO_ESCONTEXT);
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, parts)
	{
		appendStringInfoChar(&text, '"');
		for (const char *c = strVal(lfirst(lc)); *c; c++)
			appendStringInfo(&text, *c == '"' ? "\"%c" : "%c", *c);
		appendStringInfoString(&text, lnext(parts, lc) ? "\"." : "\"");
	}
	return text.data;
}

static KwjRequest
dump(Backup *backup)
{
	const KwjBackupSpec *spec = &backup->spec;
	KwjProgram	program = program_of(backup);
	List	   *arguments = kwj_backup_dump_options(spec);
	ListCell   *lc;

	program.on_message = take_message;
	program.on_news = show_progress;
	if (spec->tables != NIL)
		arguments = lappend(arguments, "--strict-names");
	foreach(lc, backup->dumped)
		arguments = lappend(arguments, psprintf("-t%s", table_pattern(lfirst(lc))));
	return kwj_program_run(&program, "pg_dump", arguments);
}

/*
 * In a transaction, after the dump: a partition that was attached since the look may have been there
 * in pg_dump's snapshot, but its rows are not in the dump.
 */
static void
check_partitions(const Backup *backup)
{
	ListCell   *now;
	ListCell   *then = list_head(backup->dumped);

	/* Both lists are in the order of find_all_inheritors, which does not change as partitions come. */
	foreach(now, with_partitions(backup->spec.tables))
	{
		while (then != NULL && strcmp(lfirst(then), lfirst(now)) != 0)
			then = lnext(backup->dumped, then);
		if (then == NULL)
			ereport(ERROR,
					errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("partition %s has come while its table was backed up", (char *) lfirst(now)),
					errdetail("Its rows are not in the backup."),
					errhint("The job is tried again. If that does not help, back up when no partitions are added or renamed."));
	}
}

/* Reads all files in a transaction, which the checksums need for their memory. */
static KwjRequest
sum_up(Backup *backup)
{
	KwjRequest	request;

	kwj_attempt_begin_without_snapshot();
	MemoryContextSwitchTo(backup->context);
	request = kwj_manifest_add_files(&backup->manifest, backup->directory);
	kwj_attempt_end_look(backup->context);
	return request;
}

static void
take_facts(Backup *backup)
{
	KwjManifest *manifest = &backup->manifest;

	manifest->encoding = backup->facts[FACT_ENCODING];
	manifest->collate = backup->facts[FACT_COLLATE];
	manifest->ctype = backup->facts[FACT_CTYPE];
	manifest->provider = backup->facts[FACT_PROVIDER];
	manifest->locale = backup->facts[FACT_LOCALE];
}

/* Removes the directory of this name if it is there. */
static void
remove_directory(const KwjDirectory *parent, const char *name)
{
	if (!kwj_directory_remove(parent->fd, name))
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not remove directory \"%s/%s\": %m", parent->path, name),
				errhint("Remove it by hand, then type RESUME JOB."));
}

static void
close_server(Backup *backup)
{
	kwj_server_close(backup->server);
	backup->server = NULL;
}

/* Restores the backup into a scratch database, and compares. */
static KwjRequest
verify_by_restore(Backup *backup)
{
	KwjDirectory *again;
	KwjVerify	verify = {
		.attempt = backup->attempt,
		.context = backup->context,
		.spec = &backup->spec,
		.manifest = &backup->manifest,
		.directory = backup->directory,
		.work = backup->work,
		.server = backup->server,
		.percent = DUMP_PERCENT_OF_RESTORE + 5,
	};
	KwjRequest	request;

	if (backup->work == NULL)
		return KWJ_REQUEST_NONE;
	verify.again = again = make_directory(backup, backup->again);
	request = kwj_verify(&verify);
	close_server(backup);
	kwj_directory_close(again);
	if (request == KWJ_REQUEST_NONE)
		remove_directory(backup->parent, backup->again);
	return request;
}

/* Reads every block that pg_dump has written, as a RESTORE would. */
static KwjRequest
read_back(Backup *backup)
{
	KwjProgram	program = program_of(backup);

	program.server = NULL;
	return kwj_program_run(&program, "pg_restore",
						   list_make3("-f/dev/null", "-Fd", KWJ_PROGRAM_DIRECTORY));
}

static void
write_manifest(Backup *backup)
{
	KwjManifest *manifest = &backup->manifest;

	manifest->job_id = backup->attempt->job_id;
	manifest->database = backup->spec.database;
	manifest->tables = backup->spec.tables;
	manifest->schema_only = backup->spec.schema_only;
	manifest->server_version = unconstify(char *, GetConfigOption("server_version", false, false));
	manifest->version_num = atoi(GetConfigOption("server_version_num", false, false));
	manifest->verified = backup->spec.verify;
	manifest->created = pstrdup(timestamptz_to_str(GetCurrentTimestamp()));
	kwj_manifest_write(manifest, backup->directory);
}

/* Gives the directory its name. Replaces an empty directory of that name, but no other one. */
static void
publish(Backup *backup)
{
	if (renameat(backup->parent->fd, backup->partial, backup->parent->fd, backup->name) < 0)
	{
		bool		exists = errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR;

		ereport(ERROR,
				exists ? errcode(ERRCODE_DUPLICATE_FILE) : errcode_for_file_access(),
				errmsg("could not rename directory \"%s/%s\" to \"%s\": %m", backup->parent->path,
					   backup->partial, backup->spec.directory),
				exists ? errhint("Somebody else has created it since the job began. Back up to another directory.") : 0);
	}
	kwj_directory_sync(backup->parent);
}

static Jsonb *
result_of(const Backup *backup)
{
	return kwj_json_parse(psprintf("{\"bytes\": " INT64_FORMAT ", \"files\": %d, \"verified\": \"%s\"}",
								   backup->manifest.bytes, list_length(backup->manifest.files),
								   backup->manifest.verified));
}

/* ---- the job ---- */

/* Runs all steps that take time, outside of a transaction but for a look. */
static KwjRequest
run_steps(Backup *backup)
{
	KwjRequest	request;

	backup->directory = make_directory(backup, backup->partial);
	request = look(backup);
	if (request == KWJ_REQUEST_NONE)
		request = dump(backup);
	if (request != KWJ_REQUEST_NONE)
		return request;
	kwj_attempt_begin(backup->attempt);
	MemoryContextSwitchTo(backup->context);
	check_partitions(backup);
	kwj_attempt_end_look(backup->context);
	backup->is_dumped = true;
	show_progress(backup);
	if (backup->work == NULL)
		close_server(backup);
	take_facts(backup);
	request = sum_up(backup);
	if (request == KWJ_REQUEST_NONE)
		request = read_back(backup);
	return request == KWJ_REQUEST_NONE ? verify_by_restore(backup) : request;
}

static KwjRequest
backup_execute(KwjAttempt *attempt)
{
	MemoryContext context = CurrentMemoryContext;
	Backup	   *backup = palloc0(sizeof(Backup));
	KwjRequest	request;
	bool		is_complete;

	backup->attempt = attempt;
	backup->context = context;
	kwj_attempt_begin(attempt);
	MemoryContextSwitchTo(context);
	is_complete = begin(backup);
	kwj_attempt_end_look(context);
	if (!is_complete)
	{
		request = run_steps(backup);
		if (request != KWJ_REQUEST_NONE)
			return request;
	}
	kwj_attempt_begin(attempt);
	if (!is_complete)
	{
		write_manifest(backup);
		publish(backup);
	}
	return kwj_attempt_succeed(attempt, NULL, 0, false, result_of(backup));
}

/* Removes what the attempts have left, and a backup that was completed while a CANCEL came. */
static void
backup_revert(KwjAttempt *attempt)
{
	KwjBackupSpec spec;
	KwjDirectory *parent;
	char	   *path;
	char	   *name;

	kwj_work_revert(attempt);
	kwj_attempt_begin(attempt);
	kwj_backup_read_payload(attempt->payload, &spec);
	kwj_backup_split_path(spec.directory, &path, &name);
	parent = kwj_directory_open("BACKUP", path, false);
	remove_directory(parent, again_name(partial_name(attempt, name)));
	remove_directory(parent, partial_name(attempt, name));
	if (find_made(attempt, parent, name) != NULL)
		remove_directory(parent, name);
	kwj_directory_close(parent);
	kwj_attempt_reverted(attempt, NULL, true);
}

static void
backup_validate(Jsonb *arguments, KwjNewJob *job)
{
	KwjNewBackup backup = kwj_backup_arguments(arguments, job->job_type);

	kwj_backup_validate(&backup, job);
}

const KwjType kwj_type_backup = {
	.name = "BACKUP",
	.pausable = true,
	.cancelable = true,
	.reverts_at_length = true,
	.makes = "directory",
	.validate = backup_validate,
	.execute = backup_execute,
	.revert = backup_revert,
};

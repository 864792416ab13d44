/*
 * src/type/backup/verify.c
 *	  BACKUP ... WITH verify = 'restore': is a restored backup equal to what was dumped?
 *
 * Caller: backup.c, in the worker, when the backup has been read back and has not got its name yet.
 *
 *     create      the scratch database kwjobs_verify_JOB_... (work.c)
 *     restore     pg_restore restores the backup into it, without owners, rights, publications and
 *                 subscriptions
 *     dump again  pg_dump dumps the scratch database into DIRECTORY.kwjobs-JOB-verify
 *     compare     the contents of both dumps: the same objects; the files with rows: the same checksums;
 *                 large objects: the same; sequences: the same values
 *     drop        the scratch database; backup.c removes the second dump
 *
 * So the comparison is exact for what was dumped, at the dump's snapshot, however much has changed since. The
 * definitions are not compared as texts: PostgreSQL writes some of them in another way once they were read
 * back (x IN (1, 2) in a CHECK). That they could be restored, and that all objects are there, is what counts.
 *
 * Two files with the same rows mostly have the same bytes: pg_restore empties a table that it has created in
 * the transaction of its COPY, so rows lie in their order. Of files that differ, the rows are compared without
 * their order (rows.c), all that one COPY statement loads together: a partitioned table by a hash of an enum
 * is loaded through its root, and rows move to other partitions.
 *
 * If the worker dies, the next attempt drops and removes what is left, or the revert does.
 *
 * Locks: those of the programs' sessions, in the scratch database.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "job/test_gate.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "type/backup/contents.h"
#include "type/backup/program.h"
#include "type/backup/rows.h"
#include "type/backup/verify.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/regproc.h"

#define RESTORE_PERCENT	60		/* of the progress of all this; the rest is the second dump */
#define SCRIPT_OF_BACKUP	"rows-of-backup"
#define SCRIPT_OF_AGAIN		"rows-again"

/* Two entries about the same rows. */
typedef struct Pair
{
	KwjEntry   *dumped;
	KwjEntry   *again;
} Pair;

typedef struct Verification
{
	const KwjVerify *verify;
	char	   *owner;			/* of all in the scratch database */
	bool		is_superuser;
	KwjContents dumped;
	KwjContents again;
	KwjManifest files;			/* of the second dump */
	List	   *pairs;			/* Pair *: all data */
	int			tables;			/* how many tables have rows to be restored and dumped */
	int			restored;
	int			dumped_again;
	List	   *lines;			/* char *: of a script that is being read */
} Verification;

/* ---- progress ---- */

static void
show_progress(const Verification *v)
{
	int			tables = Max(v->tables, 1);
	int			done = (RESTORE_PERCENT * v->restored + (100 - RESTORE_PERCENT) * v->dumped_again) / tables;
	int			percent = v->verify->percent + (100 - v->verify->percent) * Min(done, 99) / 100;

	if (kwj_progress_request() != KWJ_REQUEST_NONE)
		return;
	kwj_progress_set_all(percent, 100, 0,
						 v->dumped_again == 0 ?
						 psprintf("verifying: restored %d/%d tables", v->restored, v->tables) :
						 psprintf("verifying: compared %d/%d tables", v->dumped_again, v->tables));
}

static void
take_message(const char *message, void *arg)
{
	Verification *v = arg;
	int			id;
	const char *restored = kwj_contents_finished(message, &id);

	if (restored != NULL)
		v->restored += kwj_is_data(restored);
	else if (kwj_line_begins(message, KWJ_DUMPS_TABLE))
		v->dumped_again++;
	else
		return;
	show_progress(v);
}

/* ---- programs ---- */

static KwjProgram
program_of(Verification *v, const KwjDirectory *directory)
{
	return (KwjProgram) {
		.database = v->verify->work->oid,
		.database_name = v->verify->work->name,
		.directory = directory->path,
		.fds = {directory->fd},
		.n_fds = 1,
		.rights_hint = "The backup is restored as the job's owner, to verify it. Have a superuser create the job, or leave verify out.",
		.on_message = take_message,
		.arg = v,
	};
}

static KwjRequest
open_scratch(Verification *v)
{
	const KwjVerify *verify = v->verify;

	kwj_attempt_begin(verify->attempt);
	kwj_test_gate(4945);
	MemoryContextSwitchTo(verify->context);
	v->owner = GetUserNameFromId(verify->attempt->owner, false);
	v->is_superuser = superuser_arg(verify->attempt->owner);
	kwj_attempt_end_look(verify->context);
	return kwj_work_create(verify->work, v->verify->server, "kwjobs_verify", verify->manifest);
}

/* A backup of tables does not hold their schemas. */
static KwjRequest
create_schemas(Verification *v)
{
	KwjProgram	program = program_of(v, v->verify->directory);
	List	   *statements = list_make1("SET search_path = ''");
	ListCell   *lc;

	if (v->verify->spec->tables == NIL)
		return KWJ_REQUEST_NONE;
	foreach(lc, v->verify->spec->tables)
	{
		List	   *parts = stringToQualifiedNameList(lfirst(lc) KWJ_NO_ESCONTEXT);

		statements = lappend(statements, psprintf("CREATE SCHEMA IF NOT EXISTS %s",
												  quote_identifier(strVal(linitial(parts)))));
	}
	program.server = v->verify->server;
	return kwj_program_run_psql(&program, statements);
}

static bool
is_publication(const KwjEntry *entry)
{
	return entry->holds == KWJ_HOLDS_SERVER;
}

static KwjRequest
restore(Verification *v)
{
	KwjProgram	listing = program_of(v, v->verify->directory);
	KwjProgram	program = program_of(v, v->verify->directory);
	KwjRequest	request;
	ListCell   *lc;

	request = kwj_contents_read(&v->dumped, &listing);
	if (request == KWJ_REQUEST_NONE)
		request = create_schemas(v);
	if (request != KWJ_REQUEST_NONE)
		return request;
	if (!v->is_superuser)
		(void) kwj_contents_leave_kwjobs_out(&v->dumped);
	foreach(lc, v->dumped.entries)
	{
		KwjEntry   *entry = lfirst(lc);

		entry->chosen &= !is_publication(entry);
		v->tables += entry->chosen && entry->holds == KWJ_HOLDS_DATA;
	}
	show_progress(v);
	program.server = v->verify->server;
	return kwj_contents_restore(&v->dumped, KWJ_HOLDS_OTHER, &program,
								list_make5("-v", "--exit-on-error", "-Ox",
										   psprintf("-j%d", Max(v->verify->spec->workers, KWJ_VERIFY_WORKERS)),
										   psprintf("-d%s", kwj_program_connection(v->verify->work->name))));
}

static KwjRequest
dump_again(Verification *v)
{
	KwjProgram	program = program_of(v, v->verify->again);
	KwjProgram	listing = program_of(v, v->verify->again);
	KwjRequest	request;

	program.server = v->verify->server;
	request = kwj_program_run(&program, "pg_dump", kwj_backup_dump_options(v->verify->spec));
	return request == KWJ_REQUEST_NONE ? kwj_contents_read(&v->again, &listing) : request;
}

/* ---- comparing ---- */

pg_noreturn static void
differs(const char *message, const char *detail)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the backup does not restore to what was dumped: %s", message),
			detail ? errdetail("%s", detail) : 0,
			errhint("The backup is removed. Look for types whose values do not read back as they are written, and for extensions that create other things than those that were dumped."));
}

/* Returns whether the entry is one of those that the scratch database must have, too. */
static bool
is_compared(const Verification *v, const KwjEntry *entry)
{
	bool		is_right = kwj_line_begins(entry->what, "ACL ");
	bool		is_public = kwj_line_begins(entry->what, "SCHEMA - public ") ||
		kwj_line_begins(entry->what, "COMMENT - SCHEMA public ");
	/* The scratch database has a name of its own, and pg_restore gives it no such remarks. */
	bool		is_database = kwj_line_begins(entry->what, "COMMENT - DATABASE ") ||
		kwj_line_begins(entry->what, "SECURITY LABEL - DATABASE ");
	bool		is_schema = v->verify->spec->tables != NIL && kwj_line_begins(entry->what, "SCHEMA ");

	return entry->chosen && !is_right && !is_public && !is_database && !is_schema &&
		!kwj_line_begins(entry->what, "STATISTICS DATA ") && entry->holds != KWJ_HOLDS_NOTHING &&
		entry->holds != KWJ_HOLDS_BLOB && entry->holds != KWJ_HOLDS_SERVER;
}

/* The entries of the second dump with this text, without the owner. */
typedef struct Found
{
	char		text[NAMEDATALEN * 4];	/* the key: the end of a text that is longer */
	List	   *entries;
} Found;

static void
set_key(char *key, const char *text, size_t length)
{
	size_t		size = sizeof(((Found *) 0)->text);
	size_t		skipped = length < size ? 0 : length - size + 1;

	memset(key, 0, size);
	memcpy(key, text + skipped, length - skipped);
}

static HTAB *
make_table(Verification *v)
{
	HASHCTL		info = {.keysize = sizeof(((Found *) 0)->text), .entrysize = sizeof(Found), .hcxt = v->verify->context};
	HTAB	   *table = hash_create("kwjobs second dump", 1024, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	size_t		owner = strlen(v->owner);
	ListCell   *lc;

	foreach(lc, v->again.entries)
	{
		KwjEntry   *entry = lfirst(lc);
		size_t		length = strlen(entry->what);
		char		key[sizeof(((Found *) 0)->text)];
		Found	   *found;
		bool		is_old;

		if (!is_compared(v, entry))
			continue;
		/* The owner is the job's owner, or none. */
		if (length > owner && entry->what[length - owner - 1] == ' ' && strcmp(entry->what + length - owner, v->owner) == 0)
			length -= owner + 1;
		else if (length > 0 && entry->what[length - 1] == ' ')
			length--;
		set_key(key, entry->what, length);
		found = hash_search(table, key, HASH_ENTER, &is_old);
		if (!is_old)
			found->entries = NIL;
		found->entries = lappend(found->entries, entry);
	}
	return table;
}

/*
 * Takes the entry of the second dump that is like this one out of the table. Returns NULL if there is none.
 * This one ends with the name of its owner, and nobody knows where that begins. So it is tried without its
 * last word, without its last two words, and so on.
 */
static KwjEntry *
take(HTAB *table, const KwjEntry *entry)
{
	for (const char *space = strrchr(entry->what, ' '); space != NULL;)
	{
		char		key[sizeof(((Found *) 0)->text)];
		Found	   *found;

		set_key(key, entry->what, space - entry->what);
		found = hash_search(table, key, HASH_FIND, NULL);
		if (found != NULL && found->entries != NIL)
		{
			KwjEntry   *again = linitial(found->entries);

			found->entries = list_delete_first(found->entries);
			return again;
		}
		do
			space = space > entry->what ? space - 1 : NULL;
		while (space != NULL && *space != ' ');
	}
	return NULL;
}

/* Compares which objects both dumps hold, and notes which entries hold the rows of the same table. */
static void
compare_contents(Verification *v)
{
	HTAB	   *table = make_table(v);
	HASH_SEQ_STATUS all;
	Found	   *found;
	ListCell   *lc;

	foreach(lc, v->dumped.entries)
	{
		KwjEntry   *entry = lfirst(lc);
		KwjEntry   *again = is_compared(v, entry) ? take(table, entry) : NULL;

		if (again == NULL && is_compared(v, entry))
			differs("something is missing", psprintf("Not there after a restore: %s", entry->what));
		if (again != NULL && entry->holds == KWJ_HOLDS_DATA)
		{
			Pair	   *pair = palloc(sizeof(Pair));

			pair->dumped = entry;
			pair->again = again;
			v->pairs = lappend(v->pairs, pair);
		}
	}
	hash_seq_init(&all, table);
	while ((found = hash_seq_search(&all)) != NULL)
		if (found->entries != NIL)
		{
			hash_seq_term(&all);
			differs("something is there that was not dumped",
					psprintf("There after a restore: %s", ((KwjEntry *) linitial(found->entries))->what));
		}
}

static bool
are_same_files(const KwjBackupFile *a, const KwjBackupFile *b)
{
	return a != NULL && b != NULL && a->bytes == b->bytes && strcmp(a->checksum, b->checksum) == 0;
}

/* Compares the large objects, in files of the same names. */
static void
compare_blobs(const Verification *v)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, v->verify->manifest->files)
	{
		const KwjBackupFile *file = lfirst(lc);

		if (!kwj_line_begins(file->name, "blob_"))
			continue;
		n++;
		if (!are_same_files(file, kwj_manifest_find(&v->files, file->name)))
			differs("a large object differs", psprintf("Its file is \"%s\".", file->name));
	}
	foreach(lc, v->files.files)
		n -= kwj_line_begins(((KwjBackupFile *) lfirst(lc))->name, "blob_");
	if (n != 0)
		differs("there are other large objects", NULL);
}

/* Chooses the entries whose files differ, and nothing else. Returns whether there are any. */
static bool
choose_different(Verification *v)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, v->dumped.entries)
		((KwjEntry *) lfirst(lc))->chosen &= ((KwjEntry *) lfirst(lc))->holds != KWJ_HOLDS_DATA;
	foreach(lc, v->again.entries)
		((KwjEntry *) lfirst(lc))->chosen &= ((KwjEntry *) lfirst(lc))->holds != KWJ_HOLDS_DATA;
	foreach(lc, v->pairs)
	{
		Pair	   *pair = lfirst(lc);
		bool		differ = !are_same_files(kwj_manifest_data_of(v->verify->manifest, pair->dumped->id),
											 kwj_manifest_data_of(&v->files, pair->again->id));

		pair->dumped->chosen = pair->again->chosen = differ;
		any |= differ;
	}
	return any;
}

/* Has pg_restore write the chosen rows of a dump into a script beside the second dump. */
static KwjRequest
write_script(Verification *v, const KwjDirectory *directory, const KwjContents *contents, const char *name)
{
	KwjProgram	program = program_of(v, directory);

	program.fds[2] = v->verify->again->fd;
	program.n_fds = 3;
	return kwj_contents_restore(contents, KWJ_HOLDS_DATA, &program,
								list_make1(psprintf("-f%s/%s", KWJ_PROGRAM_PLACE, name)));
}

static void
compare_rows(List *dumped, List *again)
{
	ListCell   *lc;

	foreach(lc, dumped)
	{
		const KwjDumpedRows *rows = lfirst(lc);
		const KwjDumpedRows *other = kwj_rows_of(again, rows->target);

		if (other == NULL || !kwj_rows_are_same(rows, other))
			differs("the rows of a table differ",
					psprintf("Table and columns: %s. Rows in the backup: " INT64_FORMAT ", after a restore: " INT64_FORMAT ".",
							 rows->target, rows->n, other ? other->n : 0));
	}
}

/* Compares the rows of tables whose files differ. */
static KwjRequest
compare_different(Verification *v)
{
	const KwjVerify *verify = v->verify;
	List	   *dumped = NIL;
	List	   *again = NIL;
	KwjRequest	request = write_script(v, verify->directory, &v->dumped, SCRIPT_OF_BACKUP);

	if (request == KWJ_REQUEST_NONE)
		request = write_script(v, verify->again, &v->again, SCRIPT_OF_AGAIN);
	if (request != KWJ_REQUEST_NONE)
		return request;
	/* The checksums need a transaction for their memory. */
	kwj_attempt_begin_without_snapshot();
	MemoryContextSwitchTo(verify->context);
	request = kwj_rows_read(verify->again, SCRIPT_OF_BACKUP, &dumped);
	if (request == KWJ_REQUEST_NONE)
		request = kwj_rows_read(verify->again, SCRIPT_OF_AGAIN, &again);
	kwj_attempt_end_look(verify->context);
	if (request == KWJ_REQUEST_NONE)
		compare_rows(dumped, again);
	return request;
}

static void
take_value(const char *line, void *arg)
{
	Verification *v = arg;
	MemoryContext old = MemoryContextSwitchTo(v->verify->context);

	if (kwj_line_begins(line, "SELECT pg_catalog.setval("))
		v->lines = lappend(v->lines, pstrdup(line));
	MemoryContextSwitchTo(old);
}

/* Returns the statements that set the sequences, sorted. */
static KwjRequest
read_values(Verification *v, const KwjDirectory *directory, const KwjContents *contents, List **values)
{
	KwjProgram	program = program_of(v, directory);
	KwjRequest	request;

	v->lines = NIL;
	program.on_output = take_value;
	program.is_silent = true;
	request = kwj_contents_restore(contents, KWJ_HOLDS_SEQUENCE_VALUE, &program, list_make1("-f-"));
	list_sort(v->lines, kwj_compare_names);
	*values = v->lines;
	return request;
}

static KwjRequest
compare_sequences(Verification *v)
{
	List	   *dumped = NIL;
	List	   *again = NIL;
	KwjRequest	request = read_values(v, v->verify->directory, &v->dumped, &dumped);

	if (request == KWJ_REQUEST_NONE)
		request = read_values(v, v->verify->again, &v->again, &again);
	if (request != KWJ_REQUEST_NONE)
		return request;
	for (int i = 0; i < Max(list_length(dumped), list_length(again)); i++)
	{
		const char *a = i < list_length(dumped) ? list_nth(dumped, i) : "nothing";
		const char *b = i < list_length(again) ? list_nth(again, i) : "nothing";

		if (strcmp(a, b) != 0)
			differs("a sequence differs", psprintf("In the backup: %s After a restore: %s", a, b));
	}
	return request;
}

static KwjRequest
compare(Verification *v)
{
	KwjRequest	request;

	kwj_attempt_begin_without_snapshot();
	MemoryContextSwitchTo(v->verify->context);
	request = kwj_manifest_add_files(&v->files, v->verify->again);
	kwj_attempt_end_look(v->verify->context);
	if (request != KWJ_REQUEST_NONE)
		return request;
	compare_contents(v);
	compare_blobs(v);
	request = compare_sequences(v);
	if (request == KWJ_REQUEST_NONE && choose_different(v))
		request = compare_different(v);
	return request;
}

KwjRequest
kwj_verify(const KwjVerify *verify)
{
	Verification v = {.verify = verify};
	KwjRequest	request = open_scratch(&v);

	if (request == KWJ_REQUEST_NONE)
		request = restore(&v);
	if (request == KWJ_REQUEST_NONE)
		request = dump_again(&v);
	if (request == KWJ_REQUEST_NONE)
		request = compare(&v);
	if (request == KWJ_REQUEST_NONE)
		request = kwj_work_drop(verify->work, verify->server);
	return request;
}

/*
 * src/type/backup/verify.c
 *	  BACKUP ... WITH verify = 'restore': is a restored backup equal to what was dumped?
 *
 * Caller: backup.c, in the worker, when the backup has been read back and has not got its name yet.
 *
 *     create      the scratch database kwjobs_verify_JOB_... (work.c)
 *     restore     pg_restore restores the backup into it, without subscriptions, which would keep it from
 *                 being dropped; for 'restore_no_owner' also without owners, rights and publications
 *     dump again  pg_dump dumps the scratch database into DIRECTORY.kwjobs-JOB-verify
 *     compare     the contents of both dumps: the same objects, with the same owners; large objects: the same;
 *                 rights, comments, policies, publications, properties of tables, values of sequences: the
 *                 same statements (script.c); the files with rows: the same checksums
 *     drop        the scratch database; backup.c removes the second dump
 *
 * So the comparison is exact for what was dumped, at the dump's snapshot, however much has changed since. The
 * definitions are not compared as texts: PostgreSQL writes some of them in another way once they were read
 * back (x IN (1, 2) in a CHECK). That they could be restored, and that all objects are there, is what counts.
 * Without the owners, neither can rights be compared: pg_dump writes how they differ from the owner's.
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
#include "type/backup/script.h"
#include "type/backup/verify.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/regproc.h"

#define RESTORE_PERCENT	60		/* of the progress of all this; the rest is the second dump */
#define ROWS_OF_BACKUP		"rows-of-backup"
#define ROWS_AGAIN			"rows-again"
#define STATEMENTS_OF_BACKUP	"statements-of-backup"
#define STATEMENTS_AGAIN	"statements-again"

/* Two entries about the same rows. */
typedef struct Pair
{
	KwjEntry   *dumped;
	KwjEntry   *again;
} Pair;

typedef struct Verification
{
	const KwjVerify *verify;
	char	   *owner;			/* of the job */
	bool		with_owners;	/* the scratch database has them, and rights, and publications */
	bool		is_superuser;
	KwjContents dumped;
	KwjContents again;
	KwjManifest files;			/* of the second dump */
	List	   *pairs;			/* Pair *: all data */
	int			tables;			/* how many tables have rows to be restored and dumped */
	int			restored;
	int			dumped_again;
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
		.rights_hint = v->with_owners ?
		"The backup is restored as the job's owner, to verify it. Have a superuser create the job, or type verify = 'restore_no_owner', which leaves out owners, rights and publications." :
		"The backup is restored as the job's owner, to verify it. Have a superuser create the job, or leave verify out.",
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
	v->with_owners = strcmp(verify->spec->verify, KWJ_VERIFIED_RESTORE) == 0;
	v->is_superuser = superuser_arg(verify->attempt->owner);
	kwj_attempt_end_look(verify->context);
	return kwj_work_create(verify->work, v->verify->server, "kwjobs_verify", verify->manifest);
}

/* A backup of tables does not hold their schemas. All roles may use them, as owners of tables have to. */
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
		const char *schema = quote_identifier(strVal(linitial(parts)));

		statements = lappend(statements, psprintf("CREATE SCHEMA IF NOT EXISTS %s", schema));
		statements = lappend(statements, psprintf("GRANT ALL ON SCHEMA %s TO PUBLIC", schema));
	}
	program.server = v->verify->server;
	return kwj_program_run_psql(&program, statements);
}

/* Returns whether this is a subscription, or a publication that is not to be restored. */
static bool
is_left_out(const Verification *v, const KwjEntry *entry)
{
	return entry->holds == KWJ_HOLDS_SERVER && (!v->with_owners || kwj_line_begins(entry->what, "SUBSCRIPTION "));
}

/* Returns whether this is a comment on, or a label of, something that is left out. */
static bool
is_about_left_out(const Verification *v, const KwjEntry *entry)
{
	ListCell   *lc;

	if (entry->holds != KWJ_HOLDS_REMARK)
		return false;
	foreach(lc, entry->needs)
	{
		const KwjEntry *needed = kwj_contents_entry(&v->dumped, lfirst_int(lc));

		if (needed != NULL && is_left_out(v, needed))
			return true;
	}
	return false;
}

/* Has pg_restore leave out owners and rights, if they are not wanted. */
static List *
add_owner_option(const Verification *v, List *arguments)
{
	return v->with_owners ? arguments : lappend(arguments, "-Ox");
}

static KwjRequest
restore(Verification *v)
{
	KwjProgram	listing = program_of(v, v->verify->directory);
	KwjProgram	program = program_of(v, v->verify->directory);
	List	   *arguments = list_make2("-v", "--exit-on-error");
	KwjRequest	request;
	ListCell   *lc;

	request = kwj_contents_read(&v->dumped, &listing);
	if (request == KWJ_REQUEST_NONE)
		request = create_schemas(v);
	if (request != KWJ_REQUEST_NONE)
		return request;
	if (v->verify->spec->tables == NIL)
		kwj_contents_tell_of_database(&v->dumped, v->verify->spec->directory);
	if (!v->is_superuser)
		(void) kwj_contents_leave_kwjobs_out(&v->dumped);
	foreach(lc, v->dumped.entries)
	{
		KwjEntry   *entry = lfirst(lc);

		entry->chosen &= !is_left_out(v, entry) && !is_about_left_out(v, entry);
		v->tables += entry->chosen && entry->holds == KWJ_HOLDS_DATA;
	}
	show_progress(v);
	program.server = v->verify->server;
	arguments = lappend(arguments, psprintf("-d%s", kwj_program_connection(v->verify->work->name)));
	return kwj_contents_restore_in_parallel(&v->dumped, Max(v->verify->spec->workers, KWJ_VERIFY_WORKERS), &program,
											add_owner_option(v, arguments));
}

static KwjRequest
dump_again(Verification *v)
{
	KwjProgram	program = program_of(v, v->verify->again);
	KwjProgram	listing = program_of(v, v->verify->again);
	KwjRequest	request;

	kwj_attempt_begin_without_snapshot();
	kwj_test_gate(4947);
	kwj_attempt_end_look(v->verify->context);
	program.server = v->verify->server;
	request = kwj_program_run(&program, "pg_dump", kwj_backup_dump_options(v->verify->spec));
	return request == KWJ_REQUEST_NONE ? kwj_contents_read(&v->again, &listing) : request;
}

/* ---- comparing ---- */

#define HINT_FOR_OBJECTS \
	"The backup is removed. Look for types whose values do not read back as they are written, and for extensions that create other things than those that were dumped."
#define HINT_FOR_STATEMENTS \
	"The backup is removed. Look for what changes owners, rights and the like when they are set, such as an extension, and for rights that the job's owner may not give; a superuser may give all of them."

pg_noreturn static void
differs(const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the backup does not restore to what was dumped: %s", message),
			detail ? errdetail("%s", detail) : 0,
			errhint("%s", hint));
}

/*
 * Returns whether the entry is one of those that the scratch database must have, too. Remarks, large objects
 * and publications are compared otherwise.
 */
static bool
is_compared(const Verification *v, const KwjEntry *entry)
{
	/* All databases have it, and a dump only if its owner is another one. */
	bool		is_public = !v->with_owners && kwj_line_begins(entry->what, "SCHEMA - public ");
	bool		is_schema = v->verify->spec->tables != NIL && kwj_line_begins(entry->what, "SCHEMA ");

	return entry->chosen && !is_public && !is_schema &&
		entry->holds != KWJ_HOLDS_NOTHING && entry->holds != KWJ_HOLDS_REMARK &&
		entry->holds != KWJ_HOLDS_BLOB && entry->holds != KWJ_HOLDS_SERVER;
}

/*
 * Returns whether what the entry holds has an owner, which the scratch database must have, too. The others
 * follow the owner of a table, which may belong to an extension: then it is the one who has created that.
 */
static bool
has_owner(const Verification *v, const KwjEntry *entry)
{
	return v->with_owners &&
		(entry->holds == KWJ_HOLDS_RELATION || entry->holds == KWJ_HOLDS_SEQUENCE ||
		 entry->holds == KWJ_HOLDS_OTHER || kwj_line_begins(entry->what, "STATISTICS "));
}

/* Returns the length of the text of an entry; that of one that has no owner ends with a blank. */
static size_t
full_length(const char *what)
{
	size_t		length = strlen(what);

	return length > 0 && what[length - 1] == ' ' ? length - 1 : length;
}

/* Returns the length of the text of an entry of the second dump without the owner, if that is the job's. */
static size_t
length_without_owner(const Verification *v, const char *what)
{
	size_t		length = full_length(what);
	size_t		owner = strlen(v->owner);

	if (length > owner && what[length - owner - 1] == ' ' && strcmp(what + length - owner, v->owner) == 0)
		return length - owner - 1;
	return length;
}

/* The entries of the second dump with this text; mostly without the owner (has_owner). */
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
	ListCell   *lc;

	foreach(lc, v->again.entries)
	{
		KwjEntry   *entry = lfirst(lc);
		char		key[sizeof(((Found *) 0)->text)];
		Found	   *found;
		bool		is_old;

		if (!is_compared(v, entry))
			continue;
		set_key(key, entry->what,
				has_owner(v, entry) ? full_length(entry->what) : length_without_owner(v, entry->what));
		found = hash_search(table, key, HASH_ENTER, &is_old);
		if (!is_old)
			found->entries = NIL;
		found->entries = lappend(found->entries, entry);
	}
	return table;
}

/* Takes an entry with the text of this length out of the table. Returns NULL if there is none. */
static KwjEntry *
take_exactly(HTAB *table, const char *what, size_t length)
{
	char		key[sizeof(((Found *) 0)->text)];
	Found	   *found;
	KwjEntry   *entry;

	set_key(key, what, length);
	found = hash_search(table, key, HASH_FIND, NULL);
	if (found == NULL || found->entries == NIL)
		return NULL;
	entry = linitial(found->entries);
	found->entries = list_delete_first(found->entries);
	return entry;
}

/*
 * Takes the entry of the second dump that is like this one out of the table. Returns NULL if there is none.
 * This one ends with the name of its owner, and nobody knows where that begins. So if the owner does not
 * count, it is tried without its last word, without its last two words, and so on.
 */
static KwjEntry *
take(const Verification *v, HTAB *table, const KwjEntry *entry)
{
	KwjEntry   *again = take_exactly(table, entry->what, full_length(entry->what));

	if (has_owner(v, entry))
		return again;
	for (const char *space = strrchr(entry->what, ' '); space != NULL && again == NULL;)
	{
		again = take_exactly(table, entry->what, space - entry->what);
		do
			space = space > entry->what ? space - 1 : NULL;
		while (space != NULL && *space != ' ');
	}
	return again;
}

/* Returns an entry of the second dump that the first one has not, if there is one left in the table. */
static const KwjEntry *
find_left(HTAB *table)
{
	HASH_SEQ_STATUS all;
	Found	   *found;

	hash_seq_init(&all, table);
	while ((found = hash_seq_search(&all)) != NULL)
		if (found->entries != NIL)
		{
			hash_seq_term(&all);
			return linitial(found->entries);
		}
	return NULL;
}

static void
compare_entries(const char *missing, const char *left)
{
	if (missing != NULL && left != NULL)
		differs("something is missing, or has another owner",
				psprintf("Not there after a restore: %s. There, but not in the backup: %s.", missing, left), HINT_FOR_OBJECTS);
	if (missing != NULL)
		differs("something is missing", psprintf("Not there after a restore: %s", missing), HINT_FOR_OBJECTS);
	if (left != NULL)
		differs("something is there that was not dumped", psprintf("There after a restore: %s", left), HINT_FOR_OBJECTS);
}

/* Compares which objects both dumps hold, and notes which entries hold the rows of the same table. */
static void
compare_contents(Verification *v)
{
	HTAB	   *table = make_table(v);
	const KwjEntry *missing = NULL;
	const KwjEntry *left;
	ListCell   *lc;

	foreach(lc, v->dumped.entries)
	{
		KwjEntry   *entry = lfirst(lc);
		KwjEntry   *again = is_compared(v, entry) ? take(v, table, entry) : NULL;

		if (again == NULL && is_compared(v, entry) && missing == NULL)
			missing = entry;
		if (again != NULL && entry->holds == KWJ_HOLDS_DATA)
		{
			Pair	   *pair = palloc(sizeof(Pair));

			pair->dumped = entry;
			pair->again = again;
			v->pairs = lappend(v->pairs, pair);
		}
	}
	left = find_left(table);
	compare_entries(missing ? missing->what : NULL, left ? left->what : NULL);
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
			differs("a large object differs", psprintf("Its file is \"%s\".", file->name), HINT_FOR_OBJECTS);
	}
	foreach(lc, v->files.files)
		n -= kwj_line_begins(((KwjBackupFile *) lfirst(lc))->name, "blob_");
	if (n != 0)
		differs("there are other large objects", NULL, HINT_FOR_OBJECTS);
}

/* Has pg_restore write what is chosen of a dump, and is of this kind, into a script beside the second dump. */
static KwjRequest
write_script(Verification *v, const KwjDirectory *directory, const KwjContents *contents, KwjHolds holds,
			 const char *name)
{
	KwjProgram	program = program_of(v, directory);
	List	   *arguments = list_make1(psprintf("-f%s/%s", KWJ_PROGRAM_PLACE, name));

	program.fds[2] = v->verify->again->fd;
	program.n_fds = 3;
	return kwj_contents_restore(contents, holds, &program, add_owner_option(v, arguments));
}

/* Returns whether the statements of the entry are compared. */
static bool
is_stated(const Verification *v, const KwjEntry *entry)
{
	static const char *const kinds[] = {
		"ACL ", "BLOB ", "COMMENT ", "DEFAULT ACL ", "POLICY ", "PUBLICATION ", "ROW SECURITY ", "SECURITY LABEL ",
		"SEQUENCE SET "
	};
	/* What is altered of it: FORCE ROW LEVEL SECURITY, REPLICA IDENTITY, how columns are stored. */
	bool		is_table = entry->holds == KWJ_HOLDS_RELATION && kwj_line_begins(entry->what, "TABLE ");
	/* create_schemas() has granted this. */
	bool		is_schema = v->verify->spec->tables != NIL && kwj_line_begins(entry->what, "ACL - SCHEMA ");

	for (int i = 0; i < lengthof(kinds); i++)
		if (kwj_line_begins(entry->what, kinds[i]))
			return !is_schema;
	return is_table;
}

static void
choose_stated(const Verification *v, const KwjContents *contents)
{
	ListCell   *lc;

	foreach(lc, contents->entries)
		((KwjEntry *) lfirst(lc))->chosen &= is_stated(v, lfirst(lc));
}

/* Returns what it is that a statement sets. */
static const char *
set_by(const char *statement)
{
	static const struct
	{
		const char *begins;
		const char *what;
	}			kinds[] =
	{
		{"GRANT ", "a right"},
		{"REVOKE ", "a right"},
		{"SET SESSION AUTHORIZATION ", "a right"},
		{"ALTER DEFAULT PRIVILEGES ", "a default privilege"},
		{"COMMENT ", "a comment"},
		{"SECURITY LABEL ", "a security label"},
		{"CREATE POLICY ", "a policy"},
		{"ALTER TABLE ", "a property of a table"},
		{"CREATE PUBLICATION ", "a publication"},
		{"ALTER PUBLICATION ", "a publication"},
		{"SELECT pg_catalog.setval(", "a sequence"},
		{"SELECT pg_catalog.lo_create(", "a large object"},
		{"ALTER LARGE OBJECT ", "the owner of a large object"},
	};

	for (int i = 0; i < lengthof(kinds); i++)
		if (kwj_line_begins(statement, kinds[i].begins))
			return kinds[i].what;
	return "something";
}

static void
compare_scripts(const KwjScripts *scripts)
{
	const char *missing = kwj_scripts_only_first(scripts);
	const char *other = kwj_scripts_only_second(scripts);

	if (missing != NULL || other != NULL)
		differs(psprintf("%s differs", set_by(missing ? missing : other)),
				psprintf("In the backup: %s After a restore: %s", missing ? missing : "nothing.", other ? other : "nothing."),
				HINT_FOR_STATEMENTS);
}

/* Compares all that pg_restore sets by statements that are always written alike. */
static KwjRequest
compare_statements(Verification *v)
{
	const KwjVerify *verify = v->verify;
	KwjScripts *scripts;
	KwjRequest	request;

	choose_stated(v, &v->dumped);
	choose_stated(v, &v->again);
	request = write_script(v, verify->directory, &v->dumped, KWJ_HOLDS_OTHER, STATEMENTS_OF_BACKUP);
	if (request == KWJ_REQUEST_NONE)
		request = write_script(v, verify->again, &v->again, KWJ_HOLDS_OTHER, STATEMENTS_AGAIN);
	if (request != KWJ_REQUEST_NONE)
		return request;
	/* The checksums need a transaction for their memory. */
	kwj_attempt_begin_without_snapshot();
	MemoryContextSwitchTo(verify->context);
	scripts = kwj_scripts_read(verify->again, STATEMENTS_OF_BACKUP, STATEMENTS_AGAIN);
	if (scripts != NULL)
		compare_scripts(scripts);
	kwj_attempt_end_look(verify->context);
	return scripts != NULL ? KWJ_REQUEST_NONE : KWJ_REQUEST_CANCEL;
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
							 rows->target, rows->n, other ? other->n : 0), HINT_FOR_OBJECTS);
	}
}

/* Compares the rows of tables whose files differ. */
static KwjRequest
compare_different(Verification *v)
{
	const KwjVerify *verify = v->verify;
	List	   *dumped = NIL;
	List	   *again = NIL;
	KwjRequest	request = write_script(v, verify->directory, &v->dumped, KWJ_HOLDS_DATA, ROWS_OF_BACKUP);

	if (request == KWJ_REQUEST_NONE)
		request = write_script(v, verify->again, &v->again, KWJ_HOLDS_DATA, ROWS_AGAIN);
	if (request != KWJ_REQUEST_NONE)
		return request;
	/* The checksums need a transaction for their memory. */
	kwj_attempt_begin_without_snapshot();
	MemoryContextSwitchTo(verify->context);
	request = kwj_rows_read(verify->again, ROWS_OF_BACKUP, NIL, &dumped);
	if (request == KWJ_REQUEST_NONE)
		request = kwj_rows_read(verify->again, ROWS_AGAIN, dumped, &again);
	kwj_attempt_end_look(verify->context);
	if (request == KWJ_REQUEST_NONE)
		compare_rows(dumped, again);
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
	request = compare_statements(v);
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

/*
 * src/type/backup/contents.c
 *	  The table of contents of a backup.
 *
 * Process: worker. Locks: none.
 *
 * pg_restore -t restores a table without its indexes, constraints, sequences and partitions. So the
 * worker reads all of the contents (pg_restore -l -v), follows who needs whom, and gives pg_restore
 * the list of what is to be restored (-L):
 *
 *     216; 1259 16392 TABLE own orders saver          id; catalog and OID at the dump; kind, schema,
 *     ;	depends on: 851 6                           name, owner
 *     2448; 2606 16401 CONSTRAINT own orders orders_pkey saver
 *     ;	depends on: 216
 *
 * Names in the list are not quoted, and may have spaces. So only pg_restore itself is asked for an entry by
 * its name (-n, -t, exactly); everything else follows from the numbers, and, where an entry may need
 * other tables than its own, from a comparison of two lines (belongs_to).
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "catalog/pg_class.h"
#include "compat.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "type/backup/contents.h"
#include "utils/builtins.h"
#include "utils/regproc.h"

/* The kinds of entries; of two that begin alike, the longer one comes first. */
static const struct
{
	const char *name;
	KwjHolds	holds;
}			kinds[] =
{
	{"ACL LANGUAGE", KWJ_HOLDS_NOTHING},
	{"ACL", KWJ_HOLDS_REMARK},
	{"BLOB", KWJ_HOLDS_BLOB},	/* BLOBS, BLOB METADATA, BLOB COMMENTS */
	{"CHECK CONSTRAINT", KWJ_HOLDS_CONSTRAINT},
	{"COMMENT", KWJ_HOLDS_REMARK},
	{"CONSTRAINT", KWJ_HOLDS_CONSTRAINT},
	{"DATABASE", KWJ_HOLDS_NOTHING},	/* DATABASE PROPERTIES */
	{"DEFAULT ACL", KWJ_HOLDS_NOTHING},
	{"DEFAULT", KWJ_HOLDS_DEFAULT},
	{"ENCODING", KWJ_HOLDS_NOTHING},
	{"FK CONSTRAINT", KWJ_HOLDS_FOREIGN_KEY},
	{"FOREIGN TABLE", KWJ_HOLDS_RELATION},
	{"INDEX ATTACH", KWJ_HOLDS_INDEX_ATTACH},
	{"INDEX", KWJ_HOLDS_INDEX},
	{"MATERIALIZED VIEW DATA", KWJ_HOLDS_REFRESH},
	{"MATERIALIZED VIEW", KWJ_HOLDS_RELATION},
	{"POLICY", KWJ_HOLDS_CODE},
	{"PUBLICATION", KWJ_HOLDS_SERVER},	/* PUBLICATION TABLE, ... */
	{"ROW SECURITY", KWJ_HOLDS_PROPERTY},
	{"RULE", KWJ_HOLDS_CODE},
	{"SEARCHPATH", KWJ_HOLDS_NOTHING},
	{"SECURITY LABEL", KWJ_HOLDS_REMARK},
	{"SEQUENCE OWNED BY", KWJ_HOLDS_SEQUENCE_OWNER},
	{"SEQUENCE SET", KWJ_HOLDS_SEQUENCE_VALUE},
	{"SEQUENCE", KWJ_HOLDS_SEQUENCE},
	{"STATISTICS DATA", KWJ_HOLDS_REMARK},
	{"STATISTICS", KWJ_HOLDS_PROPERTY},
	{"STDSTRINGS", KWJ_HOLDS_NOTHING},
	{"SUBSCRIPTION", KWJ_HOLDS_SERVER},
	{"TABLE ATTACH", KWJ_HOLDS_ATTACH},
	{"TABLE DATA", KWJ_HOLDS_DATA},
	{"TABLE", KWJ_HOLDS_RELATION},
	{"TRIGGER", KWJ_HOLDS_CODE},
	{"VIEW", KWJ_HOLDS_RELATION},
};

/* What the lines of a list are read for. */
typedef struct Reading
{
	KwjContents *contents;
	KwjEntry   *last;			/* to which the next line of dependencies belongs */
	MemoryContext context;
} Reading;

bool
kwj_is_data(const char *what)
{
	return kwj_line_begins(what, "TABLE DATA ");
}

bool
kwj_is_index(const char *what)
{
	return kwj_line_begins(what, "INDEX ") || kwj_line_begins(what, "CONSTRAINT ") || kwj_line_begins(what, "FK CONSTRAINT ");
}

/* ---- reading ---- */

/* Sets what an entry holds. catalog: the catalog in which it was: schemas may have names like DATA. */
static void
set_kind(KwjEntry *entry, Oid catalog)
{
	entry->rest = entry->what;
	for (int i = 0; i < lengthof(kinds); i++)
	{
		size_t		length = strlen(kinds[i].name);

		if (catalog == RelationRelationId &&
			(kinds[i].holds == KWJ_HOLDS_DATA || kinds[i].holds == KWJ_HOLDS_REFRESH || kinds[i].holds == KWJ_HOLDS_ATTACH))
			continue;
		if (!kwj_line_begins(entry->what, kinds[i].name) ||
			(entry->what[length] != ' ' && kinds[i].holds != KWJ_HOLDS_BLOB))
			continue;
		entry->holds = kinds[i].holds;
		if (entry->what[length] == ' ')
			entry->rest = entry->what + length + 1;
		return;
	}
}

/* Reads the id, the catalog, and where the kind begins. Returns false if the line is none of an entry. */
static bool
parse_entry(const char *line, int *id, unsigned int *catalog, const char **what)
{
	unsigned int oid;
	int			length = 0;

	if (sscanf(line, "%d; %u %u %n", id, catalog, &oid, &length) < 3 || length == 0)
		return false;
	*what = line + length;
	return true;
}

/* Reads the ids in a line such as ";	depends on: 851 6". Sets *is_cut if the line ends otherwise. */
static List *
parse_needs(const char *line, bool *is_cut)
{
	static const char mark[] = ";\tdepends on:";
	List	   *needs = NIL;
	const char *c;
	char	   *end;

	if (!kwj_line_begins(line, mark))
		return NIL;
	for (c = line + strlen(mark);; c = end)
	{
		long		id = strtol(c, &end, 10);

		if (end == c)
			break;
		needs = list_append_unique_int(needs, (int) id);
	}
	*is_cut = *c != '\0';
	return needs;
}

static void
take_line(const char *line, void *arg)
{
	Reading    *reading = arg;
	MemoryContext old = MemoryContextSwitchTo(reading->context);
	unsigned int catalog;
	const char *what;
	int			id;

	if (parse_entry(line, &id, &catalog, &what))
	{
		reading->last = palloc0(sizeof(KwjEntry));
		reading->last->id = id;
		reading->last->what = pstrdup(what);
		reading->last->chosen = true;
		set_kind(reading->last, catalog);
		reading->contents->entries = lappend(reading->contents->entries, reading->last);
	}
	else if (reading->last != NULL)
		reading->last->needs = list_concat(reading->last->needs, parse_needs(line, &reading->last->is_cut));
	MemoryContextSwitchTo(old);
}

static int
compare_ids(const void *a, const void *b)
{
	int			left = (*(KwjEntry *const *) a)->id;
	int			right = (*(KwjEntry *const *) b)->id;

	return (left > right) - (left < right);
}

static void
sort_by_id(KwjContents *contents)
{
	ListCell   *lc;

	contents->n = 0;
	contents->by_id = palloc(sizeof(KwjEntry *) * Max(list_length(contents->entries), 1));
	foreach(lc, contents->entries)
		contents->by_id[contents->n++] = lfirst(lc);
	qsort(contents->by_id, contents->n, sizeof(KwjEntry *), compare_ids);
}

KwjEntry *
kwj_contents_entry(const KwjContents *contents, int id)
{
	KwjEntry	key = {.id = id};
	KwjEntry   *wanted = &key;
	KwjEntry  **found = bsearch(&wanted, contents->by_id, contents->n, sizeof(KwjEntry *), compare_ids);

	return found ? *found : NULL;
}

static KwjRequest
list_with(const KwjProgram *program, List *arguments, void (*on_output) (const char *, void *), void *arg)
{
	KwjProgram	listing = *program;

	Assert(program->server == NULL);
	listing.on_output = on_output;
	listing.arg = arg;
	listing.is_silent = true;
	arguments = list_concat(list_make2("-l", "-Fd"), arguments);
	return kwj_program_run(&listing, "pg_restore", lappend(arguments, KWJ_PROGRAM_DIRECTORY));
}

KwjRequest
kwj_contents_read(KwjContents *contents, const KwjProgram *program)
{
	Reading		reading = {.contents = contents, .context = CurrentMemoryContext};
	KwjRequest	request = list_with(program, list_make1("-v"), take_line, &reading);

	sort_by_id(contents);
	return request;
}

/* ---- choosing tables ---- */

/* Returns whether the entry needs a chosen entry that holds this. */
static bool
needs_chosen(const KwjContents *contents, const KwjEntry *entry, KwjHolds holds)
{
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		const KwjEntry *needed = kwj_contents_entry(contents, lfirst_int(lc));

		if (needed != NULL && needed->chosen && needed->holds == holds)
			return true;
	}
	return false;
}

/*
 * Returns whether "schema table name owner" is about this table, "schema table owner". Nobody knows where
 * the owner begins, but it is the same in both.
 */
static bool
belongs_to(const char *of_entry, const char *of_table)
{
	size_t		length = strlen(of_entry);

	for (const char *space = strrchr(of_table, ' '); space != NULL;)
	{
		size_t		before = space - of_table + 1;
		size_t		after = strlen(space);

		if (length > before + after && strncmp(of_entry, of_table, before) == 0 &&
			strcmp(of_entry + length - after, space) == 0)
			return true;
		do
			space = space > of_table ? space - 1 : NULL;
		while (space != NULL && *space != ' ');
	}
	return false;
}

/* Returns whether the entry is part of a chosen table. */
static bool
is_part(const KwjContents *contents, const KwjEntry *entry)
{
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		const KwjEntry *table = kwj_contents_entry(contents, lfirst_int(lc));

		if (table != NULL && table->chosen && table->holds == KWJ_HOLDS_RELATION &&
			belongs_to(entry->rest, table->rest))
			return true;
	}
	return false;
}

/* Returns whether the entry is the data of a chosen table. */
static bool
is_data(const KwjContents *contents, const KwjEntry *entry)
{
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		const KwjEntry *table = kwj_contents_entry(contents, lfirst_int(lc));

		if (table != NULL && table->chosen && table->holds == KWJ_HOLDS_RELATION &&
			strcmp(entry->rest, table->rest) == 0)
			return true;
	}
	return false;
}

/* If the entry attaches a partition to a chosen table, chooses the partition. Returns whether it does. */
static bool
choose_partition(const KwjContents *contents, const KwjEntry *attach)
{
	KwjEntry   *partition = NULL;
	bool		has_parent = false;
	ListCell   *lc;

	foreach(lc, attach->needs)
	{
		KwjEntry   *table = kwj_contents_entry(contents, lfirst_int(lc));

		if (table == NULL || table->holds != KWJ_HOLDS_RELATION)
			continue;
		if (strcmp(table->rest, attach->rest) == 0)
			partition = table;
		else
			has_parent |= table->chosen;
	}
	if (partition == NULL || !has_parent)
		return false;
	partition->chosen = true;
	return true;
}

static bool
needs_only_chosen(const KwjContents *contents, const KwjEntry *entry)
{
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		const KwjEntry *needed = kwj_contents_entry(contents, lfirst_int(lc));

		if (needed != NULL && !needed->chosen)
			return false;
	}
	return true;
}

static bool
needs_any_chosen(const KwjContents *contents, const KwjEntry *entry)
{
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		const KwjEntry *needed = kwj_contents_entry(contents, lfirst_int(lc));

		if (needed != NULL && needed->chosen)
			return true;
	}
	return false;
}

/* A sequence belongs to the table on which it depends, serial or identity. */
static bool
is_owned_sequence(const KwjContents *contents, const KwjEntry *sequence)
{
	return needs_chosen(contents, sequence, KWJ_HOLDS_RELATION);
}

static bool
has_owned_sequence(const KwjContents *contents, const KwjEntry *entry)
{
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		const KwjEntry *sequence = kwj_contents_entry(contents, lfirst_int(lc));

		if (sequence != NULL && sequence->chosen && sequence->holds == KWJ_HOLDS_SEQUENCE &&
			is_owned_sequence(contents, sequence))
			return true;
	}
	return false;
}

/* Chooses the sequences from which the chosen entry takes values. Returns whether there are new ones. */
static bool
choose_sequences(const KwjContents *contents, const KwjEntry *entry)
{
	bool		any = false;
	ListCell   *lc;

	foreach(lc, entry->needs)
	{
		KwjEntry   *sequence = kwj_contents_entry(contents, lfirst_int(lc));

		if (sequence == NULL || sequence->holds != KWJ_HOLDS_SEQUENCE || sequence->chosen)
			continue;
		sequence->chosen = any = true;
	}
	return any;
}

/* Returns whether the entry has to come with what is chosen so far. */
static bool
comes_along(const KwjContents *contents, const KwjEntry *entry)
{
	switch (entry->holds)
	{
		case KWJ_HOLDS_DATA:
		case KWJ_HOLDS_REFRESH:
			return is_data(contents, entry);
		case KWJ_HOLDS_ATTACH:
			return choose_partition(contents, entry);
		case KWJ_HOLDS_INDEX_ATTACH:
			return needs_only_chosen(contents, entry);
		case KWJ_HOLDS_SEQUENCE:
			return is_owned_sequence(contents, entry);
		case KWJ_HOLDS_SEQUENCE_OWNER:
			return has_owned_sequence(contents, entry);
		case KWJ_HOLDS_SEQUENCE_VALUE:
			return needs_chosen(contents, entry, KWJ_HOLDS_SEQUENCE);
		case KWJ_HOLDS_INDEX:
		case KWJ_HOLDS_PROPERTY:
			return needs_chosen(contents, entry, KWJ_HOLDS_RELATION);
		case KWJ_HOLDS_CONSTRAINT:
		case KWJ_HOLDS_FOREIGN_KEY:
		case KWJ_HOLDS_DEFAULT:
		case KWJ_HOLDS_CODE:
			return is_part(contents, entry);
		case KWJ_HOLDS_REMARK:
			return needs_any_chosen(contents, entry);
		case KWJ_HOLDS_RELATION:
		case KWJ_HOLDS_SERVER:
		case KWJ_HOLDS_BLOB:
		case KWJ_HOLDS_OTHER:
		case KWJ_HOLDS_NOTHING:
			break;
	}
	return false;
}

/* Chooses all that belongs to what is chosen, until there is nothing more. */
static void
complete(KwjContents *contents)
{
	bool		again = true;
	ListCell   *lc;

	while (again)
	{
		again = false;
		foreach(lc, contents->entries)
		{
			KwjEntry   *entry = lfirst(lc);

			if (!entry->chosen && comes_along(contents, entry))
				entry->chosen = again = true;
			if (entry->chosen && (entry->holds == KWJ_HOLDS_RELATION || entry->holds == KWJ_HOLDS_DEFAULT))
				again |= choose_sequences(contents, entry);
		}
	}
}

/* Returns whether an entry may come along with others (comes_along). */
static bool
may_come_along(const KwjEntry *entry)
{
	switch (entry->holds)
	{
		case KWJ_HOLDS_RELATION:
		case KWJ_HOLDS_SERVER:
		case KWJ_HOLDS_BLOB:
		case KWJ_HOLDS_OTHER:
		case KWJ_HOLDS_NOTHING:
			return false;
		default:
			return true;
	}
}

/*
 * Raises an error if a line was too long to hold all that an entry needs: something could be left out
 * unnoticed.
 */
static void
check_none_cut(const KwjContents *contents)
{
	ListCell   *lc;

	foreach(lc, contents->entries)
	{
		const KwjEntry *entry = lfirst(lc);

		if (entry->is_cut && (entry->chosen || may_come_along(entry)))
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("an entry of the backup needs too many others: %s", entry->what),
					errdetail("Nothing was restored."),
					errhint("Restore all of the backup, or the table by pg_restore with a list of your own (-L)."));
	}
}

/* The entries of a table that was named. */
typedef struct Naming
{
	KwjContents *contents;
	int			found;
} Naming;

static void
take_named(const char *line, void *arg)
{
	Naming	   *naming = arg;
	unsigned int catalog;
	const char *what;
	KwjEntry   *entry;
	int			id;

	if (!parse_entry(line, &id, &catalog, &what) ||
		(entry = kwj_contents_entry(naming->contents, id)) == NULL ||
		(entry->holds != KWJ_HOLDS_RELATION && entry->holds != KWJ_HOLDS_SEQUENCE))
		return;
	entry->chosen = true;
	naming->found++;
}

static KwjRequest
choose_named(KwjContents *contents, const KwjProgram *program, const char *table)
{
	List	   *parts = stringToQualifiedNameList(table KWJ_NO_ESCONTEXT);
	List	   *arguments = list_make1(psprintf("-t%s", strVal(llast(parts))));
	Naming		naming = {.contents = contents};
	KwjRequest	request;

	if (list_length(parts) > 1)
		arguments = lappend(arguments, psprintf("-n%s", strVal(list_nth(parts, list_length(parts) - 2))));
	request = list_with(program, arguments, take_named, &naming);
	if (request != KWJ_REQUEST_NONE)
		return request;
	if (naming.found == 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("the backup does not hold table %s", table),
				errdetail("Nothing was restored."),
				errhint("pg_restore -l lists what is in the directory of a backup."));
	if (naming.found > 1)
		ereport(ERROR,
				errcode(ERRCODE_AMBIGUOUS_ALIAS),
				errmsg("the backup holds %d tables of the name %s", naming.found, table),
				errdetail("Nothing was restored."),
				errhint("Type RESTORE TABLE schema.table FROM 'directory'."));
	return request;
}

KwjRequest
kwj_contents_choose(KwjContents *contents, const KwjProgram *program, List *tables)
{
	KwjRequest	request = KWJ_REQUEST_NONE;
	ListCell   *lc;

	foreach(lc, contents->entries)
		((KwjEntry *) lfirst(lc))->chosen = false;
	foreach(lc, tables)
	{
		request = choose_named(contents, program, lfirst(lc));
		if (request != KWJ_REQUEST_NONE)
			return request;
	}
	complete(contents);
	check_none_cut(contents);
	return request;
}

/* ---- leaving out ---- */

List *
kwj_contents_borrowed(const KwjContents *contents)
{
	List	   *borrowed = NIL;
	ListCell   *lc;

	foreach(lc, contents->entries)
	{
		KwjEntry   *entry = lfirst(lc);

		if (entry->chosen && entry->holds == KWJ_HOLDS_SEQUENCE && !is_owned_sequence(contents, entry))
			borrowed = lappend(borrowed, entry);
	}
	return borrowed;
}

/* Returns the table to which the foreign key refers; NULL if that is chosen, too. */
static KwjEntry *
referred(const KwjContents *contents, const KwjEntry *foreign_key)
{
	ListCell   *lc;

	foreach(lc, foreign_key->needs)
	{
		KwjEntry   *table = kwj_contents_entry(contents, lfirst_int(lc));

		if (table != NULL && table->holds == KWJ_HOLDS_RELATION && !table->chosen)
			return table;
	}
	return NULL;
}

List *
kwj_contents_referred(const KwjContents *contents)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, contents->entries)
	{
		const KwjEntry *entry = lfirst(lc);
		KwjEntry   *table = entry->chosen && entry->holds == KWJ_HOLDS_FOREIGN_KEY ?
			referred(contents, entry) : NULL;

		if (table != NULL)
			tables = list_append_unique_ptr(tables, table);
	}
	return tables;
}

int
kwj_contents_leave_out(KwjContents *contents, const KwjEntry *entry)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, contents->entries)
	{
		KwjEntry   *other = lfirst(lc);
		bool		leaves = entry->holds == KWJ_HOLDS_SEQUENCE ?
			other == entry || ((other->holds == KWJ_HOLDS_SEQUENCE_VALUE || other->holds == KWJ_HOLDS_REMARK) &&
							   list_member_int(other->needs, entry->id)) :
			other->holds == KWJ_HOLDS_FOREIGN_KEY && list_member_int(other->needs, entry->id);

		n += other->chosen && leaves;
		other->chosen &= !leaves;
	}
	return n;
}

/* Returns whether the entry is of one of these kinds: `what` begins with one of the n texts. */
static bool
is_any_of(const KwjEntry *entry, const char *const *begins, int n)
{
	for (int i = 0; i < n; i++)
		if (kwj_line_begins(entry->what, begins[i]))
			return true;
	return false;
}

int
kwj_contents_leave_kwjobs_out(KwjContents *contents)
{
	/* Rights on what belongs to the extension come after it in the list. */
	static const char *const rights[] = {
		"ACL kwjobs ", "ACL kwdb_internal ", "ACL - SCHEMA kwjobs ", "ACL - SCHEMA kwdb_internal ",
		"ACL pg_catalog FUNCTION kwjobs_", "ACL pg_catalog PROCEDURE kwjobs_",
	};
	bool		has_kwjobs = false;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, contents->entries)
	{
		KwjEntry   *entry = lfirst(lc);
		bool		leaves = kwj_line_begins(entry->what, "EXTENSION - kwjobs ") ||
			kwj_line_begins(entry->what, "COMMENT - EXTENSION kwjobs ");

		has_kwjobs |= leaves;
		leaves |= has_kwjobs && is_any_of(entry, rights, lengthof(rights));
		n += entry->chosen && leaves;
		entry->chosen &= !leaves;
	}
	return n;
}

void
kwj_contents_tell_of_database(const KwjContents *contents, const char *directory)
{
	static const char *const kinds[] = {
		"DATABASE PROPERTIES ", "ACL - DATABASE ", "COMMENT - DATABASE ", "SECURITY LABEL - DATABASE "
	};
	ListCell   *lc;

	foreach(lc, contents->entries)
		if (is_any_of(lfirst(lc), kinds, lengthof(kinds)))
		{
			kwj_transcript_add_message(psprintf("NOTICE:  the settings, rights and comment of the database itself are not restored; to see them, type: pg_restore -C -s -f - %s | grep \" DATABASE \"",
												quote_literal_cstr(directory)));
			return;
		}
}

/* ---- restoring ---- */

/* Which of the chosen entries one run of pg_restore restores. */
typedef enum Step
{
	STEP_ALL,
	STEP_OBJECTS,				/* all but those of the next two */
	STEP_RIGHTS,
	STEP_LAST,					/* what pg_restore restores after the rights */
} Step;

static Step
step_of(const KwjEntry *entry)
{
	static const char *const rights[] = {"ACL ", "DEFAULT ACL "};
	static const char *const last[] = {
		"EVENT TRIGGER ", "COMMENT - EVENT TRIGGER ", "SECURITY LABEL - EVENT TRIGGER ",
	};

	if (is_any_of(entry, rights, lengthof(rights)))
		return STEP_RIGHTS;
	if (entry->holds == KWJ_HOLDS_REFRESH || is_any_of(entry, last, lengthof(last)))
		return STEP_LAST;
	return STEP_OBJECTS;
}

static bool
is_of_step(const KwjEntry *entry, Step step)
{
	return entry->chosen && (step == STEP_ALL || step_of(entry) == step);
}

/* Returns a file in memory with the chosen entries, as pg_restore -L takes it, which the caller closes. */
static int
open_list(const KwjContents *contents, KwjHolds holds, Step step)
{
	StringInfoData text;
	int			fd = memfd_create("kwjobs list", MFD_CLOEXEC);
	ssize_t		n;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, contents->entries)
	{
		const KwjEntry *entry = lfirst(lc);

		if (is_of_step(entry, step) && (holds == KWJ_HOLDS_OTHER || entry->holds == holds))
			appendStringInfo(&text, "%d;\n", entry->id);
	}
	n = fd < 0 ? -1 : write(fd, text.data, text.len);
	if (n != text.len)
	{
		int			failure = n < 0 ? errno : ENOSPC;

		if (fd >= 0)
			close(fd);
		errno = failure;
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not write a file in memory: %m"));
	}
	pfree(text.data);
	return fd;
}

static KwjRequest
restore(const KwjContents *contents, KwjHolds holds, Step step, KwjProgram *program, List *arguments)
{
	volatile KwjRequest request = KWJ_REQUEST_NONE;

	program->fds[1] = open_list(contents, holds, step);
	program->n_fds = Max(program->n_fds, 2);
	arguments = list_concat(list_make2("-Fd", "-L" KWJ_PROGRAM_FILE), arguments);
	PG_TRY();
	{
		request = kwj_program_run(program, "pg_restore", lappend(arguments, KWJ_PROGRAM_DIRECTORY));
	}
	PG_FINALLY();
	{
		close(program->fds[1]);
	}
	PG_END_TRY();
	return request;
}

KwjRequest
kwj_contents_restore(const KwjContents *contents, KwjHolds holds, KwjProgram *program, List *arguments)
{
	return restore(contents, holds, STEP_ALL, program, arguments);
}

static bool
has_step(const KwjContents *contents, Step step)
{
	ListCell   *lc;

	foreach(lc, contents->entries)
		if (is_of_step(lfirst(lc), step))
			return true;
	return false;
}

/*
 * Several processes give the rights in any order. But a role that was given a right with the grant option may use
 * it only when it may also use the schema. So one process gives the rights, in the order of the list.
 */
KwjRequest
kwj_contents_restore_in_parallel(const KwjContents *contents, int workers, KwjProgram *program, List *arguments)
{
	KwjRequest	request = KWJ_REQUEST_NONE;

	for (Step step = STEP_OBJECTS; step <= STEP_LAST && request == KWJ_REQUEST_NONE; step++)
	{
		int			n = step == STEP_RIGHTS ? 1 : workers;

		if (has_step(contents, step))
			request = restore(contents, KWJ_HOLDS_OTHER, step, program,
							  list_concat(list_make1(psprintf("-j%d", n)), arguments));
	}
	return request;
}

const char *
kwj_contents_finished(const char *message, int *id)
{
	static const char mark[] = "finished item ";

	if (!kwj_line_begins(message, mark))
		return NULL;
	message += strlen(mark);
	*id = atoi(message);
	message += strspn(message, "0123456789");
	return *message == ' ' ? message + 1 : NULL;
}

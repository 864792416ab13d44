/*
 * src/type/backup/rows.c
 *	  Sums of the rows in scripts of pg_restore, to compare rows whatever their order.
 *
 * Process: worker, in a transaction. Locks: none.
 *
 *     COPY own.orders (id, note) FROM stdin;     outside --this line--> rows
 *     1	first                                 each line is a row: PostgreSQL writes a line end in a
 *     2	second                                value as \n
 *     \.                                         rows --this line--> outside
 *
 * After a restore, columns may have another order: a column that a table has inherited comes before its own
 * ones, even if the other table got it later. Then the fields of each line are put into the first order.
 *
 * Of each row, the SHA-256 is added to the sums of its target, modulo 2^64. So two sets of rows have the same
 * sums if and only if they are the same, apart from a chance of some 2^-64 that nobody can bring about
 * without an attack on the hash.
 */
#include "postgres.h"

#include <fcntl.h>

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "lifecycle/stand.h"
#include "type/backup/digest.h"
#include "type/backup/program.h"
#include "type/backup/rows.h"

#define CHUNK		(256 * 1024)
/* A line outside of the rows is of interest up to this length: COPY with the names of 1,600 columns. */
#define LONGEST		(512 * 1024)

#define COPY_START	"COPY "
#define COPY_END	" FROM stdin;"

/* A script that is being read. */
typedef struct Script
{
	List	  **all;
	List	   *like;
	KwjDumpedRows *rows;		/* in which it is; NULL: outside */
	int		   *order;			/* which field comes where in the sums; NULL: they are in order */
	StringInfoData line;		/* the beginning of the present line */
	bool		is_hashed;		/* all of the line so far is in the hash, and line is not filled any more */
	pg_cryptohash_ctx *hash;
} Script;

const KwjDumpedRows *
kwj_rows_of(List *all, const char *target)
{
	ListCell   *lc;

	foreach(lc, all)
		if (strcmp(((KwjDumpedRows *) lfirst(lc))->target, target) == 0)
			return lfirst(lc);
	return NULL;
}

bool
kwj_rows_are_same(const KwjDumpedRows *a, const KwjDumpedRows *b)
{
	return a->n == b->n && memcmp(a->sum, b->sum, sizeof(a->sum)) == 0;
}

/* ---- targets ---- */

/* Returns where this text begins outside of quoted names; NULL if it does not. */
static char *
find_plain(char *text, const char *wanted)
{
	bool		is_quoted = false;

	for (char *c = text; *c != '\0'; c++)
	{
		if (!is_quoted && kwj_line_begins(c, wanted))
			return c;
		is_quoted ^= *c == '"';
	}
	return NULL;
}

/* Returns what a statement names, "table (column, column)", in its parts. A table without columns has no list. */
static KwjDumpedRows *
parse_target(char *target)
{
	KwjDumpedRows *rows = palloc0(sizeof(KwjDumpedRows));
	char	   *list;

	rows->target = target;
	rows->table = pstrdup(target);
	list = find_plain(rows->table, " (");
	if (list == NULL)
		return rows;
	*list = '\0';
	list += strlen(" (");
	list[strlen(list) - 1] = '\0';
	for (char *comma; (comma = find_plain(list, ", ")) != NULL; list = comma + strlen(", "))
	{
		*comma = '\0';
		rows->columns = lappend(rows->columns, list);
	}
	rows->columns = lappend(rows->columns, list);
	return rows;
}

/* Returns the position of the name in the list; -1 if it is not there. */
static int
position(List *names, const char *name)
{
	for (int i = 0; i < list_length(names); i++)
		if (strcmp(list_nth(names, i), name) == 0)
			return i;
	return -1;
}

/*
 * Returns whether both name the same table and columns. Sets *order to the positions in b of the columns of a;
 * to NULL if the columns have the same order.
 */
static bool
is_same_target(const KwjDumpedRows *a, const KwjDumpedRows *b, int **order)
{
	int			n = list_length(a->columns);
	bool		differs = false;

	if (strcmp(a->table, b->table) != 0 || list_length(b->columns) != n)
		return false;
	*order = palloc(sizeof(int) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const char *name = list_nth(a->columns, i);

		(*order)[i] = strcmp(name, list_nth(b->columns, i)) == 0 ? i : position(b->columns, name);
		if ((*order)[i] < 0)
			return false;
		differs |= (*order)[i] != i;
	}
	if (!differs)
		*order = NULL;
	return true;
}

/* Returns the rows in the list that have the same target, and sets the order; NULL if there are none. */
static KwjDumpedRows *
find_same(Script *script, List *all, const KwjDumpedRows *target)
{
	ListCell   *lc;

	foreach(lc, all)
		if (is_same_target(lfirst(lc), target, &script->order))
			return lfirst(lc);
	return NULL;
}

/* Rows begin for this target, in the order of its columns or that of an earlier statement. */
static void
begin_rows(Script *script, KwjDumpedRows *target)
{
	const KwjDumpedRows *like;

	script->rows = find_same(script, *script->all, target);
	if (script->rows != NULL)
		return;
	script->order = NULL;
	like = find_same(script, script->like, target);
	if (like == NULL)
		script->order = NULL;
	else
	{
		target->target = like->target;
		target->columns = like->columns;
	}
	script->rows = target;
	*script->all = lappend(*script->all, target);
}

/* ---- lines ---- */

/* If the line begins rows, they belong to its target from now on. */
static void
end_line_outside(Script *script)
{
	const char *line = script->line.data;
	int			length = script->line.len - (int) strlen(COPY_END);

	if (length >= (int) strlen(COPY_START) && kwj_line_begins(line, COPY_START) && strcmp(line + length, COPY_END) == 0)
		begin_rows(script, parse_target(pnstrdup(line + strlen(COPY_START), length - strlen(COPY_START))));
}

/* Puts the fields of the line into the order of the sums. */
static void
order_fields(Script *script)
{
	int			n = list_length(script->rows->columns);
	char	  **fields = palloc(sizeof(char *) * n);
	char	   *line = pstrdup(script->line.data);
	char	   *rest = line;

	for (int i = 0; i < n; i++)
		fields[i] = strsep(&rest, "\t");
	if (n == 0 || fields[n - 1] == NULL || rest != NULL)
		elog(ERROR, "line of COPY has another number of fields than columns: %s", script->rows->target);
	resetStringInfo(&script->line);
	for (int i = 0; i < n; i++)
		appendStringInfo(&script->line, "%s\t", fields[script->order[i]]);
	script->line.data[--script->line.len] = '\0';
	pfree(line);
	pfree(fields);
}

static void
add_row(Script *script)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	uint64		quarter;

	if (script->order != NULL)
		order_fields(script);
	kwj_digest_add(script->hash, script->line.data, script->line.len);
	kwj_digest_next(script->hash, digest);
	script->rows->n++;
	for (int i = 0; i < lengthof(script->rows->sum); i++)
	{
		memcpy(&quarter, digest + i * sizeof(quarter), sizeof(quarter));
		script->rows->sum[i] += quarter;
	}
}

static void
end_line(Script *script)
{
	if (script->rows == NULL)
		end_line_outside(script);
	else if (!script->is_hashed && strcmp(script->line.data, "\\.") == 0)
		script->rows = NULL;
	else
		add_row(script);
	resetStringInfo(&script->line);
	script->is_hashed = false;
}

/* Takes a part of a line. What is long goes into the hash at once, if its fields are in order. */
static void
take_part(Script *script, const char *part, size_t size)
{
	if (script->line.len + size <= LONGEST || (script->rows != NULL && script->order != NULL))
	{
		appendBinaryStringInfo(&script->line, part, size);
		return;
	}
	if (script->rows == NULL)
		return;
	kwj_digest_add(script->hash, script->line.data, script->line.len);
	kwj_digest_add(script->hash, part, size);
	resetStringInfo(&script->line);
	script->is_hashed = true;
}

static void
take_chunk(Script *script, const char *chunk, const char *end)
{
	const char *newline;

	while ((newline = memchr(chunk, '\n', end - chunk)) != NULL)
	{
		take_part(script, chunk, newline - chunk);
		end_line(script);
		chunk = newline + 1;
	}
	take_part(script, chunk, end - chunk);
}

KwjRequest
kwj_rows_read(const KwjDirectory *directory, const char *name, List *like, List **all)
{
	KwjOpenFile *file = kwj_file_open_in(directory, name, O_RDONLY);
	Script		script = {.all = all, .like = like, .hash = kwj_digest_begin()};
	char	   *chunk = palloc(CHUNK);
	KwjRequest	request = KWJ_REQUEST_NONE;
	size_t		n;

	Assert(IsTransactionState());
	initStringInfo(&script.line);
	while (request == KWJ_REQUEST_NONE && (n = kwj_file_read(file, chunk, CHUNK, directory, name)) > 0)
	{
		take_chunk(&script, chunk, chunk + n);
		request = kwj_attempt_stand_still(KWJ_STOPPED_IN_PLACE);
	}
	pg_cryptohash_free(script.hash);
	kwj_file_close(file, name);
	pfree(script.line.data);
	pfree(chunk);
	return request;
}

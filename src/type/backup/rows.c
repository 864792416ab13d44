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
 * Of each row, the SHA-256 is added to the sums of its target, modulo 2^64. So two sets of rows have the same
 * sums if and only if they are the same, apart from a chance of some 2^-64 that nobody can bring about
 * without an attack on the hash.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xact.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "lifecycle/stand.h"
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
	KwjDumpedRows    *rows;			/* in which it is; NULL: outside */
	StringInfoData line;		/* the beginning of the present line */
	bool		is_hashed;		/* all of the line so far is in the hash, and line is not filled any more */
	pg_cryptohash_ctx *hash;
} Script;

static void
hash_failed(const Script *script)
{
	ereport(ERROR,
			errcode(ERRCODE_INTERNAL_ERROR),
			errmsg("could not compute a checksum: %s", kwj_cryptohash_error(script->hash)));
}

static KwjDumpedRows *
rows_of(List *all, const char *target)
{
	ListCell   *lc;

	foreach(lc, all)
		if (strcmp(((KwjDumpedRows *) lfirst(lc))->target, target) == 0)
			return lfirst(lc);
	return NULL;
}

const KwjDumpedRows *
kwj_rows_of(List *all, const char *target)
{
	return rows_of(all, target);
}

bool
kwj_rows_are_same(const KwjDumpedRows *a, const KwjDumpedRows *b)
{
	return a->n == b->n && memcmp(a->sum, b->sum, sizeof(a->sum)) == 0;
}

/* If the line begins rows, they belong to its target from now on. */
static void
end_line_outside(Script *script)
{
	const char *line = script->line.data;
	int			length = script->line.len - (int) strlen(COPY_END);
	char	   *target;

	if (length < (int) strlen(COPY_START) || strncmp(line, COPY_START, strlen(COPY_START)) != 0 ||
		strcmp(line + length, COPY_END) != 0)
		return;
	target = pnstrdup(line + strlen(COPY_START), length - strlen(COPY_START));
	script->rows = rows_of(*script->all, target);
	if (script->rows == NULL)
	{
		script->rows = palloc0(sizeof(KwjDumpedRows));
		script->rows->target = target;
		*script->all = lappend(*script->all, script->rows);
	}
}

static void
add_row(Script *script)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	uint64		quarter;

	if (pg_cryptohash_update(script->hash, (uint8 *) script->line.data, script->line.len) < 0 ||
		pg_cryptohash_final(script->hash, digest, sizeof(digest)) < 0 ||
		pg_cryptohash_init(script->hash) < 0)
		hash_failed(script);
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

/* Takes a part of a line. What is long goes into the hash at once. */
static void
take_part(Script *script, const char *part, size_t size)
{
	if (script->line.len + size <= LONGEST)
	{
		appendBinaryStringInfo(&script->line, part, size);
		return;
	}
	if (script->rows == NULL)
		return;
	if (pg_cryptohash_update(script->hash, (uint8 *) script->line.data, script->line.len) < 0 ||
		pg_cryptohash_update(script->hash, (const uint8 *) part, size) < 0)
		hash_failed(script);
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
kwj_rows_read(const KwjDirectory *directory, const char *name, List **all)
{
	KwjOpenFile *file = kwj_file_open_in(directory, name, O_RDONLY);
	Script		script = {.all = all, .hash = pg_cryptohash_create(PG_SHA256)};
	char	   *chunk = palloc(CHUNK);
	KwjRequest	request = KWJ_REQUEST_NONE;
	ssize_t		n = 0;

	Assert(IsTransactionState());
	initStringInfo(&script.line);
	if (script.hash == NULL || pg_cryptohash_init(script.hash) < 0)
		hash_failed(&script);
	while (request == KWJ_REQUEST_NONE && (n = read(file->fd, chunk, CHUNK)) > 0)
	{
		take_chunk(&script, chunk, chunk + n);
		request = kwj_attempt_stand_still(KWJ_STOPPED_IN_PLACE);
	}
	if (n < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read file \"%s/%s\": %m", directory->path, name));
	pg_cryptohash_free(script.hash);
	kwj_file_close(file, name);
	pfree(script.line.data);
	pfree(chunk);
	return request;
}

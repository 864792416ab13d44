/*
 * src/type/backup/script.c
 *	  The statements in scripts of pg_restore, to compare two scripts whatever their order.
 *
 * Caller: verify.c. Process: worker, in a transaction. Locks: none.
 *
 *     --                                            between --first byte of a statement--> statement
 *     -- Name: TABLE orders; Type: ACL; ...         A comment goes on to the end of its line, and so does
 *     --                                            a command of psql (\restrict).
 *
 *     GRANT SELECT ON TABLE own.orders TO reader;   statement --";" outside of quotes--> between
 *
 * A table has the SHA-256 of each statement, how much more often the first script has it than the second
 * one, and where it is. Both scripts are read side by side, and what both have is taken out again. They mostly
 * have the same order, so that the table is small, whatever their size.
 *
 * PostgreSQL writes the statements that are compared always alike, with three exceptions:
 * - Expressions: it writes x IN ('a', 'b') in another way once it has read it back. They are left out.
 * - The order of the roles of a policy is that of a scan of pg_authid, which changes if a role is altered. So
 *   of CREATE POLICY the words are compared without their order.
 * - A GRANT by another role than the owner follows a SET SESSION AUTHORIZATION: both are one statement here.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xact.h"
#include "job/clip.h"
#include "lib/stringinfo.h"
#include "lifecycle/stand.h"
#include "type/backup/digest.h"
#include "type/backup/program.h"
#include "type/backup/script.h"
#include "utils/hsearch.h"

#define CHUNK		(256 * 1024)
/* If so much of a literal has been read, it goes into the hash. */
#define PIECE		(16 * 1024)

/*
 * How statements begin that are not compared: definitions of tables, and settings of the session, which depend on
 * the order of the statements.
 */
static const char *const ignored[] = {"CREATE TABLE ", "CREATE UNLOGGED TABLE ", "SET default_"};

#define SET_ROLE	"SET SESSION AUTHORIZATION "
#define POLICY		"CREATE POLICY "

/* How much more often a statement is in the first script than in the second one. */
typedef struct Counted
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];	/* the key */
	int64		place;			/* where the script has it in which it was found first */
	int			length;			/* of it there; at most KWJ_STATEMENT_TOLD + 1 */
	int			n;
} Counted;

struct KwjScripts
{
	const KwjDirectory *directory;
	const char *names[2];
	HTAB	   *statements;		/* Counted */
};

/* A script that is being read. */
typedef struct Scan
{
	HTAB	   *statements;
	const char *name;
	KwjOpenFile *file;
	int			sign;			/* what a statement adds to Counted.n */
	pg_cryptohash_ctx *hash;
	int64		place;			/* in the script, of the present byte */
	bool		in_remark;		/* a line that is no statement */
	bool		in_statement;
	/* Of the present statement: */
	int64		began;			/* where it begins */
	StringInfoData piece;		/* what is not in the hash yet; all of it, unless is_hashed */
	bool		is_hashed;
	bool		is_ignored;
	bool		sets_role;		/* it goes on with what the role does */
	char		quote;			/* the literal or name ends with this byte; 0: in none */
	int			depth;			/* of parentheses in an expression; 0: in none */
} Scan;

/* ---- counting ---- */

static void
count(Scan *scan, const uint8 *digest)
{
	bool		is_old;
	Counted    *counted = hash_search(scan->statements, digest, HASH_ENTER, &is_old);

	if (!is_old)
	{
		counted->n = 0;
		counted->place = scan->began;
		counted->length = (int) Min(scan->place + 1 - scan->began, KWJ_STATEMENT_TOLD + 1);
	}
	counted->n += scan->sign;
	if (counted->n == 0)
		(void) hash_search(scan->statements, digest, HASH_REMOVE, NULL);
}

static bool
is_ignored(const char *statement)
{
	for (int i = 0; i < lengthof(ignored); i++)
		if (kwj_line_begins(statement, ignored[i]))
			return true;
	return false;
}

static void
hash_piece(Scan *scan)
{
	if (!scan->is_hashed)
		scan->is_ignored = is_ignored(scan->piece.data);
	kwj_digest_add(scan->hash, scan->piece.data, scan->piece.len);
	resetStringInfo(&scan->piece);
	scan->is_hashed = true;
}

/* Sorts the words of the piece. */
static void
sort_words(Scan *scan)
{
	char	   *text = pstrdup(scan->piece.data);
	char	   *rest;
	List	   *words = NIL;
	ListCell   *lc;

	for (char *word = strtok_r(text, " ,", &rest); word != NULL; word = strtok_r(NULL, " ,", &rest))
		words = lappend(words, word);
	list_sort(words, kwj_compare_names);
	resetStringInfo(&scan->piece);
	foreach(lc, words)
		appendStringInfo(&scan->piece, "%s ", (char *) lfirst(lc));
	list_free(words);
	pfree(text);
}

static void
end_statement(Scan *scan)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];

	if (!scan->is_hashed && kwj_line_begins(scan->piece.data, POLICY))
		sort_words(scan);
	hash_piece(scan);
	kwj_digest_next(scan->hash, digest);
	if (!scan->is_ignored)
		count(scan, digest);
	scan->in_statement = scan->is_hashed = scan->sets_role = false;
}

/* ---- reading ---- */

/* Returns whether an expression follows what was read so far. */
static bool
comes_expression(const Scan *scan)
{
	static const char *const words[] = {" USING ", " CHECK ", " WHERE "};
	int			length = (int) strlen(words[0]);

	for (int i = 0; i < lengthof(words); i++)
		if (scan->piece.len >= length && strcmp(scan->piece.data + scan->piece.len - length, words[i]) == 0)
			return true;
	return false;
}

/* Takes a byte outside of quotes and expressions. */
static void
take_plain(Scan *scan, char c)
{
	if (c == '(' && comes_expression(scan))
		scan->depth = 1;
	appendStringInfoCharMacro(&scan->piece, c);
	if (c != ';')
		return;
	if (scan->sets_role || scan->is_hashed || !kwj_line_begins(scan->piece.data, SET_ROLE))
		end_statement(scan);
	else
		scan->sets_role = true;
}

/* Takes a byte of a literal or a quoted name, its last quote included. */
static void
take_quoted(Scan *scan, char c)
{
	/* A quote in a literal is doubled: it ends, and another one begins. */
	if (c == scan->quote)
		scan->quote = 0;
	if (scan->depth > 0)
		return;
	appendStringInfoCharMacro(&scan->piece, c);
	if (scan->piece.len >= PIECE)
		hash_piece(scan);
}

static void
take_byte_of_statement(Scan *scan, char c)
{
	if (scan->quote != 0)
	{
		take_quoted(scan, c);
		return;
	}
	if (c == '\'' || c == '"')
		scan->quote = c;
	if (scan->depth > 0)
		scan->depth += (c == '(') - (c == ')');
	else
		take_plain(scan, c);
}

static void
take_byte(Scan *scan, char c)
{
	if (scan->in_statement)
		take_byte_of_statement(scan, c);
	else if (scan->in_remark)
		scan->in_remark = c != '\n';
	else if (c == '-' || c == '\\')
		scan->in_remark = true;
	else if (c != '\n')
	{
		scan->in_statement = true;
		scan->began = scan->place;
		take_byte_of_statement(scan, c);
	}
	scan->place++;
}

static Scan
begin_scan(const KwjScripts *scripts, int script)
{
	Scan		scan = {
		.statements = scripts->statements,
		.name = scripts->names[script],
		.file = kwj_file_open_in(scripts->directory, scripts->names[script], O_RDONLY),
		.sign = script == 0 ? 1 : -1,
		.hash = kwj_digest_begin(),
	};

	initStringInfo(&scan.piece);
	return scan;
}

/* Reads the next part of the script. Returns false at its end. */
static bool
read_chunk(const KwjDirectory *directory, Scan *scan, char *chunk)
{
	size_t		n = kwj_file_read(scan->file, chunk, CHUNK, directory, scan->name);

	for (size_t i = 0; i < n; i++)
		take_byte(scan, chunk[i]);
	return n > 0;
}

static void
end_scan(Scan *scan)
{
	/* What does not end with a semicolon is a statement, too. */
	if (scan->in_statement)
		end_statement(scan);
	pg_cryptohash_free(scan->hash);
	kwj_file_close(scan->file, scan->name);
	pfree(scan->piece.data);
}

KwjScripts *
kwj_scripts_read(const KwjDirectory *directory, const char *first, const char *second)
{
	HASHCTL		info = {.keysize = PG_SHA256_DIGEST_LENGTH, .entrysize = sizeof(Counted), .hcxt = CurrentMemoryContext};
	KwjScripts *scripts = palloc(sizeof(KwjScripts));
	char	   *chunk = palloc(CHUNK);
	Scan		scans[2];
	bool		more = true;
	KwjRequest	request = KWJ_REQUEST_NONE;

	Assert(IsTransactionState());
	scripts->directory = directory;
	scripts->names[0] = first;
	scripts->names[1] = second;
	scripts->statements = hash_create("kwjobs statements", 1024, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < lengthof(scans); i++)
		scans[i] = begin_scan(scripts, i);
	while (more && request == KWJ_REQUEST_NONE)
	{
		more = read_chunk(directory, &scans[0], chunk);
		more |= read_chunk(directory, &scans[1], chunk);
		request = kwj_attempt_stand_still(KWJ_STOPPED_IN_PLACE);
	}
	for (int i = 0; i < lengthof(scans); i++)
		end_scan(&scans[i]);
	pfree(chunk);
	return request == KWJ_REQUEST_NONE ? scripts : NULL;
}

/* ---- what differs ---- */

/* Returns the statement, or how it begins, on one line. */
static char *
text_of(const KwjScripts *scripts, const char *name, const Counted *counted)
{
	KwjOpenFile *file = kwj_file_open_in(scripts->directory, name, O_RDONLY);
	char	   *text = palloc(counted->length + 1);
	ssize_t		n = pread(file->fd, text, counted->length, counted->place);

	if (n < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read file \"%s/%s\": %m", scripts->directory->path, name));
	kwj_file_close(file, name);
	n = kwj_whole_characters(text, (int) n);
	kwj_make_valid(text, (int) n);
	text[n] = '\0';
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	return kwj_quoted(text, KWJ_STATEMENT_TOLD);
}

/* Returns the first statement that the script with this sign has more often than the other one. */
static char *
first_only(const KwjScripts *scripts, const char *name, int sign)
{
	HASH_SEQ_STATUS all;
	const Counted *counted;
	const Counted *first = NULL;

	hash_seq_init(&all, scripts->statements);
	while ((counted = hash_seq_search(&all)) != NULL)
		if ((counted->n > 0) == (sign > 0) && (first == NULL || counted->place < first->place))
			first = counted;
	return first ? text_of(scripts, name, first) : NULL;
}

char *
kwj_scripts_only_first(const KwjScripts *scripts)
{
	return first_only(scripts, scripts->names[0], 1);
}

char *
kwj_scripts_only_second(const KwjScripts *scripts)
{
	return first_only(scripts, scripts->names[1], -1);
}

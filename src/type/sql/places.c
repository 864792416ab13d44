/*
 * src/type/sql/places.c
 *	  Finds the parameters in the text of a SQL job.
 *
 * Caller: parameters.c. Process: session, worker. Locks: none.
 *
 * Not each colon before a name is a parameter: a[1:n] is a slice, and JSON_OBJECT('a': n) has a
 * pair. There the colon follows an operand, so the scan keeps track of whether the last token ended
 * one. Whether a keyword does depends on where it stands, because most keywords are also names of
 * columns.
 *
 *    reserved words, such as WHEN        never an operand; but END, NULL, CURRENT_DATE, ... are
 *    other keywords, such as YEAR        in a subscript and in JSON_OBJECT: an operand, except
 *                                        right after one, as ESCAPE is. Elsewhere: no operand,
 *                                        because a colon can only begin a parameter there
 *    other words                         an operand
 */
#include "postgres.h"

#include <ctype.h>

#include "common/keywords.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "type/sql/places.h"
#include "utils/guc.h"

/* What a bracket that is open holds. */
#define EXPRESSIONS	'('			/* or a list of columns, or the like */
#define PAIRS		'{'			/* the keys and values of JSON_OBJECT */
#define SUBSCRIPT	'['
#define ELEMENTS	'a'			/* those of ARRAY[...] */

/* The state of the scan: the parameters found so far, the open brackets, and the last token. */
typedef struct Reader
{
	const char *text;
	KwjPlace   *places;
	int			n;
	int			allocated;
	StringInfoData open;		/* the kinds of the brackets that are open, the outermost first */
	int			before;			/* where the token before starts; -1: there is none */
	bool		after_operand;	/* it ends an operand: a colon does not begin one */
	bool		in_slice;		/* it is the [ of a subscript: a colon may follow */
} Reader;

/* ---- words ---- */

static bool
begins_name(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
continues_name(char c)
{
	return begins_name(c) || isdigit((unsigned char) c) || c == '$';
}

/* Returns the length of the name that begins here; 0 if no name begins here. */
static int
name_length(const char *text)
{
	const char *end = text;

	if (!begins_name(*text))
		return 0;
	while (continues_name(*end))
		end++;
	return end - text;
}

/* Returns whether this is no name, but the beginning of a string such as E'...' or U&"...". */
static bool
is_prefix(const char *text, int length)
{
	return text[length] == '\'' ||
		(text[length] == '&' && (text[length + 1] == '\'' || text[length + 1] == '"'));
}

static bool
is_word(const char *text, int length, const char *word)
{
	return length == strlen(word) && pg_strncasecmp(text, word, length) == 0;
}

static bool
is_one_of(const char *text, int length, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (is_word(text, length, words[i]))
			return true;
	return false;
}

/* Returns the number of a keyword in PostgreSQL's list; -1: it is none. */
static int
find_keyword(const char *text, int length)
{
	char		word[NAMEDATALEN];

	if (length >= sizeof(word))
		return -1;
	memcpy(word, text, length);
	word[length] = '\0';
	return ScanKeywordLookup(word, &ScanKeywords);
}

/* Returns whether an expression may end with this keyword, which cannot be a name. */
static bool
ends_expression(const char *text, int length)
{
	static const char *const words[] = {
		"current_catalog", "current_date", "current_role", "current_schema", "current_time",
		"current_timestamp", "current_user", "end", "false", "isnull", "localtime",
		"localtimestamp", "notnull", "null", "session_user", "system_user", "true", "user"
	};

	return is_one_of(text, length, words, lengthof(words));
}

/* ---- tokens ---- */

/* Returns what the innermost bracket holds that is open. */
static char
innermost(const Reader *reader)
{
	return reader->open.len > 0 ? reader->open.data[reader->open.len - 1] : EXPRESSIONS;
}

/* Returns whether the token before the present one is this byte. */
static bool
is_before(const Reader *reader, char c)
{
	return reader->before >= 0 && reader->text[reader->before] == c;
}

static bool
is_word_before(const Reader *reader, const char *const *words, int n)
{
	const char *token = reader->text + reader->before;

	return reader->before >= 0 && is_one_of(token, name_length(token), words, n);
}

/* Returns whether a word ends an operand. JOB is a keyword of job statements: PAUSE JOB :id. */
static bool
is_operand(const Reader *reader, const char *word, int length)
{
	int			keyword = find_keyword(word, length);
	char		within = innermost(reader);

	if (is_before(reader, '.'))
		return true;
	if (keyword < 0)
		return !is_word(word, length, "job");
	if (ScanKeywordCategories[keyword] == RESERVED_KEYWORD ||
		ScanKeywordCategories[keyword] == TYPE_FUNC_NAME_KEYWORD)
		return ends_expression(word, length);
	return (within == SUBSCRIPT || within == PAIRS) && !reader->after_operand;
}

static bool
ends_operand(const Reader *reader, const char *token)
{
	int			length = name_length(token);

	if (begins_name(*token))
		return is_prefix(token, length) || is_operand(reader, token, length);
	return strchr(")]\"'$", *token) != NULL || isdigit((unsigned char) *token) ||
		(*token == '.' && isdigit((unsigned char) token[1]));
}

/* Returns what the bracket holds that opens with this token. */
static char
kind_of(const Reader *reader, char bracket)
{
	static const char *const of_pairs[] = {"json_object", "json_objectagg"};
	static const char *const of_elements[] = {"array"};

	if (bracket == '(')
		return is_word_before(reader, of_pairs, lengthof(of_pairs)) ? PAIRS : EXPRESSIONS;
	if (is_word_before(reader, of_elements, lengthof(of_elements)) ||
		(innermost(reader) == ELEMENTS && (is_before(reader, '[') || is_before(reader, ','))))
		return ELEMENTS;
	return SUBSCRIPT;
}

static void
open_bracket(Reader *reader, char bracket)
{
	char		kind = kind_of(reader, bracket);

	reader->in_slice = kind == SUBSCRIPT;
	appendStringInfoChar(&reader->open, kind);
}

/* Remembers a token that is no parameter, for the next one. */
static void
pass(Reader *reader, int start)
{
	const char *token = reader->text + start;
	bool		after_operand = ends_operand(reader, token);

	reader->in_slice = false;
	if (*token == '(' || *token == '[')
		open_bracket(reader, *token);
	else if ((*token == ')' || *token == ']') && reader->open.len > 0)
		reader->open.len--;
	reader->after_operand = after_operand;
	reader->before = start;
}

static void
add_place(Reader *reader, int start, int end)
{
	KwjPlace   *place;

	if (reader->n == reader->allocated)
	{
		reader->allocated *= 2;
		reader->places = repalloc(reader->places, sizeof(KwjPlace) * reader->allocated);
	}
	place = &reader->places[reader->n++];
	place->start = start;
	place->end = end;
	place->argument = -1;
	reader->after_operand = true;
	reader->in_slice = false;
	reader->before = start;
}

/* Returns whether the token that starts here is the colon of a :name. */
static bool
is_name(const Reader *reader, int start)
{
	const char *name = reader->text + start + 1;

	return name[-1] == ':' && begins_name(*name) && !reader->after_operand && !reader->in_slice &&
		!is_prefix(name, name_length(name));
}

static bool
is_number(const Reader *reader, int start)
{
	return reader->text[start] == '$' && isdigit((unsigned char) reader->text[start + 1]);
}

static int
number_end(const char *text, int start)
{
	int			end = start + 1;

	while (isdigit((unsigned char) text[end]))
		end++;
	return end;
}

/*
 * Refuses :name right after a word, as in LIMIT:n. The masked text would be LIMIT$1, which
 * PostgreSQL reads as one word.
 */
static void
check_distance(const char *text, int start)
{
	if (start > 0 && continues_name(text[start - 1]))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a parameter of the statement stands right behind a word"),
				 errhint("Put a blank before the colon."),
				 internalerrposition(pg_mbstrlen_with_len(text, start) + 1),
				 internalerrquery(text)));
}

static void
scan_text(Reader *reader, bool names)
{
	core_yy_extra_type extra;
	core_yyscan_t flex = scanner_init(reader->text, &extra, &ScanKeywords, ScanKeywordTokens);
	core_YYSTYPE value;
	YYLTYPE		start;

	while (core_yylex(&value, &start, flex) != 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_number(reader, start))
			add_place(reader, start, number_end(reader->text, start));
		else if (names && is_name(reader, start))
		{
			int			name = start + 1;

			check_distance(reader->text, start);
			add_place(reader, start, name + name_length(reader->text + name));
			(void) core_yylex(&value, &start, flex);
			Assert(start == name);
		}
		else
			pass(reader, start);
	}
	scanner_finish(flex);
}

/*
 * Scans the text without the warning about escapes and the NOTICE that a long identifier is
 * truncated. The parser scans the text again, and gives them then.
 */
static void
scan_quietly(Reader *reader, bool names)
{
	int			client_level = client_min_messages;
	int			log_level = kwj_log_level;

	client_min_messages = ERROR;
	kwj_log_level = Max(log_level, ERROR);
	PG_TRY();
	{
		scan_text(reader, names);
	}
	PG_FINALLY();
	{
		client_min_messages = client_level;
		kwj_log_level = log_level;
	}
	PG_END_TRY();
}

KwjPlace *
kwj_sql_find_places(const char *text, bool names, int *n)
{
	Reader		reader = {.text = text, .allocated = 16, .before = -1};

	reader.places = palloc(sizeof(KwjPlace) * reader.allocated);
	initStringInfo(&reader.open);
	scan_quietly(&reader, names);
	pfree(reader.open.data);
	*n = reader.n;
	return reader.places;
}

/*
 * fuzz/check.c
 *	  Checks of the tokens, statements, trees and errors that src/statement makes of a text.
 *
 * Caller: target.c, for each text of the fuzzer. A check that fails ends the process.
 *
 * PostgreSQL's parser does not know job statements, such as PAUSE JOB 5, and reports a syntax error. Then
 * the session calls src/statement, which searches the text for job statements. It knows each kind of them
 * by its first words, which stand in a table in src/statement/forms.c. With a wrong line in that table, it
 * could take another statement of the same text, such as SHOW work_mem, for a job statement. The checks of
 * this file look for that. They do not read the table, because they would then make the same mistake: they
 * have a list of first words of their own, the array `openings`. Whoever adds a job statement adds its
 * first words there.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/nodes.h"
#include "parser/scanner.h"

#include "target.h"

/* The tokens of a text, as PostgreSQL's scanner sees them. */
typedef struct Tokens
{
	int			count;
	int			starts[MAX_TEXT];
	bool		complete;		/* the scanner has reached the end without an error */
} Tokens;

/* The words with which a job statement can start. */
static const char *const openings[][4] = {
	{"show", "job"}, {"show", "jobs"}, {"show", "automatic", "jobs"},
	{"show", "schedule"}, {"show", "schedules"}, {"show", "backup"}, {"show", "cluster", "setting"},
	{"set", "cluster", "setting"}, {"reset", "cluster", "setting"},
	{"pause", "job"}, {"pause", "jobs"}, {"pause", "all"}, {"pause", "schedule"},
	{"resume", "job"}, {"resume", "jobs"}, {"resume", "all"}, {"resume", "schedule"},
	{"cancel", "job"}, {"cancel", "jobs"}, {"cancel", "all"},
	{"retry", "job"}, {"retry", "jobs"},
	{"create", "schedule"}, {"alter", "schedule"},
	{"drop", "schedule"}, {"drop", "schedules"},
	{"import", "into"}, {"import", "table"}, {"import", "database"},
	{"import", "cluster"}, {"import", "users"},
	{"export", "into"}, {"export", "cluster"}, {"export", "users"},
	{"backup"}, {"restore"}, {"create", "statistics"},
};

/*
 * The tokens that can stand before a job statement, and before a job statement in brackets.
 * src/statement may find a statement even behind a bracket that cannot stand there, because
 * PostgreSQL's parser refuses such a text before it comes to the mask.
 */
static const char *const before_statement[] = {
	";", "(", ")", "]", "as", "for", "atomic", "explain", "analyze", "analyse", "verbose", NULL
};
static const char *const before_brackets[] = {
	"from", "join", "lateral", "using", "table", ",", "(", NULL
};

static void
scan(const char *text, Tokens *tokens)
{
	MemoryContext old = CurrentMemoryContext;
	core_yy_extra_type extra;
	core_yyscan_t scanner;
	core_YYSTYPE value;
	YYLTYPE		start;

	tokens->count = 0;
	tokens->complete = false;
	PG_TRY();
	{
		scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
		extra.escape_string_warning = false;
		while (core_yylex(&value, &start, scanner) != 0)
			tokens->starts[tokens->count++] = start;
		scanner_finish(scanner);
		tokens->complete = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
	}
	PG_END_TRY();
}

static bool
is_token(const KwjSource *source, int token, const char *word)
{
	char	   *copy;
	bool		same;

	if (token < 0 || token >= source->ntokens)
		return false;
	copy = pnstrdup(source->text + source->tokens[token].start,
					source->tokens[token].end - source->tokens[token].start);
	same = pg_strcasecmp(copy, word) == 0;
	pfree(copy);
	return same;
}

static bool
is_one_of(const KwjSource *source, int token, const char *const *words)
{
	while (*words && !is_token(source, token, *words))
		words++;
	return *words != NULL;
}

/* Returns how many words the opening at this token has; 0: there is none. */
static int
opening_at(const KwjSource *source, int token)
{
	for (int i = 0; i < lengthof(openings); i++)
	{
		int			n = 0;

		while (openings[i][n] && is_token(source, token + n, openings[i][n]))
			n++;
		if (openings[i][n] == NULL)
			return n;
	}
	return 0;
}

/*
 * Returns whether src/statement must find a job statement: the text begins with PAUSE, RESUME, CANCEL
 * or RETRY and JOB or JOBS, or has SHOW JOB or SHOW JOBS in brackets after FROM.
 */
static bool
is_surely_ours(const KwjSource *source)
{
	static const char *const verbs[] = {"pause", "resume", "cancel", "retry", NULL};
	static const char *const jobs[] = {"job", "jobs", NULL};

	if (is_one_of(source, 0, verbs) && is_one_of(source, 1, jobs) &&
		!is_token(source, 2, "."))
		return true;
	for (int i = 1; i < source->ntokens; i++)
	{
		if (is_token(source, i - 1, "from") && is_token(source, i, "[") &&
			is_token(source, i + 1, "show") && is_one_of(source, i + 2, jobs) &&
			!is_token(source, i + 3, "."))
			return true;
	}
	return false;
}

/* The tokens must be those of PostgreSQL's scanner, with no other token between them. */
void
kwj_check_tokens(const KwjSource *source)
{
	static Tokens tokens;
	char	   *rest = pstrdup(source->text);

	scan(source->text, &tokens);
	check(tokens.count == source->ntokens);
	check(tokens.complete == (source->scan_error == NULL));
	for (int i = 0; i < source->ntokens; i++)
	{
		const KwjToken *token = &source->tokens[i];

		check(token->start == tokens.starts[i]);
		check(token->end > token->start);
		check(token->end <= (i + 1 < source->ntokens ? token[1].start : source->length));
		memset(rest + token->start, ' ', token->end - token->start);
	}
	if (source->scan_error == NULL)
	{
		scan(rest, &tokens);
		check(tokens.complete && tokens.count == 0);
	}
}

/* Return the offsets where the mask of a statement starts and ends. */
static int
range_start(const KwjStatement *statement)
{
	return statement->source->tokens[statement->first - (statement->in_brackets ? 1 : 0)].start;
}

static int
range_end(const KwjStatement *statement)
{
	return statement->source->tokens[statement->last - (statement->in_brackets ? 0 : 1)].end;
}

void
kwj_check_statements(const KwjSource *source, const List *statements)
{
	int			end = 0;
	ListCell   *cell;

	if (statements == NIL)
	{
		check(!is_surely_ours(source));
		return;
	}
	foreach(cell, statements)
	{
		const KwjStatement *statement = lfirst(cell);
		int			first = statement->first;

		check(first >= end && first < statement->rest);
		check(statement->rest <= statement->last && statement->last <= source->ntokens);
		check(opening_at(source, first) > 0);
		if (statement->in_brackets)
		{
			check(is_token(source, first - 1, "[") && is_token(source, statement->last, "]"));
			check(is_one_of(source, first - 2, before_brackets));
			check(first - 1 >= end);
		}
		else
			check(first == 0 || is_one_of(source, first - 1, before_statement));
		end = statement->last + (statement->in_brackets ? 1 : 0);
	}
}

/* Returns the statement whose mask contains this token; NULL: there is none. */
static const KwjStatement *
statement_around(const KwjToken *token, const List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		const KwjStatement *statement = lfirst(cell);

		if (token->start >= range_start(statement) && token->start < range_end(statement))
		{
			check(token->end <= range_end(statement));
			return statement;
		}
	}
	return NULL;
}

/* Returns the tokens that are not in the mask of a statement. */
static KwjToken *
tokens_outside(const KwjSource *source, const List *statements, int *count)
{
	KwjToken   *tokens = palloc(source->ntokens * sizeof(KwjToken) + 1);

	*count = 0;
	for (int i = 0; i < source->ntokens; i++)
	{
		if (!statement_around(&source->tokens[i], statements))
			tokens[(*count)++] = source->tokens[i];
	}
	return tokens;
}

/* Returns whether these tokens are at the same places. */
static bool
same_places(const KwjToken *tokens, const KwjToken *others, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (tokens[i].start != others[i].start || tokens[i].end != others[i].end)
			return false;
	}
	return true;
}

/*
 * Outside of the masks, the masked text must be equal to the user's text, and have the same tokens.
 */
void
kwj_check_mask(const KwjSource *source, List *statements)
{
	char	   *masked = kwj_mask_statements(source, 0, source->ntokens, statements);
	char	   *original = pstrdup(source->text);
	KwjSource  *result;
	KwjToken   *expected;
	KwjToken   *actual;
	int			nexpected;
	int			nactual;
	ListCell   *cell;

	check(strlen(masked) == source->length);
	result = kwj_scan(masked, source->length);
	check(result->scan_error == NULL);
	expected = tokens_outside(source, statements, &nexpected);
	actual = tokens_outside(result, statements, &nactual);
	check(nactual == nexpected && same_places(actual, expected, nactual));
	foreach(cell, statements)
	{
		const KwjStatement *statement = lfirst(cell);
		int			start = range_start(statement);
		int			size = range_end(statement) - start;
		char	   *mask = pnstrdup(masked + start, size);

		while (size > 0 && mask[size - 1] == ' ')
			mask[--size] = '\0';
		check(strcmp(mask, !statement->in_brackets ? "SELECT 1" :
					 is_token(source, statement->first - 2, "lateral") ? "\"jobs\"()" :
					 "\"kwjobs\"") == 0);
		memset(original + start, ' ', range_end(statement) - start);
		memset(masked + start, ' ', range_end(statement) - start);
	}
	check(strcmp(masked, original) == 0);
}

/*
 * Returns the offset of the end of the token at which PostgreSQL's parser has stopped. position:
 * where this token starts, in characters.
 */
int
kwj_check_stop(const char *text, int length, int position)
{
	KwjSource  *source = kwj_scan(text, length);
	int			offset = pg_mbcharcliplen(text, length, position - 1);

	for (int i = 0; i < source->ntokens; i++)
	{
		if (source->tokens[i].start == offset)
			return source->tokens[i].end;
	}
	return length;
}

/* Every location in the trees, as nodeToString() prints them, must be in the text. */
static void
check_locations(const char *trees, int length)
{
	static const char *const fields[] = {"location ", "stmt_len "};

	for (const char *c = trees; (c = strpbrk(c, "ls")) != NULL; c++)
	{
		for (int i = 0; i < lengthof(fields); i++)
		{
			Size		size = strlen(fields[i]);

			if (strncmp(c, fields[i], size) != 0 || (c[-1] != ':' && c[-1] != '_'))
				continue;
			check(atoi(c + size) >= -1 && atoi(c + size) <= length);
		}
	}
}

/* The trees must be usable after the scratch memory of src/statement is gone. */
static void
check_trees(const Call *call)
{
	List	   *copy = copyObject(call->trees);
	ListCell   *cell;

	check(equal(copy, call->trees));
	check_locations(nodeToString(call->trees), call->length);
	foreach(cell, call->trees)
	{
		RawStmt    *raw = lfirst_node(RawStmt, cell);

		check(raw->stmt_location >= 0 && raw->stmt_len >= 0);
		check(raw->stmt_location + raw->stmt_len <= call->length);
	}
}

/* A syntax error must name the token at its position. */
static void
check_syntax_error(const Call *call)
{
	static const char *const near = "syntax error at or near \"";
	const ErrorData *error = call->error;
	int			offset = pg_mbcharcliplen(call->text, call->length, error->cursorpos - 1);

	if (strncmp(error->message, near, strlen(near)) == 0)
	{
		const char *named = error->message + strlen(near);

		check(strncmp(call->text + offset, named, strlen(named) - 1) == 0);
	}
	else if (strcmp(error->message, "syntax error at end of input") == 0)
		check(kwj_scan(call->text + offset, call->length - offset)->ntokens == 0);
}

static void
check_error(const Call *call)
{
	const ErrorData *error = call->error;
	const char *texts[] = {error->message, error->detail, error->hint};

	check(error->elevel == ERROR && error->sqlerrcode != ERRCODE_INTERNAL_ERROR);
	check(error->cursorpos >= 0);
	check(error->cursorpos <= pg_mbstrlen_with_len(call->text, call->length) + 1);
	check(error->message != NULL);
	for (int i = 0; i < lengthof(texts); i++)
		check(texts[i] == NULL || pg_verifymbstr(texts[i], strlen(texts[i]), true));
	if (error->sqlerrcode == ERRCODE_SYNTAX_ERROR && error->cursorpos > 0)
		check_syntax_error(call);
}

/* A text that is accepted must close all parentheses and brackets, each with its own kind. */
static void
check_balance(const Call *call)
{
	KwjSource  *source = kwj_scan(call->text, call->length);
	char	   *open = palloc(source->ntokens + 1);
	int			depth = 0;

	for (int i = 0; i < source->ntokens; i++)
	{
		if (is_token(source, i, "(") || is_token(source, i, "["))
			open[depth++] = is_token(source, i, "(") ? ')' : ']';
		else if (is_token(source, i, ")") || is_token(source, i, "]"))
			check(depth > 0 && source->text[source->tokens[i].start] == open[--depth]);
	}
	check(depth == 0);
}

void
kwj_check_answer(const Call *call)
{
	if (call->error)
		check_error(call);
	else if (call->found)
	{
		check_trees(call);
		check_balance(call);
	}
}

/* Returns a text of the same tokens, with a comment before each. */
char *
kwj_spread_tokens(const char *text)
{
	KwjSource  *source = kwj_scan(text, strlen(text));
	StringInfoData spread;
	int			copied = 0;

	initStringInfo(&spread);
	for (int i = 0; i < source->ntokens; i++)
	{
		int			start = source->tokens[i].start;

		appendBinaryStringInfo(&spread, text + copied, start - copied);
		appendStringInfoString(&spread, " /*;*/ ");
		copied = start;
	}
	appendStringInfoString(&spread, text + copied);
	return spread.data;
}

/* Returns how many tokens start up to the position of the error; -1: the error has no position. */
static int
token_of_error(const Call *call)
{
	KwjSource  *source = kwj_scan(call->text, call->length);
	int			offset = pg_mbcharcliplen(call->text, call->length, call->error->cursorpos - 1);
	int			token = 0;

	if (call->error->cursorpos == 0)
		return -1;
	while (token < source->ntokens && source->tokens[token].start <= offset)
		token++;
	return offset == call->length ? source->ntokens + 1 : token;
}

/* Returns whether the statements are the same, after the first ones in *other are skipped. */
static bool
same_trees(const List *trees, const List *other, int skipped)
{
	if (list_length(other) != list_length(trees) + skipped)
		return false;
	for (int i = 0; i < list_length(trees); i++)
	{
		if (!equal(((RawStmt *) list_nth(trees, i))->stmt,
				   ((RawStmt *) list_nth(other, i + skipped))->stmt))
			return false;
	}
	return true;
}

/*
 * src/statement uses the place where PostgreSQL's parser stopped (call->stop) only to save work: a
 * text that is accepted without it (*unlimited) must be accepted with it, and the cheap look at the
 * words near it (kwj_form_near) must find a form.
 */
void
kwj_check_accepted(const Call *call, const Call *unlimited)
{
	KwjPlace	place = kwj_place(call->text, call->length, call->stop);

	if (!unlimited->found || unlimited->error != NULL)
		return;
	check(call->found && call->error == NULL);
	check(same_trees(unlimited->trees, call->trees, 0));
	check(kwj_form_near(&place, kwj_words_of_form));
}

/* Returns whether a statement of the text may be EXPORT or IMPORT TABLE. */
static bool
has_text_of_tokens(const Call *call)
{
	const KwjSource *source = kwj_scan(call->text, call->length);

	for (int i = 0; i < source->ntokens; i++)
		if ((is_token(source, i, "export") && is_token(source, i + 1, "into")) ||
			(is_token(source, i, "import") && is_token(source, i + 1, "table")))
			return true;
	return false;
}

/*
 * spread: the same text with comments between its tokens. These must change nothing, except for EXPORT and
 * IMPORT TABLE: their trees have the text of the query, and of the columns.
 */
void
kwj_check_spread(const Call *call, const Call *spread)
{
	check(spread->found == call->found);
	check((spread->error == NULL) == (call->error == NULL));
	if (call->error == NULL)
		check(has_text_of_tokens(call) || same_trees(call->trees, spread->trees, 0));
	/* which error src/statement raises depends on the length of the statement */
	else if (call->error->detail == NULL ||
			 strcmp(call->error->detail, "The statement must go on here.") != 0)
	{
		check(spread->error->sqlerrcode == call->error->sqlerrcode);
		check(token_of_error(spread) == token_of_error(call));
	}
}

static bool
same_text(const char *text, const char *other)
{
	return text && other ? strcmp(text, other) == 0 : text == other;
}

/* A statement before the text must move the error's position, and change nothing else. */
void
kwj_check_shifted(const Call *call, const Call *shifted, int characters)
{
	const ErrorData *error = call->error;
	const ErrorData *moved = shifted->error;

	check(shifted->found == call->found);
	check((moved == NULL) == (error == NULL));
	if (error == NULL)
	{
		check(same_trees(call->trees, shifted->trees, 1));
		return;
	}
	check(moved->sqlerrcode == error->sqlerrcode);
	check(moved->cursorpos == error->cursorpos + (error->cursorpos > 0 ? characters : 0));
	check(same_text(moved->message, error->message));
	check(same_text(moved->detail, error->detail));
	check(same_text(moved->hint, error->hint));
}

/*
 * fuzz/check.c
 *	  What has to hold when src/statement was asked about a text: see target.c.
 *
 * These checks have a list of the job statements of their own. They do not use the table in
 * src/statement/forms.c, because a mistake in that table would then hide itself.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/nodes.h"
#include "parser/scanner.h"

#include "target.h"

/* the tokens of a text, as PostgreSQL's scanner sees them */
typedef struct Tokens
{
	int			count;
	int			starts[MAX_TEXT];
	bool		complete;		/* no error of the scanner */
} Tokens;

/* The words with which a job statement can start. */
static const char *const openings[][4] = {
	{"show", "job"}, {"show", "jobs"}, {"show", "automatic", "jobs"},
	{"show", "schedule"}, {"show", "schedules"}, {"show", "cluster", "setting"},
	{"set", "cluster", "setting"}, {"reset", "cluster", "setting"},
	{"pause", "job"}, {"pause", "jobs"}, {"pause", "schedule"},
	{"resume", "job"}, {"resume", "jobs"}, {"resume", "schedule"},
	{"cancel", "job"}, {"cancel", "jobs"},
	{"create", "schedule"}, {"alter", "schedule"},
	{"drop", "schedule"}, {"drop", "schedules"},
	{"import", "into"}, {"import", "table"}, {"import", "database"},
	{"import", "cluster"}, {"import", "users"},
	{"export", "into"}, {"export", "cluster"}, {"export", "users"},
	{"backup"}, {"restore"}, {"create", "statistics"},
};

/*
 * What can stand before one, in brackets or not. After a wrong bracket PostgreSQL's
 * parser refuses the text before it comes to the mask.
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

/* How many words of an opening stand at this token: 0 if none does. */
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
 * Does the text have to be ours: PAUSE JOB, RESUME JOB or CANCEL JOB at its start,
 * SHOW JOB in brackets after FROM?
 */
static bool
is_surely_ours(const KwjSource *source)
{
	static const char *const verbs[] = {"pause", "resume", "cancel", NULL};
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

/* The tokens are PostgreSQL's, and between them there are none. */
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

/* Where the mask of a statement starts and ends. */
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

/* The statement whose mask this token belongs to, NULL if none. */
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

/* The tokens that belong to no statement. */
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

/* Are these tokens at the same places? */
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

/* The masked text is the user's, but for the masks; and so are its tokens. */
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
 * Where the token ends that starts at this position, in characters: there PostgreSQL's
 * parser has stopped.
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

/* Every location in what nodeToString() makes of the trees is in the text. */
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

/* A tree can be copied, compared and printed when our scratch memory is gone. */
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

/* A syntax error names what stands at its position. */
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

/* What is accepted has closed all parentheses and brackets, each with its own kind. */
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

/* A text of the same tokens, with a comment before each. */
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

/* How many tokens start up to the position of the error; -1 if it has none. */
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

/* The same statements, but for where they stand? The first ones are skipped. */
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
 * Where PostgreSQL's parser stopped tells which texts need not be looked at: what is
 * accepted without that is accepted with it, and the cheap look says so.
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

/* What stands between the tokens changes nothing. */
void
kwj_check_spread(const Call *call, const Call *spread)
{
	check(spread->found == call->found);
	check((spread->error == NULL) == (call->error == NULL));
	if (call->error == NULL)
		check(same_trees(call->trees, spread->trees, 0));
	/* which error that is depends on how long the statement is */
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

/* A statement before the text moves it by that many characters, no more. */
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

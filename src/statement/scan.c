/*
 * src/statement/scan.c
 *	  Cuts a text into tokens, with PostgreSQL's own scanner.
 *
 * Process: any that parses SQL. Locks: none.
 *
 * The scanner is called for one statement after the other, so that the tokens of statements without
 * job statements need not be kept. For each token only its start and end are kept: what it is can
 * be seen from its text, while the scanner's numbers for tokens differ between versions.
 *
 * All code that looks at tokens calls a function of this file for each token, so interrupts are
 * checked here.
 */
#include "postgres.h"

#include <ctype.h>

#include "compat.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "statement/internal.h"

/* How many tokens are read between two checks for interrupts. */
#define TOKENS_AT_ONCE	1000

/* In KwjToken.close: no token closes it. */
#define NEVER_CLOSED	PG_INT32_MAX

struct KwjScanner
{
	core_yy_extra_type extra;
	core_yyscan_t flex;
	int			allocated;		/* number of tokens for which there is room */
	int			open;			/* innermost token that is still open, or -1 */
};

#ifdef KWJ_COUNT_WORK
uint64		kwj_work = 0;
#endif

/* Called for each token that is looked at. */
static inline void
step(void)
{
	kwj_count_work(1);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Opens a text, of which kwj_scan_statement will read the tokens. The text has to live as long as
 * the tokens do.
 */
KwjSource *
kwj_open_source(const char *text, int length)
{
	KwjSource  *source = palloc0(sizeof(KwjSource));

	source->text = text;
	source->length = length;
	source->scratch = CurrentMemoryContext;
	return source;
}

static void
start_scanner(KwjSource *source)
{
	struct KwjScanner *scanner = MemoryContextAllocZero(source->scratch,
														sizeof(struct KwjScanner));

	scanner->allocated = 64;
	scanner->open = -1;
	source->tokens = MemoryContextAlloc(source->scratch,
										scanner->allocated * sizeof(KwjToken));
	scanner->flex = scanner_init(source->text, &scanner->extra, &ScanKeywords,
								 ScanKeywordTokens);
	/* the parser will give this warning */
	kwj_forgo_escape_warning(&scanner->extra);
	source->scanner = scanner;
}

/*
 * Finds out which token closes which, now that this token was read. Tokens that are still open are
 * chained by their field "close". Parentheses and brackets are treated as the same.
 */
static void
match_token(KwjSource *source, int token)
{
	struct KwjScanner *scanner = source->scanner;
	KwjToken   *tokens = source->tokens;
	int			open = scanner->open;

	tokens[token].close = token;
	if (kwj_is_symbol(source, token, '(') || kwj_is_symbol(source, token, '['))
	{
		tokens[token].close = open;
		scanner->open = token;
	}
	else if (open >= 0 &&
			 (kwj_is_symbol(source, token, ')') || kwj_is_symbol(source, token, ']')))
	{
		scanner->open = tokens[open].close;
		tokens[open].close = token;
	}
}

/* At the end of a statement: marks the tokens that are still open as never closed. */
static void
mark_never_closed(KwjSource *source)
{
	struct KwjScanner *scanner = source->scanner;

	while (scanner->open >= 0)
	{
		KwjToken   *token = &source->tokens[scanner->open];

		scanner->open = token->close;
		token->close = NEVER_CLOSED;
	}
}

static void
add_token(KwjSource *source, int start)
{
	struct KwjScanner *scanner = source->scanner;
	KwjToken   *token;

	if (source->ntokens == scanner->allocated)
	{
		scanner->allocated *= 2;
		source->tokens = repalloc_huge(source->tokens,
									   scanner->allocated * sizeof(KwjToken));
	}
	token = &source->tokens[source->ntokens++];
	token->start = start;
	/* the scanner puts a NUL behind each token in its buffer */
	token->end = start + strlen(scanner->extra.scanbuf + start);
	match_token(source, source->ntokens - 1);
}

/* Reads some tokens. Returns false if the last one was the end of a statement or of the text. */
static bool
read_tokens(KwjSource *source)
{
	core_YYSTYPE value;
	YYLTYPE		start;

	if (source->scanner == NULL)
		start_scanner(source);
	for (int n = 0; n < TOKENS_AT_ONCE; n++)
	{
		if (core_yylex(&value, &start, source->scanner->flex) == 0)
		{
			scanner_finish(source->scanner->flex);
			source->is_complete = true;
			return false;
		}
		add_token(source, start);
		if (source->scanner->open < 0 && kwj_is_symbol(source, source->ntokens - 1, ';'))
			return false;
	}
	return true;
}

/*
 * Returns whether the error in progress is an error in the text: it has a position, which SPI may
 * have moved into the internal position, or it is about the bytes of a string. A cancel, a timeout,
 * or a lack of memory or stack is not an error in the text, and ends everything. The error class is
 * checked first, because PL/pgSQL gives positions to these errors, too.
 */
bool
kwj_is_error_of_text(void)
{
	switch (ERRCODE_TO_CATEGORY(geterrcode()))
	{
		case ERRCODE_DATA_EXCEPTION:
			return true;
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return geterrposition() > 0 || getinternalerrposition() > 0;
	}
}

/*
 * As read_tokens, but an error of the text that stops the scanner goes into source->scan_error.
 * Messages of the scanner about identifiers that are too long are suppressed, because the parser
 * will send them.
 */
static bool
try_to_read_tokens(KwjSource *source)
{
	MemoryContext caller = MemoryContextSwitchTo(source->scratch);
	int			client_level = client_min_messages;
	int			log_level = kwj_log_level;
	volatile bool goes_on = false;

	client_min_messages = ERROR;
	kwj_log_level = Max(log_level, ERROR);
	PG_TRY();
	{
		goes_on = read_tokens(source);
	}
	PG_CATCH();
	{
		/* restore these first: what follows may fail, too */
		client_min_messages = client_level;
		kwj_log_level = log_level;
		if (!kwj_is_error_of_text())
			PG_RE_THROW();
		MemoryContextSwitchTo(source->scratch);
		source->scan_error = CopyErrorData();
		source->is_complete = true;
		FlushErrorState();
	}
	PG_END_TRY();
	client_min_messages = client_level;
	kwj_log_level = log_level;
	MemoryContextSwitchTo(caller);
	return goes_on;
}

/*
 * Reads the tokens of the next statement, up to a semicolon outside parentheses and brackets.
 * Returns false if there are no more. A text that is not a sequence of tokens (a quote that is
 * never closed) yields the tokens before the error, and the error in scan_error.
 */
bool
kwj_scan_statement(KwjSource *source)
{
	int			before = source->ntokens;

	if (source->is_complete)
		return false;
	while (try_to_read_tokens(source))
		CHECK_FOR_INTERRUPTS();
	CHECK_FOR_INTERRUPTS();
	mark_never_closed(source);
	kwj_count_work(source->ntokens - before);
	return source->ntokens > before;
}

/* Forgets the tokens from this one on; they must form whole statements. */
void
kwj_forget_tokens(KwjSource *source, int first)
{
	source->ntokens = first;
	source->is_cut = true;
}

/* Reads all tokens of a text. */
KwjSource *
kwj_scan(const char *text, int length)
{
	KwjSource  *source = kwj_open_source(text, length);

	while (kwj_scan_statement(source))
		;
	return source;
}

/* Returns whether the token exists and is this word, in upper or lower case, and not quoted. */
bool
kwj_is_word(const KwjSource *source, int token, const char *word)
{
	const KwjToken *t = &source->tokens[token];

	step();
	return token < source->ntokens && t->end - t->start == strlen(word) &&
		pg_strncasecmp(source->text + t->start, word, t->end - t->start) == 0;
}

bool
kwj_is_symbol(const KwjSource *source, int token, char symbol)
{
	const KwjToken *t = &source->tokens[token];

	return token < source->ntokens && t->end - t->start == 1 &&
		source->text[t->start] == symbol;
}

/* Returns whether this token is a keyword or an identifier, quoted or not. */
bool
kwj_is_any_word(const KwjSource *source, int token)
{
	const KwjToken *t = &source->tokens[token];
	unsigned char first;

	step();
	if (token >= source->ntokens)
		return false;
	first = source->text[t->start];
	/* E'', B'', X'', N'' and U&'' start with a letter and end with a quote */
	return (isalpha(first) || first == '_' || first == '"' ||
			IS_HIGHBIT_SET(first)) &&
		source->text[t->end - 1] != '\'';
}

/*
 * Returns the token that closes what this one opens; this one if it opens nothing; `last` if it is
 * not closed before.
 */
int
kwj_find_close(const KwjSource *source, int token, int last)
{
	return token < last ? Min(source->tokens[token].close, last) : last;
}

/*
 * Returns the token after this one, or, if it opens parentheses or brackets, after those. At most
 * `last`.
 */
int
kwj_skip_nested(const KwjSource *source, int token, int last)
{
	step();
	return Min(kwj_find_close(source, token, last) + 1, last);
}

/* Returns the first such symbol outside parentheses and brackets; `last` if there is none. */
int
kwj_find_symbol(const KwjSource *source, int first, int last, char symbol)
{
	int			token = first;

	while (token < last && !kwj_is_symbol(source, token, symbol))
		token = kwj_skip_nested(source, token, last);
	return token;
}

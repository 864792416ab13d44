/*
 * src/statement/scan.c
 *	  Cuts a text into tokens with PostgreSQL's own scanner, in any process.
 *
 * Only where tokens start and end is kept: what a token is can be seen from its
 * text, while the scanner's numbers for tokens differ between versions.
 */
#include "postgres.h"

#include <ctype.h>

#include "parser/scanner.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "statement/internal.h"

static void
collect_tokens(KwjSource *source)
{
	core_yy_extra_type extra;
	core_yyscan_t scanner;
	core_YYSTYPE value;
	YYLTYPE		start;
	int			allocated = 64;

	scanner = scanner_init(source->text, &extra, &ScanKeywords,
						   ScanKeywordTokens);
	/* the parser gives this warning */
	extra.escape_string_warning = false;
	source->tokens = palloc(allocated * sizeof(KwjToken));

	while (core_yylex(&value, &start, scanner) != 0)
	{
		KwjToken   *token;

		if (source->ntokens == allocated)
		{
			allocated *= 2;
			source->tokens = repalloc_huge(source->tokens,
										   allocated * sizeof(KwjToken));
		}
		token = &source->tokens[source->ntokens++];
		token->start = start;
		/* the scanner cuts off its buffer after each token */
		token->end = start + strlen(extra.scanbuf + start);
	}
	scanner_finish(scanner);
}

/*
 * The tokens of the text. A text that is no sequence of tokens (a quote that is
 * never closed) yields those before the error, and the error in scan_error.
 */
KwjSource *
kwj_scan(const char *text, int length)
{
	KwjSource  *source = palloc0(sizeof(KwjSource));
	MemoryContext caller = CurrentMemoryContext;
	int			client_level = client_min_messages;
	int			log_level = log_min_messages;

	source->text = text;
	source->length = length;
	source->scratch = caller;

	/* the parser tells about identifiers that are too long */
	client_min_messages = ERROR;
	log_min_messages = Max(log_level, ERROR);
	PG_TRY();
	{
		collect_tokens(source);
	}
	PG_CATCH();
	{
		/* first of all: what follows may fail, too */
		client_min_messages = client_level;
		log_min_messages = log_level;
		/* that is no fault of the text */
		if (geterrcode() == ERRCODE_OUT_OF_MEMORY)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		source->scan_error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	client_min_messages = client_level;
	log_min_messages = log_level;
	return source;
}

/* Is there such a token, and is it this word, not quoted, in any case? */
bool
kwj_is_word(const KwjSource *source, int token, const char *word)
{
	const KwjToken *t = &source->tokens[token];

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

/* Is this token a keyword or an identifier, quoted or not? */
bool
kwj_is_any_word(const KwjSource *source, int token)
{
	const KwjToken *t = &source->tokens[token];
	unsigned char first;

	if (token >= source->ntokens)
		return false;
	first = source->text[t->start];
	/* E'', B'', X'', N'' and U&'' start with a letter and end with a quote */
	return (isalpha(first) || first == '_' || first == '"' ||
			IS_HIGHBIT_SET(first)) &&
		source->text[t->end - 1] != '\'';
}

/*
 * The token that closes the parentheses or brackets that open at this one, or this
 * one if it opens none; last if they stay open.
 */
int
kwj_find_close(const KwjSource *source, int token, int last)
{
	int			depth = 0;

	for (; token < last; token++)
	{
		if (kwj_is_symbol(source, token, '(') ||
			kwj_is_symbol(source, token, '['))
			depth++;
		else if (kwj_is_symbol(source, token, ')') ||
				 kwj_is_symbol(source, token, ']'))
			depth--;
		if (depth <= 0)
			return token;
	}
	return last;
}

/*
 * The token after this one, or, if this one opens parentheses or brackets, after
 * those. At most last.
 */
int
kwj_skip_nested(const KwjSource *source, int token, int last)
{
	return Min(kwj_find_close(source, token, last) + 1, last);
}

/* The first such symbol outside parentheses and brackets, last if there is none. */
int
kwj_find_symbol(const KwjSource *source, int first, int last, char symbol)
{
	int			token = first;

	while (token < last && !kwj_is_symbol(source, token, symbol))
		token = kwj_skip_nested(source, token, last);
	return token;
}

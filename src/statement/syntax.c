/*
 * src/statement/syntax.c
 *	  Checks the syntax of a job statement, token by token.
 *
 * Each function kwj_expect_... takes a token and returns the one after what it has accepted, or
 * raises a syntax error that says what was expected (a sentence). The comment above it shows what
 * it accepts.
 *
 * Process: any that parses SQL. Locks: none.
 */
#include "postgres.h"

#include "parser/scansup.h"

#include "statement/internal.h"

static bool
is_inside(const KwjStatement *statement, int token)
{
	return token < statement->last;
}

bool
kwj_next_is(const KwjStatement *statement, int token, const char *word)
{
	return is_inside(statement, token) && kwj_is_word(statement->source, token, word);
}

int
kwj_expect_word(KwjStatement *statement, int token, const char *word,
				const char *expected)
{
	if (!kwj_next_is(statement, token, word))
		kwj_syntax_error(statement, Min(token, statement->last), expected);
	return token + 1;
}

/* Returns whether the token is a parameter, such as $1, and not a dollar-quoted string. */
static bool
is_parameter(const KwjSource *source, int token)
{
	const char *start = source->text + source->tokens[token].start;

	return start[0] == '$' && start[1] >= '0' && start[1] <= '9';
}

static bool
is_string(const KwjSource *source, int token)
{
	const char *start = source->text + source->tokens[token].start;

	return source->text[source->tokens[token].end - 1] == '\'' ||
		(start[0] == '$' && !is_parameter(source, token));
}

/* 'text' or $1 */
int
kwj_expect_string(KwjStatement *statement, int token, const char *expected)
{
	if (!is_inside(statement, token) ||
		!(is_string(statement->source, token) || is_parameter(statement->source, token)))
		kwj_syntax_error(statement, Min(token, statement->last), expected);
	return token + 1;
}

/* word, "word", 'text' or $1 */
int
kwj_expect_name(KwjStatement *statement, int token, const char *expected)
{
	if (is_inside(statement, token) && kwj_is_any_word(statement->source, token))
		return token + 1;
	return kwj_expect_string(statement, token, expected);
}

/* word.word...., any number of words */
int
kwj_expect_dotted_name(KwjStatement *statement, int token, const char *expected)
{
	for (;;)
	{
		if (!is_inside(statement, token) || !kwj_is_any_word(statement->source, token))
			kwj_syntax_error(statement, Min(token, statement->last), expected);
		token++;
		if (!is_inside(statement, token) || !kwj_is_symbol(statement->source, token, '.'))
			return token;
		token++;
	}
}

/* Something in parentheses, or in brackets. */
int
kwj_expect_enclosed(KwjStatement *statement, int token, char open, char close,
					const char *expected)
{
	int			end;

	if (!is_inside(statement, token) || !kwj_is_symbol(statement->source, token, open))
		kwj_syntax_error(statement, Min(token, statement->last), expected);
	end = kwj_find_close(statement->source, token, statement->last);
	if (!is_inside(statement, end) || !kwj_is_symbol(statement->source, end, close))
		kwj_syntax_error(statement, end,
						 close == ')' ? "The parentheses must be closed." :
						 "The brackets must be closed.");
	if (end == token + 1)
		kwj_syntax_error(statement, end, expected);
	return end + 1;
}

/* 'text', $1 or ('text', ...) */
int
kwj_expect_strings(KwjStatement *statement, int token, const char *expected)
{
	int			end;

	if (!is_inside(statement, token) || !kwj_is_symbol(statement->source, token, '('))
		return kwj_expect_string(statement, token, expected);
	end = kwj_expect_enclosed(statement, token, '(', ')', expected);
	do
	{
		token = kwj_expect_string(statement, token + 1, expected);
	} while (kwj_is_symbol(statement->source, token, ','));
	if (token != end - 1)
		kwj_syntax_error(statement, token, "A comma or a closing parenthesis must stand here.");
	return end;
}

void
kwj_expect_end(KwjStatement *statement, int token, const char *expected)
{
	if (is_inside(statement, token))
		kwj_syntax_error(statement, token, expected);
}

/* Returns the first such word outside parentheses; `last` if there is none. */
int
kwj_find_word(const KwjStatement *statement, int first, const char *word)
{
	int			token = first;

	while (token < statement->last && !kwj_is_word(statement->source, token, word))
		token = kwj_skip_nested(statement->source, token, statement->last);
	return token;
}

/* Returns what stands between the quotes; two quotes there are one. */
static char *
without_quotes(const char *text, int length)
{
	char	   *result = palloc(length);
	int			n = 0;

	for (int i = 1; i < length - 1; i++)
	{
		result[n++] = text[i];
		if (text[i] == text[0] && i + 1 < length - 1)
			i++;
	}
	result[n] = '\0';
	return result;
}

/* Returns a word, folded as PostgreSQL folds it, or what stands between the quotes. */
char *
kwj_word_of(const KwjSource *source, int token)
{
	const char *start = source->text + source->tokens[token].start;
	int			length = source->tokens[token].end - source->tokens[token].start;

	if (*start == '"' || *start == '\'')
		return without_quotes(start, length);
	return downcase_truncate_identifier(start, length, false);
}

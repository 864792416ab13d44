/*
 * src/statement/grammar_statistics.c
 *	  The syntax of CREATE STATISTICS name FROM table.
 *
 * PostgreSQL has a CREATE STATISTICS of its own. If a text of that kind is right, it never comes
 * here. If it is wrong, the user gets PostgreSQL's error, unless it has something that only our
 * form has.
 */
#include "postgres.h"

#include "statement/internal.h"

/*
 * The token where these words stand next to each other, outside parentheses; `last` if there is
 * none.
 */
static int
find(const KwjSource *source, int first, int last, const char *const *words)
{
	int			token = first;

	for (; token < last; token = kwj_skip_nested(source, token, last))
	{
		int			n = 0;

		while (words[n] && token + n < last && kwj_is_word(source, token + n, words[n]))
			n++;
		if (words[n] == NULL)
			break;
	}
	return token;
}

bool
kwj_is_our_statistics(const KwjSource *source, int rest, int last)
{
	static const char *const from_word[] = {"from", NULL};
	static const char *const options[] = {"with", "options", NULL};
	static const char *const system_time[] = {"as", "of", "system", NULL};
	int			from;
	int			end;

	/* other statements may follow this one */
	end = kwj_find_symbol(source, rest, last, ';');
	if (rest + 1 >= end || !kwj_is_any_word(source, rest))
		return false;
	if (kwj_is_word(source, rest + 1, "from"))
		return true;
	if (!kwj_is_word(source, rest + 1, "on"))
		return false;
	if (kwj_is_symbol(source, rest + 2, '['))
		return true;
	from = find(source, rest + 2, end, from_word);
	return from < end &&
		(kwj_is_symbol(source, from + 1, '[') ||
		 find(source, from, end, options) < end ||
		 find(source, from, end, system_time) < end);
}

/* [id, ...] */
static int
expect_ids(KwjStatement *statement, int token)
{
	return kwj_expect_enclosed(statement, token, '[', ']', "A number must stand here.");
}

/* column, ... or [id, ...] */
static int
expect_columns(KwjStatement *statement, int token)
{
	const KwjSource *source = statement->source;

	if (token < statement->last && kwj_is_symbol(source, token, '['))
		return expect_ids(statement, token);
	for (;; token++)
	{
		if (token >= statement->last || !kwj_is_any_word(source, token))
			kwj_syntax_error(statement, Min(token, statement->last),
							 "The name of a column must stand here.");
		token++;
		if (token >= statement->last || !kwj_is_symbol(source, token, ','))
			return token;
	}
}

/* The token after AS OF SYSTEM TIME e, where the next option starts. */
static int
check_system_time(KwjStatement *statement, int token)
{
	const KwjSource *source = statement->source;
	int			end;

	token = kwj_expect_word(statement, token, "as", "AS OF SYSTEM TIME must stand here.");
	token = kwj_expect_word(statement, token, "of", "OF SYSTEM TIME must follow AS.");
	token = kwj_expect_word(statement, token, "system", "SYSTEM TIME must follow OF.");
	token = kwj_expect_word(statement, token, "time", "TIME must follow SYSTEM.");
	for (end = token; end < statement->last; end = kwj_skip_nested(source, end, statement->last))
	{
		if (kwj_is_word(source, end, "throttling") ||
			kwj_is_word(source, end, "collect_sorted_histogram"))
			break;
	}
	kwj_parse_expression(statement, token, end, "A time must stand here.");
	return end;
}

/* THROTTLING f, AS OF SYSTEM TIME e, COLLECT_SORTED_HISTOGRAM, in any order */
static void
check_options(KwjStatement *statement, int token)
{
	do
	{
		if (kwj_next_is(statement, token, "throttling"))
		{
			char		first;

			if (++token >= statement->last)
				kwj_syntax_error(statement, statement->last,
								 "A number must follow THROTTLING.");
			first = statement->source->text[statement->source->tokens[token].start];
			if (!((first >= '0' && first <= '9') || first == '.' || first == '$'))
				kwj_syntax_error(statement, token, "A number must follow THROTTLING.");
			token++;
		}
		else if (kwj_next_is(statement, token, "collect_sorted_histogram"))
			token++;
		else if (kwj_next_is(statement, token, "as"))
			token = check_system_time(statement, token);
		else
			kwj_syntax_error(statement, Min(token, statement->last),
							 "THROTTLING, AS OF SYSTEM TIME or COLLECT_SORTED_HISTOGRAM must stand here.");
	} while (token < statement->last);
}

/* name [ON columns] FROM table [WITH OPTIONS ... | AS OF SYSTEM TIME e] */
void
kwj_check_statistics(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			token = statement->rest + 1;

	if (kwj_next_is(statement, token, "on"))
		token = expect_columns(statement, token + 1);
	token = kwj_expect_word(statement, token, "from",
							"FROM, or a comma and another column, must stand here.");
	if (token < statement->last && kwj_is_symbol(source, token, '['))
		token = expect_ids(statement, token);
	else
		token = kwj_expect_dotted_name(statement, token, "The name of a table must stand here.");
	if (token >= statement->last)
		return;
	if (kwj_next_is(statement, token, "as"))
	{
		kwj_expect_end(statement, check_system_time(statement, token),
					   "The statement must end here.");
		return;
	}
	token = kwj_expect_word(statement, token, "with",
							"WITH OPTIONS, AS OF SYSTEM TIME or the end must stand here.");
	token = kwj_expect_word(statement, token, "options", "OPTIONS must follow WITH.");
	check_options(statement, token);
}

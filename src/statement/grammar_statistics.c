/*
 * src/statement/grammar_statistics.c
 *	  The syntax of CREATE STATISTICS name FROM table, and its parse tree.
 *
 * PostgreSQL has a CREATE STATISTICS of its own. If a text of that kind is right, it never comes
 * here. If it is wrong, the user gets PostgreSQL's error, unless it has something that only our
 * form has.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the syntax that it
 * reads, or the tree that it builds as SQL.
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/makefuncs.h"
#include "statement/internal.h"

/*
 * Returns the token where these words stand next to each other, outside parentheses; `last` if
 * there is none. After a dot, the first one would be a part of a name, as any word may be.
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
		if (words[n] == NULL && !kwj_is_symbol(source, token - 1, '.'))
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

/* The parts of a statement, as they are found. */
typedef struct Parts
{
	List	   *columns;		/* their names, as constants; NIL: all of them */
	RangeVar   *table;
	Node	   *throttling;		/* NULL: not given */
	bool		detached;
	int			unsupported;	/* the first token of what is not supported; 0: there is none */
	const char *what;			/* what that is */
	const char *hint;
} Parts;

static void
note_unsupported(Parts *parts, int token, const char *what, const char *hint)
{
	if (parts->unsupported != 0)
		return;
	parts->unsupported = token;
	parts->what = what;
	parts->hint = hint;
}

/* [id, ...] */
static int
expect_ids(KwjStatement *statement, int token)
{
	return kwj_expect_enclosed(statement, token, '[', ']', "A number must stand here.");
}

/* column, ... or [id, ...] */
static int
expect_columns(KwjStatement *statement, int token, Parts *parts)
{
	const KwjSource *source = statement->source;

	if (token < statement->last && kwj_is_symbol(source, token, '['))
	{
		note_unsupported(parts, token, "a column of CREATE STATISTICS given by its number",
						 "Give the names of the columns.");
		return expect_ids(statement, token);
	}
	for (;; token++)
	{
		if (token >= statement->last || !kwj_is_any_word(source, token))
			kwj_syntax_error(statement, Min(token, statement->last),
							 "The name of a column must stand here.");
		parts->columns = lappend(parts->columns, kwj_text(kwj_word_of(source, token)));
		token++;
		if (token >= statement->last || !kwj_is_symbol(source, token, ','))
			return token;
	}
}

/* Returns the token after AS OF SYSTEM TIME e, where the next option starts. */
static int
expect_system_time(KwjStatement *statement, int token, Parts *parts)
{
	const KwjSource *source = statement->source;
	int			end;

	note_unsupported(parts, token, "AS OF SYSTEM TIME",
					 "Leave it out: PostgreSQL collects statistics of the rows that there are now.");
	token = kwj_expect_word(statement, token, "as", "AS OF SYSTEM TIME must stand here.");
	token = kwj_expect_word(statement, token, "of", "OF SYSTEM TIME must follow AS.");
	token = kwj_expect_word(statement, token, "system", "SYSTEM TIME must follow OF.");
	token = kwj_expect_word(statement, token, "time", "TIME must follow SYSTEM.");
	for (end = token; end < statement->last; end = kwj_skip_nested(source, end, statement->last))
	{
		if (kwj_is_word(source, end, "throttling") || kwj_is_word(source, end, "detached") ||
			kwj_is_word(source, end, "collect_sorted_histogram"))
			break;
	}
	kwj_parse_expression(statement, token, end, "A time must stand here.");
	return end;
}

/* Returns the token after THROTTLING f. */
static int
expect_throttling(KwjStatement *statement, int token, Parts *parts)
{
	char		first;

	if (++token >= statement->last)
		kwj_syntax_error(statement, statement->last, "A number must follow THROTTLING.");
	first = statement->source->text[statement->source->tokens[token].start];
	if (!((first >= '0' && first <= '9') || first == '.' || first == '$'))
		kwj_syntax_error(statement, token, "A number must follow THROTTLING.");
	parts->throttling = kwj_parse_expression(statement, token, token + 1,
											 "A number must follow THROTTLING.");
	return token + 1;
}

/* THROTTLING f, AS OF SYSTEM TIME e, COLLECT_SORTED_HISTOGRAM, DETACHED, in any order */
static void
expect_options(KwjStatement *statement, int token, Parts *parts)
{
	do
	{
		if (kwj_next_is(statement, token, "throttling"))
			token = expect_throttling(statement, token, parts);
		else if (kwj_next_is(statement, token, "detached"))
		{
			parts->detached = true;
			token++;
		}
		else if (kwj_next_is(statement, token, "collect_sorted_histogram"))
			note_unsupported(parts, token++, "COLLECT_SORTED_HISTOGRAM",
							 "Leave it out: PostgreSQL collects a histogram of each column whose values it can sort.");
		else if (kwj_next_is(statement, token, "as"))
			token = expect_system_time(statement, token, parts);
		else
			kwj_syntax_error(statement, Min(token, statement->last),
							 "THROTTLING, DETACHED, AS OF SYSTEM TIME or COLLECT_SORTED_HISTOGRAM must stand here.");
	} while (token < statement->last);
}

/* table, which may have up to three parts, or [id] */
static int
expect_table(KwjStatement *statement, int token, Parts *parts)
{
	const KwjSource *source = statement->source;
	int			end;
	RangeVar   *table;

	if (token < statement->last && kwj_is_symbol(source, token, '['))
	{
		note_unsupported(parts, token, "a table of CREATE STATISTICS given by its number",
						 "Give the name of the table.");
		return expect_ids(statement, token);
	}
	end = kwj_expect_dotted_name(statement, token, "The name of a table must stand here.");
	table = makeRangeVar(NULL, kwj_word_of(source, end - 1), source->tokens[token].start);
	if (end - token >= 3)
		table->schemaname = kwj_word_of(source, end - 3);
	if (end - token >= 5)
		table->catalogname = kwj_word_of(source, end - 5);
	parts->table = table;
	return end;
}

/* name [ON columns] FROM table [WITH OPTIONS ... | AS OF SYSTEM TIME e] */
static void
read_parts(KwjStatement *statement, Parts *parts)
{
	int			token = statement->rest + 1;

	if (kwj_next_is(statement, token, "on"))
		token = expect_columns(statement, token + 1, parts);
	token = kwj_expect_word(statement, token, "from",
							"FROM, or a comma and another column, must stand here.");
	token = expect_table(statement, token, parts);
	if (token >= statement->last)
		return;
	if (kwj_next_is(statement, token, "as"))
	{
		kwj_expect_end(statement, expect_system_time(statement, token, parts),
					   "The statement must end here.");
		return;
	}
	token = kwj_expect_word(statement, token, "with",
							"WITH OPTIONS, AS OF SYSTEM TIME or the end must stand here.");
	token = kwj_expect_word(statement, token, "options", "OPTIONS must follow WITH.");
	expect_options(statement, token, parts);
}

/*
 * SELECT kwjobs_create_statistics(name, table, columns, throttling) AS job_id, or
 * CALL kwjobs_create_statistics_and_wait(name, table, columns, throttling)
 */
Node *
kwj_build_statistics(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	Parts		parts = {0};
	List	   *args;

	read_parts(statement, &parts);
	if (parts.unsupported != 0)
	{
		if (!kwj_raises_errors(statement))
			return (Node *) kwj_select(kwj_null());
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s is not supported", parts.what),
				errhint("%s", parts.hint),
				kwj_error_position(source, parts.unsupported));
	}
	args = list_make4(kwj_text(kwj_word_of(source, statement->rest)),
					  kwj_table_constant(parts.table),
					  kwj_text_array(parts.columns),
					  kwj_cast(parts.throttling ? parts.throttling : kwj_null(),
							   "float8", false, -1));
	return kwj_tree_of_creation(statement, "create_statistics", args, parts.detached, 0);
}

/*
 * src/statement/options.c
 *	  The options of a statement: option [= value], ... after WITH.
 *
 * Process: any that parses SQL.
 */
#include "postgres.h"

#include "statement/internal.h"

/* Returns the name of an option: a word as PostgreSQL folds it, or a string. */
static char *
option_name(KwjStatement *statement, int token)
{
	const KwjSource *source = statement->source;

	if (token >= statement->last ||
		!(kwj_is_any_word(source, token) ||
		  source->text[source->tokens[token].start] == '\''))
		kwj_syntax_error(statement, Min(token, statement->last),
						 "The name of an option must stand here.");
	return kwj_word_of(source, token);
}

/* An option's name, and its token. */
typedef struct NamedToken
{
	const char *name;
	int			token;
} NamedToken;

static int
compare_names(const void *left, const void *right)
{
	const NamedToken *a = left;
	const NamedToken *b = right;
	int			order = strcmp(a->name, b->name);

	return order != 0 ? order : a->token - b->token;
}

/* Raises an error if an option is given twice. tokens: the tokens of the names. */
static void
check_given_once(KwjStatement *statement, const KwjOptions *options,
				 const List *tokens)
{
	int			count = list_length(tokens);
	NamedToken *named = palloc(count * sizeof(NamedToken));
	const NamedToken *again = NULL;

	for (int i = 0; i < count; i++)
	{
		named[i].name = list_nth(options->names, i);
		named[i].token = list_nth_int(tokens, i);
	}
	qsort(named, count, sizeof(NamedToken), compare_names);
	for (int i = 1; i < count; i++)
	{
		if (strcmp(named[i - 1].name, named[i].name) == 0 &&
			(again == NULL || named[i].token < again->token))
			again = &named[i];
	}
	if (again)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("option \"%s\" is given more than once", again->name),
				errhint("Remove one of them."),
				kwj_error_position(statement->source, again->token));
	pfree(named);
}

/* option [= value] */
static void
parse_option(KwjStatement *statement, KwjOptions *options, int first, int last)
{
	const KwjSource *source = statement->source;
	char	   *name = option_name(statement, first);
	Node	   *value;

	options->names = lappend(options->names, name);

	if (first + 1 < last && !kwj_is_symbol(source, first + 1, '='))
		kwj_syntax_error(statement, first + 1,
						 "An equal sign, a comma or the end must follow the name of an option.");
	if (strcmp(name, "detached") == 0)
	{
		if (first + 1 < last)
			kwj_syntax_error(statement, first + 1, "The option DETACHED takes no value.");
		options->detached = true;
		return;
	}
	if (options->words && first + 3 == last && kwj_is_any_word(source, first + 2))
		value = kwj_text(kwj_word_of(source, first + 2));
	else if (first + 1 < last)
		value = kwj_parse_text_value(statement, first + 2, last, "A value must follow the equal sign.");
	else
		value = kwj_null_text();
	options->pairs = lappend(lappend(options->pairs, kwj_text(name)), value);
}

static void
parse_list(KwjStatement *statement, int first, int last, KwjOptions *options)
{
	List	   *tokens = NIL;
	int			comma;

	do
	{
		comma = kwj_find_symbol(statement->source, first, last, ',');
		parse_option(statement, options, first, comma);
		tokens = lappend_int(tokens, first);
		first = comma + 1;
	} while (comma < last);
	check_given_once(statement, options, tokens);
}

/*
 * Reads option, ... or (option, ...), from this token to the end of the statement, into *options.
 * enclosed: there must be parentheses.
 */
void
kwj_parse_options(KwjStatement *statement, int first, bool enclosed,
				  KwjOptions *options)
{
	const KwjSource *source = statement->source;
	int			last = statement->last;

	if (enclosed && first < last && kwj_is_symbol(source, first, '('))
	{
		int			close = kwj_find_close(source, first, last);

		if (close >= last || !kwj_is_symbol(source, close, ')'))
			kwj_syntax_error(statement, close, "The parentheses around the options must be closed.");
		if (close + 1 < last)
			kwj_syntax_error(statement, close + 1, "Nothing can follow the options.");
		first++;
		last = close;
	}
	parse_list(statement, first, last, options);
}

/*
 * Reads WITH option, ... or WITH OPTIONS (option, ...), up to the end, into *options. The statement
 * may also end here.
 */
void
kwj_parse_with(KwjStatement *statement, int with, const char *expected,
			   KwjOptions *options)
{
	const KwjSource *source = statement->source;
	bool		enclosed;

	if (with >= statement->last)
		return;
	kwj_expect_word(statement, with, "with", expected);
	enclosed = kwj_next_is(statement, with + 1, "options") &&
		kwj_is_symbol(source, with + 2, '(');
	kwj_parse_options(statement, with + (enclosed ? 2 : 1), enclosed, options);
}

/*
 * Returns the token WITH that starts the options, and not a query, WITH TIES, WITH ORDINALITY or
 * WITH TIME ZONE; `last` if there is none.
 */
int
kwj_find_options(KwjStatement *statement, int first)
{
	int			start = kwj_skip_nested(statement->source, first, statement->last);
	int			token = kwj_find_word(statement, start, "with");

	while (kwj_next_is(statement, token + 1, "ties") ||
		   kwj_next_is(statement, token + 1, "ordinality") ||
		   kwj_next_is(statement, token + 1, "time"))
		token = kwj_find_word(statement, token + 1, "with");
	return token;
}

/* Returns the options as a jsonb. */
Node *
kwj_options_object(const KwjOptions *options)
{
	return kwj_call("pg_catalog", "jsonb_object",
					list_make1(kwj_cast(kwj_array(options->pairs, -1), "text", true, -1)), -1);
}

/*
 * src/statement/rewrite_setting.c
 *	  The parse trees of SET, RESET and SHOW CLUSTER SETTING.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the syntax that it reads, or
 * the tree that it builds as SQL.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "compat.h"
#include "statement/internal.h"

#define EXPECTED_NAME	"The name of a setting must stand here."

/* Returns the name at the rest of the statement: words with dots between them. *end: the token after it. */
static char *
setting_name(KwjStatement *statement, int *end)
{
	StringInfoData name;

	*end = kwj_expect_dotted_name(statement, statement->rest, EXPECTED_NAME);
	initStringInfo(&name);
	for (int token = statement->rest; token < *end; token += 2)
		appendStringInfo(&name, "%s%s", token > statement->rest ? "." : "",
						 kwj_word_of(statement->source, token));
	return name.data;
}

/* CALL kwjobs_procedure(args) */
static Node *
call(KwjStatement *statement, const char *procedure, List *args)
{
	CallStmt   *tree = kwj_call_procedure(procedure, args, kwj_location_of(statement));

	/* a mark for show.c, which gives it the command tag of the statement */
	tree->funccall->funcformat = COERCE_SQL_SYNTAX;
	return (Node *) tree;
}

static Node *
reset(KwjStatement *statement, const char *name)
{
	return call(statement, "reset_cluster_setting", list_make1(kwj_text(name)));
}

/*
 * Returns a value as text. A word means itself, as in SET; anything else is an expression, so that
 * it may be a parameter.
 */
static Node *
value_of(KwjStatement *statement, int first, int last)
{
	static const char *const expected = "A value must stand here.";
	const KwjSource *source = statement->source;

	if (last - first == 1 && kwj_is_any_word(source, first))
	{
		if (kwj_is_word(source, first, "null") || kwj_is_word(source, first, "default"))
			kwj_syntax_error(statement, first, expected);
		return kwj_text(kwj_word_of(source, first));
	}
	return kwj_parse_text_value(statement, first, last, expected);
}

/* SET CLUSTER SETTING name {= | TO} {value, ... | DEFAULT} */
Node *
kwj_build_set_setting(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			last = statement->last;
	int			token;
	char	   *name = setting_name(statement, &token);
	List	   *args = list_make1(kwj_text(name));
	int			comma;

	if (token >= last ||
		!(kwj_is_symbol(source, token, '=') || kwj_is_word(source, token, "to")))
		kwj_syntax_error(statement, Min(token, last),
						 "An equal sign or TO must follow the name of the setting.");
	token++;
	if (token == last - 1 && kwj_is_word(source, token, "default"))
		return reset(statement, name);
	do
	{
		comma = kwj_find_symbol(source, token, last, ',');
		args = lappend(args, value_of(statement, token, comma));
		token = comma + 1;
	} while (comma < last);
	return call(statement, "set_cluster_setting", args);
}

/* RESET CLUSTER SETTING name */
Node *
kwj_build_reset_setting(KwjStatement *statement)
{
	int			end;
	char	   *name = setting_name(statement, &end);

	kwj_expect_end(statement, end, "The statement must end here.");
	return reset(statement, name);
}

/* SELECT kwjobs_cluster_setting('name') AS name */
Node *
kwj_build_show_setting(KwjStatement *statement)
{
	int			end;
	char	   *name = setting_name(statement, &end);
	SelectStmt *select = makeNode(SelectStmt);

	kwj_expect_end(statement, end, "The statement must end here.");
	select->targetList =
		list_make1(kwj_target(name, kwj_own_call("cluster_setting",
												 list_make1(kwj_text(name)),
												 kwj_location_of(statement))));
	return (Node *) select;
}

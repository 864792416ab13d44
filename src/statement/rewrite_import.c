/*
 * src/statement/rewrite_import.c
 *	  The parse tree of IMPORT INTO.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/scansup.h"
#include "utils/builtins.h"

#include "compat.h"
#include "statement/internal.h"

/* OUT arguments of kwjobs.import_and_wait: CALL wants something for each */
#define RESULT_COLUMNS	7

/* WITH option = value, ...: names and values by turns */
typedef struct Options
{
	List	   *names;			/* C strings */
	List	   *pairs;
	bool		detached;
} Options;

/*
 * The token CSV of CSV DATA, which is not the first one (a table may be called
 * csv).
 */
static int
find_format(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			last = statement->last;
	int			token = statement->rest + 1;

	for (; token < last; token = kwj_skip_nested(source, token, last))
	{
		if (token + 1 >= last || !kwj_is_word(source, token + 1, "data"))
			continue;
		if (kwj_is_word(source, token, "csv"))
			return token;
		if (kwj_is_any_word(source, token))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("unsupported import format: \"%.*s\"",
						   source->tokens[token].end - source->tokens[token].start,
						   source->text + source->tokens[token].start),
					errhint("The only format is CSV: type CSV DATA ('file', ...)."),
					kwj_error_position(source, token));
	}

	/* after the table's name and columns */
	token = Min(statement->rest + 1, last);
	while (token + 1 < last && kwj_is_symbol(source, token, '.'))
		token += 2;
	if (token < last && kwj_is_symbol(source, token, '('))
		token = kwj_skip_nested(source, token, last);
	kwj_syntax_error(statement, Min(token, last),
					 "CSV DATA must follow the table's name and columns.");
}

/* The table as a constant of type regclass, located where its name stands. */
static Node *
table_constant(const RangeVar *table)
{
	A_Const    *constant = makeNode(A_Const);
	const char *name = quote_qualified_identifier(table->schemaname, table->relname);

	if (table->catalogname)
		name = psprintf("%s.%s", quote_identifier(table->catalogname), name);
	kwj_set_string_constant(constant, pstrdup(name));
	constant->location = table->location;
	return kwj_cast((Node *) constant, "regclass", false, table->location);
}

/* ARRAY['column', ...]::text[], or NULL if no columns are given */
static Node *
column_array(KwjStatement *statement, List *columns)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, columns)
	{
		ResTarget  *column = lfirst_node(ResTarget, cell);

		if (column->indirection)
			ereport(ERROR,
					errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("a column of IMPORT must be a plain name"),
					errhint("%s", statement->form->usage),
					errposition(pg_mbstrlen_with_len(statement->source->text,
													 column->location) + 1));
		names = lappend(names, kwj_text(column->name));
	}
	return kwj_cast(names ? kwj_array(names, -1) : kwj_null(), "text", true, -1);
}

/* An expression as text. */
static Node *
text_value(KwjStatement *statement, int first, int last, const char *expected)
{
	return kwj_cast(kwj_parse_expression(statement, first, last, expected),
					"text", false, -1);
}

/* ('file', ...) */
static Node *
parse_files(KwjStatement *statement, int open, int close)
{
	const KwjSource *source = statement->source;
	List	   *files = NIL;
	int			first = open + 1;
	int			comma;

	do
	{
		comma = kwj_find_symbol(source, first, close, ',');
		files = lappend(files, text_value(statement, first, comma,
										  "The name of a file must stand here."));
		first = comma + 1;
	} while (comma < close);
	return kwj_cast(kwj_array(files, source->tokens[open].start), "text", true, -1);
}

/* The name of an option: a word as PostgreSQL folds it, or a string. */
static char *
option_name(KwjStatement *statement, int token)
{
	const KwjSource *source = statement->source;
	const char *start;
	int			length;

	if (token >= statement->last ||
		!(kwj_is_any_word(source, token) ||
		  source->text[source->tokens[token].start] == '\''))
		kwj_syntax_error(statement, Min(token, statement->last),
						 "The name of an option must stand here.");
	start = source->text + source->tokens[token].start;
	length = source->tokens[token].end - source->tokens[token].start;
	if (*start == '"' || *start == '\'')
		return pnstrdup(start + 1, length - 2);
	return downcase_truncate_identifier(start, length, false);
}

static void
check_given_once(KwjStatement *statement, const Options *options,
				 const char *name, int token)
{
	ListCell   *cell;

	foreach(cell, options->names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			ereport(ERROR,
					errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("option \"%s\" is given more than once", name),
					errhint("Remove one of them."),
					kwj_error_position(statement->source, token));
	}
}

/* option [= value] */
static void
parse_option(KwjStatement *statement, Options *options, int first, int last)
{
	const KwjSource *source = statement->source;
	char	   *name = option_name(statement, first);
	Node	   *value;

	check_given_once(statement, options, name, first);
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
	if (first + 1 < last)
		value = text_value(statement, first + 2, last,
						   "A value must follow the equal sign.");
	else
		value = kwj_cast(kwj_null(), "text", false, -1);
	options->pairs = lappend(lappend(options->pairs, kwj_text(name)), value);
}

/* WITH option, ... or WITH OPTIONS (option, ...); nothing may follow */
static void
parse_options(KwjStatement *statement, int with, Options *options)
{
	const KwjSource *source = statement->source;
	int			first = with + 1;
	int			last = statement->last;
	int			comma;

	if (with >= last)
		return;
	if (!kwj_is_word(source, with, "with"))
		kwj_syntax_error(statement, with, "Only WITH can follow the files.");
	if (first < last && kwj_is_word(source, first, "options") &&
		kwj_is_symbol(source, first + 1, '('))
	{
		int			end = kwj_skip_nested(source, first + 1, last);

		if (end < last)
			kwj_syntax_error(statement, end, "Nothing can follow the options.");
		first += 2;
		last--;
	}
	do
	{
		comma = kwj_find_symbol(source, first, last, ',');
		parse_option(statement, options, first, comma);
		first = comma + 1;
	} while (comma < last);
}

/* SELECT kwjobs.import(args) AS job_id */
static Node *
detached_tree(List *args, int location)
{
	SelectStmt *select = makeNode(SelectStmt);

	select->targetList =
		list_make1(kwj_target("job_id", kwj_call("kwjobs", "import", args, location)));
	return (Node *) select;
}

/* CALL kwjobs.import_and_wait(args, NULL, ...) */
static Node *
waiting_tree(List *args, int location)
{
	CallStmt   *call = makeNode(CallStmt);

	for (int i = 0; i < RESULT_COLUMNS; i++)
		args = lappend(args, kwj_null());
	call->funccall = (FuncCall *) kwj_call("kwjobs", "import_and_wait", args, location);
	return (Node *) call;
}

Node *
kwj_build_import(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			last = statement->last;
	int			format = find_format(statement);
	int			open = format + 2;
	int			location = source->tokens[statement->first].start;
	Options		options = {0};
	InsertStmt *head;
	int			end;
	List	   *args;

	if (open >= last || !kwj_is_symbol(source, open, '('))
		kwj_syntax_error(statement, Min(open, last), "Files in parentheses must follow CSV DATA.");
	end = kwj_skip_nested(source, open, last);
	if (!kwj_is_symbol(source, end - 1, ')'))
		kwj_syntax_error(statement, last, "The parentheses around the files must be closed.");

	head = kwj_parse_insert(statement, statement->first, format, open);
	if (head->relation->alias || head->override != OVERRIDING_NOT_SET)
		kwj_syntax_error(statement, format,
						 "CSV DATA must follow the table's name and columns.");
	args = list_make3(table_constant(head->relation),
					  parse_files(statement, open, end - 1),
					  column_array(statement, head->cols));
	parse_options(statement, end, &options);
	args = lappend(args,
				   kwj_call("pg_catalog", "jsonb_object",
							list_make1(kwj_cast(kwj_array(options.pairs, -1),
												"text", true, -1)), -1));
	kwj_prevent_in_recovery(statement);
	return options.detached ? detached_tree(args, location) : waiting_tree(args, location);
}

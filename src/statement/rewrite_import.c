/*
 * src/statement/rewrite_import.c
 *	  The parse trees of IMPORT INTO, IMPORT TABLE and IMPORT DATABASE.
 *
 * The columns of IMPORT TABLE become a constant, the text of a CREATE TABLE, which the job runs. So they
 * are parsed here only to find their errors, and can have no parameters and no variables of PL/pgSQL.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the syntax that it reads, or
 * the tree that it builds as SQL.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"

#include "compat.h"
#include "statement/internal.h"

/* number of arguments of kwjobs_import_and_wait that return the result */
#define RESULT_COLUMNS	7

/*
 * Returns the token CSV of CSV DATA. It is not the first one after INTO, because a table may be
 * called csv.
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

	/* it comes after the table's name and columns */
	token = Min(statement->rest + 1, last);
	while (token + 1 < last && kwj_is_symbol(source, token, '.'))
		token += 2;
	if (token < last && kwj_is_symbol(source, token, '('))
		token = kwj_skip_nested(source, token, last);
	kwj_syntax_error(statement, Min(token, last),
					 "CSV DATA must follow the table's name and columns.");
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
	return kwj_text_array(names);
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
		files = lappend(files, kwj_parse_text_value(statement, first, comma,
													"The name of a file must stand here."));
		first = comma + 1;
	} while (comma < close);
	return kwj_cast(kwj_array(files, source->tokens[open].start), "text", true, -1);
}

/* Returns the tree of a statement that creates an IMPORT by kwjobs_NAME or kwjobs_NAME_and_wait. */
static Node *
tree_of_call(KwjStatement *statement, const char *name, List *args, bool detached)
{
	return kwj_tree_of_creation(statement, name, args, detached, RESULT_COLUMNS);
}

/* WITH ... up to the end, as a jsonb */
static Node *
parse_with(KwjStatement *statement, int with, const char *expected, bool *detached)
{
	KwjOptions	options = {0};

	kwj_parse_with(statement, with, expected, &options);
	*detached = options.detached;
	return kwj_options_object(&options);
}

/* Returns the token that closes the parentheses around the files, which open at this one. */
static int
find_end_of_files(KwjStatement *statement, int open)
{
	const KwjSource *source = statement->source;
	int			last = statement->last;
	int			close;

	if (open >= last || !kwj_is_symbol(source, open, '('))
		kwj_syntax_error(statement, Min(open, last), "Files in parentheses must follow CSV DATA.");
	close = kwj_find_close(source, open, last);
	if (close >= last || !kwj_is_symbol(source, close, ')'))
		kwj_syntax_error(statement, close, "The parentheses around the files must be closed.");
	return close;
}

Node *
kwj_build_import(KwjStatement *statement)
{
	int			format = find_format(statement);
	int			open = format + 2;
	int			close = find_end_of_files(statement, open);
	InsertStmt *head;
	List	   *args;
	bool		detached;

	head = kwj_parse_insert(statement, statement->first, format, open);
	if (head->relation->alias || head->override != OVERRIDING_NOT_SET)
		kwj_syntax_error(statement, format,
						 "CSV DATA must follow the table's name and columns.");
	args = list_make3(kwj_table_constant(head->relation),
					  parse_files(statement, open, close),
					  column_array(statement, head->cols));
	args = lappend(args, parse_with(statement, close + 1, "Only WITH can follow the files.", &detached));
	return tree_of_call(statement, "import", args, detached);
}

/* CREATE USING 'file' [CSV DATA (...)] [WITH ...], from the token after CREATE on */
static Node *
build_import_using(KwjStatement *statement, int token)
{
	static const char *const expected_file = "A file in quotes must follow USING.";
	Node	   *files = kwj_text_array(NIL);
	Node	   *definition;
	Node	   *options;
	int			first;
	bool		detached;

	first = kwj_expect_word(statement, token, "using", "USING must follow CREATE.");
	token = kwj_expect_string(statement, first, expected_file);
	definition = kwj_parse_text_value(statement, first, token, expected_file);
	if (kwj_next_is(statement, token, "csv"))
	{
		int			open = kwj_expect_word(statement, token + 1, "data", "DATA must follow CSV.");
		int			close = find_end_of_files(statement, open);

		files = parse_files(statement, open, close);
		token = close + 1;
	}
	options = parse_with(statement, token, "CSV DATA, WITH or the end must stand here.", &detached);
	return tree_of_call(statement, "import_table",
						list_make4(kwj_null_text(), files, options, definition),
						detached);
}

/* CREATE USING ..., or table (columns) CSV DATA (...) [WITH ...] */
Node *
kwj_build_import_table(KwjStatement *statement)
{
	int			format;
	int			close;
	Node	   *definition;
	Node	   *files;
	Node	   *options;
	bool		detached;

	if (kwj_next_is(statement, statement->rest, "create"))
		return build_import_using(statement, statement->rest + 1);
	if (!kwj_is_any_word(statement->source, statement->rest) || statement->rest >= statement->last)
		kwj_syntax_error(statement, Min(statement->rest, statement->last),
						 "The name of a table, or CREATE USING, must stand here.");
	format = find_format(statement);
	close = find_end_of_files(statement, format + 2);
	definition = kwj_text(kwj_parse_table(statement, statement->first, format,
										  "The columns of the table must stand here, in parentheses."));
	files = parse_files(statement, format + 2, close);
	options = parse_with(statement, close + 1, "Only WITH can follow the files.", &detached);
	return tree_of_call(statement, "import_table",
						list_make4(definition, files, options, kwj_null_text()),
						detached);
}

/* CSV DATA ('directory') [WITH ...] */
Node *
kwj_build_import_database(KwjStatement *statement)
{
	static const char *const expected = "A directory in quotes and parentheses must follow CSV DATA.";
	const KwjSource *source = statement->source;
	int			token = kwj_expect_word(statement, statement->rest, "csv", "CSV DATA must stand here.");
	int			first = kwj_expect_word(statement, token, "data", "DATA must follow CSV.") + 1;
	Node	   *directory;
	Node	   *options;
	bool		detached;

	if (first > statement->last || !kwj_is_symbol(source, first - 1, '('))
		kwj_syntax_error(statement, Min(first - 1, statement->last), expected);
	token = kwj_expect_string(statement, first, expected);
	directory = kwj_parse_text_value(statement, first, token, expected);
	if (token >= statement->last || !kwj_is_symbol(source, token, ')'))
		kwj_syntax_error(statement, Min(token, statement->last), "One directory must stand in the parentheses.");
	options = parse_with(statement, token + 1, "Only WITH can follow the directory.", &detached);
	return tree_of_call(statement, "import_database", list_make2(directory, options), detached);
}

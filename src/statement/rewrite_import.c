/*
 * src/statement/rewrite_import.c
 *	  The parse tree of IMPORT INTO.
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
 * The token CSV of CSV DATA. It is not the first one after INTO, because a table may be called csv.
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

/* CALL kwjobs_import_and_wait(args, NULL, ...) */
static Node *
waiting_tree(List *args, int location)
{
	for (int i = 0; i < RESULT_COLUMNS; i++)
		args = lappend(args, kwj_null());
	return (Node *) kwj_call_procedure("import_and_wait", args, location);
}

Node *
kwj_build_import(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			last = statement->last;
	int			format = find_format(statement);
	int			open = format + 2;
	int			location = source->tokens[statement->first].start;
	KwjOptions	options = {0};
	InsertStmt *head;
	int			close;
	List	   *args;

	if (open >= last || !kwj_is_symbol(source, open, '('))
		kwj_syntax_error(statement, Min(open, last), "Files in parentheses must follow CSV DATA.");
	close = kwj_find_close(source, open, last);
	if (close >= last || !kwj_is_symbol(source, close, ')'))
		kwj_syntax_error(statement, close, "The parentheses around the files must be closed.");

	head = kwj_parse_insert(statement, statement->first, format, open);
	if (head->relation->alias || head->override != OVERRIDING_NOT_SET)
		kwj_syntax_error(statement, format,
						 "CSV DATA must follow the table's name and columns.");
	args = list_make3(kwj_table_constant(head->relation),
					  parse_files(statement, open, close),
					  column_array(statement, head->cols));
	kwj_parse_with(statement, close + 1, "Only WITH can follow the files.", &options);
	args = lappend(args,
				   kwj_call("pg_catalog", "jsonb_object",
							list_make1(kwj_cast(kwj_array(options.pairs, -1),
												"text", true, -1)), -1));
	kwj_prevent_in_recovery(statement);
	return options.detached || statement->is_scheduled ? kwj_select_job_id("import", args, location) :
		waiting_tree(args, location);
}

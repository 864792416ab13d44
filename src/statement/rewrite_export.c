/*
 * src/statement/rewrite_export.c
 *	  The parse tree of EXPORT INTO.
 *
 * A query becomes a constant, its text: a worker parses it again. So it is parsed here only to find
 * its errors, and it can have no parameters and no variables of PL/pgSQL.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the syntax that it reads, or
 * the tree that it builds as SQL.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "compat.h"
#include "statement/internal.h"

/* number of arguments of kwjobs_export_and_wait that return the result */
#define RESULT_COLUMNS	5

#define EXPECTED_SOURCE	"TABLE table, a query or DATABASE database must follow FROM."

/* Checks that CSV stands here. Returns the token after it. */
static int
expect_format(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			token = statement->rest;

	if (kwj_next_is(statement, token, "csv"))
		return token + 1;
	if (token + 1 < statement->last && kwj_is_any_word(source, token))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("unsupported export format: \"%s\"", kwj_word_of(source, token)),
				kwj_is_word(source, token, "sql") ?
				errhint("Run pg_dump for statements, or type EXPORT INTO CSV 'directory' FROM TABLE table.") :
				errhint("The only format is CSV: type EXPORT INTO CSV 'directory' FROM TABLE table."),
				kwj_error_position(source, token));
	kwj_syntax_error(statement, Min(token, statement->last), "CSV must follow INTO.");
}

static bool
has_parameter(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ParamRef))
	{
		*(int *) context = ((ParamRef *) node)->location;
		return true;
	}
	return raw_expression_tree_walker(node, has_parameter, context);
}

/* Returns the text of the query in these tokens, as a constant. */
static Node *
query_text(KwjStatement *statement, int first, int last)
{
	const KwjSource *source = statement->source;
	Node	   *query = kwj_parse_query(statement, first, last, EXPECTED_SOURCE);
	int			start = source->tokens[first].start;
	int			location = -1;

	/* While pieces are collected, there is no query yet. */
	if (!source->is_collecting && query != NULL && has_parameter(query, &location) &&
		kwj_raises_errors(statement))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("the query of an EXPORT cannot have parameters"),
				errdetail("A job runs it later, in another process."),
				errhint("Write the values into the query, for instance with format() and EXECUTE."),
				kwj_error_position(source, first));
	return kwj_text(pnstrdup(source->text + start, source->tokens[last - 1].end - start));
}

/* Returns the table whose name, [[database.]schema.]table, these tokens are; NULL if they are anything else. */
static RangeVar *
table_name(KwjStatement *statement, int first, int last)
{
	const KwjSource *source = statement->source;
	RangeVar   *table;
	int			token = first;

	while (token + 2 < last && kwj_is_any_word(source, token) && kwj_is_symbol(source, token + 1, '.'))
		token += 2;
	if (token + 1 != last || token - first > 4 || !kwj_is_any_word(source, token))
		return NULL;
	table = makeRangeVar(NULL, kwj_word_of(source, token), source->tokens[first].start);
	if (token - first >= 2)
		table->schemaname = kwj_word_of(source, token - 2);
	if (token - first >= 4)
		table->catalogname = kwj_word_of(source, token - 4);
	return table;
}

/* Returns the tables (RangeVar) if these tokens are TABLE table, ... and nothing else; otherwise NIL. */
static List *
plain_tables(KwjStatement *statement, int first, int last)
{
	const KwjSource *source = statement->source;
	List	   *tables = NIL;
	int			token = first;

	if (!kwj_is_word(source, first, "table"))
		return NIL;
	do
	{
		int			begin = token + 1;
		RangeVar   *table;

		for (token = begin; token < last && !kwj_is_symbol(source, token, ',');)
			token++;
		table = table_name(statement, begin, token);
		if (table == NULL)
			return NIL;
		tables = lappend(tables, table);
	} while (token < last);
	return tables;
}

/* What is exported, as arguments of the function; of these, one is not NULL. */
typedef struct Sources
{
	Node	   *target;
	Node	   *query;
	Node	   *database;
	Node	   *tables;
} Sources;

/* Sets the argument for these tables: one table is the argument target, several are the array tables. */
static void
set_tables(Sources *sources, List *tables)
{
	List	   *elements = NIL;
	ListCell   *lc;

	foreach(lc, tables)
		elements = lappend(elements, kwj_table_constant(lfirst(lc)));
	if (list_length(elements) == 1)
		sources->target = linitial(elements);
	else
		sources->tables = kwj_cast(kwj_array(elements, -1), "regclass", true, -1);
}

/* Reads what is to be exported into *sources. Returns the token after it. */
static int
find_sources(KwjStatement *statement, int token, Sources *sources)
{
	List	   *tables;
	int			with;

	*sources = (Sources) {
		.target = kwj_cast(kwj_null(), "regclass", false, -1),
		.query = kwj_null_text(),
		.database = kwj_null_text(),
		.tables = kwj_cast(kwj_null(), "regclass", true, -1),
	};
	if (kwj_next_is(statement, token, "database"))
	{
		with = kwj_expect_name(statement, token + 1, "The name of a database must stand here.");
		sources->database = kwj_text(kwj_word_of(statement->source, token + 1));
		return with;
	}
	with = kwj_find_options(statement, token);
	tables = plain_tables(statement, token, with);
	if (tables != NIL)
		set_tables(sources, tables);
	else
		sources->query = query_text(statement, token, with);
	return with;
}

/* CSV 'directory' FROM {TABLE t, ... | query | DATABASE d} [WITH ...] */
Node *
kwj_build_export(KwjStatement *statement)
{
	int			directory = expect_format(statement);
	int			token = kwj_expect_string(statement, directory, "A directory in quotes must stand here.");
	KwjOptions	options = {0};
	Sources		sources;
	List	   *args;

	args = list_make1(kwj_parse_text_value(statement, directory, token,
										   "A directory in quotes must stand here."));
	token = kwj_expect_word(statement, token, "from", "FROM must follow the directory.");
	token = find_sources(statement, token, &sources);
	args = lappend(lappend(lappend(args, sources.target), sources.query), sources.database);
	kwj_parse_with(statement, token, "Only WITH can stand here.", &options);
	args = lappend(lappend(args, kwj_options_object(&options)), sources.tables);
	return kwj_tree_of_creation(statement, "export", args, options.detached, RESULT_COLUMNS);
}

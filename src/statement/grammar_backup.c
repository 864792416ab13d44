/*
 * src/statement/grammar_backup.c
 *	  The syntax and the parse trees of BACKUP, RESTORE and SHOW BACKUP.
 *
 * What the specification's grammar has and PostgreSQL's pg_dump cannot do is parsed, and then refused:
 * several places, patterns of tables, several databases, AS OF SYSTEM TIME, INCREMENTAL FROM.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the syntax that it reads, or
 * the tree that it builds as SQL.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "statement/internal.h"

/* number of arguments of kwjobs_backup_and_wait and kwjobs_restore_and_wait that return the result */
#define RESULT_COLUMNS	4

#define EXPECTED_PLACE	"Where the backup lies must stand here, in quotes."

/* The parts of a statement. */
typedef struct Parts
{
	List	   *tables;			/* texts, each the name of a table as it was typed; NIL: none */
	Node	   *database;		/* a text; NULL: none */
	Node	   *place;			/* a text */
	KwjOptions	options;

	/* What is not supported: the token, what it is, and what to do; 0: nothing. */
	int			unsupported;
	const char *what;
	const char *hint;
} Parts;

/*
 * Notes that this is not supported, unless something before it is not either: the error tells of the first
 * only.
 */
static void
note_unsupported(Parts *parts, int token, const char *what, const char *hint)
{
	if (parts->what != NULL)
		return;
	parts->unsupported = token;
	parts->what = what;
	parts->hint = hint;
}

static void
refuse_unsupported(const KwjStatement *statement, const Parts *parts)
{
	if (parts->what != NULL && kwj_raises_errors(statement))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s is not supported", parts->what),
				errhint("%s", parts->hint),
				kwj_error_position(statement->source, parts->unsupported));
}

/* Returns the tokens from the first one up to `end`, without comments and spaces between them. */
static char *
tokens_text(const KwjSource *source, int first, int end)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = first; i < end; i++)
		appendBinaryStringInfo(&text, source->text + source->tokens[i].start,
							   source->tokens[i].end - source->tokens[i].start);
	return text.data;
}

/*
 * Reads the name of a table, schema.table, schema.* or *, and appends it to the tables. Returns the
 * token after the name.
 */
static int
expect_table(KwjStatement *statement, int first, Parts *parts)
{
	static const char *const expected = "The name of a table must stand here.";
	const KwjSource *source = statement->source;
	int			token = first;

	while (token >= statement->last || !kwj_is_symbol(source, token, '*'))
	{
		if (token >= statement->last || !kwj_is_any_word(source, token) ||
			kwj_next_is(statement, token, "to") || kwj_next_is(statement, token, "from"))
			kwj_syntax_error(statement, Min(token, statement->last), expected);
		token++;
		if (token >= statement->last || !kwj_is_symbol(source, token, '.'))
		{
			parts->tables = lappend(parts->tables, kwj_text(tokens_text(source, first, token)));
			return token;
		}
		token++;
	}
	note_unsupported(parts, first, "a pattern of tables",
					 "Name each table, or leave the tables out for the whole database.");
	return token + 1;
}

/* Reads the name of a database, of which a statement has one at most. Returns the token after the name. */
static int
expect_database(KwjStatement *statement, int token, Parts *parts)
{
	int			end = kwj_expect_name(statement, token, "The name of a database must stand here.");

	if (parts->database != NULL)
		note_unsupported(parts, token, "more than one database in a statement",
						 "Type a statement for each database.");
	if (kwj_is_any_word(statement->source, token))
		parts->database = kwj_text(kwj_word_of(statement->source, token));
	else
		parts->database = kwj_parse_text_value(statement, token, end, "The name of a database must stand here.");
	return end;
}

/* [tables | TABLE tables | DATABASE names], up to this word; returns the token after it */
static int
expect_targets(KwjStatement *statement, const char *end, const char *expected, Parts *parts)
{
	int			token = statement->rest;
	bool		databases = kwj_next_is(statement, token, "database");

	if (kwj_next_is(statement, token, end))
		return token + 1;
	if (databases || kwj_next_is(statement, token, "table"))
		token++;
	for (;;)
	{
		token = databases ? expect_database(statement, token, parts) :
			expect_table(statement, token, parts);
		if (token >= statement->last || !kwj_is_symbol(statement->source, token, ','))
			break;
		token++;
	}
	return kwj_expect_word(statement, token, end, expected);
}

/* place, ('place') or ('place', ...) */
static int
expect_place(KwjStatement *statement, int first, Parts *parts)
{
	bool		enclosed = first < statement->last && kwj_is_symbol(statement->source, first, '(');
	int			end = kwj_expect_strings(statement, first, EXPECTED_PLACE);
	int			token = enclosed ? first + 1 : first;

	if (parts->place != NULL || (enclosed && end != first + 3))
		note_unsupported(parts, first, "more than one place of a backup",
						 "A backup lies in one directory: give its absolute path.");
	parts->place = kwj_parse_text_value(statement, token, token + 1, EXPECTED_PLACE);
	return end;
}

/* [AS OF SYSTEM TIME e], up to INCREMENTAL, WITH or the end */
static int
skip_system_time(KwjStatement *statement, int token, Parts *parts)
{
	int			end;

	if (!kwj_next_is(statement, token, "as"))
		return token;
	note_unsupported(parts, token, "AS OF SYSTEM TIME",
					 "Leave it out: a backup holds the database as it is when pg_dump begins.");
	token = kwj_expect_word(statement, token + 1, "of", "OF SYSTEM TIME must follow AS.");
	token = kwj_expect_word(statement, token, "system", "SYSTEM TIME must follow OF.");
	token = kwj_expect_word(statement, token, "time", "TIME must follow SYSTEM.");
	end = Min(kwj_find_word(statement, token, "incremental"),
			  kwj_find_options(statement, token - 1));
	(void) kwj_parse_expression(statement, token, end, "A time must stand here.");
	return end;
}

/* [INCREMENTAL FROM place, ...] */
static int
skip_incremental(KwjStatement *statement, int token, Parts *parts)
{
	if (!kwj_next_is(statement, token, "incremental"))
		return token;
	note_unsupported(parts, token, "INCREMENTAL FROM",
					 "Leave it out: a logical backup is always a full one.");
	token = kwj_expect_word(statement, token + 1, "from", "FROM must follow INCREMENTAL.");
	token = kwj_expect_strings(statement, token, EXPECTED_PLACE);
	while (token < statement->last && kwj_is_symbol(statement->source, token, ','))
		token = kwj_expect_strings(statement, token + 1, EXPECTED_PLACE);
	return token;
}

/* kwjobs_NAME(directory, tables, database, options), which returns the id, or its procedure, which waits */
static Node *
build(KwjStatement *statement, const char *name, Parts *parts)
{
	List	   *args;

	refuse_unsupported(statement, parts);
	if (parts->what != NULL)
		return (Node *) kwj_select(kwj_null());
	args = list_make4(parts->place, kwj_text_array(parts->tables),
					  parts->database ? parts->database : kwj_null_text(),
					  kwj_options_object(&parts->options));
	return kwj_tree_of_creation(statement, name, args, parts->options.detached, RESULT_COLUMNS);
}

/* [targets] TO place [AS OF SYSTEM TIME e] [INCREMENTAL FROM place, ...] [WITH ...] */
static void
read_backup(KwjStatement *statement, Parts *parts)
{
	int			token = expect_targets(statement, "to", "TO must stand here.", parts);

	token = expect_place(statement, token, parts);
	token = skip_system_time(statement, token, parts);
	token = skip_incremental(statement, token, parts);
	kwj_parse_with(statement, token,
				   "AS OF SYSTEM TIME, INCREMENTAL FROM, WITH or the end must stand here.",
				   &parts->options);
}

Node *
kwj_build_backup(KwjStatement *statement)
{
	Parts		parts = {0};

	read_backup(statement, &parts);
	return build(statement, "backup", &parts);
}

/* [targets] FROM place, ... [AS OF SYSTEM TIME e] [WITH ...] */
static void
read_restore(KwjStatement *statement, Parts *parts)
{
	int			token = expect_targets(statement, "from", "FROM must stand here.", parts);

	token = expect_place(statement, token, parts);
	while (token < statement->last && kwj_is_symbol(statement->source, token, ','))
		token = expect_place(statement, token + 1, parts);
	token = skip_system_time(statement, token, parts);
	kwj_parse_with(statement, token,
				   "AS OF SYSTEM TIME, WITH or the end must stand here.", &parts->options);
}

Node *
kwj_build_restore(KwjStatement *statement)
{
	Parts		parts = {0};

	read_restore(statement, &parts);
	return build(statement, "restore", &parts);
}

/* SELECT * FROM kwjobs_show_backup('place') */
Node *
kwj_build_show_backup(KwjStatement *statement)
{
	int			location = kwj_location_of(statement);
	int			end = kwj_expect_string(statement, statement->rest, EXPECTED_PLACE);
	Node	   *place = kwj_parse_text_value(statement, statement->rest, end, EXPECTED_PLACE);
	RangeFunction *from = makeNode(RangeFunction);
	SelectStmt *select = makeNode(SelectStmt);
	ColumnRef  *all = makeNode(ColumnRef);

	kwj_expect_end(statement, end, "The statement must end here.");
	from->functions = list_make1(list_make2(kwj_own_call("show_backup", list_make1(place), location), NULL));
	all->fields = list_make1(makeNode(A_Star));
	all->location = -1;
	select->targetList = list_make1(kwj_target(NULL, (Node *) all));
	select->fromClause = list_make1(from);
	return (Node *) select;
}

/* SHOW BACKUP alone shows a setting of that name. */
bool
kwj_is_show_backup(const KwjSource *source, int rest, int last)
{
	return rest < last && !kwj_is_symbol(source, rest, ';');
}

/*
 * BACKUP and RESTORE are single words, which may be names of PL/pgSQL variables: an assignment to
 * one is left to PostgreSQL.
 */
bool
kwj_is_no_assignment(const KwjSource *source, int rest, int last)
{
	return rest >= last ||
		!(kwj_is_symbol(source, rest, '=') || kwj_is_symbol(source, rest, '[') ||
		  strncmp(source->text + source->tokens[rest].start, ":=", 2) == 0);
}

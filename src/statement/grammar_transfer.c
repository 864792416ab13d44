/*
 * src/statement/grammar_transfer.c
 *	  The syntax of BACKUP, RESTORE, EXPORT of settings and users, and of the forms of IMPORT that are not supported
 *	  yet. Each function checks what the comment above it shows.
 */
#include "postgres.h"

#include "statement/internal.h"

#define EXPECTED_FILE	"A file in quotes must stand here."
#define EXPECTED_FILES	"Files in quotes and parentheses must stand here."
#define EXPECTED_PLACE	"Where the backup lies must stand here, in quotes."
#define NOTHING_MORE	"The statement must end here."
#define ONLY_WITH		"Only WITH can stand here."

/* CSV DATA ('file', ...) [WITH ...], up to the end */
static void
check_data(KwjStatement *statement, int token)
{
	KwjOptions	options = {0};

	token = kwj_expect_word(statement, token, "csv", "CSV DATA must stand here.");
	token = kwj_expect_word(statement, token, "data", "DATA must follow CSV.");
	if (token >= statement->last || !kwj_is_symbol(statement->source, token, '('))
		kwj_syntax_error(statement, Min(token, statement->last), EXPECTED_FILES);
	token = kwj_expect_strings(statement, token, EXPECTED_FILES);
	kwj_parse_with(statement, token, ONLY_WITH, &options);
}

/* CREATE USING 'file' [CSV DATA (...)], or table (columns) CSV DATA (...) */
void
kwj_check_import_table(KwjStatement *statement)
{
	KwjOptions	options = {0};
	int			token = statement->rest;

	if (!kwj_next_is(statement, token, "create"))
	{
		token = kwj_expect_dotted_name(statement, token,
									   "The name of a table, or CREATE USING, must stand here.");
		token = kwj_expect_enclosed(statement, token, '(', ')',
									"The columns of the table must stand here, in parentheses.");
		check_data(statement, token);
		return;
	}
	token = kwj_expect_word(statement, token + 1, "using", "USING must follow CREATE.");
	token = kwj_expect_string(statement, token, "A file in quotes must follow USING.");
	if (kwj_next_is(statement, token, "csv"))
		check_data(statement, token);
	else
		kwj_parse_with(statement, token, "CSV DATA, WITH or the end must stand here.", &options);
}

void
kwj_check_import_database(KwjStatement *statement)
{
	check_data(statement, statement->rest);
}

/* The token after CLUSTER SETTING or USERS. */
static int
after_subject(KwjStatement *statement)
{
	if (!kwj_is_word(statement->source, statement->rest - 1, "cluster"))
		return statement->rest;
	return kwj_expect_word(statement, statement->rest, "setting", "SETTING must follow CLUSTER.");
}

/* {CLUSTER SETTING | USERS} SQL DATA ('file') */
void
kwj_check_import_sql(KwjStatement *statement)
{
	int			token = after_subject(statement);

	token = kwj_expect_word(statement, token, "sql", "SQL DATA must stand here.");
	token = kwj_expect_word(statement, token, "data", "DATA must follow SQL.");
	if (token >= statement->last || !kwj_is_symbol(statement->source, token, '('))
		kwj_syntax_error(statement, Min(token, statement->last), EXPECTED_FILES);
	kwj_expect_end(statement, kwj_expect_strings(statement, token, EXPECTED_FILES),
				   NOTHING_MORE);
}

/* {CLUSTER SETTING | USERS} TO SQL 'directory' */
void
kwj_check_export_sql(KwjStatement *statement)
{
	int			token = after_subject(statement);

	token = kwj_expect_word(statement, token, "to", "TO SQL must stand here.");
	token = kwj_expect_word(statement, token, "sql", "SQL must follow TO.");
	kwj_expect_end(statement, kwj_expect_string(statement, token, EXPECTED_FILE),
				   NOTHING_MORE);
}

/* table, schema.table, schema.* or * */
static int
expect_table(KwjStatement *statement, int token)
{
	static const char *const expected = "The name of a table must stand here.";

	while (!kwj_is_symbol(statement->source, token, '*'))
	{
		if (token >= statement->last || !kwj_is_any_word(statement->source, token) ||
			kwj_next_is(statement, token, "to") || kwj_next_is(statement, token, "from"))
			kwj_syntax_error(statement, Min(token, statement->last), expected);
		token++;
		if (token >= statement->last || !kwj_is_symbol(statement->source, token, '.'))
			return token;
		token++;
	}
	if (token >= statement->last)
		kwj_syntax_error(statement, statement->last, expected);
	return token + 1;
}

/* [tables | TABLE tables | DATABASE names], up to this word; returns the token after it */
static int
check_targets(KwjStatement *statement, const char *end, const char *expected)
{
	const KwjSource *source = statement->source;
	int			token = statement->rest;
	bool		databases = kwj_next_is(statement, token, "database");

	if (kwj_next_is(statement, token, end))
		return token + 1;
	if (databases || kwj_next_is(statement, token, "table"))
		token++;
	for (;;)
	{
		token = databases ?
			kwj_expect_name(statement, token, "The name of a database must stand here.") :
			expect_table(statement, token);
		if (token >= statement->last || !kwj_is_symbol(source, token, ','))
			break;
		token++;
	}
	return kwj_expect_word(statement, token, end, expected);
}

/* [AS OF SYSTEM TIME e], up to INCREMENTAL, WITH or the end */
static int
check_system_time(KwjStatement *statement, int token)
{
	int			end;

	if (!kwj_next_is(statement, token, "as"))
		return token;
	token = kwj_expect_word(statement, token + 1, "of", "OF SYSTEM TIME must follow AS.");
	token = kwj_expect_word(statement, token, "system", "SYSTEM TIME must follow OF.");
	token = kwj_expect_word(statement, token, "time", "TIME must follow SYSTEM.");
	end = Min(kwj_find_word(statement, token, "incremental"),
			  kwj_find_options(statement, token - 1));
	kwj_parse_expression(statement, token, end, "A time must stand here.");
	return end;
}

/* place, ... */
static int
expect_places(KwjStatement *statement, int token)
{
	token = kwj_expect_strings(statement, token, EXPECTED_PLACE);
	while (token < statement->last && kwj_is_symbol(statement->source, token, ','))
		token = kwj_expect_strings(statement, token + 1, EXPECTED_PLACE);
	return token;
}

/* [targets] TO place [AS OF SYSTEM TIME e] [INCREMENTAL FROM place, ...] [WITH ...] */
void
kwj_check_backup(KwjStatement *statement)
{
	KwjOptions	options = {0};
	int			token = check_targets(statement, "to", "TO must stand here.");

	token = kwj_expect_strings(statement, token, EXPECTED_PLACE);
	token = check_system_time(statement, token);
	if (kwj_next_is(statement, token, "incremental"))
	{
		token = kwj_expect_word(statement, token + 1, "from", "FROM must follow INCREMENTAL.");
		token = expect_places(statement, token);
	}
	kwj_parse_with(statement, token,
				   "AS OF SYSTEM TIME, INCREMENTAL FROM, WITH or the end must stand here.",
				   &options);
}

/* [targets] FROM place, ... [AS OF SYSTEM TIME e] [WITH ...] */
void
kwj_check_restore(KwjStatement *statement)
{
	KwjOptions	options = {0};
	int			token = check_targets(statement, "from", "FROM must stand here.");

	token = expect_places(statement, token);
	token = check_system_time(statement, token);
	kwj_parse_with(statement, token,
				   "AS OF SYSTEM TIME, WITH or the end must stand here.", &options);
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

/*
 * src/statement/grammar_transfer.c
 *	  The syntax of EXPORT of settings and users, and of the forms of IMPORT that are not supported
 *	  yet. Each function checks what the comment above it shows.
 *
 * Process: any that parses SQL. Locks: none.
 */
#include "postgres.h"

#include "statement/internal.h"

#define EXPECTED_FILE	"A file in quotes must stand here."
#define EXPECTED_FILES	"Files in quotes and parentheses must stand here."
#define NOTHING_MORE	"The statement must end here."

/* Returns the token after CLUSTER SETTING or USERS. */
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

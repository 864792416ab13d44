/*
 * src/statement/grammar_schedule.c
 *	  The syntax of the schedule statements. Each function checks what the comment above it shows.
 */
#include "postgres.h"

#include "statement/internal.h"

#define EXPECTED_NAME	"The name of a schedule must stand here."
#define NOTHING_MORE	"The statement must end here."

/* IF EXISTS, which is optional */
static int
skip_if_exists(KwjStatement *statement, int token)
{
	if (!kwj_next_is(statement, token, "if"))
		return token;
	return kwj_expect_word(statement, token + 1, "exists", "EXISTS must follow IF.");
}

/* RECURRING {'cron' | NEVER} [WITH SCHEDULE OPTIONS ...], up to the end */
static void
check_recurrence(KwjStatement *statement, int token)
{
	KwjOptions	options = {0};

	token = kwj_expect_word(statement, token, "recurring", "RECURRING must stand here.");
	if (kwj_next_is(statement, token, "never"))
		token++;
	else
		token = kwj_expect_string(statement, token,
								  "A cron expression in quotes, or NEVER, must follow RECURRING.");
	if (token >= statement->last)
		return;
	token = kwj_expect_word(statement, token, "with",
							"WITH SCHEDULE OPTIONS or the end must stand here.");
	token = kwj_expect_word(statement, token, "schedule", "SCHEDULE OPTIONS must follow WITH.");
	token = kwj_expect_word(statement, token, "options", "OPTIONS must follow SCHEDULE.");
	kwj_parse_options(statement, token, true, &options);
}

/* [[IF NOT EXISTS] name] FOR SQL 'sql' RECURRING ... */
void
kwj_check_create_schedule(KwjStatement *statement)
{
	int			token = statement->rest;

	if (kwj_next_is(statement, token, "if"))
	{
		token = kwj_expect_word(statement, token + 1, "not", "NOT EXISTS must follow IF.");
		token = kwj_expect_word(statement, token, "exists", "EXISTS must follow NOT.");
		token = kwj_expect_name(statement, token, EXPECTED_NAME);
	}
	else if (!kwj_next_is(statement, token, "for"))
		token = kwj_expect_name(statement, token, EXPECTED_NAME);
	token = kwj_expect_word(statement, token, "for", "FOR SQL must follow the name.");
	token = kwj_expect_word(statement, token, "sql", "SQL must follow FOR.");
	token = kwj_expect_string(statement, token, "A statement in quotes must follow FOR SQL.");
	check_recurrence(statement, token);
}

/* [IF EXISTS] name RECURRING ... */
void
kwj_check_alter_schedule(KwjStatement *statement)
{
	int			token = skip_if_exists(statement, statement->rest);

	check_recurrence(statement, kwj_expect_name(statement, token, EXPECTED_NAME));
}

/* [IF EXISTS] name */
void
kwj_check_control_schedule(KwjStatement *statement)
{
	int			token = skip_if_exists(statement, statement->rest);

	kwj_expect_end(statement, kwj_expect_name(statement, token, EXPECTED_NAME), NOTHING_MORE);
}

/* [IF EXISTS] query */
void
kwj_check_drop_schedules(KwjStatement *statement)
{
	kwj_parse_query(statement, skip_if_exists(statement, statement->rest),
					statement->last,
					"A query that returns names of schedules must stand here.");
}

/* name */
void
kwj_check_show_schedule(KwjStatement *statement)
{
	kwj_expect_end(statement,
				   kwj_expect_name(statement, statement->rest, EXPECTED_NAME),
				   NOTHING_MORE);
}

void
kwj_check_show_schedules(KwjStatement *statement)
{
	kwj_expect_end(statement, statement->rest, NOTHING_MORE);
}

/* SCHEDULE name */
void
kwj_check_jobs_for_schedule(KwjStatement *statement)
{
	int			token = kwj_expect_word(statement, statement->rest, "schedule",
										"SCHEDULE must follow FOR.");

	kwj_expect_end(statement, kwj_expect_name(statement, token, EXPECTED_NAME),
				   NOTHING_MORE);
}

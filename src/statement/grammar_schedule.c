/*
 * src/statement/grammar_schedule.c
 *	  The schedule statements: their syntax, and their parse trees.
 *
 * CREATE or ALTER SCHEDULE name FOR job statement has the tree of that statement's own call in it, as an
 * argument: the call then creates no job, but hands it over (lifecycle/template.c).
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the syntax that it reads, or
 * the tree that it builds as SQL.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "statement/internal.h"

#define EXPECTED_NAME	"The name of a schedule must stand here."
#define NOTHING_MORE	"The statement must end here."
#define EXPECTED_CRON	"A cron expression in quotes, or NEVER, must follow RECURRING."

static Node *
flag(bool value)
{
	return kwj_cast(kwj_text(value ? "true" : "false"), "bool", false, -1);
}

/* IF EXISTS, which is optional */
static int
skip_if_exists(KwjStatement *statement, int token, bool *if_exists)
{
	*if_exists = kwj_next_is(statement, token, "if");
	if (!*if_exists)
		return token;
	return kwj_expect_word(statement, token + 1, "exists", "EXISTS must follow IF.");
}

/* 'text' or $1 as a text. Returns the token after it. */
static int
take_string(KwjStatement *statement, int token, const char *expected, Node **value)
{
	int			end = kwj_expect_string(statement, token, expected);

	*value = kwj_parse_text_value(statement, token, end, expected);
	return end;
}

/* Reads the name of a schedule, a word, 'text' or $1, as a text. Returns the token after the name. */
static int
take_name(KwjStatement *statement, int token, Node **name)
{
	if (token < statement->last && kwj_is_any_word(statement->source, token))
	{
		*name = kwj_text(kwj_word_of(statement->source, token));
		return token + 1;
	}
	return take_string(statement, token, EXPECTED_NAME, name);
}

/*
 * Returns the token RECURRING, which 'cron', $1 or NEVER follows; `last` if there is none. A query of
 * the job statement before it may use the word as a name.
 */
static int
find_recurring(const KwjStatement *statement, int first)
{
	int			token = kwj_find_word(statement, first, "recurring");

	while (token + 1 < statement->last)
	{
		char		next = statement->source->text[statement->source->tokens[token + 1].start];

		if (next == '\'' || next == '$' || next == 'E' || next == 'e' || next == 'U' || next == 'u' ||
			kwj_next_is(statement, token + 1, "never"))
			break;
		token = kwj_find_word(statement, token + 1, "recurring");
	}
	return token;
}

/* Returns the token WITH of WITH SCHEDULE OPTIONS; `last` if there is none. */
static int
find_options(const KwjStatement *statement, int first)
{
	int			token = kwj_find_word(statement, first, "with");

	while (token < statement->last && !(kwj_next_is(statement, token + 1, "schedule") &&
										kwj_next_is(statement, token + 2, "options")))
		token = kwj_find_word(statement, token + 1, "with");
	return token;
}

/* RECURRING {'cron' | NEVER}; NEVER gives NULL. Returns the token after it. */
static int
take_recurrence(KwjStatement *statement, int token, Node **cron)
{
	token = kwj_expect_word(statement, token, "recurring", "RECURRING must stand here.");
	if (kwj_next_is(statement, token, "never"))
	{
		*cron = NULL;
		return token + 1;
	}
	return take_string(statement, token, EXPECTED_CRON, cron);
}

/* [WITH SCHEDULE OPTIONS ...], up to the end, as a jsonb */
static Node *
take_options(KwjStatement *statement, int token)
{
	KwjOptions	options = {.words = true};

	if (token < statement->last)
	{
		token = kwj_expect_word(statement, token, "with",
								"WITH SCHEDULE OPTIONS or the end must stand here.");
		token = kwj_expect_word(statement, token, "schedule", "SCHEDULE OPTIONS must follow WITH.");
		token = kwj_expect_word(statement, token, "options", "OPTIONS must follow SCHEDULE.");
		kwj_parse_options(statement, token, true, &options);
		if (options.detached)
			kwj_syntax_error(statement, token, "A schedule has no option DETACHED: no statement waits for its jobs.");
	}
	return kwj_options_object(&options);
}

/* CALL kwjobs_create_schedule(name, recurring, statement, NULL, NULL, options, if_not_exists) */
static Node *
call_for_sql(const char *procedure, Node *name, Node *cron, Node *sql, Node *options, bool is_if, int location)
{
	List	   *args = list_make3(name, cron ? cron : kwj_null_text(), sql ? sql : kwj_null_text());

	args = lappend(args, kwj_null_text());
	args = lappend(args, kwj_cast(kwj_null(), "jsonb", false, -1));
	args = lappend(args, options);
	return (Node *) kwj_call_procedure(procedure, lappend(args, flag(is_if)), location);
}

/* FOR SQL 'sql'. Returns the token after it. */
static int
take_sql(KwjStatement *statement, int token, Node **sql)
{
	return take_string(statement, token + 1, "A statement in quotes must follow FOR SQL.", sql);
}

/*
 * {SQL 'sql' | job statement}, up to RECURRING, WITH SCHEDULE OPTIONS or the end. Sets one of *sql and *job.
 * Returns the token after it.
 */
static int
take_job(KwjStatement *statement, int token, Node **sql, Node **job)
{
	int			end;

	if (kwj_next_is(statement, token, "sql"))
		return take_sql(statement, token, sql);
	end = Min(find_recurring(statement, token), find_options(statement, token));
	*job = kwj_build_job(statement, token, end);
	return end;
}

/*
 * Returns the tree of CALL kwjobs_create_schedule_of_job(kwjobs_for_schedule(name, is_if), CASE WHEN
 * kwjobs_wants_job() THEN job END, recurring, options, is_if). procedure, before: the names of the two
 * functions, without kwjobs_; ALTER SCHEDULE has others than CREATE SCHEDULE.
 */
static Node *
call_for_job(const char *procedure, const char *before, Node *name, Node *job, Node *cron, Node *options, bool is_if,
			 int location)
{
	Node	   *checked = kwj_case(kwj_own_call("wants_job", NIL, location), job);
	List	   *args = list_make2(kwj_own_call(before, list_make2(name, flag(is_if)), location), checked);

	args = lappend(args, cron ? cron : kwj_null_text());
	args = lappend(lappend(args, options), flag(is_if));
	return (Node *) kwj_call_procedure(procedure, args, location);
}

/*
 * [[IF NOT EXISTS] name] FOR {SQL 'sql' | job statement} RECURRING ...
 */
Node *
kwj_build_create_schedule(KwjStatement *statement)
{
	int			token = statement->rest;
	bool		if_not_exists = kwj_next_is(statement, token, "if");
	Node	   *name = kwj_null_text();
	Node	   *job = NULL;
	Node	   *sql = NULL;
	Node	   *cron;
	Node	   *options;

	if (if_not_exists)
	{
		token = kwj_expect_word(statement, token + 1, "not", "NOT EXISTS must follow IF.");
		token = kwj_expect_word(statement, token, "exists", "EXISTS must follow NOT.");
	}
	if (if_not_exists || !kwj_next_is(statement, token, "for"))
		token = take_name(statement, token, &name);
	token = kwj_expect_word(statement, token, "for", "FOR SQL, or FOR and a job statement, must follow the name.");
	token = take_job(statement, token, &sql, &job);
	token = take_recurrence(statement, token, &cron);
	options = take_options(statement, token);
	kwj_prevent_in_recovery(statement);
	if (job == NULL)
		return call_for_sql("create_schedule", name, cron, sql, options, if_not_exists, kwj_location_of(statement));
	return call_for_job("create_schedule_of_job", "for_schedule", name, job, cron, options, if_not_exists,
						kwj_location_of(statement));
}

/*
 * [IF EXISTS] name [FOR {SQL 'sql' | job statement}] [RECURRING ...] [WITH SCHEDULE OPTIONS ...], one of
 * them at least
 */
Node *
kwj_build_alter_schedule(KwjStatement *statement)
{
	bool		if_exists;
	int			token = skip_if_exists(statement, statement->rest, &if_exists);
	Node	   *name;
	Node	   *job = NULL;
	Node	   *sql = NULL;
	Node	   *cron = NULL;
	Node	   *options;

	token = take_name(statement, token, &name);
	if (token >= statement->last)
		kwj_syntax_error(statement, token, "FOR, RECURRING or WITH SCHEDULE OPTIONS must stand here.");
	if (kwj_next_is(statement, token, "for"))
		token = take_job(statement, token + 1, &sql, &job);
	if (kwj_next_is(statement, token, "recurring"))
	{
		token = take_recurrence(statement, token, &cron);
		if (cron == NULL)
			cron = kwj_text("never");
	}
	options = take_options(statement, token);
	kwj_prevent_in_recovery(statement);
	if (job == NULL)
		return call_for_sql("alter_schedule", name, cron, sql, options, if_exists, kwj_location_of(statement));
	return call_for_job("alter_schedule_of_job", "for_altered_schedule", name, job, cron, options, if_exists,
						kwj_location_of(statement));
}

/*
 * PAUSE, RESUME or DROP SCHEDULE [IF EXISTS] name, PAUSE also [WITH REASON = 'text']: CALL
 * kwjobs_<verb>_schedule(name, if_exists[, reason])
 */
Node *
kwj_build_control_schedule(KwjStatement *statement)
{
	const char *verb = statement->form->words[0];
	bool		pauses = strcmp(verb, "pause") == 0;
	bool		if_exists;
	int			token = skip_if_exists(statement, statement->rest, &if_exists);
	Node	   *name;
	List	   *args;

	token = take_name(statement, token, &name);
	if (!pauses)
		kwj_expect_end(statement, token, NOTHING_MORE);
	else if (token < statement->last && !kwj_next_is(statement, token, "with"))
		kwj_syntax_error(statement, token, "WITH REASON = 'text' or the end must stand here.");
	args = list_make2(name, flag(if_exists));
	if (pauses)
	{
		Node	   *reason = kwj_parse_reason(statement, token);

		args = lappend(args, reason ? reason : kwj_null_text());
	}
	kwj_prevent_in_recovery(statement);
	return (Node *) kwj_call_procedure(psprintf("%s_schedule", verb), args, kwj_location_of(statement));
}

/*
 * [IF EXISTS] query: DELETE FROM kwjobs.schedule_control WHERE name = ANY (ARRAY(SELECT
 * unnest(kwjobs_drop_schedules(ARRAY(query), if_exists)))). The function drops them, and the DELETE only
 * counts them for the command tag.
 */
Node *
kwj_build_drop_schedules(KwjStatement *statement)
{
	bool		if_exists;
	int			token = skip_if_exists(statement, statement->rest, &if_exists);
	Node	   *query = kwj_parse_query(statement, token, statement->last,
										"A query that returns names of schedules must stand here.");
	Node	   *names = kwj_cast(kwj_sublink(ARRAY_SUBLINK, query, -1), "text", true, -1);
	Node	   *dropped = kwj_own_call("drop_schedules", list_make2(names, flag(if_exists)), kwj_location_of(statement));
	DeleteStmt *drop = makeNode(DeleteStmt);

	drop->relation = makeRangeVar(pstrdup("kwjobs"), pstrdup("schedule_control"), kwj_location_of(statement));
	drop->whereClause = kwj_equal_any(kwj_column("schedule_control", "name"),
									  kwj_select(kwj_call("pg_catalog", "unnest", list_make1(dropped), -1)));
	kwj_prevent_in_recovery(statement);
	return (Node *) drop;
}

/* name */
Node *
kwj_build_show_schedule(KwjStatement *statement)
{
	Node	   *name;
	SelectStmt *select;

	kwj_expect_end(statement, take_name(statement, statement->rest, &name), NOTHING_MORE);
	select = kwj_show_schedules_tree(kwj_location_of(statement));
	select->whereClause = kwj_operator("=", kwj_column("schedules", "name"), name);
	return (Node *) select;
}

Node *
kwj_build_show_schedules(KwjStatement *statement)
{
	kwj_expect_end(statement, statement->rest, NOTHING_MORE);
	return (Node *) kwj_show_schedules_tree(kwj_location_of(statement));
}

/* SCHEDULE name */
Node *
kwj_build_jobs_for_schedule(KwjStatement *statement)
{
	int			token = kwj_expect_word(statement, statement->rest, "schedule",
										"SCHEDULE must follow FOR.");
	Node	   *name;

	kwj_expect_end(statement, take_name(statement, token, &name), NOTHING_MORE);
	return (Node *) kwj_show_jobs_of(kwj_own_call("schedule_jobs", list_make1(name), kwj_location_of(statement)),
									 kwj_location_of(statement));
}

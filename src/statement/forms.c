/*
 * src/statement/forms.c
 *	  The forms of job statements, and where in a text they may stand.
 *
 * Callers: parse.c, for the statements of a text; piece.c, for statements in brackets inside of
 * other job statements. In any process that parses SQL; no locks.
 *
 * To add a form, add a line to the table and write the function that builds its tree. A form that
 * has "check" instead of a builder is known, but refused as not supported yet.
 *
 * Where job statements may stand: at the start of a statement, also after EXPLAIN, PREPARE ... AS
 * and in BEGIN ATOMIC; a form that returns rows also after DECLARE ... FOR, CREATE ... AS and COPY
 * (, and in brackets where a table can stand. Other places are left to PostgreSQL's parser. The
 * search goes through the tokens once, and never into strings, comments or quoted names, since
 * those are single tokens.
 */
#include "postgres.h"

#include "access/xact.h"
#include "statement/internal.h"

#define USAGE_SHOW_JOB \
	"Type SHOW JOB job_id, SHOW JOB job_id WHEN COMPLETE or SHOW JOB WHEN COMPLETE job_id."
#define USAGE_SHOW_JOBS \
	"Type SHOW JOBS [WHERE condition] [ORDER BY expression] [LIMIT number], SHOW JOBS (SELECT job_id ...) or SHOW JOBS WHEN COMPLETE (SELECT job_id ...)."
#define USAGE_CONTROL_JOB(verb) \
	"Type " verb " JOB job_id or " verb " JOB job_id WITH REASON = 'text'."
#define USAGE_CONTROL_JOBS(verb) \
	"Type " verb " JOBS (SELECT job_id ...) or " verb " JOBS (SELECT job_id ...) WITH REASON = 'text'."
#define USAGE_CONTROL_ALL(verb) \
	"Type " verb " ALL JOBS or " verb " ALL type JOBS, perhaps WITH REASON = 'text'."
#define USAGE_IMPORT \
	"Type IMPORT INTO table [(column, ...)] CSV DATA ('file', ...) [WITH option = 'value', ...]."
#define USAGE_IMPORT_TABLE \
	"Type IMPORT TABLE table (column type, ...) CSV DATA ('file', ...) [WITH option = 'value', ...] or IMPORT TABLE CREATE USING 'file' [CSV DATA ('file', ...)] [WITH ...]."
#define USAGE_EXPORT \
	"Type EXPORT INTO CSV 'directory' FROM {TABLE table, ... | query | DATABASE database} [WITH option = 'value', ...]."
#define USAGE_OPTIONS "[WITH SCHEDULE OPTIONS option = 'value', ...]."
#define USAGE_RECURRING "RECURRING 'cron expression' " USAGE_OPTIONS
#define USAGE_SCHEDULE(verb)	"Type " verb " SCHEDULE [IF EXISTS] name."
#define USAGE_STATISTICS \
	"Type CREATE STATISTICS name [ON column, ...] FROM table [WITH OPTIONS [THROTTLING fraction] [DETACHED]]."

/* What to do instead of a statement that is not supported yet. */
#define NO_SQL_FILES	"Have psql run the file."
#define NO_SQL_EXPORT	"Use pg_dumpall --globals-only for users, and pg_file_settings for settings."

/* The first form that fits counts. */
static const KwjForm forms[] = {
	{{"show", "job"}, true, "SHOW JOB", USAGE_SHOW_JOB, kwj_build_show_job},
	{{"show", "jobs", "for"}, true, "SHOW JOBS FOR SCHEDULE",
	"Type SHOW JOBS FOR SCHEDULE name.", kwj_build_jobs_for_schedule},
	{{"show", "jobs"}, true, "SHOW JOBS", USAGE_SHOW_JOBS, kwj_build_show_jobs},
	{{"show", "automatic", "jobs"}, true, "SHOW AUTOMATIC JOBS",
	"Type SHOW AUTOMATIC JOBS.", kwj_build_show_automatic},
	{{"pause", "job"}, false, "PAUSE JOB", USAGE_CONTROL_JOB("PAUSE"), kwj_build_control_job},
	{{"pause", "jobs"}, false, "PAUSE JOBS", USAGE_CONTROL_JOBS("PAUSE"), kwj_build_control_jobs},
	{{"pause", "all"}, false, "PAUSE ALL JOBS", USAGE_CONTROL_ALL("PAUSE"), kwj_build_control_all,
	NULL, NULL, kwj_is_all_jobs},
	{{"resume", "job"}, false, "RESUME JOB", USAGE_CONTROL_JOB("RESUME"), kwj_build_control_job},
	{{"resume", "jobs"}, false, "RESUME JOBS", USAGE_CONTROL_JOBS("RESUME"), kwj_build_control_jobs},
	{{"resume", "all"}, false, "RESUME ALL JOBS", USAGE_CONTROL_ALL("RESUME"), kwj_build_control_all,
	NULL, NULL, kwj_is_all_jobs},
	{{"retry", "job"}, false, "RETRY JOB", USAGE_CONTROL_JOB("RETRY"), kwj_build_control_job},
	{{"retry", "jobs"}, false, "RETRY JOBS", USAGE_CONTROL_JOBS("RETRY"), kwj_build_control_jobs},
	{{"cancel", "job"}, false, "CANCEL JOB", USAGE_CONTROL_JOB("CANCEL"), kwj_build_control_job},
	{{"cancel", "jobs"}, false, "CANCEL JOBS", USAGE_CONTROL_JOBS("CANCEL"), kwj_build_control_jobs},
	{{"cancel", "all"}, false, "CANCEL ALL JOBS", USAGE_CONTROL_ALL("CANCEL"), kwj_build_control_all,
	NULL, NULL, kwj_is_all_jobs},
	{{"import", "into"}, false, "IMPORT", USAGE_IMPORT, kwj_build_import,
	NULL, NULL, NULL, true},
	{{"import", "table"}, false, "IMPORT TABLE", USAGE_IMPORT_TABLE, kwj_build_import_table,
	NULL, NULL, NULL, true},
	{{"import", "database"}, false, "IMPORT DATABASE",
		"Type IMPORT DATABASE CSV DATA ('directory') [WITH option = 'value', ...].", kwj_build_import_database,
	NULL, NULL, NULL, true},
	{{"export", "into"}, false, "EXPORT", USAGE_EXPORT, kwj_build_export,
	NULL, NULL, NULL, true},
	{{"set", "cluster", "setting"}, false, "SET CLUSTER SETTING",
	"Type SET CLUSTER SETTING name = 'value'.", kwj_build_set_setting},
	{{"reset", "cluster", "setting"}, false, "RESET CLUSTER SETTING",
	"Type RESET CLUSTER SETTING name.", kwj_build_reset_setting},
	{{"show", "cluster", "setting"}, true, "SHOW CLUSTER SETTING",
	"Type SHOW CLUSTER SETTING name.", kwj_build_show_setting},
	{{"create", "schedule"}, false, "CREATE SCHEDULE",
		"Type CREATE SCHEDULE [IF NOT EXISTS] name FOR {SQL 'statement' | job statement} " USAGE_RECURRING,
	kwj_build_create_schedule},
	{{"alter", "schedule"}, false, "ALTER SCHEDULE",
		"Type ALTER SCHEDULE [IF EXISTS] name [FOR {SQL 'statement' | job statement}] [RECURRING 'cron expression'] " USAGE_OPTIONS,
	kwj_build_alter_schedule},
	{{"pause", "schedule"}, false, "PAUSE SCHEDULE",
	"Type PAUSE SCHEDULE [IF EXISTS] name [WITH REASON = 'text'].", kwj_build_control_schedule},
	{{"resume", "schedule"}, false, "RESUME SCHEDULE", USAGE_SCHEDULE("RESUME"), kwj_build_control_schedule},
	{{"drop", "schedule"}, false, "DROP SCHEDULE", USAGE_SCHEDULE("DROP"), kwj_build_control_schedule},
	{{"drop", "schedules"}, false, "DROP SCHEDULES",
	"Type DROP SCHEDULES [IF EXISTS] (SELECT name ...).", kwj_build_drop_schedules},
	{{"show", "schedule"}, true, "SHOW SCHEDULE", "Type SHOW SCHEDULE name.", kwj_build_show_schedule},
	{{"show", "schedules"}, true, "SHOW SCHEDULES",
	"Type SHOW SCHEDULES; for some of them, SELECT name, next_run FROM [SHOW SCHEDULES] WHERE name = 'nightly'.",
	kwj_build_show_schedules},

	/* Forms whose job type is still to come. */
	{{"import", "cluster"}, false, "IMPORT CLUSTER SETTING",
		"Type IMPORT CLUSTER SETTING SQL DATA ('file').",
	NULL, kwj_check_import_sql, NO_SQL_FILES},
	{{"import", "users"}, false, "IMPORT USERS", "Type IMPORT USERS SQL DATA ('file').",
	NULL, kwj_check_import_sql, NO_SQL_FILES},
	{{"export", "cluster"}, false, "EXPORT CLUSTER SETTING",
		"Type EXPORT CLUSTER SETTING TO SQL 'directory'.",
	NULL, kwj_check_export_sql, NO_SQL_EXPORT},
	{{"export", "users"}, false, "EXPORT USERS", "Type EXPORT USERS TO SQL 'directory'.",
	NULL, kwj_check_export_sql, NO_SQL_EXPORT},
	{{"backup"}, false, "BACKUP",
		"Type BACKUP [TABLE table, ... | DATABASE database] TO 'directory' [WITH option = 'value', ...].",
	kwj_build_backup, NULL, NULL, kwj_is_no_assignment, true},
	{{"show", "backup"}, true, "SHOW BACKUP", "Type SHOW BACKUP 'directory'.",
	kwj_build_show_backup, NULL, NULL, kwj_is_show_backup},
	{{"restore"}, false, "RESTORE",
		"Type RESTORE [TABLE table, ... | DATABASE database] FROM 'directory' [WITH into_db = 'database', ...].",
	kwj_build_restore, NULL, NULL, kwj_is_no_assignment, true},
	{{"create", "statistics"}, false, "CREATE STATISTICS ... FROM", USAGE_STATISTICS,
	kwj_build_statistics, NULL, NULL, kwj_is_our_statistics, true},
};

/* Returns the words of form number n; NULL after the last one. */
const char *const *
kwj_words_of_form(int number)
{
	return number < lengthof(forms) ? forms[number].words : NULL;
}

/*
 * Returns the form whose words stand at this token; NULL if there is none. Sets *rest to the token after
 * them. may_be_other: whether a statement of PostgreSQL with the same first words may stand here; false
 * after the FOR of a schedule, where only job statements stand.
 */
static const KwjForm *
match_form(const KwjSource *source, int first, int last, bool may_be_other, int *rest)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		const char *const *word = forms[i].words;
		int			token = first;

		for (; *word && token < last && kwj_is_word(source, token, *word); word++)
			token++;
		/* SHOW jobs.retention_time shows a setting, so no "." may follow */
		if (*word || (token < last && kwj_is_symbol(source, token, '.')))
			continue;
		if (may_be_other && forms[i].is_ours && !forms[i].is_ours(source, token, last))
			continue;
		*rest = token;
		return &forms[i];
	}
	return NULL;
}

static void
refuse_unsupported(const KwjForm *form, const KwjStatement *statement)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("%s is not supported yet", form->name),
			errhint("%s", form->instead),
			kwj_error_position(statement->source, statement->first));
}

/*
 * Returns whether to raise the error that a statement is not supported. In an aborted transaction,
 * PostgreSQL raises its own error for any statement.
 */
bool
kwj_raises_errors(const KwjStatement *statement)
{
	return !statement->source->is_collecting && !IsAbortedTransactionBlockState();
}

/*
 * Returns the parse tree of a statement, or raises the error that it is not supported. While pieces are
 * collected, nobody uses the tree.
 */
Node *
kwj_build_statement(KwjStatement *statement)
{
	const KwjForm *form = statement->form;

	if (form->build)
		return form->build(statement);
	form->check(statement);
	if (kwj_raises_errors(statement))
		refuse_unsupported(form, statement);
	return (Node *) kwj_select(kwj_null());
}

/*
 * Returns an expression that creates the job of the job statement in these tokens, and whose value
 * is the id of that job. The tokens are part of `statement`, and the pieces of the expression
 * become pieces of it.
 */
Node *
kwj_build_job(KwjStatement *statement, int first, int last)
{
	KwjStatement outer = *statement;
	int			rest;
	const KwjForm *form = first < last ? match_form(statement->source, first, last, false, &rest) : NULL;
	Node	   *tree;

	if (form == NULL || !form->makes_job)
		kwj_syntax_error(statement, Min(first, statement->last),
						 "SQL 'statement', IMPORT, EXPORT, BACKUP, RESTORE or CREATE STATISTICS ... FROM must follow FOR.");
	statement->form = form;
	statement->first = first;
	statement->rest = rest;
	statement->last = last;
	statement->is_scheduled = true;
	tree = form->build(statement);
	statement->form = outer.form;
	statement->first = outer.first;
	statement->rest = outer.rest;
	statement->last = outer.last;
	statement->is_scheduled = false;
	return linitial_node(ResTarget, castNode(SelectStmt, tree)->targetList)->val;
}

static bool
is_any_of(const KwjSource *source, int token, const char *const *words)
{
	for (; *words; words++)
	{
		if (kwj_is_word(source, token, *words))
			return true;
	}
	return false;
}

/* Returns whether the body of an SQL function starts here, after BEGIN ATOMIC. */
static bool
is_body(const KwjSource *source, int first, int token)
{
	return token - 1 > first && kwj_is_word(source, token - 1, "atomic") &&
		kwj_is_word(source, token - 2, "begin");
}

/*
 * Returns the token after this word, outside parentheses; `last` if the word is not there. The
 * search ends at the end of the statement, and where a body starts: that is searched by itself, so
 * each token is looked at once.
 */
static int
after_word(const KwjSource *source, int first, int last, const char *word)
{
	int			token = first;

	while (token < last && !kwj_is_word(source, token, word))
	{
		if (kwj_is_symbol(source, token, ';') || is_body(source, first, token))
			return last;
		token = kwj_skip_nested(source, token, last);
	}
	return token < last ? token + 1 : last;
}

/*
 * Returns the first token of the statement that the statement at `first` (EXPLAIN, PREPARE, COPY,
 * ...) contains; `last` if it contains none. Sets *only_query if it can contain only a query.
 */
static int
contained_statement(const KwjSource *source, int first, int last,
					bool *only_query)
{
	static const char *const explain_words[] = {"analyze", "analyse", "verbose", NULL};
	int			token = first + 1;

	if (kwj_is_word(source, first, "explain"))
	{
		if (kwj_is_symbol(source, token, '('))
			return kwj_skip_nested(source, token, last);
		while (token < last && is_any_of(source, token, explain_words))
			token++;
		return token;
	}
	if (kwj_is_word(source, first, "prepare"))
		return after_word(source, token, last, "as");

	*only_query = true;
	if (kwj_is_word(source, first, "declare"))
		return after_word(source, token, last, "for");
	if (kwj_is_word(source, first, "create"))
		return after_word(source, token, last, "as");
	if (kwj_is_word(source, first, "copy") && kwj_is_symbol(source, token, '('))
		return token + 1;
	return last;
}

/*
 * Returns the end of the statement that starts here: a semicolon, or a closing parenthesis or
 * bracket that it has not opened.
 */
static int
statement_end(const KwjSource *source, int first, int last)
{
	int			token = first;

	while (token < last && !kwj_is_symbol(source, token, ';') &&
		   !kwj_is_symbol(source, token, ')') &&
		   !kwj_is_symbol(source, token, ']'))
		token = kwj_skip_nested(source, token, last);
	return token;
}

static KwjStatement *
make_statement(KwjSource *source, const KwjForm *form, int first, int rest,
			   int last, bool in_brackets)
{
	KwjStatement *statement = palloc0(sizeof(KwjStatement));

	statement->source = source;
	statement->form = form;
	statement->first = first;
	statement->rest = rest;
	statement->last = last;
	statement->in_brackets = in_brackets;
	return statement;
}

/*
 * Returns the job statement at this start of a statement, or contained in the statement that starts
 * here; NULL if there is none.
 */
static KwjStatement *
statement_at(KwjSource *source, int start, int last)
{
	bool		only_query = false;
	int			first = start;

	while (first < last)
	{
		int			rest;
		const KwjForm *form = match_form(source, first, last, true, &rest);

		if (form && (form->is_query || !only_query))
		{
			int			end = statement_end(source, first, last);

			/* PostgreSQL has parsed SHOW jobs alone, and show.c does the rest */
			if (first == start && rest == end && rest == start + 2 &&
				form->is_query)
				return NULL;
			return make_statement(source, form, first, rest, end, false);
		}
		first = contained_statement(source, first, last, &only_query);
	}
	return NULL;
}

/* Returns whether a table can stand at this token. */
static bool
is_table_position(const KwjSource *source, int first, int token)
{
	static const char *const words[] = {"from", "join", "using", "table", "lateral", NULL};

	return token > first &&
		(is_any_of(source, token - 1, words) ||
		 kwj_is_symbol(source, token - 1, ',') ||
		 kwj_is_symbol(source, token - 1, '('));
}

/* Returns the job statement in the brackets that open at this token; NULL if there is none. */
static KwjStatement *
statement_in_brackets(KwjSource *source, int first, int token, int last)
{
	const KwjForm *form;
	KwjStatement *statement;
	int			rest;
	int			end;

	if (!kwj_is_symbol(source, token, '[') ||
		!is_table_position(source, first, token))
		return NULL;
	form = match_form(source, token + 1, kwj_find_close(source, token, last), true, &rest);
	if (form == NULL)
		return NULL;
	/* a single word may be a column in an array */
	if (form->words[1] == NULL && !kwj_is_any_word(source, token - 1))
		return NULL;

	end = statement_end(source, token + 1, last);
	statement = make_statement(source, form, token + 1, rest, end, true);
	statement->is_lateral = kwj_is_word(source, token - 1, "lateral");
	if (!kwj_is_symbol(source, end, ']'))
		kwj_syntax_error(statement, end, "The brackets around a job statement must be closed with ].");
	return statement;
}

/* Counts a statement, and raises 54000 if there are too many. */
static void
count_statement(KwjSource *source, const KwjStatement *statement)
{
	if (++source->nstatements > KWJ_MAX_STATEMENTS)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("a text can have at most %d job statements", KWJ_MAX_STATEMENTS),
				errhint("Send several texts, or name all jobs in one statement: PAUSE JOBS VALUES (1), (2)."),
				kwj_error_position(source, statement->first));
}

/* Returns the job statements in these tokens, without those inside of others. */
List *
kwj_find_statements(KwjSource *source, int first, int last)
{
	List	   *found = NIL;
	int			start = first;
	int			token = first;

	while (token < last)
	{
		KwjStatement *statement;

		/* the body of an SQL function: BEGIN ATOMIC statement; ... END */
		if (is_body(source, first, token))
			start = token;

		statement = NULL;
		if (token == start)
			statement = statement_at(source, start, last);
		if (statement == NULL)
			statement = statement_in_brackets(source, first, token, last);

		if (statement == NULL)
		{
			if (kwj_is_symbol(source, token, ';'))
				start = token + 1;
			token++;
		}
		else
		{
			count_statement(source, statement);
			found = lappend(found, statement);
			token = statement->last + (statement->in_brackets ? 1 : 0);
		}
	}
	return found;
}

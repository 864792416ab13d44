/*
 * src/statement/form.c
 *	  The forms of job statements, and where in a text they may stand.
 *
 * A new form is one line in the table and the function that builds its tree.
 */
#include "postgres.h"

#include "statement/internal.h"

#define USAGE_SHOW_JOB \
	"Type SHOW JOB job_id, SHOW JOB job_id WHEN COMPLETE or SHOW JOB WHEN COMPLETE job_id."
#define USAGE_SHOW_JOBS \
	"Type SHOW JOBS, SHOW JOBS WHERE condition, SHOW JOBS (SELECT job_id ...) or SHOW JOBS WHEN COMPLETE (SELECT job_id ...)."
#define USAGE_CONTROL_JOB(verb) \
	"Type " verb " JOB job_id or " verb " JOB job_id WITH REASON = 'text'."
#define USAGE_CONTROL_JOBS(verb) \
	"Type " verb " JOBS (SELECT job_id ...) or " verb " JOBS (SELECT job_id ...) WITH REASON = 'text'."
#define USAGE_IMPORT \
	"Type IMPORT INTO table [(column, ...)] CSV DATA ('file', ...) [WITH option = 'value', ...]."

static const KwjForm forms[] = {
	{{"show", "job"}, true, "SHOW JOB", USAGE_SHOW_JOB, kwj_build_show_job},
	{{"show", "jobs"}, true, "SHOW JOBS", USAGE_SHOW_JOBS, kwj_build_show_jobs},
	{{"show", "automatic", "jobs"}, true, "SHOW AUTOMATIC JOBS",
	"Type SHOW AUTOMATIC JOBS.", kwj_build_show_automatic},
	{{"pause", "job"}, false, "PAUSE JOB", USAGE_CONTROL_JOB("PAUSE"), kwj_build_control_job},
	{{"pause", "jobs"}, false, "PAUSE JOBS", USAGE_CONTROL_JOBS("PAUSE"), kwj_build_control_jobs},
	{{"resume", "job"}, false, "RESUME JOB", USAGE_CONTROL_JOB("RESUME"), kwj_build_control_job},
	{{"resume", "jobs"}, false, "RESUME JOBS", USAGE_CONTROL_JOBS("RESUME"), kwj_build_control_jobs},
	{{"cancel", "job"}, false, "CANCEL JOB", USAGE_CONTROL_JOB("CANCEL"), kwj_build_control_job},
	{{"cancel", "jobs"}, false, "CANCEL JOBS", USAGE_CONTROL_JOBS("CANCEL"), kwj_build_control_jobs},
	{{"import", "into"}, false, "IMPORT", USAGE_IMPORT, kwj_build_import},
};

/* A NUL in the text may be any character. */
static bool
mentions_word(const char *text, int length, const char *word)
{
	int			n = strlen(word);

	for (int i = 0; i + n <= length; i++)
	{
		int			same = 0;

		while (same < n && (text[i + same] == '\0' ||
							pg_tolower((unsigned char) text[i + same]) == word[same]))
			same++;
		if (same == n)
			return true;
	}
	return false;
}

/*
 * Do the words of any form occur in this text at all? A cheap look before the
 * real one. The scanner has put NULs into the text where it cut off tokens.
 */
bool
kwj_mentions_form(const char *text, int length)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		const char *const *word = forms[i].words;

		while (*word && mentions_word(text, length, *word))
			word++;
		if (*word == NULL)
			return true;
	}
	return false;
}

/* The form whose words stand here, NULL if none; *rest is the token after them. */
static const KwjForm *
match_form(const KwjSource *source, int first, int last, int *rest)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		const char *const *word = forms[i].words;
		int			token = first;

		for (; *word && token < last && kwj_is_word(source, token, *word); word++)
			token++;
		/* SHOW jobs.retention_time shows a setting */
		if (*word || (token < last && kwj_is_symbol(source, token, '.')))
			continue;
		*rest = token;
		return &forms[i];
	}
	return NULL;
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

/* The token after this word, which stands outside parentheses; last if it is not there. */
static int
after_word(const KwjSource *source, int first, int last, const char *word)
{
	int			token = first;

	while (token < last && !kwj_is_word(source, token, word))
		token = kwj_skip_nested(source, token, last);
	return token < last ? token + 1 : last;
}

/*
 * Where the statement starts that the one at "first" contains (EXPLAIN, PREPARE,
 * COPY, ...); last if that is no such statement. Some take only queries.
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

/* Where the statement that starts here ends: at ; or at a parenthesis of another. */
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

/* The job statement that starts at this start of a statement, or in it. */
static KwjStatement *
statement_at(KwjSource *source, int start, int last)
{
	bool		only_query = false;
	int			first = start;

	while (first < last)
	{
		int			rest;
		const KwjForm *form = match_form(source, first, last, &rest);

		if (form && (form->is_query || !only_query))
		{
			int			end = statement_end(source, first, last);

			/* PostgreSQL parses SHOW jobs, show.c does the rest */
			if (first == start && rest == end && rest == start + 2 &&
				form->is_query)
				return NULL;
			return make_statement(source, form, first, rest, end, false);
		}
		first = contained_statement(source, first, last, &only_query);
	}
	return NULL;
}

/* Can a table stand at this token? */
static bool
is_table_position(const KwjSource *source, int first, int token)
{
	static const char *const words[] = {"from", "join", "using", "table", NULL};

	return token > first &&
		(is_any_of(source, token - 1, words) ||
		 kwj_is_symbol(source, token - 1, ',') ||
		 kwj_is_symbol(source, token - 1, '('));
}

/* The job statement in the brackets that open at this token, NULL if it is none. */
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
	form = match_form(source, token + 1, last, &rest);
	if (form == NULL)
		return NULL;

	end = statement_end(source, token + 1, last);
	statement = make_statement(source, form, token + 1, rest, end, true);
	if (!kwj_is_symbol(source, end, ']'))
		kwj_syntax_error(statement, end, "The brackets around a job statement must be closed with ].");
	return statement;
}

/* The job statements in these tokens, but not those inside of others. */
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
		if (token > first && kwj_is_word(source, token - 1, "atomic"))
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
			found = lappend(found, statement);
			token = statement->last + (statement->in_brackets ? 1 : 0);
		}
	}
	return found;
}

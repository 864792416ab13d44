/*
 * src/statement/hint.c
 *	  What to type instead of a job statement that is refused.
 *
 * The hint of a syntax error in a job statement is the usage of its form. If the words that the
 * user has typed show what he wants, the hint is the statement that does it. If a text only looks
 * like a job statement, a hint is added to PostgreSQL's syntax error, which otherwise stays as it
 * is. Other texts get no hint.
 *
 * Process: any that parses SQL. Locks: none.
 */
#include "postgres.h"

#include <ctype.h>

#include "statement/internal.h"

/* A hint for the token at which a statement is wrong. The first one that fits counts. */
typedef struct TokenHint
{
	const char *forms;			/* names of forms, with commas around each */
	const char *token;			/* a word; "1" stands for any number or parameter */
	const char *hint;			/* %s becomes the verb */
	bool		is_first;		/* only for the first token after the form's words */
} TokenHint;

#define SHOW_JOBS		",SHOW JOBS,"
#define SHOW_AUTOMATIC	",SHOW AUTOMATIC JOBS,"
#define SHOW_JOB		",SHOW JOB,"
#define CONTROL_JOB		",PAUSE JOB,RESUME JOB,CANCEL JOB,RETRY JOB,"
#define CONTROL_JOBS	",PAUSE JOBS,RESUME JOBS,CANCEL JOBS,RETRY JOBS,"
#define RETRY			",RETRY JOB,RETRY JOBS,"
#define RESUME			",RESUME JOB,RESUME JOBS,"

#define ORDERED			"Type SHOW JOBS WHERE condition ORDER BY created LIMIT 10."
#define AUTOMATIC		"Type SELECT * FROM [SHOW AUTOMATIC JOBS] WHERE condition."
#define SELECTED		"Type %s JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = 'running')."
#define PAUSED			"Type %s JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = 'paused')."
#define FAILED			"Type %s JOBS (SELECT job_id FROM [SHOW JOBS] WHERE status = 'failed')."
#define LISTED			"To name several jobs by their IDs, type %s JOBS VALUES (1), (2)."

static const TokenHint token_hints[] = {
	{SHOW_JOBS, "group", "Type SELECT status, count(*) FROM [SHOW JOBS] GROUP BY status."},
	{SHOW_JOBS, "format", "For JSON, type SELECT to_jsonb(jobs) FROM [SHOW JOBS] AS jobs."},
	{SHOW_JOBS, "like", "Type SHOW JOBS WHERE description LIKE 'pattern'."},
	{SHOW_JOBS, "ilike", "Type SHOW JOBS WHERE description ILIKE 'pattern'."},
	{SHOW_AUTOMATIC, "where", AUTOMATIC},
	{SHOW_AUTOMATIC, "order", AUTOMATIC},
	{SHOW_AUTOMATIC, "limit", AUTOMATIC},
	{SHOW_JOB, "where", "Type SHOW JOBS WHERE condition."},
	{SHOW_JOB, "order", ORDERED},
	{SHOW_JOB, "limit", ORDERED},
	{SHOW_JOB CONTROL_JOB, ",", LISTED},
	{SHOW_JOBS CONTROL_JOBS, "1", LISTED, true},
	{RESUME, "where", PAUSED},
	{RESUME, "all", PAUSED},
	{RETRY, "where", FAILED},
	{RETRY, "all", FAILED},
	{CONTROL_JOB CONTROL_JOBS, "where", SELECTED},
	{CONTROL_JOB CONTROL_JOBS, "all", SELECTED},
	{",BACKUP,", "into", "Type BACKUP [TABLE table, ... | DATABASE database] TO 'directory'."},
};

/* Returns whether the token at this offset of the statement is outside parentheses and brackets. */
static bool
is_outside(const KwjStatement *statement, int offset)
{
	const KwjSource *source = statement->source;
	int			token = statement->first;

	while (token < statement->last && source->tokens[token].start < offset)
		token = kwj_skip_nested(source, token, statement->last);
	return token < statement->last && source->tokens[token].start == offset;
}

/*
 * Returns whether the token at this offset is the first one after the form's words and WHEN
 * COMPLETE. A parenthesis before it does not count.
 */
static bool
is_first(const KwjStatement *statement, int offset)
{
	const KwjSource *source = statement->source;
	int			token = statement->rest;

	if (kwj_is_word(source, token, "when"))
		token += 2;
	if (token < source->ntokens && source->tokens[token].start < offset &&
		kwj_is_symbol(source, token, '('))
		token++;
	return token < source->ntokens && source->tokens[token].start == offset;
}

/* Returns whether this token, as in TokenHint, stands at the offset. */
static bool
is_token(const KwjSource *source, int offset, const char *token)
{
	const char *text = source->text + offset;
	int			length = strlen(token);

	if (strcmp(token, "1") == 0)
		return isdigit((unsigned char) text[0]) ||
			(text[0] == '$' && isdigit((unsigned char) text[1]));
	return pg_strncasecmp(text, token, length) == 0 &&
		!(isalpha((unsigned char) token[0]) &&
		  (isalnum((unsigned char) text[length]) || text[length] == '_'));
}

/* Returns the hint for a syntax error at this offset in this statement. */
const char *
kwj_hint(const KwjStatement *statement, int offset)
{
	const KwjForm *form = statement->form;
	char	   *name = psprintf(",%s,", form->name);

	for (int i = 0; i < lengthof(token_hints); i++)
	{
		const TokenHint *hint = &token_hints[i];

		if (strstr(hint->forms, name) && is_token(statement->source, offset, hint->token) &&
			(hint->is_first ? is_first(statement, offset) : is_outside(statement, offset)))
			return psprintf(hint->hint, pnstrdup(form->name, strcspn(form->name, " ")));
	}
	return form->usage;
}

/*
 * The first words of texts that are not job statements, but are probably meant as such. If the user
 * may as well mean a statement of PostgreSQL (DROP job, without TABLE), a job's id has to follow.
 */
typedef struct Attempt
{
	const char *words[KWJ_MAX_WORDS + 1];
	const char *hint;			/* %s becomes the second word */
	bool		with_id;
} Attempt;

#define BY_STATUS		"Type SHOW JOBS WHERE status = '%s'."
#define ALL(verb)		"Type " verb " ALL JOBS or " verb " ALL type JOBS."
#define SETTINGS \
	"Type SHOW CLUSTER SETTING name; SELECT name FROM pg_settings lists the names."
#define AGAIN \
	"Type RESUME JOB job_id for a job that is paused, RETRY JOB job_id for one that has failed."
#define REMOVE \
	"Type CANCEL JOB job_id to end a job, and SELECT kwjobs.delete(job_id) to remove one that is over; all are after jobs.retention_time."
#define CHANGE			"Type SELECT kwjobs.alter(job_id, priority => 10), for instance, to change a job that waits."
#define STOP			"Type CANCEL JOB job_id, or PAUSE JOB job_id to go on later."
#define START			"Type RESUME JOB job_id for a job that is paused."
#define WAIT			"Type SHOW JOB WHEN COMPLETE job_id."
#define LIST			"Type SHOW JOBS, or SHOW JOB job_id."

static const Attempt attempts[] = {
	{{"show", "running", "jobs"}, BY_STATUS},
	{{"show", "pending", "jobs"}, BY_STATUS},
	{{"show", "paused", "jobs"}, BY_STATUS},
	{{"show", "failed", "jobs"}, BY_STATUS},
	{{"show", "succeeded", "jobs"}, BY_STATUS},
	{{"show", "canceled", "jobs"}, BY_STATUS},
	{{"show", "cancelled", "jobs"}, "Type SHOW JOBS WHERE status = 'canceled'."},
	{{"show", "finished", "jobs"}, "Type SHOW JOBS WHERE finished IS NOT NULL."},
	{{"show", "active", "jobs"}, "Type SHOW JOBS WHERE finished IS NULL."},
	{{"show", "my", "jobs"}, "Type SELECT * FROM kwjobs.my_jobs, or SHOW JOBS WHERE user_name = current_user."},
	{{"show", "all", "jobs"}, "Type SHOW JOBS; SELECT * FROM kwdb_internal.jobs has older ones, too."},
	{{"list", "job"}, LIST},
	{{"list", "jobs"}, LIST},
	{{"describe", "job"}, LIST},
	{{"describe", "jobs"}, LIST},
	{{"show", "cluster", "settings"}, SETTINGS},
	{{"show", "all", "cluster", "settings"}, SETTINGS},
	{{"show", "all", "cluster", "setting"}, SETTINGS},
	{{"pause", "all"}, ALL("PAUSE")},
	{{"resume", "all"}, ALL("RESUME")},
	{{"cancel", "all"}, ALL("CANCEL")},
	{{"rerun", "job"}, AGAIN},
	{{"restart", "job"}, AGAIN},
	{{"restart", "jobs"}, AGAIN},
	{{"drop", "job"}, REMOVE, true},
	{{"delete", "job"}, REMOVE, true},
	{{"remove", "job"}, REMOVE},
	{{"alter", "job"}, CHANGE, true},
	{{"kill", "job"}, STOP},
	{{"kill", "jobs"}, STOP},
	{{"stop", "job"}, STOP},
	{{"stop", "jobs"}, STOP},
	{{"abort", "job"}, STOP},
	{{"terminate", "job"}, STOP},
	{{"start", "job"}, START},
	{{"start", "jobs"}, START},
	{{"run", "job"}, START},
	{{"continue", "job"}, START},
	{{"unpause", "job"}, START},
	{{"wait", "for", "job"}, WAIT},
	{{"wait", "job"}, WAIT},
};

static const char *const *
words_of_attempt(int number)
{
	return number < lengthof(attempts) ? attempts[number].words : NULL;
}

/*
 * Returns whether the parser stopped at the name of the argument "window", which is a word that SQL
 * reserves: window => value.
 */
static bool
is_window_argument(const KwjPlace *place)
{
	static const char *const window = "window";
	int			start = place->stop - (int) strlen(window);
	int			at = place->stop;

	if (start < 0 || pg_strncasecmp(place->text + start, window, strlen(window)) != 0)
		return false;
	while (at < place->length && isspace((unsigned char) place->text[at]))
		at++;
	return place->length - at >= 2 &&
		(strncmp(place->text + at, "=>", 2) == 0 || strncmp(place->text + at, ":=", 2) == 0);
}

/* Returns the hint for a text that PostgreSQL's parser refuses at this place; NULL if there is none. */
const char *
kwj_hint_near(const KwjPlace *place)
{
	const char *after;
	int			number = kwj_words_near(place, words_of_attempt, true, &after);

	if (is_window_argument(place))
		return "The word is reserved in SQL: write \"window\" => '22:00-06:00 Europe/Berlin', with double quotes.";

	if (number >= 0 &&
		(!attempts[number].with_id || isdigit((unsigned char) *after) || *after == '$'))
		return psprintf(attempts[number].hint, attempts[number].words[1]);
	return kwj_show_near(place) ? KWJ_USE_BRACKETS : NULL;
}

/*
 * src/lifecycle/schedule_options.c
 *	  WITH SCHEDULE OPTIONS: the options of schedules, and those of all jobs.
 *
 * Process: sessions, and workers whose statement creates or alters a schedule. Locks: none.
 */
#include "postgres.h"

#include "job/arguments.h"
#include "job/clip.h"
#include "job/json.h"
#include "lifecycle/options.h"
#include "lifecycle/recurrence.h"
#include "lifecycle/schedule_options.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define LONGEST_JITTER_MS	(INT64CONST(24) * 60 * 60 * 1000)
#define MOST_FAILURES		1000000

/* What is being set. */
typedef struct Target
{
	KwjSchedule *schedule;
	KwjGivenSchedule *given;
} Target;

typedef void (*Setter) (Target *target, const char *name, const char *value);

/* ---- values ---- */

static int
choose(const char *name, const char *value, const char *const choices[3])
{
	for (int i = 0; i < 3; i++)
		if (strcmp(value, choices[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is not valid %s parameter", kwj_quoted(value, 100), name),
			 errhint("Type \"%s\", \"%s\" or \"%s\".", choices[0], choices[1], choices[2])));
	return 0;
}

/* What is told if the input function of a type refuses the value of an option. */
typedef struct Explained
{
	const char *name;
	const char *example;
} Explained;

/* Error context callback: adds a hint. */
static void
explain(void *arg)
{
	const Explained *explained = arg;

	errhint("Give a value such as %s = '%s'.", explained->name, explained->example);
}

/* Converts the value of an option by the input function of its type. */
static Datum
read_value(const char *name, const char *value, Oid input, const char *example)
{
	Explained	explained = {name, example};
	ErrorContextCallback callback = {error_context_stack, explain, &explained};
	Datum		datum;

	error_context_stack = &callback;
	datum = OidInputFunctionCall(input, pstrdup(value), InvalidOid, -1);
	error_context_stack = callback.previous;
	return datum;
}

/* Returns the time; 0 for an empty text, which takes away the time that there is. */
static TimestampTz
read_time(const char *name, const char *value)
{
	TimestampTz time;

	if (value[0] == '\0')
		return 0;
	time = DatumGetTimestampTz(read_value(name, value, F_TIMESTAMPTZ_IN, "tomorrow 20:00"));
	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of a schedule must not be infinite", name),
				 errhint("Give a time, leave the option out, or take the time away with %s = ''.", name)));
	return time;
}

/* ---- the options ---- */

static void
set_first_run(Target *target, const char *name, const char *value)
{
	target->given->first_run = read_time(name, value);
	target->given->has_first_run = true;
}

static void
set_on_failure(Target *target, const char *name, const char *value)
{
	target->schedule->on_execution_failure = choose(name, value, kwj_on_run_failure_names);
}

static void
set_on_previous(Target *target, const char *name, const char *value)
{
	target->schedule->on_previous_running = choose(name, value, kwj_on_previous_names);
}

static void
set_catch_up(Target *target, const char *name, const char *value)
{
	target->schedule->catch_up = choose(name, value, kwj_catch_up_names);
}

static void
set_time_zone(Target *target, const char *name, const char *value)
{
	/* The name as PostgreSQL spells it. */
	target->schedule->time_zone = pstrdup(pg_get_timezone_name(kwj_cron_zone(value)));
	target->given->changes_times = true;
}

static void
set_start(Target *target, const char *name, const char *value)
{
	target->schedule->starts = read_time(name, value);
	target->given->changes_times = true;
}

static void
set_end(Target *target, const char *name, const char *value)
{
	target->schedule->ends = read_time(name, value);
	target->given->changes_times = true;
}

static void
set_jitter(Target *target, const char *name, const char *value)
{
	Interval   *interval = DatumGetIntervalP(read_value(name, value, F_INTERVAL_IN, "5 minutes"));

	if (interval->month != 0 || interval->day != 0 || interval->time < 0 ||
		interval->time > LONGEST_JITTER_MS * 1000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of a schedule is out of range: %s", name, kwj_quoted(value, 100)),
				 errhint("Give a time from 0 to 24 hours, for instance %s = '5 minutes'.", name)));
	target->schedule->jitter_ms = interval->time / 1000;
}

static void
set_pause_after(Target *target, const char *name, const char *value)
{
	int			number = DatumGetInt32(read_value(name, value, F_INT4IN, "3"));

	if (number < 0 || number > MOST_FAILURES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" of a schedule is out of range: %d", name, number),
				 errhint("Give the number of failures in a row after which it is paused; 0: it is never paused for them.")));
	target->schedule->pause_after = number;
}

static void
set_failure_statement(Target *target, const char *name, const char *value)
{
	target->given->failure_statement = pstrdup(value);
}

static const struct
{
	const char *name;
	Setter		set;
}			options[] =
{
	{"first_run", set_first_run},
	{"on_execution_failure", set_on_failure},
	{"on_previous_running", set_on_previous},
	{"catch_up", set_catch_up},
	{"time_zone", set_time_zone},
	{"start", set_start},
	{"end", set_end},
	{"jitter", set_jitter},
	{"pause_after", set_pause_after},
	{"failure_statement", set_failure_statement},
};

static Setter
find(const char *name)
{
	for (int i = 0; i < lengthof(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return options[i].set;
	return NULL;
}

/* Gets the option of this name that the jobs of a schedule can have. Returns false if there is none. */
static bool
find_job_option(const char *name, KwjOption *option)
{
	return kwj_option_from_name(name, option) && *option != KWJ_OPTION_RUN_AT &&
		*option != KWJ_OPTION_DEPENDS_ON && *option != KWJ_OPTION_ON_CONFLICT;
}

static void
refuse_unknown(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid option \"%s\"", kwj_quoted(name, 100)),
			 errhint("The options of schedules are first_run, on_execution_failure, on_previous_running, catch_up, time_zone, start, end, jitter, pause_after, failure_statement and those of all jobs, such as priority, timeout and max_attempts.")));
}

/* Takes away a text that there is. Returns false if there is none. */
static bool
take_away_text(const char **text)
{
	bool		is_there = *text != NULL;

	*text = NULL;
	return is_there;
}

/*
 * As in kwjobs.alter, an empty window takes away the one that there is, and a timeout of 0 the timeout. In the
 * same way an empty text takes away the value of each other option that may be missing. Returns false if the
 * value is another one, or if there is nothing to take away.
 */
static bool
take_away(KwjNewJob *job, KwjOption option, const char *value)
{
	bool		is_none = value[0] == '\0' || (option == KWJ_OPTION_TIMEOUT && strcmp(value, "0") == 0);

	if (!is_none)
		return false;
	switch (option)
	{
		case KWJ_OPTION_KEY:
			return take_away_text(&job->key);
		case KWJ_OPTION_QUEUE:
			return take_away_text(&job->queue);
		case KWJ_OPTION_SERIAL_KEY:
			return take_away_text(&job->serial_key);
		case KWJ_OPTION_NOTIFY:
			return take_away_text(&job->notify);
		case KWJ_OPTION_WINDOW:
			if (!take_away_text(&job->window))
				return false;
			job->window_end = "pause";
			return true;
		case KWJ_OPTION_TIMEOUT:
			if (job->timeout_ms == 0)
				return false;
			job->timeout_ms = 0;
			return true;
		case KWJ_OPTION_TAGS:
			if (job->tags == NULL)
				return false;
			job->tags = NULL;
			return true;
		default:
			return false;
	}
}

/* Sets an option that all jobs have. The owner is known before the job is checked, and is not changed. */
static void
set_job_option(KwjNewJob *job, KwjOption option, const char *name, const char *value, bool run_as)
{
	if (option == KWJ_OPTION_RUN_AS && !run_as)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" cannot be given here", name),
				 errhint("CREATE SCHEDULE ... FOR SQL takes it; another job statement has it in its own WITH. A schedule that exists keeps its owner.")));
	if (!take_away(job, option, value))
		kwj_set_option_text(job, option, value);
}

/* The name and the value of an option, both palloc'd. */
typedef struct Given
{
	char	   *name;
	char	   *value;
} Given;

static bool
is_option(const char *name)
{
	KwjOption	of_jobs;

	return find(name) != NULL || find_job_option(name, &of_jobs);
}

/*
 * Returns the value of an option as a text. That of tags may be an array, too. No option is a flag: false
 * would be the name of a queue. Errors: 22023 if the value is null, true, false, an object or an array; or if
 * there is no such option.
 */
static char *
read_given(Jsonb *jb, const char *name, const JsonbValue *v)
{
	char	   *text = kwj_json_scalar_text(v);

	if (text != NULL)
		return text;
	if (!is_option(name))
		refuse_unknown(name);
	if (strcmp(name, kwj_option_name(KWJ_OPTION_TAGS)) == 0 && v->type == jbvBinary)
		return OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(kwj_argument_texts(jb, name)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" requires a value", kwj_quoted(name, 100)),
			 errhint("Type %s = 'value'.", kwj_quoted(name, 100))));
	return NULL;
}

/* Returns the options as a list of Given. */
static List *
list_given(Jsonb *jb)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	Given	   *given = NULL;
	List	   *list = NIL;

	if (jb == NULL)
		return NIL;
	if (!JB_ROOT_IS_OBJECT(jb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options of a schedule are not a JSON object"),
				 errhint("Write for example '{\"on_previous_running\": \"skip\"}'.")));
	it = JsonbIteratorInit(&jb->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			given = palloc0(sizeof(Given));
			given->name = pnstrdup(v.val.string.val, v.val.string.len);
		}
		else if (token == WJB_VALUE)
		{
			given->value = read_given(jb, given->name, &v);
			list = lappend(list, given);
		}
	}
	return list;
}

void
kwj_schedule_set_options(KwjSchedule *schedule, KwjNewJob *job, Jsonb *jb, KwjGivenSchedule *given)
{
	Target		target = {schedule, given};
	ListCell   *lc;

	memset(given, 0, sizeof(*given));
	foreach(lc, list_given(jb))
	{
		const Given *option = lfirst(lc);
		Setter		set = find(option->name);
		KwjOption	of_jobs;

		if (set != NULL)
			set(&target, option->name, option->value);
		else if (!find_job_option(option->name, &of_jobs))
			refuse_unknown(option->name);
		else if (job != NULL)
			set_job_option(job, of_jobs, option->name, option->value, false);
	}
}

void
kwj_schedule_set_job_options(KwjNewJob *job, Jsonb *jb)
{
	ListCell   *lc;

	foreach(lc, list_given(jb))
	{
		const Given *option = lfirst(lc);
		KwjOption	of_jobs;

		if (find(option->name) != NULL)
			continue;
		if (!find_job_option(option->name, &of_jobs))
			refuse_unknown(option->name);
		set_job_option(job, of_jobs, option->name, option->value, true);
	}
}

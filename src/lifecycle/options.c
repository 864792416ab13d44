/*
 * src/lifecycle/options.c
 *	  The options that jobs of every type have.
 *
 * Process: sessions, and workers whose statement submits a job. Takes no locks.
 *
 * The functions of schema kwjobs take the options as arguments, job statements take them in WITH.
 * Both are checked here.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "job/clip.h"
#include "job/ids.h"
#include "lifecycle/bounds.h"
#include "lifecycle/many.h"
#include "lifecycle/options.h"
#include "lifecycle/recurrence.h"
#include "pgtime.h"
#include "schedule/window.h"
#include "shared/listeners.h"
#include "store/collected.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#define LONGEST_KEY			200
#define LARGEST_PRIORITY	1000
#define LONGEST_TAG			200
#define LONGEST_QUEUE		100
#define MOST_TAGS			100
#define MOST_ATTEMPTS		1000
#define LONGEST_MS			(INT64CONST(100) * MONTHS_PER_YEAR * DAYS_PER_MONTH * SECS_PER_DAY * 1000)

static const char *const names[] = {
	[KWJ_OPTION_DESCRIPTION] = "description",
	[KWJ_OPTION_PRIORITY] = "priority",
	[KWJ_OPTION_MAX_ATTEMPTS] = "max_attempts",
	[KWJ_OPTION_RETRY_INITIAL_DELAY] = "retry_initial_delay",
	[KWJ_OPTION_TIMEOUT] = "timeout",
	[KWJ_OPTION_RUN_AT] = "run_at",
	[KWJ_OPTION_KEY] = "key",
	[KWJ_OPTION_DEPENDS_ON] = "depends_on",
	[KWJ_OPTION_ON_FAILURE] = "on_failure",
	[KWJ_OPTION_RUN_AS] = "run_as",
	[KWJ_OPTION_TAGS] = "tags",
	[KWJ_OPTION_QUEUE] = "queue",
	[KWJ_OPTION_SERIAL_KEY] = "serial_key",
	[KWJ_OPTION_ON_CONFLICT] = "on_conflict",
	[KWJ_OPTION_NOTIFY] = "notify",
	[KWJ_OPTION_WINDOW] = "window",
	[KWJ_OPTION_WINDOW_END] = "window_end",
};

StaticAssertDecl(lengthof(names) == KWJ_OPTION_COUNT, "each option has a name");
StaticAssertDecl(KWJ_OPTION_COUNT <= 32, "each option has a bit in KwjNewJob.given");

const char *
kwj_option_name(KwjOption option)
{
	return names[option];
}

bool
kwj_option_from_name(const char *name, KwjOption *option)
{
	for (int i = 0; i < KWJ_OPTION_COUNT; i++)
		if (strcmp(names[i], name) == 0)
		{
			*option = (KwjOption) i;
			return true;
		}
	return false;
}

/* ---- reading ---- */

/* Error context callback: adds a hint to the error of regrole's input function, which has none. */
static void
explain_role(void *arg)
{
	errhint("Name a role that exists, as in run_as => current_user; one with capital letters or blanks in a literal as '\"My Role\"'.");
}

static void
explain_job_ids(void *arg)
{
	errhint("Give the id of a job, or an array of ids, as in depends_on => ARRAY[id, other_id].");
}

static void
explain_tags(void *arg)
{
	errhint("Give a tag, or an array of tags, as in tags => ARRAY['nightly', 'customer 5'].");
}

Oid
kwj_parse_role(const char *text)
{
	ErrorContextCallback callback = {error_context_stack, explain_role, NULL};
	Datum		role;

	error_context_stack = &callback;
	role = OidInputFunctionCall(F_REGROLEIN, pstrdup(text), InvalidOid, -1);
	error_context_stack = callback.previous;
	return DatumGetObjectId(role);
}

ArrayType *
kwj_parse_job_ids(const char *text)
{
	ErrorContextCallback callback = {error_context_stack, explain_job_ids, NULL};
	ArrayType  *ids;

	error_context_stack = &callback;
	if (strchr(text, '{') != NULL)
		ids = DatumGetArrayTypeP(OidInputFunctionCall(F_ARRAY_IN, pstrdup(text), INT8OID, -1));
	else
	{
		int64		id = DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(text)));

		ids = kwj_array_of_ids(&id, 1);
	}
	error_context_stack = callback.previous;
	return ids;
}

ArrayType *
kwj_parse_tags(const char *text)
{
	ErrorContextCallback callback = {error_context_stack, explain_tags, NULL};
	ArrayType  *tags;

	if (text[0] != '{')
	{
		Datum		tag = CStringGetTextDatum(text);

		return construct_array(&tag, 1, TEXTOID, -1, false, TYPALIGN_INT);
	}
	error_context_stack = &callback;
	tags = DatumGetArrayTypeP(OidInputFunctionCall(F_ARRAY_IN, pstrdup(text), TEXTOID, -1));
	error_context_stack = callback.previous;
	return tags;
}

char *
kwj_bounded_text(const char *name, Datum value, const char *hint)
{
	/* Check the size first, so that a huge value is not even decompressed. */
	kwj_check_size(psprintf("argument \"%s\" of a job", name),
				   toast_raw_datum_size(value) - VARHDRSZ, KWJ_TEXT_BOUND, hint);
	return TextDatumGetCString(value);
}

/* ---- checks ---- */

static void
refuse_null(KwjOption option)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" of a job must not be null", names[option]),
			 errhint("Leave the argument out for its default.")));
}

static char *
text_option(KwjOption option, Datum value)
{
	return kwj_bounded_text(names[option], value, "Give a shorter text.");
}

static int
int_option(KwjOption option, Datum value, int lowest, int highest)
{
	int			number = DatumGetInt32(value);

	if (number < lowest || number > highest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" of a job is out of range: %d", names[option], number),
				 errhint("Give a number from %d to %d.", lowest, highest)));
	return number;
}

/* Returns the interval in milliseconds, rounded down, but at least 1. A month has 30 days. */
static int64
duration_option(KwjOption option, Datum value)
{
	Interval   *interval = DatumGetIntervalP(value);
	double		ms = interval->time / 1000.0 +
		((double) interval->month * DAYS_PER_MONTH + interval->day) * SECS_PER_DAY * 1000.0;

	if (ms <= 0 || ms >= LONGEST_MS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" of a job is out of range: %s", names[option],
						DatumGetCString(DirectFunctionCall1(interval_out, value))),
				 errhint("Give a time that is longer than 0 and shorter than 100 years.")));
	return Max(1, (int64) ms);
}

static TimestampTz
time_option(KwjOption option, Datum value)
{
	TimestampTz time = DatumGetTimestampTz(value);

	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" of a job must not be infinite", names[option]),
				 errhint("Give a time, or leave the argument out to run the job at once.")));
	return time;
}

/*
 * Returns the text. Raises an error unless it has 1 to `longest` bytes. hint: a format for this
 * number.
 */
static char *
short_option(KwjOption option, Datum value, size_t longest, const char *hint)
{
	char	   *text = text_option(option, value);
	size_t		length = strlen(text);

	if (length == 0 || length > longest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 length == 0 ?
				 errmsg("argument \"%s\" of a job must not be empty", names[option]) :
				 errmsg("argument \"%s\" of a job is too long: %zu bytes", names[option], length),
				 errhint(hint, longest)));
	return text;
}

static char *
key_option(KwjOption option, Datum value)
{
	return short_option(option, value, LONGEST_KEY,
						"Give 1 to %zu bytes, or leave the argument out.");
}

/* The collector takes the job that has its key for its own, and cancels it when it is switched off. */
static char *
unreserved_key_option(KwjOption option, Datum value)
{
	char	   *key = key_option(option, value);

	if (strcmp(key, KWJ_COLLECTION_KEY) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("the key \"%s\" is reserved for automatic statistics", key),
				 errhint("Choose another key.")));
	return key;
}

/*
 * Returns the channel's name. PostgreSQL folds the name in NOTIFY and LISTEN to lower case unless
 * it is quoted; this name stays as the user has written it, as in pg_notify().
 */
static char *
notify_option(KwjOption option, Datum value)
{
	return short_option(option, value, KWJ_LONGEST_CHANNEL,
						"Give the name of a channel, as in notify => 'jobs', of 1 to %zu bytes, and LISTEN to it.");
}

#define N_CHOICES	3

/* Returns which of the choices the text is. */
static int
choice_option(KwjOption option, Datum value, const char *const choices[N_CHOICES])
{
	char	   *text = text_option(option, value);

	for (int i = 0; i < N_CHOICES; i++)
		if (strcmp(text, choices[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument \"%s\" of a job: \"%s\"", names[option],
					kwj_clip_text(text)),
			 errhint("Valid values are \"%s\", \"%s\" and \"%s\".", choices[0], choices[1],
					 choices[2])));
	return 0;
}

static const char *
on_failure_option(KwjOption option, Datum value)
{
	static const char *const choices[N_CHOICES] = {"fail", "retry", "pause"};

	return choices[choice_option(option, value, choices)];
}

static KwjConflict
on_conflict_option(KwjOption option, Datum value)
{
	static const char *const choices[N_CHOICES] = {
		[KWJ_CONFLICT_KEEP] = "keep",
		[KWJ_CONFLICT_REPLACE] = "replace",
		[KWJ_CONFLICT_ERROR] = "error",
	};

	return (KwjConflict) choice_option(option, value, choices);
}

static const char *
window_end_option(KwjOption option, Datum value)
{
	static const char *const choices[N_CHOICES] = {"pause", "stop", "finish"};

	return choices[choice_option(option, value, choices)];
}

char *
kwj_read_window(const char *text, KwjHours *hours)
{
	KwjCronProblem problem;

	if (!kwj_window_parse(text, session_timezone, hours, &problem))
		kwj_refuse_times(&problem);
	return kwj_window_text(text, hours);
}

/* Returns the window with its time zone, that of the session if the text names none. */
static const char *
window_option(KwjOption option, Datum value)
{
	KwjHours	hours;

	return kwj_read_window(text_option(option, value), &hours);
}

/* The name is shown in lists and in messages, so it has to fit on a line. */
static const char *
queue_option(KwjOption option, Datum value)
{
	char	   *queue = text_option(option, value);
	bool		is_plain = queue[0] != '\0' && strlen(queue) <= LONGEST_QUEUE;

	for (const char *c = queue; *c != '\0' && is_plain; c++)
		is_plain = (unsigned char) *c >= ' ' && *c != 0x7f;
	if (!is_plain)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\" of a job", names[option]),
				 errdetail("It is the name of a queue, which has 1 to %d bytes and no control characters.",
						   LONGEST_QUEUE),
				 errhint("Give a name as in queue => 'mail', or leave the argument out.")));
	return queue;
}

const char *
kwj_queue_name(Datum value)
{
	return queue_option(KWJ_OPTION_QUEUE, value);
}

/*
 * Sets the dependencies, and removes duplicates. The bound on their number is checked before that,
 * so that a huge array is not even deconstructed; duplicates count for it.
 */
static void
set_dependencies(KwjNewJob *job, KwjOption option, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *values;
	bool	   *nulls;
	int64	   *ids;
	int			n;

	kwj_check_dependencies(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	deconstruct_array(array, INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" of a job must not contain nulls", names[option]),
					 errhint("Give the ids of existing jobs.")));
		ids[i] = DatumGetInt64(values[i]);
	}
	job->depends_on = ids;
	job->n_depends_on = kwj_sort_ids(ids, n);
}

static void
check_tag(KwjOption option, Datum tag, bool isnull)
{
	Size		size = isnull ? 0 : VARSIZE_ANY_EXHDR(DatumGetPointer(tag));

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" of a job must not contain nulls", names[option]),
				 errhint("Give texts, as in tags => ARRAY['nightly', 'customer 5'].")));
	if (size < 1 || size > LONGEST_TAG)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 size < 1 ? errmsg("a tag of a job must not be empty") :
				 errmsg("a tag of a job is too long: %zu bytes", size),
				 errhint("Give 1 to %d bytes.", LONGEST_TAG)));
}

/* Returns whether one of the first n tags is the same as this one. */
static bool
has_tag(const Datum *tags, int n, Datum tag)
{
	for (int i = 0; i < n; i++)
		if (datumIsEqual(tags[i], tag, false, -1))
			return true;
	return false;
}

/* Sets the tags in the given order, and removes duplicates. An empty array counts as NULL. */
static void
set_tags(KwjNewJob *job, KwjOption option, Datum value)
{
	ArrayType  *array;
	Datum	   *tags;
	bool	   *nulls;
	int			n;
	int			kept = 0;

	/* Check the size first, so that a huge value is not even decompressed. */
	kwj_check_size("argument \"tags\" of a job", toast_raw_datum_size(value),
				   MOST_TAGS * (LONGEST_TAG + 2 * sizeof(int32)) + 1024,
				   "Give at most 100 tags of at most 200 bytes each.");
	array = DatumGetArrayTypeP(value);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &tags, &nulls, &n);
	if (n > MOST_TAGS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a job has too many tags: %d", n),
				 errhint("Give at most %d tags.", MOST_TAGS)));
	for (int i = 0; i < n; i++)
	{
		check_tag(option, tags[i], nulls[i]);
		if (!has_tag(tags, kept, tags[i]))
			tags[kept++] = tags[i];
	}
	job->tags = kept == 0 ? NULL :
		construct_array(tags, kept, TEXTOID, -1, false, TYPALIGN_INT);
}

static void
set_value(KwjNewJob *job, KwjOption option, Datum value)
{
	switch (option)
	{
		case KWJ_OPTION_DESCRIPTION:
			job->description = text_option(option, value);
			break;
		case KWJ_OPTION_PRIORITY:
			job->priority = int_option(option, value, -LARGEST_PRIORITY, LARGEST_PRIORITY);
			break;
		case KWJ_OPTION_MAX_ATTEMPTS:
			job->max_attempts = int_option(option, value, 1, MOST_ATTEMPTS);
			break;
		case KWJ_OPTION_RETRY_INITIAL_DELAY:
			job->retry_delay_ms = duration_option(option, value);
			break;
		case KWJ_OPTION_TIMEOUT:
			job->timeout_ms = duration_option(option, value);
			break;
		case KWJ_OPTION_RUN_AT:
			job->run_at = time_option(option, value);
			break;
		case KWJ_OPTION_KEY:
			job->key = unreserved_key_option(option, value);
			break;
		case KWJ_OPTION_DEPENDS_ON:
			set_dependencies(job, option, value);
			break;
		case KWJ_OPTION_ON_FAILURE:
			job->on_failure = on_failure_option(option, value);
			break;
		case KWJ_OPTION_TAGS:
			set_tags(job, option, value);
			break;
		case KWJ_OPTION_QUEUE:
			job->queue = queue_option(option, value);
			break;
		case KWJ_OPTION_SERIAL_KEY:
			job->serial_key = key_option(option, value);
			break;
		case KWJ_OPTION_ON_CONFLICT:
			job->on_conflict = on_conflict_option(option, value);
			break;
		case KWJ_OPTION_NOTIFY:
			job->notify = notify_option(option, value);
			break;
		case KWJ_OPTION_WINDOW:
			job->window = window_option(option, value);
			break;
		case KWJ_OPTION_WINDOW_END:
			job->window_end = window_end_option(option, value);
			break;
		case KWJ_OPTION_RUN_AS:
			job->owner = DatumGetObjectId(value);
			break;
	}
}

void
kwj_set_option(KwjNewJob *job, KwjOption option, Datum value, bool isnull)
{
	bool		is_optional = option == KWJ_OPTION_DESCRIPTION || option == KWJ_OPTION_TIMEOUT ||
		option == KWJ_OPTION_RUN_AT || option == KWJ_OPTION_KEY ||
		option == KWJ_OPTION_DEPENDS_ON || option == KWJ_OPTION_TAGS || option == KWJ_OPTION_RUN_AS ||
		option == KWJ_OPTION_QUEUE || option == KWJ_OPTION_SERIAL_KEY ||
		option == KWJ_OPTION_NOTIFY || option == KWJ_OPTION_WINDOW;

	if (!isnull)
		set_value(job, option, value);
	else if (!is_optional)
		refuse_null(option);
}

static void
explain_option(void *arg)
{
	switch (*(const KwjOption *) arg)
	{
		case KWJ_OPTION_PRIORITY:
			errhint("Give a number from %d to %d.", -LARGEST_PRIORITY, LARGEST_PRIORITY);
			break;
		case KWJ_OPTION_MAX_ATTEMPTS:
			errhint("Give a number from %d to %d.", 1, MOST_ATTEMPTS);
			break;
		case KWJ_OPTION_RETRY_INITIAL_DELAY:
		case KWJ_OPTION_TIMEOUT:
			errhint("Give an interval, for instance '5 minutes'.");
			break;
		case KWJ_OPTION_RUN_AT:
			errhint("Give a time, for instance 'tomorrow 20:00'.");
			break;
		default:
			/* kwj_parse_role, kwj_parse_job_ids and kwj_parse_tags add a hint of their own. */
			break;
	}
}

/* Reads the text as a value of the option's type. */
static Datum
parse_value(KwjOption option, const char *value)
{
	Datum		datum = (Datum) 0;

	switch (option)
	{
		case KWJ_OPTION_DESCRIPTION:
		case KWJ_OPTION_KEY:
		case KWJ_OPTION_ON_FAILURE:
		case KWJ_OPTION_QUEUE:
		case KWJ_OPTION_SERIAL_KEY:
		case KWJ_OPTION_ON_CONFLICT:
		case KWJ_OPTION_NOTIFY:
		case KWJ_OPTION_WINDOW:
		case KWJ_OPTION_WINDOW_END:
			datum = CStringGetTextDatum(value);
			break;
		case KWJ_OPTION_PRIORITY:
		case KWJ_OPTION_MAX_ATTEMPTS:
			datum = DirectFunctionCall1(int4in, CStringGetDatum(value));
			break;
		case KWJ_OPTION_RETRY_INITIAL_DELAY:
		case KWJ_OPTION_TIMEOUT:
			datum = OidInputFunctionCall(F_INTERVAL_IN, pstrdup(value), InvalidOid, -1);
			break;
		case KWJ_OPTION_RUN_AT:
			datum = OidInputFunctionCall(F_TIMESTAMPTZ_IN, pstrdup(value), InvalidOid, -1);
			break;
		case KWJ_OPTION_DEPENDS_ON:
			datum = PointerGetDatum(kwj_parse_job_ids(value));
			break;
		case KWJ_OPTION_TAGS:
			datum = PointerGetDatum(kwj_parse_tags(value));
			break;
		case KWJ_OPTION_RUN_AS:
			datum = ObjectIdGetDatum(kwj_parse_role(value));
			break;
	}
	return datum;
}

void
kwj_set_option_text(KwjNewJob *job, KwjOption option, const char *value)
{
	ErrorContextCallback callback = {error_context_stack, explain_option, &option};
	Datum		datum;

	error_context_stack = &callback;
	datum = parse_value(option, value);
	error_context_stack = callback.previous;
	set_value(job, option, datum);
	job->given |= KWJ_GIVEN(option);
}

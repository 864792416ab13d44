/*
 * src/lifecycle/change.c
 *	  What kwjobs.alter changes, as a text that goes to another database with an errand.
 *
 * Callers: alter.c, which writes the text; errands.c, which has the other database check it; deeds.c,
 * which reads it there. Process: sessions, and workers whose statement alters a job; the coordinator,
 * for sessions of other databases. Locks: none.
 *
 * The text is a JSON object. Its keys are the names of the options. Times are numbers, so that the text
 * does not depend on settings: run_at in microseconds as PostgreSQL counts them, the others in
 * milliseconds.
 */
#include "postgres.h"

#include "job/json.h"
#include "job/texts.h"
#include "lifecycle/change.h"
#include "lifecycle/options.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

/* ---- writing ---- */

static void
append_key(StringInfo into, KwjOption option)
{
	appendStringInfo(into, "%s\"%s\": ", into->len > 1 ? ", " : "", kwj_option_name(option));
}

static void
append_number(StringInfo into, const KwjChange *change, KwjOption option, int64 number)
{
	if (!change->is_set[option])
		return;
	append_key(into, option);
	appendStringInfo(into, INT64_FORMAT, number);
}

static void
append_text(StringInfo into, const KwjChange *change, KwjOption option, const char *value)
{
	if (!change->is_set[option])
		return;
	append_key(into, option);
	escape_json(into, value);
}

/* Appends the job's new tags, if the change sets them: "[]" if the user takes all tags away. */
static void
append_tags(StringInfo into, const KwjChange *change)
{
	if (!change->is_set[KWJ_OPTION_TAGS])
		return;
	append_key(into, KWJ_OPTION_TAGS);
	kwj_json_append_texts(into, kwj_texts_of_array(change->values.tags, "a tag must not be null"));
}

char *
kwj_change_text(const KwjChange *change)
{
	const KwjNewJob *values = &change->values;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_text(&json, change, KWJ_OPTION_DESCRIPTION, values->description);
	append_number(&json, change, KWJ_OPTION_PRIORITY, values->priority);
	append_number(&json, change, KWJ_OPTION_MAX_ATTEMPTS, values->max_attempts);
	append_number(&json, change, KWJ_OPTION_RETRY_INITIAL_DELAY, values->retry_delay_ms);
	append_number(&json, change, KWJ_OPTION_TIMEOUT, values->timeout_ms);
	append_number(&json, change, KWJ_OPTION_RUN_AT, values->run_at);
	append_text(&json, change, KWJ_OPTION_ON_FAILURE, values->on_failure);
	append_tags(&json, change);
	append_text(&json, change, KWJ_OPTION_WINDOW, values->window ? values->window : "");
	append_text(&json, change, KWJ_OPTION_WINDOW_END, values->window_end);
	appendStringInfoChar(&json, '}');
	return json.data;
}

char *
kwj_change_to_check(const char *text)
{
	static const KwjOption checked[] = {KWJ_OPTION_WINDOW, KWJ_OPTION_WINDOW_END};
	Jsonb	   *change = kwj_json_parse(text);
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < lengthof(checked); i++)
	{
		char	   *value = kwj_json_text_or_null(change, kwj_option_name(checked[i]));

		if (value == NULL)
			continue;
		append_key(&json, checked[i]);
		escape_json(&json, value);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* ---- reading ---- */

static Datum
interval_of(int64 ms)
{
	Interval   *interval = palloc0(sizeof(Interval));

	if (ms < 0 || ms > PG_INT64_MAX / 1000)
		elog(ERROR, "broken change of a job: " INT64_FORMAT " ms", ms);
	interval->time = ms * 1000;
	return IntervalPGetDatum(interval);
}

/* Returns the value of an option as kwj_set_option() takes it. */
static Datum
value_of(Jsonb *json, KwjOption option)
{
	const char *key = kwj_option_name(option);

	switch (option)
	{
		case KWJ_OPTION_PRIORITY:
		case KWJ_OPTION_MAX_ATTEMPTS:
			return Int32GetDatum((int32) Min(Max(kwj_json_int64(json, key), PG_INT32_MIN), PG_INT32_MAX));
		case KWJ_OPTION_RETRY_INITIAL_DELAY:
		case KWJ_OPTION_TIMEOUT:
			return interval_of(kwj_json_int64(json, key));
		case KWJ_OPTION_RUN_AT:
			if (!IS_VALID_TIMESTAMP(kwj_json_int64(json, key)))
				elog(ERROR, "broken change of a job: run_at is no time");
			return TimestampTzGetDatum(kwj_json_int64(json, key));
		case KWJ_OPTION_TAGS:
			return PointerGetDatum(kwj_array_of_texts(kwj_json_texts(json, key)));
		default:
			return CStringGetTextDatum(kwj_json_text(json, key));
	}
}

void
kwj_change_from_text(const char *text, KwjChange *change)
{
	static const KwjOption options[] = {
		KWJ_OPTION_DESCRIPTION, KWJ_OPTION_PRIORITY, KWJ_OPTION_MAX_ATTEMPTS,
		KWJ_OPTION_RETRY_INITIAL_DELAY, KWJ_OPTION_TIMEOUT, KWJ_OPTION_RUN_AT,
		KWJ_OPTION_ON_FAILURE, KWJ_OPTION_TAGS, KWJ_OPTION_WINDOW, KWJ_OPTION_WINDOW_END,
	};
	Jsonb	   *json = kwj_json_parse(text);

	memset(change, 0, sizeof(*change));
	for (int i = 0; i < lengthof(options); i++)
	{
		const char *key = kwj_option_name(options[i]);

		if (getKeyJsonValueFromContainer(&json->root, key, strlen(key), NULL) == NULL)
			continue;
		change->is_set[options[i]] = true;
		/* A timeout of 0 takes the job's timeout away, and an empty window the window. */
		if (!(options[i] == KWJ_OPTION_TIMEOUT && kwj_json_int64(json, key) == 0) &&
			!(options[i] == KWJ_OPTION_WINDOW && kwj_json_text(json, key)[0] == '\0'))
			kwj_set_option(&change->values, options[i], value_of(json, options[i]), false);
	}
}
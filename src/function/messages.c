/*
 * src/function/messages.c
 *	  SQL-callable: kwjobs.messages, what the statements of a job have reported so far.
 *
 * Process: sessions. Locks: AccessShareLock on tables of kwjobs.
 *
 * An attempt that runs has its last messages in shared memory, one that has ended has them in its
 * row. Shared memory is read first: if the attempt ends in between, its row has them. The messages of
 * a job of another database come from the coordinator there (lifecycle/elsewhere.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "function/rows.h"
#include "job/json.h"
#include "job/messages.h"
#include "job/transcript.h"
#include "lifecycle/control.h"
#include "lifecycle/elsewhere.h"
#include "shared/live.h"
#include "store/messages.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_messages);

/* Where the rows that are returned go. */
typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

/* Returns how long the name of the severity is with which the line begins; 0: with none. */
static int
severity_length(const char *line)
{
	int			length = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return strncmp(line + length, ":  ", 3) == 0 ? length : 0;
}

/* Adds a line to the result. line: as in the transcript, "NOTICE:  hello"; time: 0 if it is not known. */
static void
put_line(Rows *result, int32 attempt, TimestampTz time, const char *line)
{
	int			length = severity_length(line);
	Datum		values[4];
	bool		nulls[4] = {0};

	values[0] = Int32GetDatum(attempt);
	values[1] = TimestampTzGetDatum(time);
	nulls[1] = time == 0;
	nulls[2] = length == 0;
	values[2] = nulls[2] ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(line, length));
	values[3] = CStringGetTextDatum(nulls[2] ? line : line + length + strlen(":  "));
	tuplestore_putvalues(result->store, result->desc, values, nulls);
}

/* Adds the messages of an attempt that has ended, which are in its row. */
static void
put_written(Rows *result, const KwjAttemptMessages *attempt)
{
	Datum	   *texts;
	Datum	   *times = NULL;
	bool	   *no_text;
	bool	   *no_time = NULL;
	int			n;
	int			n_times = 0;

	if (attempt->messages == NULL)
		return;
	deconstruct_array(attempt->messages, TEXTOID, -1, false, TYPALIGN_INT, &texts, &no_text, &n);
	if (attempt->times != NULL)
		deconstruct_array(attempt->times, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL,
						  TYPALIGN_DOUBLE, &times, &no_time, &n_times);
	for (int i = 0; i < n; i++)
		if (!no_text[i])
			put_line(result, attempt->attempt,
					 i < n_times && !no_time[i] ? DatumGetTimestampTz(times[i]) : 0,
					 TextDatumGetCString(texts[i]));
}

/* A message of an attempt that runs. */
typedef struct Live
{
	TimestampTz time;
	int			number;			/* keeps those of the same time in their order */
	const char *text;
} Live;

static int
compare_times(const ListCell *a, const ListCell *b)
{
	const Live *one = lfirst(a);
	const Live *other = lfirst(b);

	if (one->time != other->time)
		return one->time < other->time ? -1 : 1;
	return one->number - other->number;
}

/* The attempt may be carried by several workers: puts the messages of all in the order of time. */
static void
put_live(Rows *result, int32 attempt, const List *workers)
{
	List	   *lines = NIL;
	int64		dropped = 0;
	ListCell   *lc;

	foreach(lc, workers)
	{
		const KwjMessages *messages = lfirst(lc);
		int			position = 0;
		Live		next;

		if (messages->attempt != attempt)
			continue;
		dropped += messages->dropped;
		while (kwj_messages_next(messages, &position, &next.time, &next.text))
		{
			Live	   *line = palloc(sizeof(Live));

			*line = next;
			line->number = list_length(lines);
			lines = lappend(lines, line);
		}
	}
	list_sort(lines, compare_times);
	if (dropped > 0)
		put_line(result, attempt, 0, kwj_transcript_mark(dropped, "message", "messages"));
	foreach(lc, lines)
		put_line(result, attempt, ((Live *) lfirst(lc))->time, ((Live *) lfirst(lc))->text);
}

/*
 * Called for each message of a job of another database: adds it to the result. message: a JSON object, which
 * that database has sent, and in which anything may stand.
 */
static void
put_from_elsewhere(Oid database, const char *name, const char *message, void *arg)
{
	Rows	   *result = arg;
	Jsonb	   *json = kwj_json_parse(message);
	char	   *severity = kwj_json_text_or_null(json, "severity");
	char	   *text = kwj_json_text_or_null(json, "message");
	TimestampTz at = kwj_json_int64_or(json, "at", 0);
	int64		attempt = kwj_json_int64_or(json, "attempt", 0);
	Datum		values[4] = {Int32GetDatum((int32) Min(Max(attempt, 0), PG_INT32_MAX)), TimestampTzGetDatum(at)};
	bool		nulls[4] = {false, at == 0 || !IS_VALID_TIMESTAMP(at), severity == NULL, text == NULL};

	values[2] = severity ? CStringGetTextDatum(severity) : (Datum) 0;
	values[3] = text ? CStringGetTextDatum(text) : (Datum) 0;
	tuplestore_putvalues(result->store, result->desc, values, nulls);
}

Datum
kwjobs_messages(PG_FUNCTION_ARGS)
{
	Rows		result;
	int64		job_id;
	Oid			database;
	List	   *live;
	KwjAttemptMessages *attempts;
	int			n;

	result.store = kwj_materialize(fcinfo, &result.desc);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	job_id = PG_GETARG_INT64(0);
	database = kwj_database_to_ask(job_id);
	if (OidIsValid(database))
	{
		if (!kwj_read_elsewhere(KWJ_ASK_MESSAGES, job_id, database, put_from_elsewhere, &result))
			kwj_no_such_job(job_id);
		return (Datum) 0;
	}
	kwj_check_visible(KWJ_BY_FUNCTION, job_id);
	live = kwj_shared_messages(job_id);
	attempts = kwj_store_messages(job_id, &n);
	for (int i = 0; i < n; i++)
	{
		if (attempts[i].running)
			put_live(&result, attempts[i].attempt, live);
		else
			put_written(&result, &attempts[i]);
	}
	return (Datum) 0;
}

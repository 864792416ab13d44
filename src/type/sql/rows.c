/*
 * src/type/sql/rows.c
 *	  Keeps the first rows of the last query of a SQL job that returns rows (keep_result).
 *
 * Process: worker. Locks: none.
 *
 * The rows are kept as JSON text, as row_to_json writes them. From the first row that does not fit
 * on, rows are only counted. The size of a row is checked before it is converted, so that the
 * JSON of a huge row costs no memory.
 *
 * In the end the text becomes a jsonb, which refuses some values that json takes, such as "\u0000".
 * Work that is done must not fail because of that. So rows that jsonb refuses are left out, with a
 * WARNING among the messages of the job, and are counted with those that were dropped.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "job/isolate.h"
#include "job/json.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "type/sql/rows.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

typedef struct Rows
{
	DestReceiver receiver;
	MemoryContext context;		/* of the text */
	MemoryContext scratch;		/* for the conversion of a row */
	MemoryContext query;		/* of the description of the present query's rows */
	TupleDesc	desc;
	bool		any;			/* a query that returns rows has begun */
	StringInfoData text;		/* the rows, one behind the other */
	int			ends[KWJ_KEPT_ROWS];	/* where each of them ends in the text */
	int			kept;
	int64		dropped;
} Rows;

static Rows rows;

/*
 * Called when a query that returns rows begins: forgets the rows of the query before. Registers the
 * row type, because row_to_json looks it up.
 */
static void
begin_query(DestReceiver *receiver, int operation, TupleDesc desc)
{
	MemoryContext caller;

	MemoryContextReset(rows.query);
	caller = MemoryContextSwitchTo(rows.query);
	rows.desc = CreateTupleDescCopy(desc);
	rows.desc->tdtypeid = RECORDOID;
	rows.desc->tdtypmod = -1;
	BlessTupleDesc(rows.desc);
	MemoryContextSwitchTo(caller);
	rows.any = true;
	rows.kept = rows.dropped = 0;
	resetStringInfo(&rows.text);
}

/* Returns whether the values of a row are small enough to be converted. */
static bool
is_small(TupleTableSlot *slot)
{
	Size		size = 0;

	slot_getallattrs(slot);
	for (int i = 0; i < rows.desc->natts; i++)
		if (!slot->tts_isnull[i] && TupleDescAttr(rows.desc, i)->attlen == -1)
			size += toast_raw_datum_size(slot->tts_values[i]);
	return size <= KWJ_KEPT_BYTES;
}

/* Returns the row as JSON; NULL if it does not fit. The text is in the scratch context. */
static text *
json_of(TupleTableSlot *slot)
{
	HeapTuple	tuple;
	Datum		json;

	if (rows.dropped > 0 || rows.kept == KWJ_KEPT_ROWS || !is_small(slot))
		return NULL;
	tuple = heap_form_tuple(rows.desc, slot->tts_values, slot->tts_isnull);
	json = DirectFunctionCall1(row_to_json, HeapTupleGetDatum(tuple));
	if (rows.text.len + rows.kept + 1 + VARSIZE_ANY_EXHDR(DatumGetPointer(json)) > KWJ_KEPT_BYTES)
		return NULL;
	return DatumGetTextPP(json);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *receiver)
{
	MemoryContext caller = MemoryContextSwitchTo(rows.scratch);
	text	   *json = json_of(slot);

	if (json == NULL)
		rows.dropped++;
	else
	{
		appendBinaryStringInfo(&rows.text, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
		rows.ends[rows.kept++] = rows.text.len;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows.scratch);
	return true;
}

static void
do_nothing(DestReceiver *receiver)
{
}

DestReceiver *
kwj_sql_begin_rows(void)
{
	MemoryContext caller;

	if (rows.context == NULL)
	{
		rows.context = AllocSetContextCreate(TopMemoryContext, "kwjobs rows",
											 ALLOCSET_DEFAULT_SIZES);
		rows.scratch = AllocSetContextCreate(TopMemoryContext, "kwjobs row",
											 ALLOCSET_DEFAULT_SIZES);
		rows.query = AllocSetContextCreate(TopMemoryContext, "kwjobs row type",
										   ALLOCSET_SMALL_SIZES);
	}
	MemoryContextReset(rows.context);
	caller = MemoryContextSwitchTo(rows.context);
	initStringInfo(&rows.text);
	MemoryContextSwitchTo(caller);
	rows.any = false;
	rows.kept = rows.dropped = 0;
	rows.receiver = (DestReceiver) {
		.receiveSlot = receive_row,
		.rStartup = begin_query,
		.rShutdown = do_nothing,
		.rDestroy = do_nothing,
		.mydest = DestNone,
	};
	return &rows.receiver;
}

/* ---- the jsonb ---- */

/* Appends a row to the array that begins in the text. */
static void
append_row(StringInfo json, int number)
{
	int			start = number > 0 ? rows.ends[number - 1] : 0;

	if (json->len > 1)
		appendStringInfoChar(json, ',');
	appendBinaryStringInfo(json, rows.text.data + start, rows.ends[number] - start);
}

/* Returns whether jsonb refuses a text with this error. */
static bool
is_refusal(const ErrorData *edata)
{
	int			class = ERRCODE_TO_CATEGORY(edata->sqlerrcode);

	return class == ERRCODE_DATA_EXCEPTION || class == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

typedef struct Parsing
{
	const char *text;
	Jsonb	   *array;
} Parsing;

static void
parse_step(void *arg)
{
	Parsing    *parsing = arg;

	parsing->array = kwj_json_parse(parsing->text);
}

/*
 * Appends the closing bracket, and converts the text to jsonb. If jsonb refuses it, returns NULL
 * and sets *why to the message. Runs in a subtransaction, so that the transaction can go on after
 * the error.
 */
static Jsonb *
parse_array(StringInfo json, char **why)
{
	Parsing		parsing;
	ErrorData  *edata;

	appendStringInfoChar(json, ']');
	parsing.text = json->data;
	edata = kwj_isolate_within_quietly(parse_step, &parsing);
	if (edata == NULL)
		return parsing.array;
	if (!is_refusal(edata))
		ReThrowError(edata);
	*why = edata->message;
	return NULL;
}

/* Tells how many rows jsonb has refused; why: its message for the first of them. */
static void
warn(int refused, const char *why)
{
	kwj_transcript_add_message(psprintf("WARNING:  %d of the rows %s left out of the result, because jsonb refuses %s\nDETAIL:  %s",
										refused, refused == 1 ? "is" : "are",
										refused == 1 ? "it" : "them", why));
}

/* Appends the rows that jsonb takes. Returns how many it refuses. */
static int
append_taken(StringInfo json)
{
	char	   *first = NULL;
	char	   *why;
	int			refused = 0;

	for (int i = 0; i < rows.kept; i++)
	{
		StringInfoData one;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&one);
		appendStringInfoChar(&one, '[');
		append_row(&one, i);
		if (parse_array(&one, &why) != NULL)
			append_row(json, i);
		else if (refused++ == 0)
			first = why;
	}
	if (refused > 0)
		warn(refused, first);
	return refused;
}

static void
append_mark(StringInfo json, int64 missing)
{
	if (missing > 0)
		appendStringInfo(json, "%s{\"more_rows\": " INT64_FORMAT "}", json->len > 1 ? "," : "",
						 missing);
}

Jsonb *
kwj_sql_kept_rows(void)
{
	StringInfoData json;
	char	   *why;
	Jsonb	   *array;
	int			refused;

	if (!rows.any)
		return NULL;
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < rows.kept; i++)
		append_row(&json, i);
	append_mark(&json, rows.dropped);
	array = parse_array(&json, &why);
	if (array != NULL)
		return array;

	resetStringInfo(&json);
	appendStringInfoChar(&json, '[');
	refused = append_taken(&json);
	append_mark(&json, rows.dropped + refused);
	appendStringInfoChar(&json, ']');
	return kwj_json_parse(json.data);
}

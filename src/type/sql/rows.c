/*
 * src/type/sql/rows.c
 *	  Keeps the first rows of the last query of a SQL job that returns rows (keep_result).
 *
 * Process: worker. Locks: none.
 *
 * The rows are kept as JSON text, as row_to_json writes them. Rows are dropped from the first one
 * on that does not fit; they are still counted. A row is measured before it is converted, so that
 * no huge one is.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "job/json.h"
#include "lib/stringinfo.h"
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
	StringInfoData text;		/* the rows, with commas between them */
	int64		kept;
	int64		dropped;
} Rows;

static Rows rows;

/* A query begins that returns rows. Its rows get a type of their own, by which they are read. */
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
	if (rows.text.len + VARSIZE_ANY_EXHDR(DatumGetPointer(json)) + 1 > KWJ_KEPT_BYTES)
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
		if (rows.kept++ > 0)
			appendStringInfoChar(&rows.text, ',');
		appendBinaryStringInfo(&rows.text, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
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

Jsonb *
kwj_sql_kept_rows(void)
{
	StringInfoData json;

	if (!rows.any)
		return NULL;
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	appendBinaryStringInfo(&json, rows.text.data, rows.text.len);
	if (rows.dropped > 0)
		appendStringInfo(&json, "%s{\"more_rows\": " INT64_FORMAT "}", rows.kept > 0 ? "," : "",
						 rows.dropped);
	appendStringInfoChar(&json, ']');
	return kwj_json_parse(json.data);
}

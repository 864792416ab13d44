/*
 * src/function/window.c
 *	  SQL-callable: kwjobs.next_windows, which shows when a window is open.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lifecycle/options.h"
#include "miscadmin.h"
#include "schedule/window.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_next_windows);

/* One call may ask for this many times. */
#define MOST_TIMES	10000

/* What kwjobs_next_windows keeps from one row to the next. */
typedef struct Times
{
	KwjHours	hours;
	TimestampTz from;			/* DT_NOEND: the last row had no end */
} Times;

/* Arguments: the window, how many times, and the instant from which on. */
static Times *
begin_times(FunctionCallInfo fcinfo, int n)
{
	Times	   *times = palloc(sizeof(Times));

	if (n < 0 || n > MOST_TIMES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of times is out of range: %d", n),
				 errhint("Give a number from 0 to %d.", MOST_TIMES)));
	(void) kwj_read_window(text_to_cstring(PG_GETARG_TEXT_PP(0)), &times->hours);
	times->from = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_NOT_FINITE(times->from))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the instant from which on to look must be finite"),
				 errhint("Give a point in time, such as now().")));
	return times;
}

static HeapTuple
next_time(Times *times, TupleDesc desc)
{
	TimestampTz opens = kwj_window_opens(&times->hours, times->from);
	Datum		values[2];
	bool		nulls[2] = {0};

	(void) kwj_window_is_open(&times->hours, opens, &times->from);
	values[0] = TimestampTzGetDatum(opens);
	values[1] = TimestampTzGetDatum(times->from);
	return heap_form_tuple(desc, values, nulls);
}

Datum
kwjobs_next_windows(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	Times	   *times;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &context->tuple_desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		context->tuple_desc = BlessTupleDesc(context->tuple_desc);
		context->user_fctx = begin_times(fcinfo, PG_GETARG_INT32(1));
		context->max_calls = PG_GETARG_INT32(1);
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	times = context->user_fctx;
	CHECK_FOR_INTERRUPTS();
	if (context->call_cntr >= context->max_calls || times->from == DT_NOEND)
		SRF_RETURN_DONE(context);
	SRF_RETURN_NEXT(context, HeapTupleGetDatum(next_time(times, context->tuple_desc)));
}

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
#include "function/args.h"
#include "lifecycle/options.h"
#include "miscadmin.h"
#include "schedule/window.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_next_windows);

/* What kwjobs_next_windows keeps from one row to the next. */
typedef struct Times
{
	KwjHours	hours;
	TimestampTz from;			/* when the next row begins; DT_NOEND: there is none */
} Times;

/* Reads the arguments: the window, how many times (*n), and the instant from which on to look. */
static Times *
begin_times(FunctionCallInfo fcinfo, uint64 *n)
{
	Times	   *times = palloc(sizeof(Times));

	*n = kwj_arg_count(fcinfo, 1, "times");
	(void) kwj_read_window(text_to_cstring(PG_GETARG_TEXT_PP(0)), &times->hours);
	times->from = kwj_window_opens(&times->hours, kwj_arg_instant(fcinfo, 2, "from which on to look"));
	return times;
}

static HeapTuple
next_time(Times *times, TupleDesc desc)
{
	TimestampTz closes;
	Datum		values[2];
	bool		nulls[2] = {0};

	(void) kwj_window_is_open(&times->hours, times->from, &closes);
	values[0] = TimestampTzGetDatum(times->from);
	values[1] = TimestampTzGetDatum(closes);
	times->from = closes == DT_NOEND ? DT_NOEND : kwj_window_opens(&times->hours, closes);
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
		context->user_fctx = begin_times(fcinfo, &context->max_calls);
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	times = context->user_fctx;
	CHECK_FOR_INTERRUPTS();
	if (context->call_cntr >= context->max_calls || times->from == DT_NOEND)
		SRF_RETURN_DONE(context);
	SRF_RETURN_NEXT(context, HeapTupleGetDatum(next_time(times, context->tuple_desc)));
}

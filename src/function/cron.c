/*
 * src/function/cron.c
 *	  SQL-callable: kwjobs.next_runs and kwjobs.describe, which show what an expression of a schedule
 *	  means.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lifecycle/recurrence.h"
#include "miscadmin.h"
#include "schedule/cron.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_next_runs);
PG_FUNCTION_INFO_V1(kwjobs_describe);

/* One call may ask for this many instants. */
#define MOST_RUNS	10000

/* What kwjobs_next_runs keeps from one row to the next. */
typedef struct Runs
{
	KwjCron		cron;
	pg_tz	   *zone;
	TimestampTz anchor;
	TimestampTz after;
} Runs;

/* Arguments: the expression, how many instants, the name of the zone, and the instant before them. */
static Runs *
begin_runs(FunctionCallInfo fcinfo, int n)
{
	Runs	   *runs = palloc(sizeof(Runs));

	if (n < 0 || n > MOST_RUNS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of runs is out of range: %d", n),
				 errhint("Give a number from 0 to %d.", MOST_RUNS)));
	kwj_recurrence_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &runs->cron);
	runs->zone = kwj_cron_zone(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	runs->anchor = runs->after = PG_GETARG_TIMESTAMPTZ(3);
	if (TIMESTAMP_NOT_FINITE(runs->after))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the instant after which to look must be finite"),
				 errhint("Give a point in time, such as now().")));
	return runs;
}

/* Returns the instants one by one, so that a query with a LIMIT computes no more than it shows. */
Datum
kwjobs_next_runs(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	Runs	   *runs;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		context->user_fctx = begin_runs(fcinfo, PG_GETARG_INT32(1));
		context->max_calls = PG_GETARG_INT32(1);
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	runs = context->user_fctx;
	CHECK_FOR_INTERRUPTS();
	if (context->call_cntr >= context->max_calls ||
		!kwj_cron_next(&runs->cron, runs->zone, runs->anchor, runs->after, &runs->after))
		SRF_RETURN_DONE(context);
	SRF_RETURN_NEXT(context, TimestampTzGetDatum(runs->after));
}

Datum
kwjobs_describe(PG_FUNCTION_ARGS)
{
	KwjCron		cron;

	kwj_recurrence_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cron);
	PG_RETURN_TEXT_P(cstring_to_text(kwj_cron_describe(&cron)));
}

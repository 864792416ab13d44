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
#include "function/args.h"
#include "lifecycle/recurrence.h"
#include "miscadmin.h"
#include "schedule/cron.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_next_runs);
PG_FUNCTION_INFO_V1(kwjobs_describe);

/* What kwjobs_next_runs keeps from one row to the next. */
typedef struct Runs
{
	KwjCron		cron;
	pg_tz	   *zone;
	TimestampTz anchor;
	TimestampTz after;
} Runs;

/* Reads the arguments: the expression, how many instants (*n), the name of the zone, and the instant before them. */
static Runs *
begin_runs(FunctionCallInfo fcinfo, uint64 *n)
{
	Runs	   *runs = palloc(sizeof(Runs));

	*n = kwj_arg_count(fcinfo, 1, "runs");
	kwj_recurrence_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &runs->cron);
	runs->zone = kwj_cron_zone(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	runs->anchor = runs->after = kwj_arg_instant(fcinfo, 3, "after which to look");
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
		context->user_fctx = begin_runs(fcinfo, &context->max_calls);
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

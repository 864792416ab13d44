/*
 * src/function/hold.c
 *	  SQL-callable: kwjobs.hold, kwjobs.release and their likes.
 *
 * This file only converts arguments and results; lifecycle/held.c does the work. Process: sessions,
 * and workers whose statement holds jobs. Locks: those of lifecycle/held.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "function/args.h"
#include "function/rows.h"
#include "lifecycle/held.h"
#include "lifecycle/options.h"
#include "store/server_hold.h"
#include "type/type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_hold);
PG_FUNCTION_INFO_V1(kwjobs_release);
PG_FUNCTION_INFO_V1(kwjobs_release_all);
PG_FUNCTION_INFO_V1(kwjobs_hold_server);
PG_FUNCTION_INFO_V1(kwjobs_release_server);
PG_FUNCTION_INFO_V1(kwjobs_server_hold);

/* The arguments of kwjobs.hold and kwjobs.release, in their order. */
enum
{
	ARG_JOB_TYPE,
	ARG_OWNER,
	ARG_QUEUE,
	ARG_REASON,
	ARG_RUNNING,
};

static Oid
owner_arg(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(ARG_OWNER) ? InvalidOid : PG_GETARG_OID(ARG_OWNER);
}

static const char *
queue_arg(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(ARG_QUEUE) ? NULL : kwj_queue_name(PG_GETARG_DATUM(ARG_QUEUE));
}

/* Returns whether running jobs are to be paused. */
static bool
pauses_arg(FunctionCallInfo fcinfo)
{
	char	   *running = kwj_arg_text(fcinfo, ARG_RUNNING);

	if (running != NULL && strcmp(running, "pause") == 0)
		return true;
	if (running == NULL || strcmp(running, "continue") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 running ? errmsg("invalid value for argument \"running\": \"%s\"", running) :
				 errmsg("argument \"running\" must not be null"),
				 errhint("Use \"continue\", so that running jobs go on, or \"pause\".")));
	return false;
}

/* Raises an error if no worker executes jobs of this type, so that a hold would have no effect. */
static void
check_type_is_executed(const char *job_type)
{
	if (job_type != NULL && !kwj_type_is_executed(job_type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s jobs cannot be held", job_type),
				 errdetail("No worker executes them."),
				 kwj_type_allows(job_type, KWJ_CANCEL) ?
				 errhint("To stop those that run, type SELECT kwjobs.cancel_all('%s').", job_type) : 0));
}

Datum
kwjobs_hold(PG_FUNCTION_ARGS)
{
	const char *job_type = kwj_arg_type(fcinfo, ARG_JOB_TYPE);
	bool		pauses = pauses_arg(fcinfo);

	check_type_is_executed(job_type);
	kwj_hold(job_type, owner_arg(fcinfo), queue_arg(fcinfo), kwj_arg_text(fcinfo, ARG_REASON),
			 pauses, kwj_type_allows);
	PG_RETURN_VOID();
}

Datum
kwjobs_release(PG_FUNCTION_ARGS)
{
	kwj_release(kwj_arg_type(fcinfo, ARG_JOB_TYPE), owner_arg(fcinfo), queue_arg(fcinfo),
				kwj_arg_text(fcinfo, ARG_REASON), kwj_type_allows);
	PG_RETURN_VOID();
}

Datum
kwjobs_release_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(kwj_release_all(kwj_arg_text(fcinfo, 0), kwj_type_allows));
}

Datum
kwjobs_hold_server(PG_FUNCTION_ARGS)
{
	kwj_hold_server(kwj_arg_text(fcinfo, 0));
	PG_RETURN_VOID();
}

Datum
kwjobs_release_server(PG_FUNCTION_ARGS)
{
	kwj_release_server();
	PG_RETURN_VOID();
}

/* The view kwjobs.holds calls this. Returns one row, or none. */
Datum
kwjobs_server_hold(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store = kwj_materialize(fcinfo, &desc);
	KwjHold		hold;
	Datum		values[3] = {0};
	bool		nulls[3] = {0};

	if (!kwj_store_server_hold(&hold))
		return (Datum) 0;
	nulls[0] = hold.reason == NULL;
	if (hold.reason != NULL)
		values[0] = CStringGetTextDatum(hold.reason);
	values[1] = CStringGetTextDatum(hold.by);
	values[2] = TimestampTzGetDatum(hold.since);
	tuplestore_putvalues(store, desc, values, nulls);
	return (Datum) 0;
}

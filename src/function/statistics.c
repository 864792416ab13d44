/*
 * src/function/statistics.c
 *	  SQL-callable: CREATE STATISTICS name FROM table.
 *
 * Process: sessions. Locks: the table, in AccessShareLock, until the transaction that creates the
 * job ends.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "function/args.h"
#include "function/outcome.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "store/jobs.h"
#include "type/create.h"
#include "type/stats/stats.h"

PG_FUNCTION_INFO_V1(kwjobs_create_statistics);
PG_FUNCTION_INFO_V1(kwjobs_create_statistics_and_wait);

/* Creates the job. Both functions have the same arguments: name, table, columns, throttling. */
static int64
submit(FunctionCallInfo fcinfo)
{
	KwjNewStats stats = {0};
	KwjNewJob	job;

	kwj_check_primary("CREATE STATISTICS");
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table to collect statistics of must not be null"),
				 errhint("Type CREATE STATISTICS name FROM table.")));
	stats.name = kwj_arg_text(fcinfo, 0);
	stats.table = PG_GETARG_OID(1);
	stats.columns = kwj_arg_array(fcinfo, 2);
	stats.has_throttling = !PG_ARGISNULL(3);
	if (stats.has_throttling)
		stats.throttling = PG_GETARG_FLOAT8(3);
	kwj_new_job(&job, kwj_type_create_stats.name);
	kwj_stats_validate(&stats, &job);
	return kwj_create_checked(&kwj_type_create_stats, &job);
}

Datum
kwjobs_create_statistics(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit(fcinfo));
}

/* This is a procedure, so that it can commit the new job before it waits. It returns no row. */
Datum
kwjobs_create_statistics_and_wait(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	KwjOutcome	outcome;
	int64		job_id;

	kwj_connect_to_wait(fcinfo, "CREATE STATISTICS ... FROM",
						"Type CREATE STATISTICS ... FROM ... WITH OPTIONS DETACHED, or run it outside of a transaction block, a function and a string of several statements.");
	job_id = submit(fcinfo);
	kwj_commit_and_wait(job_id, caller, &outcome, NULL);
	PG_RETURN_VOID();
}

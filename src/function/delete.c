/*
 * src/function/delete.c
 *	  SQL-callable: kwjobs.delete and kwjobs.delete_jobs.
 *
 * This file only converts arguments and results; lifecycle/delete.c does the work. Process:
 * sessions, and workers whose statement deletes jobs. Locks: the rows of the jobs, FOR UPDATE,
 * until the end of the transaction.
 */
#include "postgres.h"

#include "fmgr.h"
#include "function/args.h"
#include "lifecycle/delete.h"

PG_FUNCTION_INFO_V1(kwjobs_delete);
PG_FUNCTION_INFO_V1(kwjobs_delete_jobs);

Datum
kwjobs_delete(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		kwj_delete(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

Datum
kwjobs_delete_jobs(PG_FUNCTION_ARGS)
{
	int			n;
	int64	   *ids = kwj_arg_ids(fcinfo, 0, &n);

	PG_RETURN_INT64(kwj_delete_many(ids, n));
}

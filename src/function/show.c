/*
 * src/function/show.c
 *	  SQL-callable: what SHOW JOBS reads, and SHOW JOB WHEN COMPLETE.
 *
 * Process: sessions.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "function/rows.h"
#include "job/bounds.h"
#include "job/control.h"
#include "job/extension.h"
#include "job/wait.h"
#include "mb/pg_wchar.h"
#include "process/blocked.h"
#include "process/refusal.h"
#include "process/shared_state.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_installed);
PG_FUNCTION_INFO_V1(kwjobs_may_show);
PG_FUNCTION_INFO_V1(kwjobs_may_show_all);
PG_FUNCTION_INFO_V1(kwjobs_is_visible);
PG_FUNCTION_INFO_V1(kwjobs_show_window);
PG_FUNCTION_INFO_V1(kwjobs_shown);
PG_FUNCTION_INFO_V1(kwjobs_refusal);
PG_FUNCTION_INFO_V1(kwjobs_live);
PG_FUNCTION_INFO_V1(kwjobs_when_complete);

/* That there is a function to call is all there is to say. */
Datum
kwjobs_installed(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_may_show(PG_FUNCTION_ARGS)
{
	kwj_check_may("SHOW");
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_may_show_all(PG_FUNCTION_ARGS)
{
	kwj_check_admin("SHOW the history of all JOBS");
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_is_visible(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kwj_is_visible(PG_GETARG_OID(0)));
}

Datum
kwjobs_show_window(PG_FUNCTION_ARGS)
{
	Interval   *window = palloc0(sizeof(Interval));

	window->time = kwj_show_window * USECS_PER_SEC;
	PG_RETURN_INTERVAL_P(window);
}

/* Of a long text only the beginning is read, so that any row can be shown. */
Datum
kwjobs_shown(PG_FUNCTION_ARGS)
{
	Datum		value = PG_GETARG_DATUM(0);
	Size		size = toast_raw_datum_size(value) - VARHDRSZ;
	text	   *beginning;
	int			kept;

	if (size <= KWJ_SHOWN_BOUND)
		PG_RETURN_DATUM(value);
	beginning = PG_GETARG_TEXT_P_SLICE(0, 0, KWJ_SHOWN_BOUND);
	kept = pg_mbcliplen(VARDATA_ANY(beginning), VARSIZE_ANY_EXHDR(beginning), KWJ_SHOWN_BOUND - 1);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%.*s ... (%zu more bytes)", kept,
											  VARDATA_ANY(beginning), size - kept)));
}

Datum
kwjobs_refusal(PG_FUNCTION_ARGS)
{
	const char *why = kwj_refusal_explain(PG_GETARG_OID(0));

	if (why == NULL)
		why = kwj_blocked_explain();
	if (why == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(why));
}

Datum
kwjobs_live(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store = kwj_materialize(fcinfo, &desc);
	KwjLive    *live;
	int			n;

	if (!kwj_shared_ready())
		return (Datum) 0;
	live = palloc(sizeof(KwjLive) * kwj_max_workers);
	n = kwj_shared_live(live, false);
	for (int i = 0; i < n; i++)
	{
		KwjLive    *l = &live[i];
		Datum		values[8];
		bool		nulls[8] = {0};

		if (!kwj_is_visible(l->owner))
			continue;
		values[0] = Int64GetDatum(l->job_id);
		values[1] = Int32GetDatum(l->attempt);
		values[2] = Int32GetDatum(l->pid);
		nulls[2] = l->pid == 0;
		values[3] = CStringGetTextDatum(l->running_status);
		nulls[3] = l->running_status[0] == '\0';
		values[4] = Float8GetDatum(kwj_live_fraction(l));
		nulls[4] = l->total == 0;
		values[5] = Int64GetDatum((int64) l->rows);
		nulls[5] = l->total == 0;
		values[6] = Int64GetDatum((int64) l->done);
		values[7] = Int64GetDatum((int64) l->total);
		tuplestore_putvalues(store, desc, values, nulls);
	}
	return (Datum) 0;
}

static void
return_jobs(ArrayType *job_ids, Tuplestorestate *store)
{
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {PointerGetDatum(job_ids)};

	/* the transaction's own snapshot may not see how the jobs ended */
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute_with_args("SELECT * FROM kwdb_internal.jobs"
							  " WHERE " KWJ_EXTENSION_EXISTS " AND job_id OPERATOR(pg_catalog.=) ANY ($1)",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read kwdb_internal.jobs");
	PopActiveSnapshot();
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(store, SPI_tuptable->vals[i]);
}

Datum
kwjobs_when_complete(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store = kwj_materialize(fcinfo, &desc);
	ArrayType  *job_ids = kwj_visible_jobs(PG_GETARG_ARRAYTYPE_P(0));

	kwj_wait_for_all(job_ids);
	SPI_connect();
	return_jobs(job_ids, store);
	SPI_finish();
	return (Datum) 0;
}

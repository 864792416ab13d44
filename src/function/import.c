/*
 * src/function/import.c
 *	  SQL-callable: IMPORT.
 *
 * Process: sessions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "job/control.h"
#include "job/submit.h"
#include "job/wait.h"
#include "nodes/parsenodes.h"
#include "process/shared_state.h"
#include "type/import.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(kwjobs_import);
PG_FUNCTION_INFO_V1(kwjobs_import_and_wait);

/* Both take target, files, columns, options. */
static int64
submit(FunctionCallInfo fcinfo)
{
	Jsonb	   *payload;
	char	   *description;

	kwj_check_primary("IMPORT");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table to import into must not be null"),
				 errhint("Type IMPORT INTO table CSV DATA ('/absolute/path.csv').")));
	payload = kwj_import_validate(PG_GETARG_OID(0),
								  PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1),
								  PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2),
								  PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3),
								  &description);
	return kwj_submit(kwj_type_import.name, description, payload);
}

Datum
kwjobs_import(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(submit(fcinfo));
}

/* While waiting: what a canceled wait means. */
static void
explain_canceled_wait(void *arg)
{
	int64		job_id = *(int64 *) arg;

	if (geterrcode() != ERRCODE_QUERY_CANCELED && geterrcode() != ERRCODE_ADMIN_SHUTDOWN)
		return;
	errdetail("Job " INT64_FORMAT " goes on in the background.", job_id);
	errhint("To stop it, type CANCEL JOB " INT64_FORMAT ".", job_id);
}

/* One line now and then, for a client that waits. */
static void
tell_progress(int64 job_id, const KwjOutcome *outcome)
{
	KwjLive    *live = palloc(sizeof(KwjLive) * kwj_max_workers);
	int			n = kwj_shared_live(live, false);
	double		fraction = outcome->fraction;
	const char *what = outcome->running_status ? outcome->running_status : "";

	for (int i = 0; i < n; i++)
		if (live[i].job_id == job_id && live[i].total > 0)
		{
			fraction = kwj_live_fraction(&live[i]);
			what = live[i].running_status;
		}
	ereport(INFO,
			(errmsg("job " INT64_FORMAT " %s: %.0f %%%s%s", job_id,
					kwj_status_name(outcome->status), fraction * 100,
					what[0] ? ", " : "", what)));
}

static void
wait_for(int64 job_id, KwjOutcome *outcome)
{
	ErrorContextCallback callback = {error_context_stack, explain_canceled_wait, &job_id};

	error_context_stack = &callback;
	if (!kwj_wait_for(job_id, outcome, tell_progress, kwj_progress_interval))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("job with ID " INT64_FORMAT " does not exist any more", job_id),
				 errhint("It was deleted while this session waited for it.")));
	error_context_stack = callback.previous;
}

/* Raise the error that the job ended with. */
static void
raise_job_error(int64 job_id, const KwjOutcome *outcome)
{
	ereport(ERROR,
			(errcode(outcome->error_code ? outcome->error_code : ERRCODE_INTERNAL_ERROR),
			 errmsg("%s", outcome->error),
			 outcome->error_detail ? errdetail_internal("%s", outcome->error_detail) : 0,
			 outcome->error_hint ? errhint("%s", outcome->error_hint) : 0,
			 outcome->error_context ? errcontext_msg("%s", outcome->error_context) : 0,
			 errcontext_msg("job " INT64_FORMAT ", now %s", job_id,
							kwj_status_name(outcome->status))));
}

static void
refuse_transaction(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("IMPORT cannot run inside a transaction block"),
			 errdetail("It waits for a job that starts when the transaction commits."),
			 errhint("Type IMPORT ... WITH detached, or run it outside of a transaction block, a function and a string of several statements.")));
}

/*
 * A procedure: it commits the new job and waits without a snapshot, so that the
 * wait holds back nobody's vacuum.
 */
Datum
kwjobs_import_and_wait(PG_FUNCTION_ARGS)
{
	CallContext *call = (CallContext *) fcinfo->context;
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc;
	KwjOutcome	outcome;
	int64		job_id;
	Datum		values[7];
	bool		nulls[7] = {0};

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		refuse_transaction();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job_id = submit(fcinfo);
	SPI_commit();
	/* under REPEATABLE READ the first look would keep its snapshot */
	(void) set_config_option("transaction_isolation", "read committed", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	wait_for(job_id, &outcome);
	if (outcome.status != KWJ_SUCCEEDED)
		raise_job_error(job_id, &outcome);
	SPI_finish();

	MemoryContextSwitchTo(caller);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(kwj_status_name(outcome.status));
	values[2] = Float8GetDatum(1.0);
	values[3] = Int64GetDatum(outcome.rows);
	values[4] = CStringGetTextDatum("0");
	values[5] = CStringGetTextDatum("0");
	values[6] = CStringGetTextDatum("None");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

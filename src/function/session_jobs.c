/*
 * src/function/session_jobs.c
 *	  SQL-callable: jobs that sessions do themselves and that have no row yet.
 *
 * Process: sessions. Locks: that of shared memory, for a moment. kwdb_internal.jobs has these jobs
 * beside the rows of the same snapshot (shared/session_jobs.h).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "function/rows.h"
#include "lifecycle/control.h"
#include "lifecycle/session_job.h"
#include "shared/init.h"
#include "shared/session_jobs.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(kwjobs_session_jobs);
PG_FUNCTION_INFO_V1(kwjobs_session_job_places);

/* The columns of kwjobs.session_jobs(), in their order. */
enum
{
	JOB_ID,
	JOB_TYPE,
	DESCRIPTION,
	STATEMENT,
	OWNER,
	STATUS,
	RUNNING_STATUS,
	STARTED,
	FINISHED,
	MODIFIED,
	FRACTION,
	ERROR_TEXT,
	ERROR_CODE,
	ERROR_HINT,
	CREATED_BY_TYPE,
	CREATED_BY_ID,
	PID,
	REQUEST_REASON,
	REQUESTED_BY,
	REQUEST_TIME,
	CREATED_BY,
	CREATED_BY_SESSION,
	COORDINATOR_ID,
	N_COLUMNS
};

typedef struct Row
{
	Datum		values[N_COLUMNS];
	bool		nulls[N_COLUMNS];
} Row;

/* NULL gives NULL. */
static void
set_text(Row *row, int column, const char *text)
{
	row->nulls[column] = text == NULL;
	row->values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
set_text_if_any(Row *row, int column, const char *text)
{
	set_text(row, column, text[0] != '\0' ? text : NULL);
}

static void
set_time(Row *row, int column, TimestampTz time)
{
	row->nulls[column] = time == 0;
	row->values[column] = TimestampTzGetDatum(time);
}

static void
set_role(Row *row, int column, Oid role)
{
	row->nulls[column] = !OidIsValid(role);
	row->values[column] = ObjectIdGetDatum(role);
}

static void
set_what(Row *row, const KwjSessionJob *job)
{
	row->values[JOB_ID] = Int64GetDatum(job->job_id);
	set_text(row, JOB_TYPE, job->job_type);
	set_text(row, DESCRIPTION, job->description);
	set_text(row, STATEMENT, job->statement);
	set_role(row, OWNER, job->owner);
	set_role(row, CREATED_BY, job->created_by);
	set_role(row, CREATED_BY_SESSION, job->created_by_session);
	set_text_if_any(row, CREATED_BY_TYPE, job->created_by_type);
	row->values[CREATED_BY_ID] = Int64GetDatum(job->created_by_id);
	row->nulls[CREATED_BY_ID] = job->created_by_type[0] == '\0';
	row->values[COORDINATOR_ID] = Int64GetDatum(kwj_node_id);
}

static void
set_state(Row *row, const KwjSessionJob *job)
{
	bool		over = job->state == KWJ_SESSION_ENDED;

	set_text(row, STATUS, kwj_status_name(kwj_session_job_status(job)));
	set_text(row, RUNNING_STATUS, kwj_session_job_running_status(job));
	set_time(row, STARTED, job->started);
	set_time(row, FINISHED, over ? job->ended : 0);
	set_time(row, MODIFIED, over ? job->ended : Max(job->moved, job->requested));
	row->values[FRACTION] = Float8GetDatum(over && job->outcome == KWJ_SUCCEEDED ? 1 : job->fraction);
	row->values[PID] = Int32GetDatum(job->pid);
	row->nulls[PID] = job->pid == 0;
	/* as long as the job goes on, an error is none of its own: an attempt of the work has met it */
	set_text(row, ERROR_TEXT, over ? job->error : "");
	set_text(row, ERROR_CODE, over && job->sqlstate != 0 ? unpack_sql_state(job->sqlstate) : NULL);
	set_text(row, ERROR_HINT, over && job->error_hint[0] != '\0' ? job->error_hint : NULL);
	set_time(row, REQUEST_TIME, job->requested);
	set_role(row, REQUESTED_BY, job->requested_by);
	set_text_if_any(row, REQUEST_REASON, job->request_reason);
}

/* No rows. Costs less than an empty tuplestore, and mostly there is nothing to return. */
static Datum
return_nothing(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (result == NULL || !IsA(result, ReturnSetInfo))
		(void) kwj_materialize(fcinfo, &(TupleDesc) {NULL});	/* raises the error */
	else
		result->isDone = ExprEndResult;
	PG_RETURN_NULL();
}

Datum
kwjobs_session_jobs(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store;
	KwjSessionJob *jobs = NULL;
	int			n = 0;

	if (kwj_shared_ready())
		jobs = kwj_shared_session_jobs(GetActiveSnapshot(), &n);
	if (n == 0)
		return return_nothing(fcinfo);
	store = kwj_materialize(fcinfo, &desc);
	for (int i = 0; i < n; i++)
	{
		Row			row = {{0}};

		if (!kwj_is_visible(jobs[i].owner))
			continue;
		set_what(&row, &jobs[i]);
		set_state(&row, &jobs[i]);
		tuplestore_putvalues(store, desc, row.values, row.nulls);
	}
	return (Datum) 0;
}

Datum
kwjobs_session_job_places(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {0};
	int			places = 0;
	int			taken = 0;
	int64		unrecorded = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (kwj_shared_ready())
		kwj_shared_session_job_places(&places, &taken, &unrecorded);
	values[0] = Int32GetDatum(places);
	values[1] = Int32GetDatum(taken);
	values[2] = Int64GetDatum(unrecorded);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * src/function/session_jobs.c
 *	  SQL-callable: jobs that sessions do themselves and that have no row yet.
 *
 * Process: sessions. Locks: that of shared memory, for a moment. kwdb_internal.jobs has these jobs
 * beside the rows of the same snapshot (shared/session_jobs.h).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "compat.h"
#include "fmgr.h"
#include "function/args.h"
#include "function/command.h"
#include "function/rows.h"
#include "function/watch.h"
#include "job/json.h"
#include "job/role.h"
#include "lifecycle/control.h"
#include "lifecycle/session_job.h"
#include "lifecycle/session_record.h"
#include "miscadmin.h"
#include "shared/init.h"
#include "shared/session_jobs.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(kwjobs_session_jobs);
PG_FUNCTION_INFO_V1(kwjobs_session_job_places);

/* The columns of kwdb_internal.jobs, in their order. */
enum
{
	JOB_ID,
	JOB_TYPE,
	DESCRIPTION,
	STATEMENT,
	USER_NAME,
	STATUS,
	RUNNING_STATUS,
	CREATED,
	STARTED,
	FINISHED,
	MODIFIED,
	ERRORD,
	FRACTION_COMPLETED,
	ERROR_MESSAGE,
	COORDINATOR_ID,
	TOTAL_NUM_OF_EX,
	TOTAL_NUM_OF_SUCCESS,
	TOTAL_NUM_OF_FAIL,
	TIME_OF_LAST_SUCCESS,
	CREATED_BY_TYPE,
	CREATED_BY_ID,
	ROWS,
	PID,
	KEY,
	PRIORITY,
	RUN_AT,
	DUE,
	MAX_ATTEMPTS,
	TIMEOUT,
	ON_FAILURE,
	WAITS_FOR,
	ERROR_CODE,
	ERROR_DETAIL,
	ERROR_HINT,
	ERROR_CONTEXT,
	ERROR_FILE,
	ERROR_LINE,
	ERROR_COLUMN,
	REQUEST_REASON,
	REQUEST_USER,
	REQUEST_TIME,
	PAYLOAD,
	RESULT,
	CREATED_BY,
	CREATED_BY_SESSION,
	CRASHES,
	CAUSE,
	TAGS,
	QUEUE,
	SERIAL_KEY,
	CHANNEL,
	HOURS,
	HOURS_END,
	ETA,
	MOVED,
	DATABASE,
	N_COLUMNS
};

/* A row; at first all of it is NULL. */
typedef struct Row
{
	Datum		values[N_COLUMNS];
	bool		nulls[N_COLUMNS];
} Row;

static void
set(Row *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static void
set_text(Row *row, int column, const char *text)
{
	set(row, column, CStringGetTextDatum(text));
}

static void
set_text_if_any(Row *row, int column, const char *text)
{
	if (text != NULL && text[0] != '\0')
		set_text(row, column, text);
}

static void
set_time_if_any(Row *row, int column, TimestampTz time)
{
	if (time != 0)
		set(row, column, TimestampTzGetDatum(time));
}

/* Sets a column to the name that the role has now, as kwdb_internal.role_name() gives it. */
static void
set_role(Row *row, int column, Oid role)
{
	set_text(row, column, kwj_role_name(role));
}

/* Sets the columns that stay the same as long as the job is there. */
static void
set_what(Row *row, const KwjSessionJob *job)
{
	set(row, JOB_ID, Int64GetDatum(job->job_id));
	set_text(row, DATABASE, get_database_name(MyDatabaseId));
	set_text(row, JOB_TYPE, job->job_type);
	set_text(row, DESCRIPTION, job->description);
	set_text(row, STATEMENT, job->statement);
	set_role(row, USER_NAME, job->owner);
	set_role(row, CREATED_BY, job->created_by);
	set_role(row, CREATED_BY_SESSION, job->created_by_session);
	if (job->created_by_type[0] != '\0')
	{
		set_text(row, CREATED_BY_TYPE, job->created_by_type);
		set(row, CREATED_BY_ID, Int64GetDatum(job->created_by_id));
	}
	set(row, CREATED, TimestampTzGetDatum(job->started));
	set(row, STARTED, TimestampTzGetDatum(job->started));
	set(row, COORDINATOR_ID, Int64GetDatum(kwj_node_id));
}

/* Sets the columns that have the same value for each such job, as kwj_store_record() writes it. */
static void
set_defaults(Row *row, const KwjSessionJob *job)
{
	set(row, TOTAL_NUM_OF_EX, Int64GetDatum(1));
	set(row, ROWS, Int64GetDatum(0));
	set(row, PRIORITY, Int32GetDatum(0));
	set(row, DUE, TimestampTzGetDatum(job->started));
	set(row, MAX_ATTEMPTS, Int32GetDatum(1));
	set_text(row, ON_FAILURE, "fail");
	set(row, PAYLOAD, JsonbPGetDatum(kwj_json_empty()));
	set(row, CRASHES, Int32GetDatum(0));
}

/* Sets what the session does now and how far it is, for a job whose statement still runs. */
static void
set_watched(Row *row, const KwjSessionJob *job)
{
	KwjWatched	watched = {
		.job_id = job->job_id,
		.attempt = 1,
		.pid = job->pid,
		.own_words = job->running_status,
		.own_fraction = job->fraction > 0 ? job->fraction : -1,
		.own_counters = (uint64) job->moved,
		.counts = job->counts,
		.file = &job->file,
		.scan_block = job->scan_block,
		.scan_blocks = job->scan_blocks,
		.began = job->started,
		.began_at_0 = true,
		.noted = job->moved > job->started ? job->moved : 0,
		.sight = kwj_sight_of_place(job->place),
	};
	KwjShown	shown = kwj_watch(&watched);

	set_text_if_any(row, RUNNING_STATUS, shown.running_status);
	if (shown.fraction >= 0)
		set(row, FRACTION_COMPLETED, Float8GetDatum(shown.fraction));
	set_time_if_any(row, MOVED, shown.moved);
	set_time_if_any(row, ETA, shown.eta);
}

static double
fraction_after_statement(const KwjSessionJob *job)
{
	switch (job->state)
	{
		case KWJ_SESSION_DONE:
		case KWJ_SESSION_PREPARED:
			return KWJ_ALMOST;
		case KWJ_SESSION_ENDED:
			/* the row of a job that has not succeeded keeps no fraction */
			return job->outcome == KWJ_SUCCEEDED ? 1 : 0;
		default:
			return job->fraction;
	}
}

/* Sets what the job waits for and how far it is, for a job whose statement has ended. */
static void
set_unwatched(Row *row, const KwjSessionJob *job)
{
	set_text_if_any(row, RUNNING_STATUS, kwj_session_job_running_status(job));
	set(row, FRACTION_COMPLETED, Float8GetDatum(fraction_after_statement(job)));
}

/* Sets how far the job is. An error of the job is shown only when the job is over. */
static void
set_progress(Row *row, const KwjSessionJob *job)
{
	bool		over = job->state == KWJ_SESSION_ENDED;
	bool		succeeded = over && job->outcome == KWJ_SUCCEEDED;
	bool		failed = over && job->outcome == KWJ_FAILED;

	set_text(row, STATUS, kwj_status_name(kwj_session_job_status(job)));
	if (job->state == KWJ_SESSION_RUNNING)
		set_watched(row, job);
	else
		set_unwatched(row, job);
	set_time_if_any(row, FINISHED, over ? job->ended : 0);
	set_time_if_any(row, MODIFIED, over ? job->ended : Max(job->moved, job->requested));
	set_time_if_any(row, ERRORD, failed ? job->ended : 0);
	set_time_if_any(row, TIME_OF_LAST_SUCCESS, succeeded ? job->ended : 0);
	set(row, TOTAL_NUM_OF_SUCCESS, Int64GetDatum(succeeded ? 1 : 0));
	set(row, TOTAL_NUM_OF_FAIL, Int64GetDatum(failed ? 1 : 0));
	if (job->pid != 0)
		set(row, PID, Int32GetDatum(job->pid));
	set_text(row, ERROR_MESSAGE, over ? job->error : "");
	if (over && job->sqlstate != 0)
		set_text(row, ERROR_CODE, unpack_sql_state(job->sqlstate));
	if (over)
		set_text_if_any(row, ERROR_HINT, job->error_hint);
	if (over && job->has_cost)
		set(row, RESULT, JsonbPGetDatum(kwj_session_job_result(job)));
}

static void
set_request(Row *row, const KwjSessionJob *job)
{
	if (job->requested == 0)
		return;
	set(row, REQUEST_TIME, TimestampTzGetDatum(job->requested));
	set_role(row, REQUEST_USER, job->requested_by);
	set_text_if_any(row, REQUEST_REASON, job->request_reason);
}

/*
 * Returns no rows. This costs less than an empty tuplestore, and mostly there is nothing to return.
 */
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
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look;
	bool		own = kwj_arg_flag(fcinfo, 0);
	int			n = 0;

	if (kwj_shared_ready())
		jobs = kwj_shared_session_jobs(GetActiveSnapshot(), &n);
	if (n == 0)
		return return_nothing(fcinfo);
	store = kwj_materialize(fcinfo, &desc);
	look = kwj_watch_context();
	for (int i = 0; i < n; i++)
	{
		Row			row;

		if (!(own ? kwj_is_own(jobs[i].owner) : kwj_is_visible(jobs[i].owner)))
			continue;
		MemoryContextSwitchTo(look);
		memset(row.values, 0, sizeof(row.values));
		memset(row.nulls, true, sizeof(row.nulls));
		set_what(&row, &jobs[i]);
		set_defaults(&row, &jobs[i]);
		set_progress(&row, &jobs[i]);
		set_request(&row, &jobs[i]);
		tuplestore_putvalues(store, desc, row.values, row.nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(look);
	}
	MemoryContextDelete(look);
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

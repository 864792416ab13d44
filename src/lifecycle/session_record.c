/*
 * src/lifecycle/session_record.c
 *	  From a session's job in shared memory to the row of this job.
 *
 * Callers: session_job.c and moved_jobs.c, in the session that has done the job; the coordinator
 * (coordinator/record.c). Locks: none. The caller reads its own job, or has a copy.
 */
#include "postgres.h"

#include "job/json.h"
#include "lib/stringinfo.h"
#include "lifecycle/session_record.h"

Jsonb *
kwj_session_job_result(const KwjSessionJob *job)
{
	const KwjCost *cost = &job->cost;
	StringInfoData json;

	if (!job->has_cost)
		return NULL;
	initStringInfo(&json);
	appendStringInfo(&json, "{\"pages_hit\": " INT64_FORMAT ", \"pages_read\": " INT64_FORMAT
					 ", \"pages_dirtied\": " INT64_FORMAT ", \"wal_records\": " INT64_FORMAT
					 ", \"wal_bytes\": " INT64_FORMAT,
					 cost->pages_hit, cost->pages_read, cost->pages_dirtied, cost->wal_records,
					 cost->wal_bytes);
	if (cost->dead_rows >= 0)
		appendStringInfo(&json, ", \"dead_rows\": " INT64_FORMAT, cost->dead_rows);
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

void
kwj_session_job_record(const KwjSessionJob *job, KwjRecord *record)
{
	*record = (KwjRecord) {
		.job_id = job->job_id,
		.job_type = job->job_type,
		.description = job->description,
		.statement = job->statement,
		.owner = job->owner,
		.created_by = job->created_by,
		.created_by_session = job->created_by_session,
		.created_by_type = job->created_by_type,
		.created_by_id = job->created_by_id,
		.started = job->started,
		.finished = job->ended,
		.status = job->outcome,
		.sqlstate = job->sqlstate,
		.error = job->error,
		.error_hint = job->error_hint,
		.requested = job->requested,
		.requested_by = job->requested_by,
		.request_reason = job->request_reason,
		.result = kwj_session_job_result(job),
	};
}

void
kwj_session_job_succeeds(KwjRecord *record, TimestampTz at)
{
	record->status = KWJ_SUCCEEDED;
	/* The job has succeeded: do not show an error that its work has caught. */
	record->sqlstate = 0;
	record->error = record->error_hint = "";
	record->finished = at;
}

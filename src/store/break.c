/*
 * src/store/break.c
 *	  Jobs whose rows cannot be used as they are, and lists of jobs.
 *
 * Callers: src/lifecycle/broken.c, in a worker or the coordinator, when a step for one job has
 * raised an error twice; src/coordinator/singly.c, in the coordinator, for the lists.
 *
 * Rows become unusable when a user has changed our tables, when a trigger on them raises errors,
 * when a counter overflows or when a TOAST page is lost. Such a job must end, and must not keep the
 * others waiting. It is ended in up to three steps, each in a transaction of its own and each
 * demanding less of the rows:
 *
 *     1  kwj_store_break            job, attempt and dependencies together; the job may revert
 *           | error
 *           v
 *     2  kwj_store_break, plainly   only columns of fixed size of the row in kwjobs.job
 *           | done                  | error: the job is left alone, with a line in the log
 *           v                       v
 *     3  kwj_store_end_attempts, kwj_store_end_dependencies: errors are ignored
 *
 * Locks: the job's row with SKIP LOCKED, until the end of the transaction. The lists lock nothing
 * and read only ids and times, since one bad row must not keep the others from being listed. If the
 * process dies in between, the job is over after step 2; an attempt that still says "running", or a
 * dependency of the job, may then stay until retention deletes the job.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/status.h"
#include "shared/wakeup.h"
#include "store/break.h"
#include "store/over.h"
#include "store/query.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* Set from $2 code, $3 message, $4 detail, $5 hint, $6 context. */
#define BROKEN_COLUMNS \
	" error_code = $2, error = $3, error_detail = $4, error_hint = $5, error_context = $6," \
	" error_file = NULL, error_line = NULL, error_column = NULL"

#define BROKEN_ARGS 6, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}

/*
 * A job that has changed something is reverted first. If it was being reverted already, it becomes
 * revert-failed.
 */
static KwjQuery break_query = {
	"WITH locked AS MATERIALIZED ("
	" SELECT j.job_id, j.active_attempt, j.revert_to IS NOT NULL AS reverting,"
	"  " KWJ_IS_REVERTIBLE " AS revertible"
	" FROM kwjobs.job AS j WHERE j.job_id = $1 AND j.finished IS NULL"
	" FOR NO KEY UPDATE OF j SKIP LOCKED),"
	" attempt AS ("
	" UPDATE kwjobs.attempt AS a SET status = 'failed', finished = clock_timestamp()," BROKEN_COLUMNS
	" FROM locked AS l WHERE a.job_id = l.job_id AND a.attempt = l.active_attempt"
	"  AND a.status = 'running' RETURNING a.reverting),"
	" forgotten AS ("
	" DELETE FROM kwjobs.dependency AS d USING locked AS l WHERE d.job_id = l.job_id)"
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE WHEN l.reverting THEN 'revert-failed' WHEN l.revertible THEN 'reverting'"
	"   ELSE 'failed' END,"
	"  finished = CASE WHEN l.reverting OR NOT l.revertible THEN t.now END,"
	"  revert_to = coalesce(j.revert_to, 'failed'),"
	"  active_attempt = NULL, rank = NULL, running_status = NULL, retries = 0, refusals = 0,"
	"  due = t.now, modified = t.now, errored = t.now," BROKEN_COLUMNS ","
	"  total_num_of_fail = j.total_num_of_fail"
	"   + (SELECT count(*) FROM attempt AS a WHERE NOT a.reverting)"
	" FROM locked AS l, (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = l.job_id RETURNING" KWJ_OVER_COLUMNS,
	BROKEN_ARGS, .fresh = true
};

/* Uses only columns that are never long, and no other table. */
static KwjQuery break_plainly_query = {
	"UPDATE kwjobs.job AS j SET"
	"  status = CASE WHEN j.revert_to IS NULL AND (j.started IS NULL OR NOT j.has_revert)"
	"   THEN 'failed' ELSE 'revert-failed' END,"
	"  finished = t.now, active_attempt = NULL, rank = NULL, running_status = NULL,"
	"  modified = t.now, errored = t.now," BROKEN_COLUMNS
	" FROM (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = (SELECT b.job_id FROM kwjobs.job AS b"
	"  WHERE b.job_id = $1 AND b.finished IS NULL FOR NO KEY UPDATE OF b SKIP LOCKED)"
	" RETURNING" KWJ_OVER_COLUMNS,
	BROKEN_ARGS, .fresh = true
};

/* End what break_plainly_query has left: the job's running attempts, then its dependencies. */
static KwjQuery end_attempts_query = {
	"UPDATE kwjobs.attempt AS a SET status = 'failed', finished = clock_timestamp()," BROKEN_COLUMNS
	" WHERE a.job_id = $1 AND a.status = 'running' AND EXISTS"
	"  (SELECT FROM kwjobs.job AS j WHERE j.job_id = $1 AND j.finished IS NOT NULL)",
	BROKEN_ARGS, .fresh = true
};

static KwjQuery end_dependencies_query = {
	"DELETE FROM kwjobs.dependency AS d WHERE d.job_id = $1 AND EXISTS"
	"  (SELECT FROM kwjobs.job AS j WHERE j.job_id = $1 AND j.finished IS NOT NULL)",
	1, {INT8OID}, .fresh = true
};

/*
 * $1: leave out these jobs. $2: limit. $3: the present time. The list is read behind the position
 * ($4, $5), up to ($6, $7).
 */
#define LIST_ARGS 7, {INT8ARRAYOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT8OID}

/*
 * The end of a query for a list in the order of ids. It does not need $3, $4 and $6; they occur so
 * that all lists can have the same arguments.
 */
#define BY_ID(id) \
	" AND " id " > $5 AND " id " <= $7 AND " id " <> ALL ($1)" \
	" AND $3 IS NOT NULL AND $4 IS NOT NULL AND $6 IS NOT NULL ORDER BY " id " LIMIT $2"

static KwjQuery list_queries[KWJ_LISTS] = {
	[KWJ_LIST_ACTIVE] = {
		"SELECT j.job_id FROM kwjobs.job AS j WHERE j.active_attempt IS NOT NULL" BY_ID("j.job_id"),
		LIST_ARGS, .fresh = true
	},
	[KWJ_LIST_REQUESTED] = {
		"SELECT j.job_id FROM kwjobs.job AS j WHERE j.active_attempt IS NULL"
		" AND " KWJ_TO_SETTLE("j.status") BY_ID("j.job_id"),
		LIST_ARGS, .fresh = true
	},
	[KWJ_LIST_DEPENDENT] = {
		"SELECT d.job_id FROM (SELECT f.job_id FROM kwjobs.dependency AS f WHERE f.fresh AND f.job_id > $5"
		"  UNION SELECT k.job_id FROM kwjobs.dependency AS k WHERE k.status IS NOT NULL AND k.job_id > $5) AS d"
		" WHERE true" BY_ID("d.job_id"),
		LIST_ARGS, .fresh = true
	},
	/* dependencies that could not be marked when the other job ended */
	[KWJ_LIST_OVERLOOKED] = {
		"SELECT DISTINCT d.job_id FROM kwjobs.dependency AS d"
		" LEFT JOIN kwjobs.job AS o ON o.job_id = d.depends_on"
		" WHERE d.status IS NULL AND NOT d.fresh AND (o.job_id IS NULL OR o.finished IS NOT NULL)"
		BY_ID("d.job_id"),
		LIST_ARGS, .fresh = true
	},
	[KWJ_LIST_UNTOLD] = {
		"SELECT u.job_id FROM kwjobs.untold AS u WHERE true" BY_ID("u.job_id"),
		LIST_ARGS, .fresh = true
	},
	[KWJ_LIST_LEFT] = {
		"SELECT j.job_id FROM kwjobs.job AS j WHERE j.line IS NOT NULL AND j.finished IS NOT NULL"
		BY_ID("j.job_id"),
		LIST_ARGS, .fresh = true
	},
	[KWJ_LIST_FREED] = {
		"SELECT DISTINCT f.job_id FROM kwjobs.left_line AS f WHERE true" BY_ID("f.job_id"),
		LIST_ARGS, .fresh = true
	},
	[KWJ_LIST_DUE] = {
		"SELECT j.job_id, j.due FROM kwjobs.job AS j WHERE j.rank IS NULL AND j.active_attempt IS NULL"
		" AND j.status IN ('pending', 'reverting') AND j.due <= $3 AND j.job_id <> ALL ($1)"
		" AND (j.due, j.job_id) > ($4, $5) AND (j.due, j.job_id) <= ($6, $7)"
		" ORDER BY j.due, j.job_id LIMIT $2",
		LIST_ARGS, .fresh = true
	},
	/* see kwj_store_come_home */
	[KWJ_LIST_UNFINISHED] = {
		"SELECT j.job_id FROM kwjobs.job AS j WHERE j.finished IS NULL"
		" AND (j.status IS DISTINCT FROM 'paused' OR j.active_attempt IS NOT NULL)" BY_ID("j.job_id"),
		LIST_ARGS, .fresh = true
	},
};

static KwjQuery lock_ready_query = {
	"SELECT l.job_id FROM (SELECT j.job_id, j.rank, j.active_attempt FROM kwjobs.job AS j"
	"  WHERE j.job_id = $1 LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	" WHERE l.rank IS NOT NULL AND l.active_attempt IS NULL",
	1, {INT8OID}, .fresh = true
};

/* Lets the coordinator look again whether the jobs that the job in $1 depends on are over. */
static KwjQuery look_again_query = {
	"UPDATE kwjobs.dependency AS d SET fresh = true WHERE d.job_id = $1 AND d.status IS NULL"
	" AND d.depends_on = ANY (ARRAY(SELECT o.depends_on FROM kwjobs.dependency AS o"
	"  WHERE o.job_id = $1 FOR UPDATE SKIP LOCKED))",
	1, {INT8OID}, .fresh = true
};

static void
error_args(int64 job_id, const KwjError *error, Datum *values, char *nulls)
{
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(unpack_sql_state(error->code));
	nulls[0] = nulls[1] = ' ';
	kwj_clipped_arg(&values[2], &nulls[2], error->message);
	kwj_clipped_arg(&values[3], &nulls[3], error->detail);
	kwj_clipped_arg(&values[4], &nulls[4], error->hint);
	kwj_clipped_arg(&values[5], &nulls[5], error->context);
}

bool
kwj_store_break(int64 job_id, const KwjError *error, bool plainly, KwjStatus *status)
{
	KwjStoreScope scope;
	Datum		values[6];
	char		nulls[6];
	bool		found;

	kwj_wakeup_at_end(job_id);
	kwj_store_enter(&scope);
	error_args(job_id, error, values, nulls);
	found = kwj_query_run(plainly ? &break_plainly_query : &break_query, values, nulls, false) > 0;
	if (found)
	{
		*status = kwj_status_from_name(kwj_row_text(0, "status", CurrentMemoryContext));
		kwj_store_tell_listeners(1);
	}
	kwj_store_leave(&scope);
	return found;
}

void
kwj_store_end_attempts(int64 job_id, const KwjError *error)
{
	KwjStoreScope scope;
	Datum		values[6];
	char		nulls[6];

	kwj_store_enter(&scope);
	error_args(job_id, error, values, nulls);
	kwj_query_run(&end_attempts_query, values, nulls, false);
	kwj_store_leave(&scope);
}

void
kwj_store_end_dependencies(int64 job_id)
{
	(void) kwj_query_run_for(&end_dependencies_query, job_id);
}

void
kwj_store_look_again(int64 job_id)
{
	(void) kwj_query_run_for(&look_again_query, job_id);
}

KwjJobs
kwj_store_list(KwjList which, KwjJobs without, int limit, KwjListPlace *after, KwjListPlace last)
{
	KwjStoreScope scope;
	Datum		values[7];
	KwjJobs		jobs;

	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(without.ids, without.n);
	values[1] = Int32GetDatum(limit);
	values[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[3] = TimestampTzGetDatum(after->due);
	values[4] = Int64GetDatum(after->job_id);
	values[5] = TimestampTzGetDatum(last.due);
	values[6] = Int64GetDatum(last.job_id);
	jobs = kwj_rows_ids(kwj_query_run(&list_queries[which], values, NULL, false), "job_id", scope.caller);
	if (jobs.n > 0)
	{
		after->job_id = jobs.ids[jobs.n - 1];
		if (which == KWJ_LIST_DUE)
			after->due = kwj_row_int64(jobs.n - 1, "due");
	}
	kwj_store_leave(&scope);
	return jobs;
}

bool
kwj_store_lock_ready(int64 job_id)
{
	return kwj_query_run_for(&lock_ready_query, job_id) > 0;
}

/*
 * src/store/history.c
 *	  Jobs that are over: retention, and the RESTART jobs.
 *
 * Callers: the coordinator, for retention after its passes, in separate transactions
 * (src/coordinator/retention.c), and for the RESTART job before its first pass
 * (src/process/server_start.c); sessions, for kwjobs.delete (src/lifecycle/delete.c).
 *
 *     retention      lock_oldest_query --> forget_query --------> the sum of a day, type, status
 *     kwjobs.delete  kwj_store_lock ----> forget_query --> a loose row --sum_up_query--> that sum
 *
 * Why loose rows: if sessions updated the sums, a session whose transaction stays open would keep
 * the lock on a sum, and the coordinator, and with it all jobs, would wait for that lock. So
 * sessions only insert loose rows (column "added" is not 0), and the coordinator alone updates the
 * sums.
 *
 * Locks: retention locks the rows of kwjobs.job that it deletes with FOR UPDATE SKIP LOCKED;
 * kwjobs.delete has locked them with FOR UPDATE. The locks last until the end of the transaction.
 * One statement deletes the jobs and counts them, so a process that dies has done both or neither.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/history.h"
#include "store/query.h"
#include "utils/builtins.h"

/*
 * The first of two steps: lock the jobs. From now on, a session that submits a job which depends on
 * one of them has to wait, and then finds the job gone. A session that submitted one before may
 * have committed after this statement's snapshot, so forget_query checks the dependencies again.
 */
static KwjQuery lock_oldest_query = {
	"SELECT count(*) AS found, max(l.finished) AS latest, array_agg(l.job_id) AS job_ids FROM ("
	" SELECT j.job_id, j.finished FROM kwjobs.job AS j"
	" WHERE j.finished >= $4 AND j.finished <= $1 AND (j.finished, j.job_id) <= ($1, $2)"
	" AND NOT EXISTS (SELECT FROM kwjobs.dependency AS d WHERE d.depends_on = j.job_id)"
	" ORDER BY j.finished LIMIT $3 FOR UPDATE OF j SKIP LOCKED) AS l",
	4, {TIMESTAMPTZOID, INT8OID, INT4OID, TIMESTAMPTZOID}, .fresh = true
};

/* The end of an INSERT into kwjobs.history AS h: if there is a sum already, add to it. */
#define ADD_TO_SUM \
	" ON CONFLICT (day, job_type, status, added) DO UPDATE SET" \
	"  jobs = h.jobs + excluded.jobs, attempts = h.attempts + excluded.attempts," \
	"  rows = h.rows + excluded.rows, run_time = h.run_time + excluded.run_time"

/*
 * The second step, with a snapshot that is taken after the locks: delete the jobs on which no other
 * depends. It is one statement, so that no job is deleted without being counted. $2: count them in
 * loose rows, whose keys are unique because of the job's id in "added". Attempts and events have no
 * foreign key, so the query deletes them, too; ON DELETE CASCADE deletes the rows in the other
 * tables.
 */
static KwjQuery forget_query = {
	"WITH old AS MATERIALIZED ("
	" SELECT j.job_id, j.job_type, j.status, j.started, j.finished, j.total_num_of_ex, j.rows,"
	"  j.line, j.owner, j.serial_key"
	" FROM kwjobs.job AS j WHERE j.job_id = ANY ($1)"
	" AND NOT EXISTS (SELECT FROM kwjobs.dependency AS d WHERE d.depends_on = j.job_id)),"
	" counted AS ("
	" INSERT INTO kwjobs.history AS h"
	"  (day, job_type, status, jobs, attempts, rows, run_time, added)"
	" SELECT (o.finished AT TIME ZONE 'UTC')::date, o.job_type, o.status,"
	"  count(*), sum(o.total_num_of_ex),"
	"  sum(coalesce(o.rows, (SELECT c.rows FROM kwjobs.checkpoint AS c WHERE c.job_id = o.job_id),"
	"   (SELECT max(a.rows) FROM kwjobs.attempt AS a WHERE a.job_id = o.job_id), 0)),"
	"  coalesce(sum(o.finished - o.started), '0'), CASE WHEN $2 THEN min(o.job_id) ELSE 0 END"
	" FROM old AS o GROUP BY 1, 2, 3" ADD_TO_SUM "),"
	/* their turn was not passed on yet */
	" freed AS (INSERT INTO kwjobs.left_line (job_id, owner, serial_key)"
	"  SELECT o.job_id, o.owner, o.serial_key FROM old AS o WHERE o.line IS NOT NULL AND o.serial_key IS NOT NULL),"
	" gone AS (DELETE FROM kwjobs.attempt AS a USING old AS o WHERE a.job_id = o.job_id),"
	" events AS (DELETE FROM kwjobs.event AS e USING old AS o WHERE e.job_id = o.job_id)"
	" DELETE FROM kwjobs.job AS j USING old AS o WHERE j.job_id = o.job_id",
	2, {INT8ARRAYOID, BOOLOID}, .fresh = true
};

static KwjQuery sum_up_query = {
	"WITH loose AS ("
	" DELETE FROM kwjobs.history AS l WHERE l.ctid = ANY (ARRAY("
	"  SELECT h.ctid FROM kwjobs.history AS h WHERE h.added <> 0 ORDER BY h.day LIMIT $1 FOR UPDATE))"
	" RETURNING l.*),"
	" summed AS ("
	" INSERT INTO kwjobs.history AS h (day, job_type, status, jobs, attempts, rows, run_time)"
	" SELECT l.day, l.job_type, l.status, sum(l.jobs), sum(l.attempts), sum(l.rows), sum(l.run_time)"
	" FROM loose AS l GROUP BY 1, 2, 3" ADD_TO_SUM ")"
	" SELECT count(*) AS found FROM loose",
	1, {INT4OID}, .fresh = true
};

static KwjQuery surplus_query = {
	"SELECT finished, job_id FROM kwjobs.job WHERE finished IS NOT NULL"
	" ORDER BY finished DESC, job_id DESC OFFSET $1 LIMIT 1",
	1, {INT8OID}
};

/*
 * Returns how many bytes a finished job takes on disk: the average of the 300 jobs that have
 * finished last. The query measures only the columns that may be long. For the rest of each row
 * (its header, its short columns, its index entries, the space that fillfactor leaves free) it adds
 * a constant: 500 bytes in kwjobs.job, 200 in kwjobs.attempt, 150 in kwjobs.event, 120 in
 * kwjobs.checkpoint.
 */
static KwjQuery size_query = {
	"SELECT coalesce(avg(500"
	" + pg_column_size(j.description) + pg_column_size(j.statement) + pg_column_size(j.payload)"
	" + coalesce(pg_column_size(j.result), 0) + pg_column_size(j.error)"
	" + coalesce(pg_column_size(j.error_context), 0) + coalesce(pg_column_size(j.cause), 0)"
	" + coalesce((SELECT sum(200 + coalesce(pg_column_size(a.error), 0)"
	"   + coalesce(pg_column_size(a.error_context), 0)"
	"   + coalesce(pg_column_size(a.tags), 0) + coalesce(pg_column_size(a.messages), 0)"
	"   + coalesce(pg_column_size(a.message_times), 0))"
	"   FROM kwjobs.attempt AS a WHERE a.job_id = j.job_id), 0)"
	" + coalesce((SELECT sum(150 + coalesce(pg_column_size(e.reason), 0)"
	"   + coalesce(pg_column_size(e.error), 0) + coalesce(pg_column_size(e.detail), 0))"
	"   FROM kwjobs.event AS e WHERE e.job_id = j.job_id), 0)"
	" + coalesce((SELECT 120 + coalesce(pg_column_size(c.state), 0)"
	"   FROM kwjobs.checkpoint AS c WHERE c.job_id = j.job_id), 0)), 1)::double precision AS size"
	" FROM (SELECT * FROM kwjobs.job WHERE finished IS NOT NULL"
	"  ORDER BY finished DESC LIMIT 300) AS j",
	0, {0}
};

static KwjQuery oldest_query = {
	"SELECT min(finished) AS finished FROM kwjobs.job WHERE finished > $1",
	1, {TIMESTAMPTZOID}
};

static KwjQuery restart_query = {
	"INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due,"
	" max_attempts, payload, result, created, started, finished, modified,"
	" total_num_of_ex, total_num_of_success, time_of_last_success, created_by)"
	" VALUES ($1, 'RESTART', $2, $3, pg_get_userbyid($3), 'succeeded', $4,"
	" 1, '{}', $6, $4, $4, $5, $5, 1, 1, $5, $3) ON CONFLICT (job_id) DO NOTHING",
	6, {INT8OID, TEXTOID, OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID}
};

int64
kwj_store_forget(TimestampTz *from, const KwjHistoryMark *mark, int limit)
{
	KwjStoreScope scope;
	Datum		values[4] = {TimestampTzGetDatum(mark->finished),
	Int64GetDatum(mark->job_id), Int32GetDatum(limit), TimestampTzGetDatum(*from)};
	int64		found;

	kwj_store_lock_tables(true);
	kwj_store_enter(&scope);
	kwj_query_run(&lock_oldest_query, values, NULL, false);
	found = kwj_row_int64(0, "found");
	if (found > 0)
	{
		bool		isnull;
		Datum		job_ids[2] = {kwj_row_datum(0, "job_ids", &isnull), BoolGetDatum(false)};

		*from = kwj_row_time(0, "latest");
		kwj_query_run(&forget_query, job_ids, NULL, false);
	}
	kwj_store_leave(&scope);
	return found;
}

void
kwj_store_prepare_delete(void)
{
	kwj_store_lock_tables(true);
}

int64
kwj_store_delete(const int64 *job_ids, int n)
{
	KwjStoreScope scope;
	Datum		values[2];
	int64		deleted;

	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(job_ids, n);
	values[1] = BoolGetDatum(true);
	deleted = (int64) kwj_query_run(&forget_query, values, NULL, false);
	kwj_store_leave(&scope);
	return deleted;
}

int64
kwj_store_sum_up(int limit)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int32GetDatum(limit)};
	int64		found;

	kwj_store_lock_tables(true);
	kwj_store_enter(&scope);
	kwj_query_run(&sum_up_query, values, NULL, false);
	found = kwj_row_int64(0, "found");
	kwj_store_leave(&scope);
	return found;
}

bool
kwj_store_surplus(int64 keep, KwjHistoryMark *mark)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(keep)};
	bool		found;

	kwj_store_enter(&scope);
	found = kwj_query_run(&surplus_query, values, NULL, true) > 0;
	if (found)
	{
		mark->finished = kwj_row_time(0, "finished");
		mark->job_id = kwj_row_int64(0, "job_id");
	}
	kwj_store_leave(&scope);
	return found;
}

double
kwj_store_finished_size(void)
{
	KwjStoreScope scope;
	bool		isnull;
	double		size;

	kwj_store_enter(&scope);
	kwj_query_run(&size_query, NULL, NULL, true);
	size = DatumGetFloat8(kwj_row_datum(0, "size", &isnull));
	kwj_store_leave(&scope);
	return Max(size, 1.0);
}

TimestampTz
kwj_store_oldest_after(TimestampTz after)
{
	KwjStoreScope scope;
	Datum		values[1] = {TimestampTzGetDatum(after)};
	Datum		finished;
	bool		isnull;
	TimestampTz oldest = DT_NOEND;

	kwj_store_enter(&scope);
	kwj_query_run(&oldest_query, values, NULL, true);
	finished = kwj_row_datum(0, "finished", &isnull);
	if (!isnull)
		oldest = DatumGetTimestampTz(finished);
	kwj_store_leave(&scope);
	return oldest;
}

void
kwj_store_restart(const KwjRestartJob *job)
{
	KwjStoreScope scope;
	Datum		values[6];

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(job->job_id);
	values[1] = CStringGetTextDatum(job->description);
	values[2] = ObjectIdGetDatum(job->owner);
	values[3] = TimestampTzGetDatum(job->started);
	values[4] = TimestampTzGetDatum(job->finished);
	values[5] = JsonbPGetDatum(job->result);
	kwj_query_run(&restart_query, values, NULL, false);
	kwj_store_leave(&scope);
}

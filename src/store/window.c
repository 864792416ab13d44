/*
 * src/store/window.c
 *	  What the coordinator does with jobs that have a window, once they are due: it lets those start
 *	  whose window is open, and gives the others the time when theirs opens as their new due time.
 *
 * Callers: the coordinator in its passes, by way of kwj_store_promote (due.c) for jobs that become
 * due, and in coordinator/window.c for jobs that it would claim.
 *
 *     due, no rank ----window open----> job_ready ----claim----> runs
 *        ^    |                            |                       |
 *        |    | window closed              | closed meanwhile      | its window closes
 *        |    v                            v                       v
 *        +-- put off: due when the window opens <------------------+
 *
 * So a job outside its window is a pending job with a due time, in index job_waiting, as one that has
 * a run_at: the coordinator sleeps until then, or leaves, and the launcher sends another one.
 *
 * A job that has never begun leaves the line of its serial key when it is put off, so that it holds up
 * none behind it. One that has begun keeps its turn, as it is half done.
 *
 * Locks: rows of kwjobs.job, FOR NO KEY UPDATE SKIP LOCKED, until the end of the pass. If the
 * coordinator dies, its pass is rolled back, and its successor does the same again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/texts.h"
#include "schedule/window.h"
#include "shared/wakeup.h"
#include "store/due.h"
#include "store/query.h"
#include "store/window.h"
#include "utils/array.h"

/*
 * To find out how long a job usually takes, expected_query takes the jobs that have done the same work, at most
 * the last RUNS of them. It looks for them among the last LOOKED_THROUGH jobs that have ended.
 */
#define LOOKED_THROUGH	"1000"
#define RUNS			"5"

static KwjQuery lock_query = {
	"SELECT l.job_id, l.window, l.serial FROM unnest($1) AS n (job_id) CROSS JOIN LATERAL ("
	" SELECT k.job_id, k.window, k.serial_key IS NOT NULL OR k.queue IS NOT NULL AS serial, k.rank,"
	"  k.active_attempt, k.status, k.due FROM kwjobs.job AS k WHERE k.job_id = n.job_id LIMIT 1"
	" FOR NO KEY UPDATE SKIP LOCKED) AS l"
	" WHERE l.rank IS NULL AND l.active_attempt IS NULL AND l.status = 'pending'"
	"  AND l.due <= $2 AND l.window IS NOT NULL",
	2, {INT8ARRAYOID, TIMESTAMPTZOID}
};

/* $2: seconds that one step of priority counts for. */
static KwjQuery rank_query = {
	"UPDATE kwjobs.job AS j SET rank = " KWJ_RANK("j.due", "j", "$2") " WHERE j.job_id = ANY ($1)",
	2, {INT8ARRAYOID, INT4OID}
};

/* Returns the jobs that leave their lines. */
static KwjQuery leave_lines_query = {
	"INSERT INTO kwjobs.left_line (job_id, owner, serial_key)"
	" SELECT j.job_id, j.owner, j.serial_key FROM kwjobs.job AS j WHERE j.job_id = ANY ($1)"
	"  AND j.started IS NULL AND j.line IS NOT NULL AND j.serial_key IS NOT NULL RETURNING job_id",
	1, {INT8ARRAYOID}
};

static KwjQuery put_off_query = {
	"UPDATE kwjobs.job AS j SET due = p.due, rank = NULL, running_status = p.note, refusals = 0,"
	" line = CASE WHEN j.started IS NOT NULL THEN j.line END, modified = clock_timestamp()"
	" FROM unnest($1, $2, $3) AS p (job_id, due, note) WHERE j.job_id = p.job_id",
	3, {INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID}
};

static KwjQuery expected_query = {
	"SELECT j.timeout, EXISTS (SELECT FROM kwjobs.checkpoint AS c"
	"  WHERE c.job_id = j.job_id AND c.written IS NOT NULL) AS has_checkpoint,"
	" (SELECT max(date_part('epoch', a.finished - a.started) * 1000)::bigint FROM ("
	"   SELECT e.job_id FROM (SELECT f.job_id, f.status, f.owner, f.job_type, f.key, f.description"
	"     FROM kwjobs.job AS f WHERE f.finished IS NOT NULL"
	"     ORDER BY f.finished DESC, f.job_id DESC LIMIT " LOOKED_THROUGH ") AS e"
	"   WHERE e.status = 'succeeded' AND e.owner = j.owner AND e.job_type = j.job_type"
	"    AND CASE WHEN j.key IS NULL THEN e.key IS NULL AND e.description = j.description"
	"     ELSE e.key = j.key END LIMIT " RUNS ") AS r"
	"  JOIN kwjobs.attempt AS a ON a.job_id = r.job_id AND a.status = 'succeeded' AND NOT a.reverting)"
	"  AS usual"
	" FROM kwjobs.job AS j WHERE j.job_id = $1",
	1, {INT8OID}
};

/* Sets the three arguments of put_off_query. */
static void
put_off_args(const KwjPutOff *jobs, int n, Datum *values)
{
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum	   *dues = palloc(sizeof(Datum) * n);
	const char **notes = palloc(sizeof(char *) * n);

	for (int i = 0; i < n; i++)
	{
		ids[i] = jobs[i].job_id;
		dues[i] = TimestampTzGetDatum(jobs[i].due);
		notes[i] = jobs[i].note;
	}
	values[0] = kwj_jobs_arg(ids, n);
	values[1] = PointerGetDatum(construct_array(dues, n, TIMESTAMPTZOID, sizeof(TimestampTz),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(kwj_array_of_strings(notes, n));
}

void
kwj_store_put_off(const KwjPutOff *jobs, int n)
{
	KwjStoreScope scope;
	Datum		values[3];
	int			n_left;

	if (n == 0)
		return;
	kwj_store_enter(&scope);
	put_off_args(jobs, n, values);
	n_left = (int) kwj_query_run(&leave_lines_query, values, NULL, false);
	/* The coordinator, which is this process, has to look at these lines in its next pass: it wakes itself. */
	for (int i = 0; i < n_left; i++)
		kwj_wakeup_at_end(kwj_row_int64(i, "job_id"));
	kwj_query_run(&put_off_query, values, NULL, false);
	for (int i = 0; i < n; i++)
		kwj_wakeup_waiters_at_end(jobs[i].job_id);
	kwj_store_leave(&scope);
}

/* The jobs of kwj_store_open_windows, by what becomes of them. */
typedef struct Sorted
{
	KwjPutOff  *closed;			/* their window is closed: they are put off */
	int			n_closed;
	int64	   *open;			/* their window is open: they get a rank */
	int			n_open;
	int64	   *serial;			/* their window is open, and they have a serial key or a queue */
	int			n_serial;
} Sorted;

/* Sorts the n rows that lock_query has found. */
static Sorted
sort_by_window(int n, TimestampTz now, MemoryContext context)
{
	Sorted		sorted = {
		.closed = palloc(sizeof(KwjPutOff) * Max(n, 1)),
		.open = palloc(sizeof(int64) * Max(n, 1)),
		.serial = MemoryContextAlloc(context, sizeof(int64) * Max(n, 1)),
	};

	for (int i = 0; i < n; i++)
	{
		int64		job_id = kwj_row_int64(i, "job_id");
		KwjWindowLook look = kwj_window_look(kwj_row_text(i, "window", CurrentMemoryContext), now);

		if (!look.is_open)
			sorted.closed[sorted.n_closed++] = (KwjPutOff) {job_id, look.until, NULL};
		else if (kwj_row_bool(i, "serial"))
			sorted.serial[sorted.n_serial++] = job_id;
		else
			sorted.open[sorted.n_open++] = job_id;
	}
	return sorted;
}

int
kwj_store_open_windows(KwjJobs jobs, TimestampTz now, KwjJobs *serial)
{
	KwjStoreScope scope;
	Datum		values[2] = {kwj_jobs_arg(jobs.ids, jobs.n), TimestampTzGetDatum(now)};
	Sorted		sorted;
	int			n;

	kwj_store_enter(&scope);
	n = (int) kwj_query_run(&lock_query, values, NULL, false);
	sorted = sort_by_window(n, now, scope.caller);
	kwj_store_put_off(sorted.closed, sorted.n_closed);
	if (sorted.n_open > 0)
	{
		values[0] = kwj_jobs_arg(sorted.open, sorted.n_open);
		values[1] = Int32GetDatum(kwj_priority_ageing);
		kwj_query_run(&rank_query, values, NULL, false);
	}
	kwj_store_leave(&scope);
	*serial = (KwjJobs) {sorted.serial, sorted.n_serial};
	return sorted.n_open + sorted.n_serial;
}

KwjExpected
kwj_store_expected(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	KwjExpected expected = {0};

	kwj_store_enter(&scope);
	if (kwj_query_run(&expected_query, values, NULL, false) > 0)
	{
		expected.has_checkpoint = kwj_row_bool(0, "has_checkpoint");
		expected.timeout_ms = kwj_row_int64(0, "timeout");
		expected.usual_ms = kwj_row_int64(0, "usual");
	}
	kwj_store_leave(&scope);
	return expected;
}

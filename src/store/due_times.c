/*
 * src/store/due_times.c
 *	  Rows of due times: what has become of each due time of a schedule, and how its run ended.
 *
 * Callers: the coordinator, in the transaction that creates the job or notes its end
 * (coordinator/fire.c); sessions, for kwjobs.run_schedule. Each has locked the schedule's row.
 *
 *     (no row) --insert--> run --note_end--> with the status of its job
 *                          skipped, missed, refused
 *
 * Locks: none but that of the schedule's row. If the process dies before its commit, neither the row
 * nor the job is there, and the schedule is due as before.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/due_times.h"
#include "store/query.h"
#include "utils/builtins.h"

static KwjQuery insert_query = {
	"INSERT INTO kwjobs.due_time (schedule_id, due, kind, outcome, reason, times, until, decided, job_id)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	9, {INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
};

static KwjQuery missed_until_query = {
	"SELECT l.due FROM (SELECT d.due, d.until FROM kwjobs.due_time AS d WHERE d.schedule_id = $1 AND d.due <= $2"
	"  ORDER BY d.due DESC LIMIT 1) AS l WHERE l.until = $2",
	2, {INT8OID, TIMESTAMPTZOID}, .latest = true
};

static KwjQuery extend_query = {
	"UPDATE kwjobs.due_time AS d SET times = d.times + $3, until = $4, decided = $5"
	" WHERE d.schedule_id = $1 AND d.due = $2 AND d.until IS NOT NULL",
	5, {INT8OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}, .latest = true
};

static KwjQuery forget_query = {
	"DELETE FROM kwjobs.due_time AS d WHERE d.ctid = ANY (ARRAY("
	" SELECT o.ctid FROM (SELECT e.ctid, e.decided, e.job_id, e.finished FROM kwjobs.due_time AS e"
	"  WHERE e.schedule_id = $1 ORDER BY e.due LIMIT $3) AS o"
	" WHERE o.decided < $2 AND (o.job_id IS NULL OR o.finished IS NOT NULL)))",
	3, {INT8OID, TIMESTAMPTZOID, INT4OID}, .latest = true
};

/*
 * The subquery has LIMIT 1 for the reason given at promote_query in due.c. This query reads the rows of the
 * schedule that have no `finished`. A run has such a row while it is not over, and until the coordinator has
 * noted its end. The coordinator notes each end soon, so there are few such rows.
 */
static KwjQuery unfinished_query = {
	"SELECT j.job_id, j.status FROM kwjobs.due_time AS d CROSS JOIN LATERAL ("
	"  SELECT k.job_id, k.status, k.finished FROM kwjobs.job AS k WHERE k.job_id = d.job_id LIMIT 1) AS j"
	" WHERE d.schedule_id = $1 AND d.job_id IS NOT NULL AND d.finished IS NULL AND j.finished IS NULL"
	" ORDER BY d.job_id DESC LIMIT 3",
	1, {INT8OID}
};

static KwjQuery ended_query = {
	"SELECT d.schedule_id, d.job_id, d.due, j.job_id IS NULL OR j.finished IS NOT NULL AS over, j.status,"
	" j.started, j.finished,"
	" CASE WHEN j.finished IS NOT NULL THEN left(j.error, 1000) END AS error"
	" FROM (SELECT o.schedule_id, o.job_id, o.due FROM kwjobs.due_time AS o"
	"  WHERE o.job_id IS NOT NULL AND o.finished IS NULL AND (o.schedule_id, o.job_id) > ($1, $2)"
	"  ORDER BY o.schedule_id, o.job_id LIMIT $3) AS d"
	" LEFT JOIN LATERAL (SELECT k.job_id, k.status, k.started, k.finished, k.error"
	"  FROM kwjobs.job AS k WHERE k.job_id = d.job_id LIMIT 1) AS j ON true"
	" ORDER BY d.schedule_id, d.job_id",
	3, {INT8OID, INT8OID, INT4OID}
};

static KwjQuery jobs_query = {
	"SELECT array_agg(job_id) AS ids FROM kwjobs.due_time WHERE schedule_id = $1 AND job_id IS NOT NULL",
	1, {INT8OID}
};

static KwjQuery note_query = {
	"UPDATE kwjobs.due_time AS d SET status = $3, started = $4, finished = coalesce($5, clock_timestamp())"
	" WHERE d.schedule_id = $1 AND d.job_id = $2 AND d.finished IS NULL",
	5, {INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

void
kwj_store_due_time_insert(const KwjDueTime *due_time)
{
	KwjStoreScope scope;
	Datum		values[9];
	char		nulls[9];

	memset(nulls, ' ', sizeof(nulls));
	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(due_time->schedule_id);
	values[1] = TimestampTzGetDatum(due_time->due);
	values[2] = CStringGetTextDatum(due_time->kind);
	values[3] = CStringGetTextDatum(due_time->outcome);
	kwj_clipped_arg(&values[4], &nulls[4], due_time->reason);
	values[5] = Int64GetDatum(due_time->times);
	kwj_time_arg(&values[6], &nulls[6], due_time->until);
	values[7] = TimestampTzGetDatum(due_time->decided);
	values[8] = Int64GetDatum(due_time->job_id);
	nulls[8] = due_time->job_id == 0 ? 'n' : ' ';
	(void) kwj_query_run(&insert_query, values, nulls, false);
	kwj_store_leave(&scope);
}

TimestampTz
kwj_store_missed_until(int64 schedule_id, TimestampTz until)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(schedule_id), TimestampTzGetDatum(until)};
	TimestampTz due = 0;

	kwj_store_enter(&scope);
	if (kwj_query_run(&missed_until_query, values, NULL, false) > 0)
		due = kwj_row_time(0, "due");
	kwj_store_leave(&scope);
	return due;
}

void
kwj_store_due_time_extend(const KwjDueTime *more, TimestampTz due)
{
	KwjStoreScope scope;
	Datum		values[5] = {
		Int64GetDatum(more->schedule_id), TimestampTzGetDatum(due), Int64GetDatum(more->times),
		TimestampTzGetDatum(more->until), TimestampTzGetDatum(more->decided)
	};

	kwj_store_enter(&scope);
	(void) kwj_query_run(&extend_query, values, NULL, false);
	kwj_store_leave(&scope);
}

void
kwj_store_due_times_forget(int64 schedule_id, TimestampTz before, int limit)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int64GetDatum(schedule_id), TimestampTzGetDatum(before), Int32GetDatum(limit)};

	kwj_store_enter(&scope);
	(void) kwj_query_run(&forget_query, values, NULL, false);
	kwj_store_leave(&scope);
}

int
kwj_store_unfinished_runs(int64 schedule_id, int64 *job_id, KwjStatus *status)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(schedule_id)};
	int			n;

	*job_id = 0;
	*status = KWJ_UNKNOWN_STATUS;
	kwj_store_enter(&scope);
	n = (int) kwj_query_run(&unfinished_query, values, NULL, false);
	if (n > 0)
	{
		*job_id = kwj_row_int64(0, "job_id");
		*status = kwj_status_from_name(kwj_row_text_or_empty(0, "status", CurrentMemoryContext));
	}
	kwj_store_leave(&scope);
	return n;
}

static KwjEndedRun *
read_run(uint64 row, MemoryContext context)
{
	KwjEndedRun *run = MemoryContextAllocZero(context, sizeof(KwjEndedRun));

	run->schedule_id = kwj_row_int64(row, "schedule_id");
	run->job_id = kwj_row_int64(row, "job_id");
	run->due = kwj_row_time(row, "due");
	run->status_name = kwj_row_text(row, "status", context);
	run->status = run->status_name ? kwj_status_from_name(run->status_name) : KWJ_UNKNOWN_STATUS;
	run->started = kwj_row_time(row, "started");
	run->finished = kwj_row_time(row, "finished");
	run->error = kwj_row_text_or_empty(row, "error", context);
	return run;
}

List *
kwj_store_ended_runs(KwjRunPlace *place, int limit)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int64GetDatum(place->schedule_id), Int64GetDatum(place->job_id), Int32GetDatum(limit)};
	List	   *ended = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&ended_query, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old;

		place->schedule_id = kwj_row_int64(i, "schedule_id");
		place->job_id = kwj_row_int64(i, "job_id");
		if (!kwj_row_bool(i, "over"))
			continue;
		old = MemoryContextSwitchTo(scope.caller);
		ended = lappend(ended, read_run(i, scope.caller));
		MemoryContextSwitchTo(old);
	}
	if (n < limit)
		*place = (KwjRunPlace) {0, 0};
	kwj_store_leave(&scope);
	return ended;
}

bool
kwj_store_note_end(const KwjEndedRun *run)
{
	KwjStoreScope scope;
	Datum		values[5] = {Int64GetDatum(run->schedule_id), Int64GetDatum(run->job_id)};
	char		nulls[5] = {' ', ' '};
	bool		noted;

	kwj_store_enter(&scope);
	kwj_text_arg(&values[2], &nulls[2], run->status_name);
	kwj_time_arg(&values[3], &nulls[3], run->started);
	kwj_time_arg(&values[4], &nulls[4], run->finished);
	noted = kwj_query_run(&note_query, values, nulls, false) > 0;
	kwj_store_leave(&scope);
	return noted;
}

KwjJobs
kwj_store_jobs_of_schedule(int64 schedule_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(schedule_id)};
	KwjJobs		jobs;

	kwj_store_enter(&scope);
	(void) kwj_query_run(&jobs_query, values, NULL, false);
	jobs = kwj_row_jobs(0, "ids", scope.caller);
	kwj_store_leave(&scope);
	return jobs;
}

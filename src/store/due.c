/*
 * src/store/due.c
 *	  What the coordinator finds in the tables and has to act on.
 *
 * Caller: the coordinator, in the transaction of a pass (src/coordinator). It calls kwj_store_look
 * first, and then the function of each list that is not empty. A worker that cannot run the job it
 * was given calls kwj_store_unclaim, too.
 *
 * The lists are small partial indexes. A job is in at most one of them at a time:
 *
 *                   due                  rank                  active_attempt
 *     job_waiting -----> job_ready -----------> job_active ----------> (settled, see end.c)
 *       | ^   promote       |        claim         |
 *       | |                 |                      |
 *       | +-----------------|----------------------+   unclaim: no worker could be had
 *       v                   v
 *     job_requested: a control statement has set the status (jobs.c); settle_idle settles the job
 *       |
 *       +--> paused | reverting (job_waiting) | canceled | failed
 *
 * A job of job_active whose attempt stands still for a PAUSE becomes paused, and stays in job_active
 * (kwj_store_stand); RESUME makes it running, CANCEL has its attempt end.
 *
 * Locks: rows of kwjobs.job, FOR NO KEY UPDATE SKIP LOCKED, until the end of the pass. The
 * coordinator never waits for a transaction of a user. It leaves a locked row as it is; the end of
 * the transaction that holds the lock wakes the coordinator, which looks again.
 *
 * Windows and limits: one role may have millions of jobs, or keep them locked. So each step reads a
 * bounded number of index entries behind a position (KwjWindow), and the next pass goes on behind
 * the last entry that was read. Which jobs of job_ready are tried, candidates.c decides.
 *
 * If the coordinator dies, its pass is rolled back, and its successor begins with a full pass.
 * The functions here keep nothing in the memory of the process.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/isolate.h"
#include "job/texts.h"
#include "store/store.h"
#include "store/dependency.h"
#include "store/line.h"
#include "store/over.h"
#include "store/query.h"
#include "store/queue.h"
#include "store/table.h"
#include "store/window.h"
#include "shared/wakeup.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/*
 * $3: the reason, as running_status. $4: the longest delay in ms; below 0, there is no delay, and
 * the job keeps its place in the order. A claim that was taken back does not count as an execution,
 * and the next attempt gets the same number.
 */
static KwjQuery unclaim_query = {
	"WITH locked AS MATERIALIZED ("
	" SELECT job_id FROM kwjobs.job WHERE job_id = $1 AND active_attempt = $2"
	" FOR NO KEY UPDATE SKIP LOCKED),"
	" ended AS ("
	" DELETE FROM kwjobs.attempt AS a USING locked AS l"
	" WHERE a.job_id = l.job_id AND a.attempt = $2 RETURNING a.job_id, a.reverting)"
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE j.status WHEN 'running' THEN 'pending' ELSE j.status END,"
	"  active_attempt = NULL, attempts = j.attempts - 1, running_status = $3,"
	/* no other attempt has begun since the job was created or retried: it has not started */
	"  modified = clock_timestamp(), started = CASE WHEN NOT e.reverting AND NOT EXISTS ("
	"    SELECT FROM kwjobs.attempt AS o WHERE o.job_id = j.job_id AND o.attempt <> $2"
	"     AND o.started >= j.started) THEN NULL"
	"   ELSE j.started END,"
	"  refusals = j.refusals + ($4 >= 0)::integer,"
	"  due = CASE WHEN $4 < 0 THEN j.due ELSE clock_timestamp()"
	"   + least($4, 1000 * 2 ^ least(j.refusals, 20)) * interval '1 millisecond' END,"
	"  total_num_of_ex = j.total_num_of_ex - (NOT e.reverting)::integer"
	" FROM ended AS e WHERE j.job_id = e.job_id",
	4, {INT8OID, INT4OID, TEXTOID, INT4OID}, .fresh = true
};

/*
 * startable: whether the job only lacks a worker, or may start by $2. queue: the queue in which the
 * job waits for a place, or NULL.
 */
#define NEEDED_COLUMNS \
	" j.job_id, j.owner, j.job_type, j.active_attempt IS NOT NULL AS active," \
	" j.active_attempt IS NULL AND j.status IN ('pending', 'reverting')" \
	"  AND (j.rank IS NOT NULL OR j.due <= $2) AS startable," \
	" CASE WHEN " KWJ_QUEUED("j") " THEN j.queue END AS queue"

/*
 * Reads the jobs in $1, leaving out jobs that are over. The subquery has LIMIT 1 for the reason given
 * at promote_query: the planner could take the index of all jobs that are not over.
 */
static KwjQuery needed_query = {
	"SELECT" NEEDED_COLUMNS " FROM unnest($1) AS n (job_id) CROSS JOIN LATERAL ("
	" SELECT * FROM kwjobs.job AS k WHERE k.job_id = n.job_id LIMIT 1) AS j WHERE j.finished IS NULL",
	2, {INT8ARRAYOID, TIMESTAMPTZOID}
};

/*
 * Reads up to $4 dependencies of the jobs in $1; of the first of these jobs, only those behind $3.
 * If the job depended on is over, the columns after depends_on are NULL.
 */
static KwjQuery needed_step_query = {
	"SELECT d.dependent, d.depends_on," NEEDED_COLUMNS " FROM ("
	" SELECT n.job_id AS dependent, r.depends_on FROM unnest($1) WITH ORDINALITY AS n (job_id, i)"
	"  CROSS JOIN LATERAL (SELECT e.depends_on FROM kwjobs.dependency AS e"
	"   WHERE e.job_id = n.job_id AND e.depends_on > CASE WHEN n.i = 1 THEN $3 ELSE '-9223372036854775808' END"
	"   ORDER BY e.depends_on LIMIT $4) AS r"
	"  UNION ALL"
	"  SELECT p.dependent, p.first FROM (SELECT k.job_id AS dependent,"
	"   CASE WHEN " KWJ_PARKED("k") " THEN " KWJ_FIRST_OF_LINE("f.job_id", "k") " END AS first"
	"   FROM unnest($1) WITH ORDINALITY AS n (job_id, i) CROSS JOIN LATERAL ("
	"    SELECT * FROM kwjobs.job AS q WHERE q.job_id = n.job_id LIMIT 1) AS k"
	"   WHERE k.due = 'infinity' AND ($3 = '-9223372036854775808' OR n.i > 1)) AS p"
	"   WHERE p.first IS NOT NULL LIMIT $4) AS d"
	" LEFT JOIN LATERAL ("
	" SELECT * FROM (SELECT * FROM kwjobs.job AS k WHERE k.job_id = d.depends_on LIMIT 1) AS k"
	" WHERE k.finished IS NULL) AS j ON true",
	4, {INT8ARRAYOID, TIMESTAMPTZOID, INT8OID, INT4OID}
};

/*
 * Reads the jobs that have places in the queues $1. Queues that are held, and queues whose limit is
 * 0, are left out. Each running job has a row of its own. The jobs that do not run have one row for
 * each owner and type; its job_id is the lowest of their ids.
 */
static KwjQuery places_query = {
	"SELECT q.name AS queue, q.max_running, r.active, r.owner, r.job_type, r.job_id, r.n"
	" FROM unnest($1) AS n (name) CROSS JOIN LATERAL ("
	"  SELECT q.name, q.max_running FROM kwjobs.queue AS q WHERE q.name = n.name"
	"   AND q.max_running > 0 AND NOT " KWJ_QUEUE_IS_HELD("q.name") " LIMIT 1) AS q"
	" CROSS JOIN LATERAL ("
	"  SELECT p.active_attempt IS NOT NULL AS active, p.owner, p.job_type, min(p.job_id) AS job_id,"
	"   count(*)::integer AS n FROM kwjobs.job AS p WHERE p.queue = q.name AND " KWJ_HAS_PLACE("p")
	"   GROUP BY p.active_attempt IS NOT NULL, p.owner, p.job_type,"
	"    CASE WHEN p.active_attempt IS NOT NULL THEN p.job_id END) AS r",
	1, {TEXTARRAYOID}
};

/*
 * A job without a rank is moved only if it waits because no worker could be had (refusals > 0), and
 * not if it waits for its own time or retry delay. SKIP LOCKED, because the coordinator must not
 * wait for a transaction of a user.
 */
static KwjQuery put_first_query = {
	"UPDATE kwjobs.job SET rank = '-infinity' WHERE job_id = ANY (ARRAY("
	" SELECT job_id FROM kwjobs.job WHERE job_id = ANY ($1) AND active_attempt IS NULL"
	"  AND status IN ('pending', 'reverting')"
	"  AND CASE WHEN rank IS NULL THEN refusals > 0 AND due < 'infinity'"
	"   AND queue IS NULL AND (serial_key IS NULL OR line IS NOT NULL) ELSE rank > '-infinity' END"
	"  FOR NO KEY UPDATE SKIP LOCKED))",
	1, {INT8ARRAYOID}
};

/*
 * Looks for background workers that end soon: parallel workers end with their statement, and table
 * synchronization workers with the first copy of a table. Other background workers may never end,
 * such as workers of other extensions and the apply workers of subscriptions. Before PostgreSQL 16,
 * table synchronization workers have no backend_type of their own; only pg_stat_get_subscription
 * tells them apart.
 */
static KwjQuery others_query = {
	"SELECT EXISTS (SELECT FROM pg_stat_get_activity(NULL) AS a WHERE a.backend_type IN"
	"  ('parallel worker', 'logical replication parallel worker', 'logical replication tablesync worker'))"
	" OR EXISTS (SELECT FROM pg_stat_get_subscription(NULL) AS s WHERE s.relid IS NOT NULL) AS others",
	0, {0}
};

/* $1: this job only; NULL: all jobs. $2: kwjobs.max_timeout, which does not apply to reverts. */
static KwjQuery active_query = {
	"SELECT j.job_id, j.active_attempt, j.owner, j.status, a.pid, a.job_id IS NOT NULL AS has_row,"
	" j.job_type, j.window, j.window_end, a.reverting,"
	" CASE WHEN date_part('epoch', clock_timestamp() - a.started) * 1000 > l.timeout"
	"  THEN l.timeout ELSE 0 END AS exceeded"
	" FROM kwjobs.job AS j LEFT JOIN kwjobs.attempt AS a"
	" ON a.job_id = j.job_id AND a.attempt = j.active_attempt"
	" CROSS JOIN LATERAL (SELECT CASE WHEN a.reverting THEN j.timeout"
	"  ELSE least(j.timeout, nullif($2, 0)) END AS timeout) AS l"
	" WHERE j.active_attempt IS NOT NULL AND ($1 IS NULL OR j.job_id = $1)",
	2, {INT8OID, INT8OID}
};

/*
 * Gives a rank to jobs without a window whose time has come by $1, among the first $2 entries behind
 * ($4, $5). $6: this job only; NULL: all. $3: seconds that one step of priority counts for. Jobs whose
 * rows another transaction has locked are counted as read, but left as they are.
 *
 * The innermost subquery finds one row by the primary key, and locks it. It has LIMIT 1 because the
 * planner pushes no further condition into a subquery with LIMIT. With the conditions on rank and
 * status, the planner could take a partial index instead of the primary key, and PostgreSQL would
 * read all of that index for each row. Other queries of src/store have LIMIT 1 for the same reason.
 */
static KwjQuery promote_query = {
	"WITH due AS MATERIALIZED ("
	" SELECT j.due, j.job_id, j.serial_key IS NOT NULL OR j.queue IS NOT NULL AS serial,"
	"  j.window IS NOT NULL AND j.status = 'pending' AS windowed FROM kwjobs.job AS j"
	" WHERE j.rank IS NULL AND j.active_attempt IS NULL AND j.status IN ('pending', 'reverting')"
	"  AND j.due <= $1 AND (j.due, j.job_id) > ($4, $5) AND ($6 IS NULL OR j.job_id = $6)"
	" ORDER BY j.due, j.job_id LIMIT $2),"
	" promoted AS ("
	" UPDATE kwjobs.job AS j SET rank = " KWJ_RANK("j.due", "j", "$3")
	" WHERE j.job_id = ANY (ARRAY(SELECT l.job_id FROM due AS d CROSS JOIN LATERAL ("
	"  SELECT k.job_id, k.rank, k.active_attempt, k.status, k.due, k.serial_key, k.queue, k.window"
	"   FROM kwjobs.job AS k"
	"  WHERE k.job_id = d.job_id AND NOT d.windowed LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	"  WHERE l.rank IS NULL AND l.active_attempt IS NULL AND l.status IN ('pending', 'reverting')"
	"   AND l.due <= $1 AND l.serial_key IS NULL AND l.queue IS NULL"
	"   AND (l.window IS NULL OR l.status = 'reverting'))) RETURNING j.job_id)"
	" SELECT (SELECT count(*) FROM due) AS n_read, (SELECT count(*) FROM promoted) AS n_promoted,"
	"  (SELECT array_agg(d.job_id) FROM due AS d WHERE d.serial AND NOT d.windowed) AS serial,"
	"  (SELECT array_agg(d.job_id) FROM due AS d WHERE d.windowed) AS windowed,"
	"  l.due, l.job_id FROM (VALUES (1)) AS v LEFT JOIN LATERAL ("
	"  SELECT d.due, d.job_id FROM due AS d ORDER BY d.due DESC, d.job_id DESC LIMIT 1) AS l ON true",
	6, {TIMESTAMPTZOID, INT4OID, INT4OID, TIMESTAMPTZOID, INT8OID, INT8OID}
};

static KwjQuery stand_query = {
	"UPDATE kwjobs.job SET status = 'paused', modified = clock_timestamp() WHERE job_id = ANY (ARRAY("
	" SELECT j.job_id FROM kwjobs.job AS j WHERE j.job_id = $1 FOR NO KEY UPDATE SKIP LOCKED))"
	" AND status = 'pause-requested' AND active_attempt = $2",
	2, {INT8OID, INT4OID}, .fresh = true
};

/* Reads up to $3 jobs that are to be settled, behind $1. $2: this job only; NULL: all. */
static KwjQuery requested_query = {
	"SELECT j.job_id FROM kwjobs.job AS j WHERE j.active_attempt IS NULL"
	" AND " KWJ_TO_SETTLE("j.status") " AND j.job_id > $1 AND ($2 IS NULL OR j.job_id = $2)"
	" ORDER BY j.job_id LIMIT $3",
	3, {INT8OID, INT8OID, INT4OID}
};

static KwjQuery lock_requested_query = {
	"SELECT l.job_id, l.status IS DISTINCT FROM 'pause-requested' AS cancel"
	" FROM unnest($1) AS n (job_id) CROSS JOIN LATERAL ("
	" SELECT j.job_id, j.status, j.active_attempt, j.finished FROM kwjobs.job AS j"
	" WHERE j.job_id = n.job_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	" WHERE l.active_attempt IS NULL AND l.finished IS NULL AND " KWJ_TO_SETTLE("l.status"),
	1, {INT8ARRAYOID}
};

/*
 * Settles the jobs in $1, which this transaction has locked. A job with a status that kwjobs does
 * not know fails, after a revert if there is something to revert.
 */
static KwjQuery settle_idle_query = {
	"WITH idle AS MATERIALIZED ("
	" SELECT j.job_id, j.status IS DISTINCT FROM 'pause-requested' AS cancel,"
	"  j.status IS NULL OR j.status NOT IN ('pause-requested', 'cancel-requested') AS unknown,"
	"  " KWJ_IS_REVERTIBLE " AS revertible"
	" FROM kwjobs.job AS j WHERE j.job_id = ANY ($1))"
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE WHEN NOT i.cancel THEN 'paused'"
	"   WHEN i.revertible THEN 'reverting' WHEN i.unknown THEN 'failed' ELSE 'canceled' END,"
	"  revert_to = CASE WHEN i.unknown THEN coalesce(j.revert_to, 'failed')"
	"   WHEN i.cancel THEN 'canceled' ELSE j.revert_to END,"
	"  error = CASE WHEN i.unknown THEN CASE WHEN j.status IS NULL"
	"    THEN 'the job has no status any more'"
	"    ELSE 'the job''s status \"' || left(j.status, 100) || '\" is none that kwjobs knows' END"
	"   WHEN i.cancel THEN 'job canceled by user' ELSE j.error END,"
	"  error_code = CASE WHEN i.unknown THEN '55000' WHEN i.cancel THEN '57014' ELSE j.error_code END,"
	"  error_detail = CASE WHEN i.unknown THEN"
	"   'Somebody has changed the job''s row in table kwjobs.job.' ELSE j.error_detail END,"
	"  error_hint = CASE WHEN i.unknown THEN"
	"   'Use PAUSE JOB, RESUME JOB and CANCEL JOB to control jobs.' ELSE j.error_hint END,"
	"  errored = CASE WHEN i.unknown THEN clock_timestamp() ELSE j.errored END, rank = NULL,"
	"  finished = CASE WHEN i.cancel AND NOT i.revertible THEN clock_timestamp() END,"
	"  running_status = NULL, retries = 0,"
	"  due = clock_timestamp(), modified = clock_timestamp()"
	" FROM idle AS i WHERE j.job_id = i.job_id"
	" RETURNING j.finished IS NOT NULL AS over," KWJ_OVER_COLUMNS,
	1, {INT8ARRAYOID}
};

/* Whether job j waits for a time after $2 that was computed after $2, and is not that which a user has named. */
#define IS_AHEAD(j) \
	j ".rank IS NULL AND " j ".active_attempt IS NULL AND " j ".status IN ('pending', 'reverting')" \
	" AND " j ".due > $2 AND " j ".due < 'infinity' AND " j ".modified > $2" \
	" AND " j ".due IS DISTINCT FROM " j ".run_at"

static KwjQuery bring_forward_query = {
	"UPDATE kwjobs.job AS j SET modified = $1, due = greatest(CASE WHEN j.started IS NULL THEN j.run_at END,"
	"  CASE WHEN j.window IS NULL OR j.status = 'reverting' THEN $1 + (j.due - j.modified) ELSE $1 END)"
	" WHERE j.job_id = ANY (ARRAY(SELECT l.job_id FROM (SELECT w.job_id FROM kwjobs.job AS w"
	"   WHERE " IS_AHEAD("w") " LIMIT $3) AS a CROSS JOIN LATERAL ("
	"  SELECT * FROM kwjobs.job AS k WHERE k.job_id = a.job_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS l"
	"  WHERE " IS_AHEAD("l") "))",
	3, {TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}
};

static KwjQuery next_due_query = {
	"SELECT min(due) AS next FROM kwjobs.job WHERE rank IS NULL AND active_attempt IS NULL"
	" AND status IN ('pending', 'reverting') AND due > $1 AND due < 'infinity'",
	1, {TIMESTAMPTZOID}
};

/* Returns whether the index has a row for which all keys are true. */
static bool
has_row(KwjTable *table, const char *index, const KwjKey *keys, int n)
{
	bool		found;

	kwj_table_begin_scan(table, index, keys, n);
	found = kwj_table_next(table);
	kwj_table_end_scan(table);
	return found;
}

/* Returns whether the index of the table has a row. */
static bool
table_has_row(const char *name, const char *index, Snapshot snapshot)
{
	KwjTable   *table = kwj_table_open_to_read(name, AccessShareLock, snapshot);
	bool		found = has_row(table, index, NULL, 0);

	kwj_table_close(table);
	return found;
}

/* Returns the first next_run of a schedule after this time; DT_NOEND if there is none. */
static TimestampTz
first_schedule(TimestampTz behind, Snapshot snapshot)
{
	KwjTable   *schedules = kwj_table_open_to_read("schedule", AccessShareLock, snapshot);
	KwjKey		later = {1, BTGreaterStrategyNumber, TimestampTzGetDatum(behind)};
	TimestampTz first = DT_NOEND;
	bool		isnull;

	kwj_table_begin_scan(schedules, "schedule_next", &later, 1);
	if (kwj_table_next(schedules))
		first = DatumGetTimestampTz(kwj_table_get(schedules, "next_run", &isnull));
	kwj_table_end_scan(schedules);
	kwj_table_close(schedules);
	return first;
}

/*
 * Returns whether a job that is not over waits to be settled. The index also has jobs that are over
 * and whose status kwjobs does not know; the coordinator does not settle these.
 */
static bool
is_any_requested(KwjTable *jobs)
{
	bool		found;

	kwj_table_begin_scan(jobs, "job_requested", NULL, 0);
	do
		found = kwj_table_next(jobs);
	while (found && !kwj_table_is_null(jobs, "finished"));
	kwj_table_end_scan(jobs);
	return found;
}

static void
look_at_jobs(TimestampTz now, Snapshot snapshot, KwjToDo *todo)
{
	KwjTable   *jobs = kwj_table_open_to_read("job", AccessShareLock, snapshot);
	KwjKey		by_now = {1, BTLessEqualStrategyNumber, TimestampTzGetDatum(now)};

	todo->active = has_row(jobs, "job_active", NULL, 0);
	todo->requested = is_any_requested(jobs);
	todo->left = has_row(jobs, "job_left_line", NULL, 0);
	todo->due = has_row(jobs, "job_waiting", &by_now, 1);
	todo->ready = has_row(jobs, "job_ready", NULL, 0);
	kwj_table_close(jobs);
}

/*
 * The look is not a query, because the planner might choose another index than the right one: when
 * it plans, the indexes are often all empty, and cost the same. Then a look could read all jobs.
 */
void
kwj_store_look(TimestampTz now, TimestampTz behind, KwjToDo *todo)
{
	KwjStoreScope scope;
	Snapshot	snapshot;

	kwj_store_enter(&scope);
	/*
	 * All scans have the same snapshot. Otherwise a job that moves from one index to another
	 * meanwhile could be seen in neither.
	 */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	look_at_jobs(now, snapshot, todo);
	todo->fresh = table_has_row("dependency", "dependency_fresh", snapshot);
	todo->known = table_has_row("dependency", "dependency_known", snapshot);
	todo->untold = table_has_row("untold", "untold_pkey", snapshot);
	todo->queues = table_has_row("queue", "queue_pkey", snapshot);
	todo->left = todo->left || table_has_row("left_line", "left_line_job", snapshot);
	todo->held = table_has_row("hold", "hold_scope", snapshot);
	todo->errands = table_has_row("errand", "errand_due", snapshot);
	todo->runs = table_has_row("due_time", "due_time_open", snapshot);
	todo->next_schedule = first_schedule(behind, snapshot);
	UnregisterSnapshot(snapshot);
	kwj_store_leave(&scope);
}

/*
 * Run a query for one job only; 0: for all jobs. values[i] becomes the job's id, or NULL for 0. The
 * kept plan is made for many rows, so a query for one job is planned each time.
 */
static uint64
run_for(KwjQuery *query, Datum *values, int i, int64 only)
{
	char		nulls[KWJ_QUERY_MAX_ARGS];
	KwjQuery	fresh = *query;

	memset(nulls, ' ', sizeof(nulls));
	values[i] = Int64GetDatum(only);
	if (only == 0)
	{
		nulls[i] = 'n';
		return kwj_query_run(query, values, nulls, false);
	}
	fresh.fresh = true;
	fresh.plan = NULL;
	return kwj_query_run(&fresh, values, nulls, false);
}

static void
put_first(void *arg)
{
	const KwjJobs *jobs = arg;
	KwjStoreScope scope;
	Datum		values[1];

	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(jobs->ids, jobs->n);
	kwj_query_run(&put_first_query, values, NULL, false);
	kwj_store_leave(&scope);
}

void
kwj_store_put_first(const int64 *job_ids, int n)
{
	KwjJobs		all = {job_ids, n};

	if (kwj_isolate_within_quietly(put_first, &all) == NULL)
		return;
	/* one of the rows cannot be changed: try the jobs one by one, so that the others are changed */
	for (int i = 0; i < n; i++)
	{
		KwjJobs		one = {&job_ids[i], 1};

		(void) kwj_isolate_within_quietly(put_first, &one);
	}
}

/* Read row i of the last query; strings are palloc'd in context. */
static void
read_needed(uint64 i, KwjNeeded *item, MemoryContext context)
{
	item->job_id = kwj_row_int64(i, "job_id");
	item->owner = kwj_row_oid(i, "owner");
	item->job_type = kwj_row_text_or_empty(i, "job_type", context);
	item->active = kwj_row_bool(i, "active");
	item->startable = kwj_row_bool(i, "startable");
	item->queue = kwj_row_text(i, "queue", context);
}

int
kwj_store_needed(KwjJobs jobs, TimestampTz by, KwjNeeded **needed)
{
	KwjStoreScope scope;
	Datum		values[2] = {(Datum) 0, TimestampTzGetDatum(by)};
	int			n;

	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(jobs.ids, jobs.n);
	n = (int) kwj_query_run(&needed_query, values, NULL, false);
	*needed = MemoryContextAllocZero(scope.caller, sizeof(KwjNeeded) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_needed(i, &(*needed)[i], scope.caller);
	kwj_store_leave(&scope);
	return n;
}

int
kwj_store_needed_step(KwjJobs jobs, TimestampTz by, int64 after, int limit, KwjNeeded **needed)
{
	KwjStoreScope scope;
	Datum		values[4] = {(Datum) 0, TimestampTzGetDatum(by), Int64GetDatum(after),
	Int32GetDatum(limit)};
	int			n;

	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(jobs.ids, jobs.n);
	n = (int) kwj_query_run(&needed_step_query, values, NULL, false);
	*needed = MemoryContextAllocZero(scope.caller, sizeof(KwjNeeded) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		read_needed(i, &(*needed)[i], scope.caller);
		(*needed)[i].needed_by = kwj_row_int64(i, "dependent");
		(*needed)[i].depends_on = kwj_row_int64(i, "depends_on");
	}
	kwj_store_leave(&scope);
	return n;
}

int
kwj_store_places(const List *queues, KwjPlace **places)
{
	KwjStoreScope scope;
	Datum		values[1];
	int			n;

	kwj_store_enter(&scope);
	values[0] = PointerGetDatum(kwj_array_of_texts(queues));
	n = (int) kwj_query_run(&places_query, values, NULL, false);
	*places = MemoryContextAllocZero(scope.caller, sizeof(KwjPlace) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		KwjPlace   *place = &(*places)[i];

		place->queue = kwj_row_text_or_empty(i, "queue", scope.caller);
		place->limit = kwj_row_int32(i, "max_running");
		place->n = kwj_row_int32(i, "n");
		place->job.job_id = kwj_row_int64(i, "job_id");
		place->job.owner = kwj_row_oid(i, "owner");
		place->job.job_type = kwj_row_text_or_empty(i, "job_type", scope.caller);
		place->job.active = kwj_row_bool(i, "active");
		place->job.startable = !place->job.active;
	}
	kwj_store_leave(&scope);
	return n;
}

bool
kwj_store_others_have_workers(void)
{
	KwjStoreScope scope;
	bool		others;

	kwj_store_enter(&scope);
	kwj_query_run(&others_query, NULL, NULL, false);
	others = kwj_row_bool(0, "others");
	kwj_store_leave(&scope);
	return others;
}

bool
kwj_store_unclaim(int64 job_id, int32 attempt, const char *why, int longest_delay_ms)
{
	KwjStoreScope scope;
	Datum		values[4];
	bool		done;

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(job_id);
	values[1] = Int32GetDatum(attempt);
	values[2] = CStringGetTextDatum(why);
	values[3] = Int32GetDatum(longest_delay_ms);
	done = kwj_query_run(&unclaim_query, values, NULL, false) > 0;
	kwj_store_leave(&scope);
	return done;
}

static void
enter_lines(KwjJobs jobs, TimestampTz now, KwjWindow *window)
{
	if (jobs.n > 0 && kwj_store_enter_lines(jobs, now, &window->unfinished) > 0)
		window->fruitful = true;
}

void
kwj_store_promote(TimestampTz now, KwjWindow *window)
{
	KwjStoreScope scope;
	KwjJobs		serial;
	KwjJobs		windowed;
	KwjJobs		open = {0};
	Datum		values[6] = {TimestampTzGetDatum(now), Int32GetDatum(window->limit),
		Int32GetDatum(kwj_priority_ageing), TimestampTzGetDatum(window->first),
	Int64GetDatum(window->second)};

	kwj_store_enter(&scope);
	run_for(&promote_query, values, 5, window->only);
	window->n_read = (int) kwj_row_int64(0, "n_read");
	window->fruitful = kwj_row_int64(0, "n_promoted") > 0;
	if (window->n_read > 0)
	{
		window->first = kwj_row_int64(0, "due");
		window->second = kwj_row_int64(0, "job_id");
	}
	/* jobs with a window, a serial key or a queue, which the query has left alone */
	serial = kwj_row_jobs(0, "serial", CurrentMemoryContext);
	windowed = kwj_row_jobs(0, "windowed", CurrentMemoryContext);
	if (windowed.n > 0 && kwj_store_open_windows(windowed, now, &open) > 0)
		window->fruitful = true;
	enter_lines(serial, now, window);
	enter_lines(open, now, window);
	kwj_store_leave(&scope);
}

List *
kwj_store_active(int64 only)
{
	KwjStoreScope scope;
	Datum		values[2] = {(Datum) 0, Int64GetDatum(kwj_max_timeout)};
	List	   *active = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	n = run_for(&active_query, values, 0, only);
	for (uint64 i = 0; i < n; i++)
	{
		KwjRequest	request = kwj_row_request(i, "status");
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		KwjActive  *item = palloc0(sizeof(KwjActive));

		item->job_id = kwj_row_int64(i, "job_id");
		item->attempt = kwj_row_int32(i, "active_attempt");
		item->owner = kwj_row_oid(i, "owner");
		item->pid = kwj_row_int32(i, "pid");
		item->has_row = kwj_row_bool(i, "has_row");
		item->request = request;
		item->paused = kwj_status_from_name(kwj_row_text(i, "status", scope.caller)) == KWJ_PAUSED;
		item->exceeded_ms = kwj_row_int64(i, "exceeded");
		item->job_type = kwj_row_text_or_empty(i, "job_type", scope.caller);
		item->reverting = kwj_row_bool(i, "reverting");
		item->window = kwj_row_text(i, "window", scope.caller);
		item->window_end = kwj_row_text(i, "window_end", scope.caller);
		active = lappend(active, item);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return active;
}

void
kwj_store_stand(int64 job_id, int32 attempt)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(job_id), Int32GetDatum(attempt)};

	kwj_store_enter(&scope);
	if (kwj_query_run(&stand_query, values, NULL, false) > 0)
		kwj_wakeup_waiters_at_end(job_id);
	kwj_store_leave(&scope);
}

/* Read the ids in the window, and move its position behind them. */
static KwjJobs
read_requested(KwjWindow *window)
{
	Datum		values[3] = {Int64GetDatum(window->first), (Datum) 0, Int32GetDatum(window->limit)};
	KwjJobs		jobs = kwj_rows_ids(run_for(&requested_query, values, 1, window->only), "job_id",
									 CurrentMemoryContext);

	window->n_read = jobs.n;
	if (jobs.n > 0)
		window->first = jobs.ids[jobs.n - 1];
	return jobs;
}

/*
 * Lock the jobs, leaving out any that another transaction has locked. *canceled: those locked jobs
 * that do not become paused. They may be over soon, so their dependencies have to be deleted.
 */
static KwjJobs
lock_requested(KwjJobs jobs, KwjJobs *canceled)
{
	Datum		values[1] = {kwj_jobs_arg(jobs.ids, jobs.n)};
	KwjJobs		locked = kwj_rows_ids(kwj_query_run(&lock_requested_query, values, NULL, false), "job_id",
									   CurrentMemoryContext);
	int64	   *ids = palloc(sizeof(int64) * Max(locked.n, 1));

	canceled->ids = ids;
	canceled->n = 0;
	for (int i = 0; i < locked.n; i++)
		if (kwj_row_bool(i, "cancel"))
			ids[canceled->n++] = locked.ids[i];
	return locked;
}

static KwjJobs
leave_out(KwjJobs jobs, KwjJobs without)
{
	int64	   *ids = palloc(sizeof(int64) * Max(jobs.n, 1));
	KwjJobs		left = {ids, 0};

	for (int i = 0; i < jobs.n; i++)
		if (!kwj_jobs_include(without, jobs.ids[i]))
			ids[left.n++] = jobs.ids[i];
	return left;
}

static void
settle_locked(KwjJobs jobs)
{
	Datum		values[1] = {kwj_jobs_arg(jobs.ids, jobs.n)};
	int			n = (int) kwj_query_run(&settle_idle_query, values, NULL, false);
	int64	   *over = palloc(sizeof(int64) * Max(n, 1));
	KwjJobs		ended = {over, 0};

	for (int i = 0; i < n; i++)
	{
		int64		job_id = kwj_row_int64(i, "job_id");

		kwj_wakeup_at_end(job_id);
		if (kwj_row_bool(i, "over"))
			over[ended.n++] = job_id;
	}
	kwj_store_tell_listeners(n);
	kwj_store_tell_dependents_of(ended, KWJ_CANCELED);
}

void
kwj_store_settle_idle(KwjWindow *window)
{
	KwjStoreScope scope;
	KwjWindow	before = *window;
	KwjJobs		jobs;
	KwjJobs		canceled;

	kwj_store_enter(&scope);
	jobs = read_requested(window);
	jobs = lock_requested(jobs, &canceled);
	if (jobs.n > 0)
	{
		int64	   *kept = palloc0(sizeof(int64) * Max(canceled.n, 1));
		KwjJobs		rest = kwj_store_forget_dependencies(canceled, kept, KWJ_FORGET_STEP);

		jobs = leave_out(jobs, rest);
		if (jobs.n > 0)
			settle_locked(jobs);
		window->fruitful = true;
		if (rest.n > 0)
		{
			/*
			 * some jobs have more dependencies than this call may delete: let the next call begin
			 * with this window again
			 */
			window->first = before.first;
			window->n_read = window->limit;
		}
	}
	kwj_store_leave(&scope);
}

int
kwj_store_bring_forward(TimestampTz now, TimestampTz until, int limit)
{
	KwjStoreScope scope;
	Datum		values[3] = {TimestampTzGetDatum(now), TimestampTzGetDatum(until), Int32GetDatum(limit)};
	int			n;

	kwj_store_enter(&scope);
	n = (int) kwj_query_run(&bring_forward_query, values, NULL, false);
	kwj_store_leave(&scope);
	return n;
}

TimestampTz
kwj_store_next_due(TimestampTz now)
{
	KwjStoreScope scope;
	Datum		values[1] = {TimestampTzGetDatum(now)};
	TimestampTz next = DT_NOEND;
	Datum		value;
	bool		isnull;

	kwj_store_enter(&scope);
	kwj_query_run(&next_due_query, values, NULL, false);
	value = kwj_row_datum(0, "next", &isnull);
	if (!isnull)
		next = DatumGetTimestampTz(value);
	kwj_store_leave(&scope);
	return next;
}

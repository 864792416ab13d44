/*
 * src/job/store_coordinator.c
 *	  The store, as coordinators use it: claiming, dependencies, requests.
 *
 * Process: coordinator. Locks: rows of kwjobs.job and kwjobs.dependency, always with SKIP
 * LOCKED, so that a control statement or the end of a job that is not committed yet
 * holds nobody up; its end wakes the coordinator.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "job/store.h"
#include "job/store_query.h"
#include "job/wakeup.h"
#include "utils/array.h"
#include "utils/builtins.h"

/*
 * The heads of what may start now, of each owner and type, skipping from one to the
 * next in the index. They stay locked until the end of the transaction. Of the owners in $2 no
 * job is read, but a row with its owner says that there are some. No job has a lower rank than $3:
 * what an old snapshot keeps in the index of jobs that have been claimed is not looked up.
 */
static KwjQuery candidates_query = {
	"WITH RECURSIVE groups (owner, job_type) AS ("
	" (SELECT owner, job_type FROM kwjobs.job WHERE rank IS NOT NULL AND rank >= $3"
	"  ORDER BY owner, job_type LIMIT 1)"
	" UNION ALL"
	" SELECT n.owner, n.job_type FROM groups AS g CROSS JOIN LATERAL ("
	"  SELECT j.owner, j.job_type FROM kwjobs.job AS j WHERE j.rank IS NOT NULL AND j.rank >= $3"
	"  AND (j.owner, j.job_type) > (g.owner, g.job_type)"
	"  ORDER BY j.owner, j.job_type LIMIT 1) AS n)"
	" SELECT h.job_id, g.owner, g.job_type, h.rank, h.attempts + 1 AS attempt"
	" FROM groups AS g LEFT JOIN LATERAL ("
	"  SELECT j.job_id, j.rank, j.attempts FROM kwjobs.job AS j"
	"  WHERE j.rank IS NOT NULL AND j.rank >= $3 AND j.owner = g.owner"
	"  AND j.job_type = g.job_type AND g.owner <> ALL ($2)"
	"  ORDER BY j.rank, j.job_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED) AS h ON true"
	" WHERE h.job_id IS NOT NULL OR g.owner = ANY ($2)",
	3, {INT4OID, OIDARRAYOID, TIMESTAMPTZOID}
};

/* Reverts are left out after the limit: looking for others beyond many of them would take long. */
static KwjQuery ready_query = {
	"SELECT h.job_id FROM (SELECT job_id, status FROM kwjobs.job WHERE rank IS NOT NULL"
	"  AND owner = $1 AND job_type = $2 AND rank >= $4 ORDER BY rank, job_id LIMIT $3) AS h"
	" WHERE h.status = 'pending'",
	4, {OIDOID, TEXTOID, INT4OID, TIMESTAMPTZOID}
};

/*
 * The attempts begin: jobs, the numbers of the attempts, the pids of workers that are there.
 * By ANY, for which there is but one plan.
 */
static KwjQuery begin_query = {
	"WITH claimed AS ("
	" UPDATE kwjobs.job AS j SET"
	KWJ_CLAIM_COLUMNS("($2)[array_position($1, j.job_id)]", "$4")
	" WHERE j.job_id = ANY ($1) RETURNING j.job_id, j.active_attempt, j.status),"
	" begun AS ("
	" INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, node_id, pid)"
	" SELECT c.job_id, c.active_attempt, c.status = 'reverting', 'running', clock_timestamp(), $4,"
	"  nullif(($3)[array_position($1, c.job_id)], 0) FROM claimed AS c)"
	" UPDATE kwjobs.checkpoint AS c SET attempt = ($2)[array_position($1, c.job_id)]"
	" WHERE c.job_id = ANY ($1)",
	4, {INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, INT8OID}
};

/* $3 why, $4 the longest delay in ms */
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
	"  modified = clock_timestamp(), started = CASE WHEN j.total_num_of_ex <= 1 AND NOT e.reverting THEN NULL"
	"   ELSE j.started END,"
	"  refusals = j.refusals + 1,"
	"  due = clock_timestamp() + least($4, 1000 * 2 ^ least(j.refusals, 20))"
	"   * interval '1 millisecond',"
	"  total_num_of_ex = j.total_num_of_ex - (NOT e.reverting)::integer"
	" FROM ended AS e WHERE j.job_id = e.job_id",
	4, {INT8OID, INT4OID, TEXTOID, INT4OID}, .fresh = true
};

/* $1 jobs; those that may start by $2 lack nothing but a worker */
static KwjQuery needed_query = {
	"WITH RECURSIVE needed (waited_for, job_id) AS ("
	" SELECT r, r FROM unnest($1) AS r"
	" UNION"
	" SELECT n.waited_for, d.depends_on FROM needed AS n"
	"  JOIN kwjobs.dependency AS d ON d.job_id = n.job_id"
	"  JOIN kwjobs.job AS j ON j.job_id = d.depends_on AND j.finished IS NULL),"
	" jobs AS ("
	" SELECT n.waited_for, j.job_id, j.owner, j.job_type, j.active_attempt IS NULL"
	"   AND j.status IN ('pending', 'reverting') AND (j.rank IS NOT NULL OR j.due <= $2) AS startable,"
	"  j.active_attempt IS NOT NULL AS active"
	" FROM needed AS n JOIN kwjobs.job AS j ON j.job_id = n.job_id WHERE j.finished IS NULL)"
	" SELECT waited_for, job_id, owner, job_type, startable FROM jobs WHERE startable OR active",
	2, {INT8ARRAYOID, TIMESTAMPTZOID}, .fresh = true
};

/*
 * What has to wait because a worker was refused may start now, but no job that has a time or a delay of its
 * own. Never waits for a row: the coordinator must not wait for a transaction of a user.
 */
static KwjQuery put_first_query = {
	"UPDATE kwjobs.job SET rank = '-infinity' WHERE job_id = ANY (ARRAY("
	" SELECT job_id FROM kwjobs.job WHERE job_id = ANY ($1) AND active_attempt IS NULL"
	"  AND status IN ('pending', 'reverting')"
	"  AND CASE WHEN rank IS NULL THEN refusals > 0 ELSE rank > '-infinity' END"
	"  FOR NO KEY UPDATE SKIP LOCKED))",
	1, {INT8ARRAYOID}
};

/*
 * Background workers that end when their statement, or the first copy of a table, does. Others may be there for good, as
 * those of other extensions and those that apply what a subscription brings. Before 16 a worker that copies a table is
 * known by its table only.
 */
static KwjQuery others_query = {
	"SELECT EXISTS (SELECT FROM pg_stat_get_activity(NULL) AS a WHERE a.backend_type IN"
	"  ('parallel worker', 'logical replication parallel worker', 'logical replication tablesync worker'))"
	" OR EXISTS (SELECT FROM pg_stat_get_subscription(NULL) AS s WHERE s.relid IS NOT NULL) AS others",
	0, {0}
};

static KwjQuery active_query = {
	"SELECT j.job_id, j.active_attempt, j.owner, j.status, a.pid,"
	" CASE WHEN clock_timestamp() > a.started + l.timeout * interval '1 millisecond'"
	"  THEN l.timeout ELSE 0 END AS exceeded"
	" FROM kwjobs.job AS j LEFT JOIN kwjobs.attempt AS a"
	" ON a.job_id = j.job_id AND a.attempt = j.active_attempt"
	" CROSS JOIN LATERAL (SELECT CASE WHEN a.reverting THEN j.timeout"
	"  ELSE least(j.timeout, nullif($1, 0)) END AS timeout) AS l"
	" WHERE j.active_attempt IS NOT NULL",
	1, {INT8OID}
};

/* Jobs whose time has come get a place in the order. */
static KwjQuery promote_query = {
	"UPDATE kwjobs.job AS j SET rank = j.due - j.priority::double precision * $3 * interval '1 second'"
	" WHERE j.job_id = ANY (ARRAY(SELECT job_id FROM kwjobs.job"
	"  WHERE rank IS NULL AND active_attempt IS NULL AND status IN ('pending', 'reverting')"
	"  AND due <= $1 ORDER BY due LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED))",
	3, {TIMESTAMPTZOID, INT4OID, INT4OID}
};

/*
 * What is not known to be unmet: look whether it is over, with its row locked, so that it
 * does not end unseen in between. Whoever ends a job later sees the dependency. Rows that a
 * worker is about to mark are left to it, not waited for: it may wait for others of them.
 */
static KwjQuery look_at_dependencies_query = {
	"UPDATE kwjobs.dependency AS d SET fresh = false,"
	" status = CASE WHEN NOT l.there THEN 'gone' WHEN l.finished IS NOT NULL THEN l.status END"
	" FROM (SELECT f.job_id, f.depends_on, o.job_id IS NOT NULL AS there, o.finished, o.status"
	"  FROM (SELECT job_id, depends_on FROM kwjobs.dependency WHERE fresh"
	"   FOR UPDATE SKIP LOCKED) AS f"
	"  LEFT JOIN LATERAL (SELECT j.job_id, j.finished, j.status FROM kwjobs.job AS j"
	"   WHERE j.job_id = f.depends_on FOR SHARE SKIP LOCKED) AS o ON true"
	"  WHERE o.job_id IS NOT NULL"
	"   OR (SELECT j.job_id FROM kwjobs.job AS j WHERE j.job_id = f.depends_on) IS NULL"
	"  LIMIT $1) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on",
	1, {INT4OID}, .fresh = true
};

/*
 * A job that depended on what did not succeed fails; one without unmet dependencies may start.
 * A job may have very many: only those are read of which something is known, and of the others
 * the youngest, which mostly ends last. Dependencies that another transaction is about to mark
 * are left: that one's end wakes the coordinator, which then finds them to be of a job that is over.
 */
static KwjQuery meet_dependencies_query = {
	"WITH met AS MATERIALIZED ("
	" SELECT j.job_id FROM kwjobs.job AS j WHERE j.finished IS NULL AND j.active_attempt IS NULL"
	"  AND j.job_id = ANY (ARRAY(SELECT DISTINCT d.job_id FROM kwjobs.dependency AS d"
	"   WHERE d.status IS NOT NULL LIMIT $1))"
	" FOR NO KEY UPDATE SKIP LOCKED),"
	" judged AS MATERIALIZED ("
	" SELECT m.job_id, f.depends_on AS failed, f.status = 'gone' AS gone,"
	"  f.depends_on IS NULL AND (SELECT d.depends_on FROM kwjobs.dependency AS d"
	"   WHERE d.job_id = m.job_id AND d.status IS DISTINCT FROM 'succeeded'"
	"   ORDER BY d.depends_on DESC LIMIT 1) IS NULL AS all_met"
	" FROM met AS m LEFT JOIN LATERAL (SELECT d.depends_on, d.status FROM kwjobs.dependency AS d"
	"  WHERE d.job_id = m.job_id AND d.status IS NOT NULL AND d.status <> 'succeeded'"
	"  ORDER BY d.depends_on LIMIT 1) AS f ON true),"
	" succeeded AS MATERIALIZED ("
	" SELECT d.job_id, d.depends_on FROM judged AS g JOIN kwjobs.dependency AS d"
	"  ON d.job_id = g.job_id WHERE d.status IS NOT NULL AND d.status = 'succeeded'"
	" FOR UPDATE OF d SKIP LOCKED),"
	" of_failed AS MATERIALIZED ("
	" SELECT d.job_id, d.depends_on FROM judged AS g JOIN kwjobs.dependency AS d"
	"  ON d.job_id = g.job_id WHERE g.failed IS NOT NULL"
	" FOR UPDATE OF d SKIP LOCKED),"
	" forgotten AS ("
	" DELETE FROM kwjobs.dependency AS d"
	" USING (SELECT * FROM succeeded UNION ALL SELECT * FROM of_failed) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on)"
	" UPDATE kwjobs.job AS j SET modified = t.now,"
	"  due = CASE WHEN g.all_met THEN greatest(j.run_at, t.now) ELSE j.due END,"
	"  status = CASE WHEN g.failed IS NULL THEN j.status ELSE 'failed' END,"
	"  finished = CASE WHEN g.failed IS NOT NULL THEN t.now END,"
	"  errored = CASE WHEN g.failed IS NOT NULL THEN t.now ELSE j.errored END,"
	"  error_code = CASE WHEN g.failed IS NULL THEN j.error_code ELSE '55000' END,"
	"  error = CASE WHEN g.failed IS NULL THEN j.error ELSE"
	"   'job ' || g.failed || ', on which this job depends, '"
	"    || CASE WHEN g.gone THEN 'does not exist any more' ELSE 'has not succeeded' END END,"
	"  error_hint = CASE WHEN g.failed IS NULL THEN j.error_hint"
	"   WHEN g.gone THEN 'Create this job again, without that one in depends_on.'"
	"   ELSE 'To see why, type SHOW JOB ' || g.failed || '; then create this job again.' END"
	" FROM judged AS g, (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = g.job_id RETURNING j.job_id, g.failed",
	1, {INT4OID}, .fresh = true
};

/* Dependencies of jobs that are over: canceled, or failed by another one. */
static KwjQuery forget_dependencies_query = {
	"DELETE FROM kwjobs.dependency AS d USING ("
	" SELECT o.job_id, o.depends_on FROM kwjobs.dependency AS o"
	" JOIN kwjobs.job AS j ON j.job_id = o.job_id"
	" WHERE o.status IS NOT NULL AND j.finished IS NOT NULL"
	" FOR UPDATE OF o SKIP LOCKED) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on",
	0, {0}, .fresh = true
};

/* Those that depend on what has just ended here. */
static KwjQuery tell_dependents_query = {
	"UPDATE kwjobs.dependency SET status = $2, fresh = false WHERE depends_on = ANY ($1)",
	2, {INT8ARRAYOID, TEXTOID}
};

static KwjQuery settle_idle_query = {
	"WITH idle AS MATERIALIZED ("
	" SELECT j.job_id, j.status = 'cancel-requested' AS cancel,"
	"  j.has_revert AND j.started IS NOT NULL OR EXISTS"
	"   (SELECT FROM kwjobs.checkpoint AS c"
	"    WHERE c.job_id = j.job_id AND c.written IS NOT NULL) AS revertible"
	" FROM kwjobs.job AS j WHERE j.active_attempt IS NULL"
	" AND j.status IN ('pause-requested', 'cancel-requested')"
	" LIMIT $1 FOR NO KEY UPDATE OF j SKIP LOCKED),"
	" forgotten AS ("
	" DELETE FROM kwjobs.dependency AS d USING ("
	"  SELECT o.job_id, o.depends_on FROM kwjobs.dependency AS o JOIN idle AS i"
	"  ON o.job_id = i.job_id WHERE i.cancel FOR UPDATE OF o SKIP LOCKED) AS l"
	" WHERE d.job_id = l.job_id AND d.depends_on = l.depends_on)"
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE WHEN NOT i.cancel THEN 'paused'"
	"   WHEN i.revertible THEN 'reverting' ELSE 'canceled' END,"
	"  revert_to = CASE WHEN i.cancel THEN 'canceled' ELSE j.revert_to END,"
	"  error = CASE WHEN i.cancel THEN 'job canceled by user' ELSE j.error END,"
	"  error_code = CASE WHEN i.cancel THEN '57014' ELSE j.error_code END,"
	"  finished = CASE WHEN i.cancel AND NOT i.revertible THEN clock_timestamp() END,"
	"  running_status = NULL, retries = 0,"
	"  due = clock_timestamp(), modified = clock_timestamp()"
	" FROM idle AS i WHERE j.job_id = i.job_id"
	" RETURNING j.job_id, j.finished IS NOT NULL AS over",
	1, {INT4OID}, .fresh = true
};

static KwjQuery look_query = {
	"SELECT EXISTS (SELECT FROM kwjobs.job WHERE active_attempt IS NOT NULL) AS active,"
	" EXISTS (SELECT FROM kwjobs.job WHERE active_attempt IS NULL"
	"  AND status IN ('pause-requested', 'cancel-requested')) AS requested,"
	" EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)"
	"  OR EXISTS (SELECT FROM kwjobs.dependency WHERE status IS NOT NULL) AS dependencies,"
	" EXISTS (SELECT FROM kwjobs.job WHERE rank IS NULL AND active_attempt IS NULL"
	"  AND status IN ('pending', 'reverting') AND due <= $1) AS due,"
	" EXISTS (SELECT FROM kwjobs.job WHERE rank IS NOT NULL) AS ready",
	1, {TIMESTAMPTZOID}
};

static KwjQuery next_due_query = {
	"SELECT min(due) AS next FROM kwjobs.job WHERE rank IS NULL AND active_attempt IS NULL"
	" AND status IN ('pending', 'reverting') AND due > $1 AND due < 'infinity'",
	1, {TIMESTAMPTZOID}
};

void
kwj_store_look(TimestampTz now, KwjToDo *todo)
{
	KwjStoreScope scope;
	Datum		values[1] = {TimestampTzGetDatum(now)};

	kwj_store_enter(&scope);
	kwj_query_run(&look_query, values, NULL, false);
	todo->active = kwj_row_bool(0, "active");
	todo->requested = kwj_row_bool(0, "requested");
	todo->dependencies = kwj_row_bool(0, "dependencies");
	todo->due = kwj_row_bool(0, "due");
	todo->ready = kwj_row_bool(0, "ready");
	kwj_store_leave(&scope);
}

static Datum
array_of(Datum *elements, int n, Oid type, int size, char align)
{
	return PointerGetDatum(construct_array(elements, n, type, size, size == sizeof(int32) ||
										   FLOAT8PASSBYVAL, align));
}

/* An array of a list of OIDs. */
static Datum
oid_array(const List *oids)
{
	int			n = list_length(oids);
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = ObjectIdGetDatum(list_nth_oid(oids, i));
	return array_of(elements, n, OIDOID, sizeof(Oid), TYPALIGN_INT);
}

List *
kwj_store_candidates(int limit, const List *without, TimestampTz from)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int32GetDatum(limit), (Datum) 0, TimestampTzGetDatum(from)};
	List	   *candidates = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	values[1] = oid_array(without);
	n = kwj_query_run(&candidates_query, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		KwjCandidate *candidate = palloc0(sizeof(KwjCandidate));

		candidate->job_id = kwj_row_int64(i, "job_id");
		candidate->attempt = kwj_row_int32(i, "attempt");
		candidate->owner = kwj_row_oid(i, "owner");
		candidate->job_type = kwj_row_text(i, "job_type", scope.caller);
		candidate->rank = DatumGetTimestampTz(kwj_row_datum(i, "rank", &isnull));
		candidates = lappend(candidates, candidate);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return candidates;
}

int
kwj_store_ready(Oid owner, const char *job_type, TimestampTz from, int64 *job_ids, int limit)
{
	KwjStoreScope scope;
	Datum		values[4];
	int			n;

	kwj_store_enter(&scope);
	values[0] = ObjectIdGetDatum(owner);
	values[1] = CStringGetTextDatum(job_type);
	values[2] = Int32GetDatum(limit);
	values[3] = TimestampTzGetDatum(from);
	n = (int) kwj_query_run(&ready_query, values, NULL, false);
	for (int i = 0; i < n; i++)
		job_ids[i] = kwj_row_int64(i, "job_id");
	kwj_store_leave(&scope);
	return n;
}

static Datum
array_of_jobs(const int64 *job_ids, int n)
{
	Datum	   *ids = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		ids[i] = Int64GetDatum(job_ids[i]);
	return array_of(ids, n, INT8OID, sizeof(int64), TYPALIGN_DOUBLE);
}

void
kwj_store_put_first(const int64 *job_ids, int n)
{
	KwjStoreScope scope;
	Datum		values[1];

	kwj_store_enter(&scope);
	values[0] = array_of_jobs(job_ids, n);
	kwj_query_run(&put_first_query, values, NULL, false);
	kwj_store_leave(&scope);
}

List *
kwj_store_needed(const int64 *job_ids, int n, TimestampTz by)
{
	KwjStoreScope scope;
	Datum		values[2] = {(Datum) 0, TimestampTzGetDatum(by)};
	List	   *needed = NIL;
	uint64		rows;

	kwj_store_enter(&scope);
	values[0] = array_of_jobs(job_ids, n);
	rows = kwj_query_run(&needed_query, values, NULL, false);
	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		KwjNeeded  *item = palloc(sizeof(KwjNeeded));

		item->waited_for = kwj_row_int64(i, "waited_for");
		item->job_id = kwj_row_int64(i, "job_id");
		item->owner = kwj_row_oid(i, "owner");
		item->job_type = kwj_row_text(i, "job_type", scope.caller);
		item->startable = kwj_row_bool(i, "startable");
		needed = lappend(needed, item);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return needed;
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

void
kwj_store_begin(List *claims)
{
	KwjStoreScope scope;
	int			n = list_length(claims);
	Datum	   *jobs;
	Datum	   *attempts;
	Datum	   *pids;
	Datum		values[4];

	kwj_store_enter(&scope);
	jobs = palloc(sizeof(Datum) * n);
	attempts = palloc(sizeof(Datum) * n);
	pids = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
	{
		KwjClaim   *claim = list_nth(claims, i);

		jobs[i] = Int64GetDatum(claim->job_id);
		attempts[i] = Int32GetDatum(claim->attempt);
		pids[i] = Int32GetDatum(claim->pid);
	}
	values[0] = array_of(jobs, n, INT8OID, sizeof(int64), TYPALIGN_DOUBLE);
	values[1] = array_of(attempts, n, INT4OID, sizeof(int32), TYPALIGN_INT);
	values[2] = array_of(pids, n, INT4OID, sizeof(int32), TYPALIGN_INT);
	values[3] = Int64GetDatum(kwj_node_id);
	kwj_query_run(&begin_query, values, NULL, false);
	kwj_store_leave(&scope);
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

uint64
kwj_store_promote(TimestampTz now, int limit)
{
	KwjStoreScope scope;
	Datum		values[3] = {TimestampTzGetDatum(now), Int32GetDatum(limit),
	Int32GetDatum(kwj_priority_ageing)};
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&promote_query, values, NULL, false);
	kwj_store_leave(&scope);
	return n;
}

/* The jobs are over, and their rows locked by this transaction: tell those that depend on them. */
static void
tell_dependents_of(Datum *ids, int n, KwjStatus status)
{
	Datum		values[2];

	values[0] = array_of(ids, n, INT8OID, sizeof(int64), TYPALIGN_DOUBLE);
	values[1] = CStringGetTextDatum(kwj_status_name(status));
	if (kwj_query_run(&tell_dependents_query, values, NULL, false) > 0)
		kwj_wakeup_at_end(DatumGetInt64(ids[0]));
}

/* Wake all for the n rows of the result; of the jobs whose column is true or not NULL, tell. */
static void
tell_of_rows(uint64 n, const char *column, KwjStatus status)
{
	Datum	   *over = palloc(sizeof(Datum) * Max(n, 1));
	int			n_over = 0;

	for (uint64 i = 0; i < n; i++)
	{
		int64		job_id = kwj_row_int64(i, "job_id");
		bool		isnull;
		Datum		value = kwj_row_datum(i, column, &isnull);

		kwj_wakeup_at_end(job_id);
		if (!isnull && value != (Datum) 0)
			over[n_over++] = Int64GetDatum(job_id);
	}
	if (n_over > 0)
		tell_dependents_of(over, n_over, status);
}

bool
kwj_store_meet_dependencies(int limit)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int32GetDatum(limit)};
	uint64		looked;
	uint64		met;

	kwj_store_enter(&scope);
	looked = kwj_query_run(&look_at_dependencies_query, values, NULL, false);
	met = kwj_query_run(&meet_dependencies_query, values, NULL, false);
	tell_of_rows(met, "failed", KWJ_FAILED);
	kwj_query_run(&forget_dependencies_query, NULL, NULL, false);
	kwj_store_leave(&scope);
	return looked == limit || met == limit;
}

List *
kwj_store_active(void)
{
	KwjStoreScope scope;
	List	   *active = NIL;
	Datum		values[1] = {Int64GetDatum(kwj_max_timeout)};
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&active_query, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		KwjRequest	request = kwj_row_request(i, "status");
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		KwjActive  *item = palloc0(sizeof(KwjActive));

		item->job_id = kwj_row_int64(i, "job_id");
		item->attempt = kwj_row_int32(i, "active_attempt");
		item->owner = kwj_row_oid(i, "owner");
		item->pid = kwj_row_int32(i, "pid");
		item->request = request;
		item->exceeded_ms = kwj_row_int64(i, "exceeded");
		active = lappend(active, item);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return active;
}

bool
kwj_store_settle_idle(int limit)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int32GetDatum(limit)};
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&settle_idle_query, values, NULL, false);
	tell_of_rows(n, "over", KWJ_CANCELED);
	kwj_store_leave(&scope);
	return n == limit;
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

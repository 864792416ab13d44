/*
 * src/job/store_coordinator.c
 *	  The store, as coordinators use it: claiming, requests, retention.
 *
 * Process: coordinator. Locks: rows of kwjobs.job, always with SKIP LOCKED, so
 * that a control statement that is not committed yet holds nobody up; its end
 * wakes the coordinator.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/store.h"
#include "job/store_query.h"
#include "job/wakeup.h"
#include "utils/builtins.h"

/*
 * One statement, so that a claim is whole or not at all: the job, its attempt,
 * and the right to write its checkpoint.
 */
static KwjQuery claim_query = {
	"WITH due AS MATERIALIZED ("
	" SELECT j.job_id FROM kwjobs.job AS j"
	" WHERE j.finished IS NULL AND j.active_attempt IS NULL"
	" AND j.status IN ('pending', 'reverting') AND j.due <= $3"
	" ORDER BY j.priority DESC, j.due, j.job_id LIMIT $1 FOR UPDATE SKIP LOCKED),"
	" claimed AS ("
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE j.status WHEN 'pending' THEN 'running' ELSE j.status END,"
	"  active_attempt = 1 + coalesce((SELECT max(a.attempt) FROM kwjobs.attempt AS a"
	"   WHERE a.job_id = j.job_id), 0),"
	"  started = coalesce(j.started, clock_timestamp()), modified = clock_timestamp(),"
	"  running_status = NULL, coordinator_id = $2,"
	"  total_num_of_ex = j.total_num_of_ex + (j.status = 'pending')::integer"
	" FROM due WHERE j.job_id = due.job_id"
	" RETURNING j.job_id, j.active_attempt, j.owner, j.status, j.priority, j.due),"
	" begun AS ("
	" INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, node_id)"
	" SELECT job_id, active_attempt, status = 'reverting', 'running',"
	"  clock_timestamp(), $2 FROM claimed),"
	" fenced AS ("
	" INSERT INTO kwjobs.checkpoint (job_id, attempt)"
	" SELECT job_id, active_attempt FROM claimed"
	" ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt)"
	" SELECT job_id, active_attempt, owner FROM claimed"
	" ORDER BY priority DESC, due, job_id",
	3, {INT4OID, INT8OID, TIMESTAMPTZOID}
};

static KwjQuery unclaim_query = {
	"WITH locked AS MATERIALIZED ("
	" SELECT job_id FROM kwjobs.job WHERE job_id = $1 FOR UPDATE SKIP LOCKED),"
	" ended AS ("
	" DELETE FROM kwjobs.attempt AS a USING locked AS l"
	" WHERE a.job_id = l.job_id AND a.attempt = $2 RETURNING a.job_id, a.reverting)"
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE j.status WHEN 'running' THEN 'pending' ELSE j.status END,"
	"  active_attempt = NULL, running_status = $3, modified = clock_timestamp(),"
	"  started = CASE WHEN j.total_num_of_ex <= 1 AND NOT e.reverting THEN NULL"
	"   ELSE j.started END,"
	"  due = clock_timestamp() + $4 * interval '1 millisecond',"
	"  total_num_of_ex = j.total_num_of_ex - (NOT e.reverting)::integer"
	" FROM ended AS e WHERE j.job_id = e.job_id AND j.active_attempt = $2",
	4, {INT8OID, INT4OID, TEXTOID, INT4OID}
};

static KwjQuery active_query = {
	"SELECT job_id, active_attempt, owner, status FROM kwjobs.job"
	" WHERE finished IS NULL AND active_attempt IS NOT NULL",
	0, {0}
};

static KwjQuery settle_idle_query = {
	"WITH idle AS MATERIALIZED ("
	" SELECT j.job_id, j.status = 'cancel-requested' AS cancel, EXISTS"
	"  (SELECT FROM kwjobs.checkpoint AS c"
	"   WHERE c.job_id = j.job_id AND c.written IS NOT NULL) AS has_checkpoint"
	" FROM kwjobs.job AS j WHERE j.finished IS NULL AND j.active_attempt IS NULL"
	" AND j.status IN ('pause-requested', 'cancel-requested')"
	" FOR UPDATE OF j SKIP LOCKED)"
	" UPDATE kwjobs.job AS j SET"
	"  status = CASE WHEN NOT i.cancel THEN 'paused'"
	"   WHEN i.has_checkpoint THEN 'reverting' ELSE 'canceled' END,"
	"  revert_to = CASE WHEN i.cancel THEN 'canceled' ELSE j.revert_to END,"
	"  error = CASE WHEN i.cancel THEN 'job canceled by user' ELSE j.error END,"
	"  error_code = CASE WHEN i.cancel THEN '57014' ELSE j.error_code END,"
	"  finished = CASE WHEN i.cancel AND NOT i.has_checkpoint THEN clock_timestamp() END,"
	"  running_status = NULL, retries = 0,"
	"  due = clock_timestamp(), modified = clock_timestamp()"
	" FROM idle AS i WHERE j.job_id = i.job_id RETURNING j.job_id",
	0, {0}
};

static KwjQuery delete_expired_query = {
	"DELETE FROM kwjobs.job WHERE job_id IN ("
	" SELECT job_id FROM kwjobs.job WHERE finished IS NOT NULL"
	" AND finished < $3 - $1 * interval '1 second'"
	" ORDER BY finished LIMIT $2 FOR UPDATE SKIP LOCKED)",
	3, {INT4OID, INT4OID, TIMESTAMPTZOID}
};

/* least() ignores NULLs. What is due at $2 was for claim_query. */
static KwjQuery next_due_query = {
	"SELECT least("
	" (SELECT min(due) FROM kwjobs.job WHERE finished IS NULL AND active_attempt IS NULL"
	"  AND status IN ('pending', 'reverting') AND due > $2),"
	" (SELECT min(finished) FROM kwjobs.job"
	"  WHERE finished >= $2 - $1 * interval '1 second')"
	" + $1 * interval '1 second') AS next",
	2, {INT4OID, TIMESTAMPTZOID}
};

List *
kwj_store_claim(int limit, TimestampTz now)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int32GetDatum(limit), Int64GetDatum(kwj_node_id),
	TimestampTzGetDatum(now)};
	List	   *claims = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&claim_query, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		KwjClaim   *claim = palloc0(sizeof(KwjClaim));

		claim->job_id = kwj_row_int64(i, "job_id");
		claim->attempt = kwj_row_int32(i, "active_attempt");
		claim->owner = kwj_row_oid(i, "owner");
		claims = lappend(claims, claim);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return claims;
}

void
kwj_store_unclaim(const KwjClaim *claim, const char *why, int delay_ms)
{
	KwjStoreScope scope;
	Datum		values[4];

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(claim->job_id);
	values[1] = Int32GetDatum(claim->attempt);
	values[2] = CStringGetTextDatum(why);
	values[3] = Int32GetDatum(delay_ms);
	kwj_query_run(&unclaim_query, values, NULL, false);
	kwj_store_leave(&scope);
}

List *
kwj_store_active(void)
{
	KwjStoreScope scope;
	List	   *active = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&active_query, NULL, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		KwjRequest	request = kwj_row_request(i, "status");
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		KwjActive  *item = palloc0(sizeof(KwjActive));

		item->job_id = kwj_row_int64(i, "job_id");
		item->attempt = kwj_row_int32(i, "active_attempt");
		item->owner = kwj_row_oid(i, "owner");
		item->request = request;
		active = lappend(active, item);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return active;
}

void
kwj_store_settle_idle(void)
{
	KwjStoreScope scope;
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&settle_idle_query, NULL, NULL, false);
	for (uint64 i = 0; i < n; i++)
		kwj_wakeup_at_end(kwj_row_int64(i, "job_id"));
	kwj_store_leave(&scope);
}

uint64
kwj_store_delete_expired(int limit, TimestampTz now)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int32GetDatum(kwj_retention_time), Int32GetDatum(limit),
	TimestampTzGetDatum(now)};
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&delete_expired_query, values, NULL, false);
	kwj_store_leave(&scope);
	return n;
}

TimestampTz
kwj_store_next_due(TimestampTz now)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int32GetDatum(kwj_retention_time), TimestampTzGetDatum(now)};
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

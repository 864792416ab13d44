/*
 * src/store/attempts.c
 *	  Rows of attempts, checkpoints and transactions, as workers read and write them.
 *
 * Caller: the worker, when it begins an attempt (kwj_store_load, in src/worker/worker.c) and at
 * each checkpoint and revert (src/lifecycle/attempt.c). Also pieces.c, for kwj_store_written, and
 * again.c, for kwj_store_forget_state.
 *
 * Locks: the rows of the checkpoint and of the attempt, when they are written, until the end of the
 * transaction. The worker does not lock the job's row here, so that it never waits for a control
 * statement that is not committed yet: the foreign keys to the job take FOR KEY SHARE on that row,
 * which does not conflict with the FOR NO KEY UPDATE of control statements.
 *
 * Exactly once: the checkpoint commits together with the work that it describes. Only the job's
 * active attempt can write it. An older attempt, whose worker was given up but still runs, gets
 * 55000, and its work is rolled back. If the worker dies, the next attempt goes on from the last
 * committed checkpoint.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "shared/team.h"
#include "store/attempts.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

static KwjQuery load_query = {
	"SELECT j.job_type, j.owner, j.queue, j.status, j.revert_to IS NOT NULL AS reverting,"
	" j.payload, j.timeout, j.authority, c.state, c.rows, a.pid, j.ctid AS job_place, a.ctid AS attempt_place"
	" FROM kwjobs.job AS j"
	" JOIN kwjobs.attempt AS a ON a.job_id = j.job_id AND a.attempt = j.active_attempt"
	" LEFT JOIN kwjobs.checkpoint AS c ON c.job_id = j.job_id"
	" WHERE j.job_id = $1 AND j.active_attempt = $2",
	2, {INT8OID, INT4OID}
};

static KwjQuery mark_pid_query = {
	"UPDATE kwjobs.attempt SET pid = $3 WHERE job_id = $1 AND attempt = $2"
	" RETURNING ctid AS attempt_place",
	3, {INT8OID, INT4OID, INT4OID}
};

/* The first checkpoint inserts the row. An attempt that is not the active one writes nothing. */
static KwjQuery checkpoint_query = {
	"INSERT INTO kwjobs.checkpoint AS c (job_id, attempt, state, fraction, rows, written)"
	" SELECT $1, $2, $3, $4, $5, clock_timestamp() FROM kwjobs.job"
	" WHERE job_id = $1 AND active_attempt = $2"
	" ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt,"
	" state = coalesce(excluded.state, c.state), fraction = excluded.fraction,"
	" rows = excluded.rows, written = excluded.written WHERE c.attempt <= excluded.attempt",
	5, {INT8OID, INT4OID, JSONBOID, FLOAT8OID, INT8OID}
};

/*
 * As checkpoint_query, for an attempt that is about to begin. LOCK_QUERY (jobs.c) counts a checkpoint as
 * progress of the attempt unless the checkpoint is older than the attempt. This first checkpoint is no
 * progress, so the query dates it before the start of the attempt.
 */
static KwjQuery begin_anew_query = {
	"INSERT INTO kwjobs.checkpoint AS c (job_id, attempt, state, fraction, rows, written)"
	" SELECT $1, $2, $3, 0, 0, a.started - interval '1 microsecond' FROM kwjobs.job AS j"
	" JOIN kwjobs.attempt AS a ON a.job_id = j.job_id AND a.attempt = j.active_attempt"
	" WHERE j.job_id = $1 AND j.active_attempt = $2"
	" ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt, state = excluded.state,"
	" fraction = 0, rows = 0, written = excluded.written WHERE c.attempt <= excluded.attempt",
	3, {INT8OID, INT4OID, JSONBOID}
};

static KwjQuery transaction_query = {
	"INSERT INTO kwjobs.job_transaction (job_id, xid, piece) VALUES ($1, $2, $3)",
	3, {INT8OID, XID8OID, INT8OID}
};

static KwjQuery status_query = {
	"SELECT status FROM kwjobs.job WHERE job_id = $1 AND active_attempt = $2",
	2, {INT8OID, INT4OID}
};

static KwjQuery transactions_query = {
	"SELECT xid FROM kwjobs.job_transaction WHERE job_id = $1 AND ($2 IS NULL OR piece > $2)"
	" ORDER BY xid",
	2, {INT8OID, INT8OID}
};

/*
 * Leaves "written" as it is: kwj_store_lock takes a later time for progress of the attempt
 * (column "progressed").
 */
static KwjQuery note_query = {
	"UPDATE kwjobs.checkpoint SET fraction = $3, rows = $4 WHERE job_id = $1 AND attempt = $2",
	4, {INT8OID, INT4OID, FLOAT8OID, INT8OID}
};

static KwjQuery state_query = {
	"SELECT state FROM kwjobs.checkpoint WHERE job_id = $1", 1, {INT8OID}
};

static KwjQuery forget_state_query = {
	"UPDATE kwjobs.checkpoint SET state = NULL WHERE job_id = $1", 1, {INT8OID}
};

/*
 * If a revert has failed, the columns error... of the job have the error of the revert, and `cause` has the
 * error that made the job revert.
 */
static KwjQuery failed_at_record_query = {
	"SELECT revert_to = 'failed' AND"
	" (CASE WHEN cause IS NULL THEN error_file ELSE cause->>'error_file' END) IS NOT NULL AS failed"
	" FROM kwjobs.job WHERE job_id = $1",
	1, {INT8OID}
};

static KwjQuery revert_to_query = {
	"SELECT revert_to FROM kwjobs.job WHERE job_id = $1", 1, {INT8OID}
};

bool
kwj_store_load(int64 job_id, int32 attempt, int part, KwjAttempt *into,
			   KwjRequest *request, MemoryContext context)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int64GetDatum(job_id), Int32GetDatum(attempt),
	Int32GetDatum(MyProcPid)};
	bool		found;
	Datum		authority;
	bool		isnull;

	memset(into, 0, sizeof(*into));
	kwj_store_enter(&scope);
	found = kwj_query_run(&load_query, values, NULL, false) > 0;
	if (found)
	{
		into->job_id = job_id;
		into->attempt = attempt;
		into->part = part;
		into->job_type = kwj_row_text_or_empty(0, "job_type", context);
		into->owner = kwj_row_oid(0, "owner");
		into->queue = kwj_row_text(0, "queue", context);
		authority = kwj_row_datum(0, "authority", &isnull);
		into->authority = kwj_copy_oids(authority, isnull, &into->n_authority, context);
		into->reverting = kwj_row_bool(0, "reverting");
		into->payload = kwj_row_jsonb(0, "payload", context);
		kwj_check_payload(into->payload);
		into->checkpoint = kwj_row_jsonb(0, "state", context);
		into->rows = kwj_row_int64(0, "rows");
		into->timeout_ms = kwj_row_int64(0, "timeout");
		into->job_place = kwj_row_place(0, "job_place");
		into->attempt_place = kwj_row_place(0, "attempt_place");
		kwj_row_check_status(0, "status");
		*request = kwj_row_request(0, "status");
		if (part == 0 && kwj_row_int32(0, "pid") != MyProcPid &&
			kwj_query_run(&mark_pid_query, values, NULL, false) > 0)
			into->attempt_place = kwj_row_place(0, "attempt_place");
	}
	kwj_store_leave(&scope);
	return found;
}

KwjRequest
kwj_store_checkpoint(int64 job_id, int32 attempt, Jsonb *state,
					 double fraction, int64 rows, FullTransactionId xid)
{
	KwjStoreScope scope;
	Datum		values[5];
	char		nulls[5] = {' ', ' ', state ? ' ' : 'n', ' ', ' '};
	bool		written;
	KwjRequest	request;

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(job_id);
	values[1] = Int32GetDatum(attempt);
	values[2] = state ? JsonbPGetDatum(state) : (Datum) 0;
	values[3] = Float8GetDatum(fraction);
	values[4] = Int64GetDatum(rows);
	written = kwj_query_run(&checkpoint_query, values, nulls, false) == 1;
	request = kwj_store_written(job_id, attempt, written, xid, KWJ_NO_PIECE);
	kwj_store_leave(&scope);
	return request;
}

static void
insert_transaction(int64 job_id, FullTransactionId xid, int64 piece)
{
	Datum		values[3] = {Int64GetDatum(job_id), FullTransactionIdGetDatum(xid), Int64GetDatum(piece)};
	char		nulls[3] = {' ', ' ', piece == KWJ_NO_PIECE ? 'n' : ' '};

	kwj_query_run(&transaction_query, values, nulls, false);
}

KwjRequest
kwj_store_begin_anew(int64 job_id, int32 attempt, Jsonb *state, FullTransactionId xid)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int64GetDatum(job_id), Int32GetDatum(attempt), JsonbPGetDatum(state)};
	bool		written;
	KwjRequest	request;

	kwj_store_enter(&scope);
	written = kwj_query_run(&begin_anew_query, values, NULL, false) == 1;
	request = kwj_store_written(job_id, attempt, written, xid, KWJ_NO_PIECE);
	kwj_store_leave(&scope);
	return request;
}

KwjRequest
kwj_store_written(int64 job_id, int32 attempt, bool written, FullTransactionId xid, int64 piece)
{
	Datum		values[2] = {Int64GetDatum(job_id), Int32GetDatum(attempt)};
	KwjRequest	request;

	if (!written || kwj_query_run(&status_query, values, NULL, false) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempt %d of job " INT64_FORMAT " is not the active one any more",
						attempt, job_id),
				 errhint("Another attempt goes on with the job; see kwdb_internal.job_attempts.")));
	kwj_row_check_status(0, "status");
	request = kwj_row_request(0, "status");
	if (FullTransactionIdIsValid(xid))
		insert_transaction(job_id, xid, piece);
	return request;
}

void
kwj_store_note_transaction(int64 job_id, FullTransactionId xid, int64 piece)
{
	KwjStoreScope scope;

	kwj_store_enter(&scope);
	insert_transaction(job_id, xid, piece);
	kwj_store_leave(&scope);
}

FullTransactionId *
kwj_store_transactions(int64 job_id, int64 after, int *n)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(job_id), Int64GetDatum(after)};
	char		nulls[2] = {' ', after == KWJ_NO_PIECE ? 'n' : ' '};
	FullTransactionId *xids;

	kwj_store_enter(&scope);
	*n = (int) kwj_query_run(&transactions_query, values, nulls, false);
	xids = MemoryContextAllocHuge(scope.caller, sizeof(FullTransactionId) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		bool		isnull;

		xids[i] = DatumGetFullTransactionId(kwj_row_datum(i, "xid", &isnull));
	}
	kwj_store_leave(&scope);
	return xids;
}

Jsonb *
kwj_store_state(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	Jsonb	   *state = NULL;

	kwj_store_enter(&scope);
	if (kwj_query_run(&state_query, values, NULL, false) > 0)
		state = kwj_row_jsonb(0, "state", scope.caller);
	kwj_store_leave(&scope);
	return state;
}

KwjStatus
kwj_store_revert_to(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	char	   *name;
	KwjStatus	status;

	kwj_store_enter(&scope);
	if (kwj_query_run(&revert_to_query, values, NULL, false) != 1)
		elog(ERROR, "job " INT64_FORMAT " has disappeared", job_id);
	name = kwj_row_text(0, "revert_to", CurrentMemoryContext);
	status = kwj_status_from_name(name ? name : "failed");
	kwj_store_leave(&scope);
	return status;
}

bool
kwj_store_failed_at_record(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	bool		failed;

	kwj_store_enter(&scope);
	failed = kwj_query_run(&failed_at_record_query, values, NULL, false) > 0 && kwj_row_bool(0, "failed");
	kwj_store_leave(&scope);
	return failed;
}

void
kwj_store_forget_state(int64 job_id)
{
	(void) kwj_query_run_for(&forget_state_query, job_id);
}

void
kwj_store_note_progress(int64 job_id, int32 attempt, double fraction, int64 rows)
{
	KwjStoreScope scope;
	Datum		values[4] = {Int64GetDatum(job_id), Int32GetDatum(attempt), Float8GetDatum(fraction),
	Int64GetDatum(rows)};

	kwj_store_enter(&scope);
	kwj_query_run(&note_query, values, NULL, false);
	kwj_store_leave(&scope);
}

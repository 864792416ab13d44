/*
 * src/store/attempts.c
 *	  The store, as workers use it: the attempt's row, its checkpoints, its end.
 *
 * Process: worker; kwj_store_end also the coordinator. Locks: the checkpoint's
 * row until the end of the transaction; kwj_store_end the job's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/clip.h"
#include "miscadmin.h"
#include "shared/wakeup.h"
#include "store/attempts.h"
#include "store/complete.h"
#include "store/query.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/xid8.h"

static KwjQuery load_query = {
	"SELECT j.job_type, j.owner, j.status, j.revert_to IS NOT NULL AS reverting,"
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

/* The first one makes the row; an attempt that is not the active one any more writes nothing. */
static KwjQuery checkpoint_query = {
	"INSERT INTO kwjobs.checkpoint AS c (job_id, attempt, state, fraction, rows, written)"
	" SELECT $1, $2, $3, $4, $5, clock_timestamp() FROM kwjobs.job"
	" WHERE job_id = $1 AND active_attempt = $2"
	" ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt,"
	" state = coalesce(excluded.state, c.state), fraction = excluded.fraction,"
	" rows = excluded.rows, written = excluded.written WHERE c.attempt <= excluded.attempt",
	5, {INT8OID, INT4OID, JSONBOID, FLOAT8OID, INT8OID}
};

static KwjQuery transaction_query = {
	"INSERT INTO kwjobs.job_transaction (job_id, xid) VALUES ($1, $2)",
	2, {INT8OID, XID8OID}
};

static KwjQuery status_query = {
	"SELECT status FROM kwjobs.job WHERE job_id = $1", 1, {INT8OID}
};

static KwjQuery transactions_query = {
	"SELECT xid FROM kwjobs.job_transaction WHERE job_id = $1 ORDER BY xid",
	1, {INT8OID}
};

static KwjQuery revert_to_query = {
	"SELECT revert_to FROM kwjobs.job WHERE job_id = $1", 1, {INT8OID}
};

/*
 * A column of the job's error. A job whose revert failed shows the error of the
 * revert, which is what somebody has to mend; once it is reverted after all, the
 * error that made it revert. One that has succeeded after all shows none.
 */
#define ERROR_COLUMN(column, type, argument, none) \
	"  " column " = CASE WHEN $18 THEN " argument " WHEN $4 = 'succeeded' THEN " none \
	" WHEN j.cause IS NOT NULL AND $4 IN ('failed', 'canceled')" \
	" THEN (j.cause OPERATOR(pg_catalog.->>) '" column "')" type " ELSE j." column " END,"

/*
 * $3 attempt_status, $4 status, $5 revert_to, $6 delay, $7 retries, $8 note,
 * $9 result, $10 .. $14 code, message, detail, hint, context; $15 .. $17 file,
 * line, column; $18 job_error, $19 rows, $20 tags, $21 messages, $22 crashes
 */
static KwjQuery end_query = {
	"WITH job AS ("
	" UPDATE kwjobs.job AS j SET status = $4, active_attempt = NULL,"
	"  revert_to = coalesce($5, j.revert_to), retries = $7, refusals = 0, running_status = $8,"
	"  crashes = $22,"
	"  rows = coalesce($19, j.rows),"
	"  result = coalesce($9, j.result), modified = t.now,"
	"  due = t.now + $6 * interval '1 millisecond',"
	"  finished = CASE WHEN $4 IN ('succeeded', 'failed', 'canceled', 'revert-failed')"
	"   THEN t.now END,"
	/* a cancel and an interruption leave a text, too, but are no errors */
	"  errored = CASE WHEN $3 IN ('failed', 'crashed') THEN t.now ELSE j.errored END,"
	ERROR_COLUMN("error", "", "$11", "''")
	ERROR_COLUMN("error_code", "", "$10", "NULL")
	ERROR_COLUMN("error_detail", "", "$12", "NULL")
	ERROR_COLUMN("error_hint", "", "$13", "NULL")
	ERROR_COLUMN("error_context", "", "$14", "NULL")
	ERROR_COLUMN("error_file", "", "$15", "NULL")
	ERROR_COLUMN("error_line", "::bigint", "$16", "NULL")
	ERROR_COLUMN("error_column", "", "$17", "NULL")
	"  cause = CASE WHEN $4 IN ('failed', 'canceled') THEN NULL"
	"   WHEN $4 = 'revert-failed' THEN coalesce(j.cause, jsonb_build_object("
	"    'error', left(j.error, " KWJ_TEXT_LIMIT_SQL "), 'error_code', j.error_code,"
	"    'error_detail', left(j.error_detail, " KWJ_TEXT_LIMIT_SQL "),"
	"    'error_hint', left(j.error_hint, " KWJ_TEXT_LIMIT_SQL "),"
	"    'error_context', left(j.error_context, " KWJ_TEXT_LIMIT_SQL "),"
	"    'error_file', j.error_file, 'error_line', j.error_line,"
	"    'error_column', j.error_column)) ELSE j.cause END,"
	"  total_num_of_success = j.total_num_of_success + (NOT a.reverting AND $3 = 'succeeded')::integer,"
	"  total_num_of_fail = j.total_num_of_fail"
	"   + (NOT a.reverting AND $3 IN ('failed', 'crashed'))::integer,"
	"  time_of_last_success = CASE WHEN $4 = 'succeeded' THEN t.now"
	"   ELSE j.time_of_last_success END"
	" FROM kwjobs.attempt AS a, (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = $1 AND j.active_attempt = $2"
	"  AND a.job_id = $1 AND a.attempt = $2"
	" RETURNING j.job_id),"
	" attempt AS ("
	" UPDATE kwjobs.attempt AS a SET status = $3, finished = clock_timestamp(),"
	"  rows = coalesce($19, (SELECT c.rows FROM kwjobs.checkpoint AS c WHERE c.job_id = $1), 0),"
	"  error_code = $10, error = $11, error_detail = $12, error_hint = $13,"
	"  error_context = $14, error_file = $15, error_line = $16, error_column = $17,"
	"  tags = $20, messages = $21"
	" WHERE a.job_id = $1 AND a.attempt = $2 AND EXISTS (SELECT FROM job)),"
	/* what nobody will revert any more */
	" forgotten AS ("
	" DELETE FROM kwjobs.job_transaction AS x"
	" WHERE x.job_id = $1 AND EXISTS (SELECT FROM job) AND $4 IN ('succeeded', 'failed', 'canceled'))"
	" SELECT job_id FROM job",
	22, {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT4OID, TEXTOID,
		JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID,
	TEXTOID, BOOLOID, INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT4OID}
};

/* Of the first row, copied into context; NULL for NULL. */
static Jsonb *
row_jsonb(const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_row_datum(0, column, &isnull);

	return kwj_copy_jsonb(value, isnull, context);
}

bool
kwj_store_load(int64 job_id, int32 attempt, KwjAttempt *into,
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
		into->job_type = kwj_row_text_or_empty(0, "job_type", context);
		into->owner = kwj_row_oid(0, "owner");
		authority = kwj_row_datum(0, "authority", &isnull);
		into->authority = kwj_copy_oids(authority, isnull, &into->n_authority, context);
		into->reverting = kwj_row_bool(0, "reverting");
		into->payload = row_jsonb("payload", context);
		kwj_check_payload(into->payload);
		into->checkpoint = row_jsonb("state", context);
		into->rows = kwj_row_int64(0, "rows");
		into->timeout_ms = kwj_row_int64(0, "timeout");
		into->job_place = kwj_row_place(0, "job_place");
		into->attempt_place = kwj_row_place(0, "attempt_place");
		kwj_row_check_status(0, "status");
		*request = kwj_row_request(0, "status");
		if (kwj_row_int32(0, "pid") != MyProcPid &&
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
	KwjRequest	request;

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(job_id);
	values[1] = Int32GetDatum(attempt);
	values[2] = state ? JsonbPGetDatum(state) : (Datum) 0;
	values[3] = Float8GetDatum(fraction);
	values[4] = Int64GetDatum(rows);
	if (kwj_query_run(&checkpoint_query, values, nulls, false) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempt %d of job " INT64_FORMAT " is not the active one any more",
						attempt, job_id),
				 errhint("Another attempt goes on with the job; see kwdb_internal.job_attempts.")));
	if (FullTransactionIdIsValid(xid))
	{
		Datum		xid_values[2] = {Int64GetDatum(job_id), FullTransactionIdGetDatum(xid)};

		kwj_query_run(&transaction_query, xid_values, NULL, false);
	}
	if (kwj_query_run(&status_query, values, NULL, false) != 1)
		elog(ERROR, "job " INT64_FORMAT " has disappeared", job_id);
	kwj_row_check_status(0, "status");
	request = kwj_row_request(0, "status");
	kwj_store_leave(&scope);
	return request;
}

FullTransactionId *
kwj_store_transactions(int64 job_id, int *n)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	FullTransactionId *xids;

	kwj_store_enter(&scope);
	*n = (int) kwj_query_run(&transactions_query, values, NULL, false);
	xids = MemoryContextAllocHuge(scope.caller, sizeof(FullTransactionId) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		bool		isnull;

		xids[i] = DatumGetFullTransactionId(kwj_row_datum(i, "xid", &isnull));
	}
	kwj_store_leave(&scope);
	return xids;
}

/* Arguments $10 to $17: the error, or NULLs. */
static void
error_args(const KwjError *error, Datum *values, char *nulls)
{
	static const KwjError none = {0};
	const KwjError *e = error ? error : &none;

	kwj_text_arg(&values[9], &nulls[9], e->code ? unpack_sql_state(e->code) : NULL);
	kwj_clipped_arg(&values[10], &nulls[10], e->message);
	kwj_clipped_arg(&values[11], &nulls[11], e->detail);
	kwj_clipped_arg(&values[12], &nulls[12], e->hint);
	kwj_clipped_arg(&values[13], &nulls[13], e->context);
	kwj_clipped_arg(&values[14], &nulls[14], e->file);
	values[15] = Int64GetDatum(e->line);
	nulls[15] = e->line > 0 ? ' ' : 'n';
	kwj_clipped_arg(&values[16], &nulls[16], e->column);
}

static void
array_arg(Datum *value, char *null, ArrayType *array)
{
	*value = PointerGetDatum(array);
	*null = array ? ' ' : 'n';
}

bool
kwj_store_end(const KwjEnd *end)
{
	KwjStoreScope scope;
	Datum		values[22];
	char		nulls[22];
	bool		found;

	memset(nulls, ' ', sizeof(nulls));
	kwj_wakeup_at_end(end->job_id);
	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(end->job_id);
	values[1] = Int32GetDatum(end->attempt);
	values[2] = CStringGetTextDatum(end->attempt_status);
	values[3] = CStringGetTextDatum(kwj_status_name(end->status));
	kwj_text_arg(&values[4], &nulls[4], end->revert_to);
	values[5] = Int64GetDatum(end->delay_ms);
	values[6] = Int32GetDatum(end->retries);
	kwj_clipped_arg(&values[7], &nulls[7], end->note);
	values[8] = end->result ? JsonbPGetDatum(end->result) : (Datum) 0;
	nulls[8] = end->result ? ' ' : 'n';
	error_args(end->error, values, nulls);
	values[17] = BoolGetDatum(end->job_error);
	values[18] = Int64GetDatum(end->rows);
	nulls[18] = end->has_rows ? ' ' : 'n';
	array_arg(&values[19], &nulls[19], end->tags);
	array_arg(&values[20], &nulls[20], end->messages);
	values[21] = Int32GetDatum(end->crashes);
	found = kwj_query_run(&end_query, values, nulls, false) > 0;
	kwj_store_leave(&scope);
	if (found && kwj_status_is_terminal(end->status))
		kwj_store_tell_dependents(end->job_id, end->status);
	return found;
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

/*
 * src/store/pieces.c
 *	  Rows of the pieces of a job's work.
 *
 * Callers: the workers that carry an attempt together, each in transactions of its own
 * (src/lifecycle/parts.c, src/worker/parts.c); end.c, to delete the rows. Shared memory
 * (shared/team.h) has which worker holds which piece, and this table does not: so a worker that
 * dies leaves nothing to clean up in it.
 *
 *     kwj_store_piece_add     part 0 plans a piece: (none) ---> not done
 *     kwj_store_piece_find    reads the first piece that is not done and that no part holds
 *     kwj_store_piece_read    reads it again when this part holds it: another part may have done it
 *     kwj_store_piece_write   in the transaction of the work: not done ---> not done, or done
 *     kwj_store_piece_fail    writes the error of the work, after its abort
 *
 * Locks: the rows that are written, until the end of the transaction. The foreign key of a new row
 * takes FOR KEY SHARE on the job's row, which does not conflict with control statements.
 *
 * Exactly once: the row is written in the transaction of the work, and only by the attempt in its
 * column "attempt". A new attempt writes its number there (kwj_store_pieces_begin). If a worker of
 * an older attempt still runs, the new attempt waits for the transaction of that worker if it has
 * written the row, and afterwards the older worker can write no row any more.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "job/json.h"
#include "store/attempts.h"
#include "store/pieces.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/json.h"

static KwjQuery add_query = {
	"INSERT INTO kwjobs.piece (job_id, piece, attempt, units, what)"
	" SELECT j.job_id, $2, j.active_attempt, $3, $4 FROM kwjobs.job AS j WHERE j.job_id = $1",
	4, {INT8OID, INT8OID, INT8OID, JSONBOID}
};

static KwjQuery find_query = {
	"SELECT p.piece, p.units, p.units_done, p.what, p.state, p.rows FROM kwjobs.piece AS p"
	" WHERE p.job_id = $1 AND NOT p.done AND p.piece < $2 AND p.piece <> ALL ($3)"
	" ORDER BY p.piece LIMIT 1",
	3, {INT8OID, INT8OID, INT8ARRAYOID}
};

static KwjQuery read_query = {
	"SELECT p.piece, p.units, p.units_done, p.what, p.state, p.rows FROM kwjobs.piece AS p"
	" WHERE p.job_id = $1 AND p.piece = $2 AND NOT p.done",
	2, {INT8OID, INT8OID}
};

static KwjQuery write_query = {
	"UPDATE kwjobs.piece AS p SET state = coalesce($4, p.state), rows = $5, done = $6,"
	" units_done = $7, written = clock_timestamp()"
	" WHERE p.job_id = $1 AND p.piece = $2 AND p.attempt = $3 AND NOT p.done",
	7, {INT8OID, INT8OID, INT4OID, JSONBOID, INT8OID, BOOLOID, INT8OID}
};

/*
 * If there is no piece with this number, as for an error of planning, inserts a row that has only
 * the error.
 */
static KwjQuery fail_query = {
	"INSERT INTO kwjobs.piece AS p (job_id, piece, attempt, done, error) VALUES ($1, $2, $3, true, $4)"
	" ON CONFLICT (job_id, piece) DO UPDATE SET error = excluded.error WHERE p.attempt = $3",
	4, {INT8OID, INT8OID, INT4OID, JSONBOID}
};

static KwjQuery error_query = {
	"SELECT p.error, p.piece FROM kwjobs.piece AS p WHERE p.job_id = $1 AND p.error IS NOT NULL"
	" ORDER BY p.piece LIMIT 1",
	1, {INT8OID}
};

static KwjQuery forget_places_query = {
	"DELETE FROM kwjobs.piece AS p WHERE p.job_id = $1 AND p.what IS NULL", 1, {INT8OID}
};

static KwjQuery begin_query = {
	"UPDATE kwjobs.piece AS p SET attempt = j.active_attempt, error = NULL"
	" FROM kwjobs.job AS j WHERE j.job_id = $1 AND p.job_id = j.job_id"
	" AND (NOT p.done OR p.error IS NOT NULL)",
	1, {INT8OID}
};

static KwjQuery sums_query = {
	"SELECT coalesce(sum(p.rows), 0)::bigint AS rows,"
	" coalesce(sum(CASE WHEN p.done THEN p.units ELSE p.units_done END), 0)::bigint AS units,"
	" count(*) FILTER (WHERE NOT p.done) AS \"left\" FROM kwjobs.piece AS p WHERE p.job_id = $1",
	1, {INT8OID}
};

static KwjQuery states_query = {
	"SELECT p.state FROM kwjobs.piece AS p WHERE p.job_id = $1 AND p.state ? $2 ORDER BY p.piece",
	2, {INT8OID, TEXTOID}
};

static KwjQuery forget_query = {
	"DELETE FROM kwjobs.piece AS p WHERE p.job_id = $1", 1, {INT8OID}
};

void
kwj_store_piece_add(int64 job_id, int64 number, int64 units, Jsonb *what)
{
	KwjStoreScope scope;
	Datum		values[4] = {Int64GetDatum(job_id), Int64GetDatum(number), Int64GetDatum(units),
	JsonbPGetDatum(what)};

	Assert(number >= 0 && units >= 0);
	kwj_store_enter(&scope);
	kwj_query_run(&add_query, values, NULL, false);
	kwj_store_leave(&scope);
}

/* Copy the row of the last query into *piece. */
static void
copy_piece(KwjPiece *piece, MemoryContext context)
{
	piece->number = kwj_row_int64(0, "piece");
	piece->units = kwj_row_int64(0, "units");
	piece->units_done = piece->units_next = kwj_row_int64(0, "units_done");
	piece->rows = kwj_row_int64(0, "rows");
	piece->what = kwj_row_jsonb(0, "what", context);
	piece->state = kwj_row_jsonb(0, "state", context);
	piece->result = NULL;
}

bool
kwj_store_piece_find(int64 job_id, int64 before, int64 *others, int n, KwjPiece *piece)
{
	KwjStoreScope scope;
	Datum		values[3] = {Int64GetDatum(job_id), Int64GetDatum(before), kwj_jobs_arg(others, n)};
	bool		found;

	kwj_store_enter(&scope);
	found = kwj_query_run(&find_query, values, NULL, false) > 0;
	if (found)
		copy_piece(piece, scope.caller);
	kwj_store_leave(&scope);
	return found;
}

bool
kwj_store_piece_read(int64 job_id, int64 number, KwjPiece *piece)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(job_id), Int64GetDatum(number)};
	bool		found;

	kwj_store_enter(&scope);
	found = kwj_query_run(&read_query, values, NULL, false) > 0;
	if (found)
		copy_piece(piece, scope.caller);
	kwj_store_leave(&scope);
	return found;
}

KwjRequest
kwj_store_piece_write(int64 job_id, int32 attempt, const KwjPiece *piece, Jsonb *state, int64 rows,
					  bool done, FullTransactionId xid)
{
	KwjStoreScope scope;
	Datum		values[7] = {Int64GetDatum(job_id), Int64GetDatum(piece->number),
		Int32GetDatum(attempt), state ? JsonbPGetDatum(state) : (Datum) 0, Int64GetDatum(rows),
		BoolGetDatum(done), Int64GetDatum(piece->units_next)
	};
	char		nulls[7] = {' ', ' ', ' ', state ? ' ' : 'n', ' ', ' ', ' '};
	bool		written;
	KwjRequest	request;

	kwj_store_enter(&scope);
	written = kwj_query_run(&write_query, values, nulls, false) == 1;
	request = kwj_store_written(job_id, attempt, written, xid, piece->number);
	kwj_store_leave(&scope);
	return request;
}

static void
add_text(StringInfo json, const char *key, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(json, ", \"%s\": ", key);
	escape_json(json, value);
}

static Jsonb *
error_as_json(int kind, const KwjError *error)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"kind\": %d, \"code\": %d, \"line\": " INT64_FORMAT,
					 kind, error->code, error->line);
	add_text(&json, "message", error->message);
	add_text(&json, "detail", error->detail);
	add_text(&json, "hint", error->hint);
	add_text(&json, "context", error->context);
	add_text(&json, "file", error->file);
	add_text(&json, "column", error->column);
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

static void
error_of_json(Jsonb *json, int *kind, KwjError *error)
{
	*kind = (int) kwj_json_int64(json, "kind");
	error->code = (int) kwj_json_int64(json, "code");
	error->line = kwj_json_int64(json, "line");
	error->message = kwj_json_text_or_null(json, "message");
	error->detail = kwj_json_text_or_null(json, "detail");
	error->hint = kwj_json_text_or_null(json, "hint");
	error->context = kwj_json_text_or_null(json, "context");
	error->file = kwj_json_text_or_null(json, "file");
	error->column = kwj_json_text_or_null(json, "column");
}

void
kwj_store_piece_fail(int64 job_id, int32 attempt, int64 number, int kind, const KwjError *error)
{
	KwjStoreScope scope;
	Datum		values[4] = {Int64GetDatum(job_id), Int64GetDatum(number), Int32GetDatum(attempt),
	JsonbPGetDatum(error_as_json(kind, error))};

	kwj_store_enter(&scope);
	kwj_query_run(&fail_query, values, NULL, false);
	kwj_store_leave(&scope);
}

bool
kwj_store_piece_error(int64 job_id, int64 *number, int *kind, KwjError *error)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	Jsonb	   *json = NULL;

	kwj_store_enter(&scope);
	if (kwj_query_run(&error_query, values, NULL, false) > 0)
	{
		json = kwj_row_jsonb(0, "error", scope.caller);
		*number = kwj_row_int64(0, "piece");
	}
	kwj_store_leave(&scope);
	if (json == NULL)
		return false;
	error_of_json(json, kind, error);
	return true;
}

void
kwj_store_pieces_begin(int64 job_id, KwjWorkDone *work)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};

	kwj_store_enter(&scope);
	kwj_query_run(&forget_places_query, values, NULL, false);
	kwj_query_run(&begin_query, values, NULL, false);
	kwj_store_pieces_sum(job_id, work);
	kwj_store_leave(&scope);
}

void
kwj_store_pieces_sum(int64 job_id, KwjWorkDone *work)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};

	kwj_store_enter(&scope);
	kwj_query_run(&sums_query, values, NULL, false);
	work->rows = kwj_row_int64(0, "rows");
	work->units = kwj_row_int64(0, "units");
	work->left = kwj_row_int64(0, "left");
	kwj_store_leave(&scope);
}

List *
kwj_store_piece_states(int64 job_id, const char *key)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(job_id), CStringGetTextDatum(key)};
	List	   *states = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&states_query, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		Jsonb	   *state = kwj_row_jsonb(i, "state", scope.caller);
		MemoryContext old = MemoryContextSwitchTo(scope.caller);

		states = lappend(states, state);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return states;
}

void
kwj_store_pieces_forget(int64 job_id)
{
	(void) kwj_query_run_for(&forget_query, job_id);
}

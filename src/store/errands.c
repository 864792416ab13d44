/*
 * src/store/errands.c
 *	  Rows of errands: statements that change jobs of other databases.
 *
 * Process: sessions write errands (lifecycle/errands.c); the coordinator of their database sends
 * them and deletes them (coordinator/errands_out.c); the coordinator of the database that has the
 * jobs notes which ones it has done (coordinator/errands_in.c).
 *
 *   kwjobs.errand, in the database of the session:
 *     written --sent, done--> (deleted)
 *        ^ |
 *        | +--sent, refused; or withdrawn--> refused: due = infinity; only the last ones are kept
 *        +--- not delivered, or the job is locked: due later
 *
 *   kwjobs.errand_done, in the database of the job: from the transaction in which the errand takes
 *   effect, until the source says that it has deleted the errand.
 *
 * The transaction of the session writes the errand, so there is one if and only if it commits. All
 * databases share the write-ahead log: an errand is deleted after it was done, so once its deletion
 * is on disk, its effect is, too. If the server crashes in between, the errand is sent again, and
 * kwjobs.errand_done tells that it was done.
 *
 * Locks: the rows that are written, until the end of the transaction; nobody waits for them, as
 * only the coordinator changes errands.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "shared/job_id.h"
#include "shared/wakeup.h"
#include "store/errands.h"
#include "store/jobs.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

static KwjQuery insert_query = {
	"INSERT INTO kwjobs.errand (number, database, job_id, verb, many, all_jobs, reason, change, actor,"
	" actor_session, made, due) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, t.now, t.now"
	" FROM (SELECT clock_timestamp()) AS t (now)",
	10, {INT8OID, OIDOID, INT8OID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID, OIDOID, OIDOID}
};

static KwjQuery for_jobs_query = {
	"SELECT e.number, e.job_id, e.verb, e.many, e.all_jobs, NULL::text AS reason, e.change, e.actor, e.actor_session AS session"
	" FROM kwjobs.errand AS e WHERE e.job_id = ANY ($1) AND e.due <> 'infinity' ORDER BY e.number",
	1, {INT8ARRAYOID}
};

/* Whether errand e is due at time $1. It waits for those before it that are about the same job. */
#define IS_DUE \
	" e.due <= $1 AND e.due <> 'infinity' AND NOT EXISTS (SELECT FROM kwjobs.errand AS o" \
	"  WHERE o.job_id = e.job_id AND o.database = e.database AND o.number < e.number" \
	"  AND o.due > $1 AND o.due <> 'infinity')"

/*
 * The errands at time $1 for one database, at most $2. The databases take turns: it is the first one
 * after $3, by their OIDs. A database that has not taken its last mail gets no other until the
 * errands of that mail are due again, or a session has had it check a newer one. Errands are few, and
 * a look at the next database is a look at an index, however many errands one has.
 */
static KwjQuery due_query = {
	"WITH RECURSIVE target (database) AS ("
	" (SELECT e.database FROM kwjobs.errand AS e WHERE e.due <> 'infinity' ORDER BY e.database LIMIT 1)"
	" UNION ALL SELECT (SELECT e.database FROM kwjobs.errand AS e"
	"   WHERE e.due <> 'infinity' AND e.database > t.database ORDER BY e.database LIMIT 1)"
	"  FROM target AS t WHERE t.database IS NOT NULL),"
	" next AS (SELECT t.database FROM target AS t"
	"  WHERE EXISTS (SELECT FROM kwjobs.errand AS e WHERE e.database = t.database AND" IS_DUE ")"
	"  AND NOT EXISTS (SELECT FROM kwjobs.errand AS s WHERE s.database = t.database AND s.due > $1"
	"   AND s.due <> 'infinity' AND s.silent > (SELECT n.made FROM kwjobs.errand AS n"
	"    WHERE n.database = t.database AND n.due <> 'infinity' ORDER BY n.number DESC LIMIT 1))"
	"  ORDER BY t.database <= $3, t.database LIMIT 1)"
	" SELECT e.number, e.database, e.job_id, e.verb, e.many, e.all_jobs, e.reason, e.change, e.actor,"
	"  e.actor_session AS session,"
	"  coalesce(octet_length(e.reason), 0) + coalesce(octet_length(e.change), 0) AS size, (SELECT o.number FROM kwjobs.errand AS o"
	"   WHERE o.database = (SELECT database FROM next) AND o.due <> 'infinity'"
	"   ORDER BY o.number LIMIT 1) AS oldest"
	" FROM kwjobs.errand AS e WHERE e.database = (SELECT database FROM next) AND" IS_DUE
	" ORDER BY e.number LIMIT $2",
	3, {TIMESTAMPTZOID, INT4OID, OIDOID}, .fresh = true
};

/* When the next errand becomes due after time $1. */
static KwjQuery next_query = {
	"SELECT e.due FROM kwjobs.errand AS e WHERE e.due > $1 AND e.due <> 'infinity' ORDER BY e.due LIMIT 1",
	1, {TIMESTAMPTZOID}
};

static KwjQuery delete_query = {
	"DELETE FROM kwjobs.errand AS e WHERE e.number = $1", 1, {INT8OID}
};

static KwjQuery refuse_query = {
	"UPDATE kwjobs.errand AS e SET due = 'infinity', tries = e.tries + 1, error_code = $2, error = $3,"
	" error_hint = $4 WHERE e.number = $1",
	4, {INT8OID, TEXTOID, TEXTOID, TEXTOID}
};

/* Deletes refused errands, but for the last $1 of them. */
static KwjQuery keep_query = {
	"DELETE FROM kwjobs.errand AS e WHERE e.due = 'infinity' AND e.number < ("
	" SELECT min(l.number) FROM (SELECT k.number FROM kwjobs.errand AS k WHERE k.due = 'infinity'"
	" ORDER BY k.number DESC LIMIT $1) AS l)",
	1, {INT4OID}
};

static KwjQuery again_query = {
	"UPDATE kwjobs.errand AS e SET tries = e.tries + 1, error = $2,"
	" silent = CASE WHEN $3 THEN clock_timestamp() END,"
	" due = clock_timestamp() + least(60, 0.1 * 2 ^ least(e.tries, 10)) * interval '1 second'"
	" WHERE e.number = $1",
	3, {INT8OID, TEXTOID, BOOLOID}
};

static KwjQuery bring_forward_query = {
	"UPDATE kwjobs.errand AS e SET due = $1, silent = NULL WHERE e.due > $2 AND e.due <> 'infinity'",
	2, {TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static KwjQuery left_query = {
	"SELECT e.number, e.database, e.job_id, e.verb, e.actor, e.due = 'infinity' AS refused, e.error, e.error_hint"
	" FROM kwjobs.errand AS e WHERE e.number = ANY ($1) ORDER BY e.number",
	1, {INT8ARRAYOID}
};

static KwjQuery withdraw_query = {
	"INSERT INTO kwjobs.errand_withdrawn (number, actor) VALUES ($1, $2)", 2, {INT8OID, OIDOID}
};

static KwjQuery look_for_withdrawn_query = {
	"SELECT coalesce(bool_or(e.database = $1), false) AS of_target FROM kwjobs.errand_withdrawn AS w"
	" LEFT JOIN kwjobs.errand AS e ON e.number = w.number HAVING count(*) > 0",
	1, {OIDOID}
};

/* Refuses the errands that are withdrawn, but for those of database $1. */
static KwjQuery refuse_withdrawn_query = {
	"UPDATE kwjobs.errand AS e SET due = 'infinity', silent = NULL, error_code = '57014',"
	" error = 'withdrawn by ' || coalesce((SELECT r.rolname FROM pg_roles AS r WHERE r.oid = w.actor), w.actor::oid::text),"
	" error_hint = NULL"
	" FROM (SELECT DISTINCT ON (d.number) d.number, d.actor FROM kwjobs.errand_withdrawn AS d ORDER BY d.number) AS w"
	" WHERE e.number = w.number AND e.due <> 'infinity' AND e.database <> $1 RETURNING e.number",
	1, {OIDOID}
};

static KwjQuery forget_withdrawn_query = {
	"DELETE FROM kwjobs.errand_withdrawn AS w WHERE NOT EXISTS (SELECT FROM kwjobs.errand AS e"
	" WHERE e.number = w.number AND e.due <> 'infinity')",
	0, {0}
};

static KwjQuery was_done_query = {
	"SELECT FROM kwjobs.errand_done AS d WHERE d.number = $1", 1, {INT8OID}
};

static KwjQuery done_query = {
	"INSERT INTO kwjobs.errand_done (number, source) VALUES ($1, $2)", 2, {INT8OID, OIDOID}
};

/* Forgets the errands of source $1 before number $2, and those of databases that were dropped. */
static KwjQuery forget_done_query = {
	"DELETE FROM kwjobs.errand_done AS d WHERE d.source = $1 AND d.number < $2"
	" OR NOT EXISTS (SELECT FROM pg_database AS b WHERE b.oid = d.source)",
	2, {OIDOID, INT8OID}
};

void
kwj_store_errand(Oid database, KwjErrand *errand)
{
	KwjStoreScope scope;
	Datum		values[10];
	char		nulls[10];

	memset(nulls, ' ', sizeof(nulls));
	kwj_store_enter(&scope);
	kwj_store_note_ids();
	errand->number = kwj_job_id_next();
	values[0] = Int64GetDatum(errand->number);
	values[1] = ObjectIdGetDatum(database);
	values[2] = Int64GetDatum(errand->job_id);
	values[3] = CStringGetTextDatum(kwj_deed_name(errand->deed));
	values[4] = BoolGetDatum(errand->many);
	values[5] = BoolGetDatum(errand->all);
	kwj_text_arg(&values[6], &nulls[6], errand->reason);
	kwj_text_arg(&values[7], &nulls[7], errand->change);
	values[8] = ObjectIdGetDatum(errand->role);
	values[9] = ObjectIdGetDatum(errand->session);
	kwj_query_run(&insert_query, values, nulls, false);
	kwj_store_leave(&scope);
	kwj_wakeup_at_end(errand->job_id);
}

static KwjErrand *
read_errand(uint64 row, MemoryContext context)
{
	KwjErrand  *errand = MemoryContextAllocZero(context, sizeof(KwjErrand));

	errand->number = kwj_row_int64(row, "number");
	errand->job_id = kwj_row_int64(row, "job_id");
	if (!kwj_deed_from_name(kwj_row_text_or_empty(row, "verb", CurrentMemoryContext), &errand->deed))
		elog(ERROR, "unknown verb in kwjobs.errand");
	errand->many = kwj_row_bool(row, "many");
	errand->all = kwj_row_bool(row, "all_jobs");
	errand->role = kwj_row_oid(row, "actor");
	errand->session = kwj_row_oid(row, "session");
	errand->reason = kwj_row_text(row, "reason", context);
	errand->change = kwj_row_text(row, "change", context);
	return errand;
}

/* Returns the rows of the last query as a list of KwjErrand. */
static List *
read_errands(uint64 n, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *errands = NIL;

	for (uint64 i = 0; i < n; i++)
		errands = lappend(errands, read_errand(i, context));
	MemoryContextSwitchTo(old);
	return errands;
}

List *
kwj_store_errands_for(const int64 *job_ids, int n)
{
	KwjStoreScope scope;
	Datum		values[1];
	List	   *errands;

	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(job_ids, n);
	errands = read_errands(kwj_query_run(&for_jobs_query, values, NULL, false), scope.caller);
	kwj_store_leave(&scope);
	return errands;
}

/* Reads the rows of the last query, as far as their texts fit into a mail, but one at least. */
static List *
read_batch(uint64 n, MemoryContext context)
{
	int64		size = kwj_row_int32(0, "size");
	uint64		fit = 1;

	while (fit < n && (size += kwj_row_int32(fit, "size")) <= KWJ_BATCH_BYTES)
		fit++;
	return read_errands(fit, context);
}

KwjErrandBatch
kwj_store_due_errands(int most, Oid last)
{
	KwjStoreScope scope;
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	Datum		values[3] = {now, Int32GetDatum(most), ObjectIdGetDatum(last)};
	KwjErrandBatch batch = {.next = DT_NOEND};
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&due_query, values, NULL, false);
	if (n > 0)
	{
		batch.database = kwj_row_oid(0, "database");
		batch.oldest = kwj_row_int64(0, "oldest");
		batch.errands = read_batch(n, scope.caller);
	}
	if (kwj_query_run(&next_query, &now, NULL, false) > 0)
		batch.next = kwj_row_time(0, "due");
	kwj_store_leave(&scope);
	return batch;
}

void
kwj_store_errand_over(int64 number)
{
	(void) kwj_query_run_for(&delete_query, number);
}

/* Deletes the refused errands that are not kept. */
static void
keep_last(void)
{
	Datum		most[1] = {Int32GetDatum(KWJ_KEPT_ERRANDS)};

	kwj_query_run(&keep_query, most, NULL, false);
}

void
kwj_store_errand_refused(int64 number, const KwjErrandResult *result)
{
	KwjStoreScope scope;
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(number);
	values[1] = CStringGetTextDatum(unpack_sql_state(result->error_code));
	values[2] = CStringGetTextDatum(result->message);
	kwj_text_arg(&values[3], &nulls[3], result->hint[0] != '\0' ? result->hint : NULL);
	kwj_query_run(&refuse_query, values, nulls, false);
	keep_last();
	kwj_store_leave(&scope);
}

void
kwj_store_errand_again(int64 number, const char *why, bool silent)
{
	KwjStoreScope scope;
	Datum		values[3];

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(number);
	values[1] = CStringGetTextDatum(why);
	values[2] = BoolGetDatum(silent);
	kwj_query_run(&again_query, values, NULL, false);
	kwj_store_leave(&scope);
}

void
kwj_store_bring_errands_forward(TimestampTz now, TimestampTz until)
{
	KwjStoreScope scope;
	Datum		values[2] = {TimestampTzGetDatum(now), TimestampTzGetDatum(until)};

	kwj_store_enter(&scope);
	kwj_query_run(&bring_forward_query, values, NULL, false);
	kwj_store_leave(&scope);
}

static List *
read_left(uint64 n, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *left = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		KwjErrandLeft *errand = palloc0(sizeof(KwjErrandLeft));

		errand->number = kwj_row_int64(i, "number");
		errand->database = kwj_row_oid(i, "database");
		errand->job_id = kwj_row_int64(i, "job_id");
		(void) kwj_deed_from_name(kwj_row_text_or_empty(i, "verb", context), &errand->deed);
		errand->role = kwj_row_oid(i, "actor");
		errand->refused = kwj_row_bool(i, "refused");
		errand->error = kwj_row_text(i, "error", context);
		errand->hint = kwj_row_text(i, "error_hint", context);
		left = lappend(left, errand);
	}
	MemoryContextSwitchTo(old);
	return left;
}

List *
kwj_store_errands_left(const int64 *numbers, int n)
{
	KwjStoreScope scope;
	Datum		values[1];
	List	   *left;

	PushActiveSnapshot(GetLatestSnapshot());
	kwj_store_enter(&scope);
	values[0] = kwj_jobs_arg(numbers, n);
	left = read_left(kwj_query_run(&left_query, values, NULL, true), scope.caller);
	kwj_store_leave(&scope);
	PopActiveSnapshot();
	return left;
}

void
kwj_store_withdraw_errand(int64 number, int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(number), ObjectIdGetDatum(GetUserId())};

	kwj_store_enter(&scope);
	kwj_query_run(&withdraw_query, values, NULL, false);
	kwj_store_leave(&scope);
	kwj_wakeup_at_end(job_id);
}

KwjWithdrawn
kwj_store_look_for_withdrawn(Oid target)
{
	KwjStoreScope scope;
	Datum		values[1] = {ObjectIdGetDatum(target)};
	KwjWithdrawn withdrawn = {false, false};

	kwj_store_enter(&scope);
	withdrawn.any = kwj_query_run(&look_for_withdrawn_query, values, NULL, false) > 0;
	withdrawn.of_target = withdrawn.any && kwj_row_bool(0, "of_target");
	kwj_store_leave(&scope);
	return withdrawn;
}

int64 *
kwj_store_withdraw_errands(Oid busy, int *n)
{
	KwjStoreScope scope;
	Datum		values[1] = {ObjectIdGetDatum(busy)};
	int64	   *numbers;

	kwj_store_enter(&scope);
	*n = (int) kwj_query_run(&refuse_withdrawn_query, values, NULL, false);
	numbers = MemoryContextAlloc(scope.caller, sizeof(int64) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		numbers[i] = kwj_row_int64(i, "number");
	kwj_query_run(&forget_withdrawn_query, NULL, NULL, false);
	keep_last();
	kwj_store_leave(&scope);
	return numbers;
}

bool
kwj_store_errand_was_done(int64 number)
{
	return kwj_query_run_for(&was_done_query, number) > 0;
}

void
kwj_store_errand_done(int64 number, Oid source, int64 oldest)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(number), ObjectIdGetDatum(source)};
	Datum		old[2] = {ObjectIdGetDatum(source), Int64GetDatum(oldest)};

	kwj_store_enter(&scope);
	kwj_query_run(&forget_done_query, old, NULL, false);
	kwj_query_run(&done_query, values, NULL, false);
	kwj_store_leave(&scope);
}

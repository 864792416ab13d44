/*
 * src/store/held.c
 *	  Holds: which jobs of this database are not to start, who said so, and why.
 *
 * Callers: sessions, which put, release and show holds (src/lifecycle/held.c, src/function); the
 * coordinator, before it claims (src/coordinator/held.c); a worker, before it begins a job, if
 * holds have changed since that was claimed (src/worker/held.c).
 *
 *     (no row) --hold--> row in kwjobs.hold --release--> (no row)
 *
 * A session writes or deletes the row in its transaction, whose commit tells the coordinators
 * (shared/held.h). Locks: the hold's row, until the end of the transaction. A second session that
 * holds or releases the same jobs waits for the lock. kwj_store_release_all, and an administrator
 * who releases a role's own hold, skip a locked row instead, because a role can keep its row locked
 * for as long as it likes. The coordinator and workers only read, and wait for nobody.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "job/clip.h"
#include "miscadmin.h"
#include "store/held.h"
#include "store/query.h"
#include "store/relation.h"
#include "store/server_hold.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* How often to try to add a hold while others remove the one that is in the way. */
#define MOST_TRIES	10

/* $1 job type, $2 owner: NULL for any; $3 by an administrator; $4 queue. */
#define SCOPE_MATCHES \
	"h.job_type IS NOT DISTINCT FROM $1 AND h.owner::oid IS NOT DISTINCT FROM $2" \
	" AND h.by_admin = $3 AND h.queue IS NOT DISTINCT FROM $4"

/* Of the holds in `gone`: how many there are, and which jobs they have paused that still are. */
#define SELECT_GONE \
	" SELECT (SELECT count(*) FROM gone)::integer AS n," \
	" ARRAY(SELECT j.job_id FROM gone AS g" \
	"  CROSS JOIN LATERAL unnest(g.paused, g.paused_at) AS p (job_id, at)" \
	"  JOIN kwjobs.job AS j ON j.job_id = p.job_id" \
	"  WHERE j.status IN ('paused', 'pause-requested') AND j.request_time = p.at" \
	"  AND EXISTS (SELECT FROM kwjobs.home AS o JOIN pg_database AS d ON d.oid = o.database" \
	"   WHERE d.datname = current_database())) AS paused"

static KwjQuery hold_query = {
	"INSERT INTO kwjobs.hold (job_type, owner, by_admin, queue, reason, pauses, held_by, held_by_name,"
	"  since)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp()) ON CONFLICT DO NOTHING",
	8, {TEXTOID, OIDOID, BOOLOID, TEXTOID, TEXTOID, BOOLOID, OIDOID, TEXTOID}
};

static KwjQuery present_query = {
	"SELECT h.job_type, h.owner, h.by_admin, h.queue, h.since, h.reason,"
	" kwdb_internal.role_name(h.held_by, h.held_by_name) AS by FROM kwjobs.hold AS h WHERE " SCOPE_MATCHES,
	4, {TEXTOID, OIDOID, BOOLOID, TEXTOID}
};

/*
 * Adds the jobs $5, and drops those that are not paused by this hold any more. The times tell
 * whether a job is still paused by this hold, or by somebody else.
 */
static KwjQuery note_paused_query = {
	"UPDATE kwjobs.hold AS h SET pauses = true, (paused, paused_at) ="
	" (SELECT array_agg(j.job_id), array_agg(j.request_time)"
	"   FROM (SELECT n.job_id, NULL::timestamptz AS at FROM unnest($5) AS n (job_id)"
	"    UNION ALL SELECT b.job_id, b.at FROM unnest(h.paused, h.paused_at) AS b (job_id, at)) AS p"
	"   JOIN kwjobs.job AS j ON j.job_id = p.job_id"
	"   WHERE p.at IS NULL OR (j.status IN ('paused', 'pause-requested') AND j.request_time = p.at))"
	" WHERE " SCOPE_MATCHES,
	5, {TEXTOID, OIDOID, BOOLOID, TEXTOID, INT8ARRAYOID}
};

/* Deletes what `chosen` finds, and leaves out what another transaction has locked. */
#define RELEASE_UNLOCKED(chosen) \
	"WITH gone AS (DELETE FROM kwjobs.hold AS d WHERE d.ctid = ANY (ARRAY(" \
	"   SELECT h.ctid FROM kwjobs.hold AS h WHERE " chosen " FOR UPDATE SKIP LOCKED))" \
	"  RETURNING d.paused, d.paused_at)" SELECT_GONE

static KwjQuery release_query = {
	"WITH gone AS (DELETE FROM kwjobs.hold AS h WHERE " SCOPE_MATCHES
	"  RETURNING h.paused, h.paused_at)" SELECT_GONE,
	4, {TEXTOID, OIDOID, BOOLOID, TEXTOID}, .fresh = true
};

static KwjQuery release_unlocked_query = {
	RELEASE_UNLOCKED(SCOPE_MATCHES),
	4, {TEXTOID, OIDOID, BOOLOID, TEXTOID}, .fresh = true
};

/* $1: any, an administrator's, too; else only those on roles whose privileges user $2 has. */
static KwjQuery release_all_query = {
	RELEASE_UNLOCKED("($1 OR (NOT h.by_admin AND pg_has_role($2, h.owner::oid, 'USAGE')))"),
	2, {BOOLOID, OIDOID}, .fresh = true
};

static KwjQuery count_query = {
	"SELECT count(*)::integer AS n FROM kwjobs.hold AS h WHERE NOT h.by_admin AND h.held_by = $1",
	1, {OIDOID}
};

static KwjQuery running_query = {
	"SELECT j.job_id FROM kwjobs.job AS j WHERE j.active_attempt IS NOT NULL"
	" AND j.status IN ('running', 'reverting') AND ($1 IS NULL OR j.job_type = $1)"
	" AND ($2 IS NULL OR j.owner = $2) AND ($4 IS NULL OR j.queue = $4) ORDER BY j.job_id",
	4, {TEXTOID, OIDOID, BOOLOID, TEXTOID}
};

/* Sets the first four arguments of a query that names a scope; nulls has room for all. */
static void
scope_args(const KwjHoldScope *scope, Datum *values, char *nulls)
{
	kwj_text_arg(&values[0], &nulls[0], scope->job_type);
	values[1] = ObjectIdGetDatum(scope->owner);
	nulls[1] = OidIsValid(scope->owner) ? ' ' : 'n';
	values[2] = BoolGetDatum(scope->by_admin);
	nulls[2] = ' ';
	kwj_text_arg(&values[3], &nulls[3], scope->queue);
}

static void
read_hold(uint64 row, KwjHold *hold, MemoryContext context)
{
	hold->scope.job_type = kwj_row_text(row, "job_type", context);
	hold->scope.owner = kwj_row_oid(row, "owner");
	hold->scope.by_admin = kwj_row_bool(row, "by_admin");
	hold->scope.queue = kwj_row_text(row, "queue", context);
	hold->by = kwj_row_text_or_empty(row, "by", context);
	hold->reason = kwj_row_clipped(row, "reason", context);
	hold->since = kwj_row_time(row, "since");
}

/* The numbers of the columns of kwjobs.hold that are read. */
typedef struct HoldColumns
{
	AttrNumber	job_type;
	AttrNumber	owner;
	AttrNumber	by_admin;
	AttrNumber	queue;
	AttrNumber	reason;
	AttrNumber	since;
	AttrNumber	held_by;
	AttrNumber	held_by_name;
} HoldColumns;

/* Errors: 42703 if somebody has changed the table, so that there is no such column. */
static AttrNumber
find_column(Oid table, const char *name)
{
	AttrNumber	number = get_attnum(table, name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table kwjobs.hold has no column \"%s\"", name)));
	return number;
}

static HoldColumns
find_columns(Oid table)
{
	return (HoldColumns)
	{
		.job_type = find_column(table, "job_type"),
			.owner = find_column(table, "owner"),
			.by_admin = find_column(table, "by_admin"),
			.queue = find_column(table, "queue"),
			.reason = find_column(table, "reason"),
			.since = find_column(table, "since"),
			.held_by = find_column(table, "held_by"),
			.held_by_name = find_column(table, "held_by_name"),
	};
}

/* Adds the row. Returns false if there is one; then that is the row of SPI_tuptable. */
static bool
add_or_find(Datum *values, const char *nulls)
{
	for (int i = 0; i < MOST_TRIES; i++)
	{
		if (kwj_query_run(&hold_query, values, nulls, false) > 0)
			return true;
		/* If it is not there, the one that was in the way has been removed in between. */
		if (kwj_query_run(&present_query, values, nulls, false) > 0)
			return false;
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not hold the jobs, because others hold and release them all the time"),
			 errhint("Try again.")));
	return false;
}

bool
kwj_store_hold(const KwjHoldScope *scope, const char *reason, bool pauses, KwjHold *present)
{
	/* Inside the scope, the current user is the owner of the extension. */
	Oid			user = GetUserId();
	const char *name = GetUserNameFromId(user, false);
	KwjStoreScope store;
	Datum		values[8];
	char		nulls[8];
	bool		added;

	kwj_store_enter(&store);
	memset(nulls, ' ', sizeof(nulls));
	scope_args(scope, values, nulls);
	kwj_clipped_arg(&values[4], &nulls[4], reason);
	values[5] = BoolGetDatum(pauses);
	values[6] = ObjectIdGetDatum(user);
	values[7] = CStringGetTextDatum(name);
	added = add_or_find(values, nulls);
	if (!added)
	{
		memset(present, 0, sizeof(*present));
		read_hold(0, present, store.caller);
	}
	kwj_store_leave(&store);
	return added;
}

bool
kwj_store_note_paused(const KwjHoldScope *scope, KwjJobs jobs)
{
	KwjStoreScope store;
	Datum		values[5];
	char		nulls[5];
	bool		found;

	kwj_store_enter(&store);
	scope_args(scope, values, nulls);
	values[4] = kwj_jobs_arg(jobs.ids, jobs.n);
	nulls[4] = ' ';
	found = kwj_query_run(&note_paused_query, values, nulls, false) > 0;
	kwj_store_leave(&store);
	return found;
}

/* Reads the result of SELECT_GONE. Returns how many holds are gone. */
static int
read_gone(KwjJobs *paused, MemoryContext context)
{
	*paused = kwj_row_jobs(0, "paused", context);
	return kwj_row_int32(0, "n");
}

int
kwj_store_release(const KwjHoldScope *scope, bool waits, KwjJobs *paused)
{
	KwjStoreScope store;
	Datum		values[4];
	char		nulls[4];
	int			n;

	kwj_store_enter(&store);
	scope_args(scope, values, nulls);
	kwj_query_run(waits ? &release_query : &release_unlocked_query, values, nulls, false);
	n = read_gone(paused, store.caller);
	kwj_store_leave(&store);
	return n;
}

int
kwj_store_release_all(bool admin, KwjJobs *paused)
{
	Datum		values[2] = {BoolGetDatum(admin), ObjectIdGetDatum(GetUserId())};
	KwjStoreScope store;
	int			n;

	kwj_store_enter(&store);
	kwj_query_run(&release_all_query, values, NULL, false);
	n = read_gone(paused, store.caller);
	kwj_store_leave(&store);
	return n;
}

int
kwj_store_count_holds(void)
{
	Datum		values[1] = {ObjectIdGetDatum(GetUserId())};
	KwjStoreScope store;
	int			n;

	kwj_store_enter(&store);
	kwj_query_run(&count_query, values, NULL, false);
	n = kwj_row_int32(0, "n");
	kwj_store_leave(&store);
	return n;
}

/* Reads the row in the slot; its texts are copied into the current context. */
static KwjHold *
read_row(TupleTableSlot *row, const HoldColumns *columns)
{
	KwjHold    *hold = palloc0(sizeof(KwjHold));
	bool		isnull;
	Datum		value;

	value = slot_getattr(row, columns->job_type, &isnull);
	hold->scope.job_type = isnull ? NULL : TextDatumGetCString(value);
	value = slot_getattr(row, columns->owner, &isnull);
	hold->scope.owner = isnull ? InvalidOid : DatumGetObjectId(value);
	hold->scope.by_admin = DatumGetBool(slot_getattr(row, columns->by_admin, &isnull));
	value = slot_getattr(row, columns->queue, &isnull);
	hold->scope.queue = isnull ? NULL : TextDatumGetCString(value);
	value = slot_getattr(row, columns->reason, &isnull);
	hold->reason = isnull ? NULL : kwj_clip_text(TextDatumGetCString(value));
	hold->since = DatumGetTimestampTz(slot_getattr(row, columns->since, &isnull));
	hold->by = GetUserNameFromId(DatumGetObjectId(slot_getattr(row, columns->held_by, &isnull)),
								 true);
	if (hold->by == NULL)
		hold->by = TextDatumGetCString(slot_getattr(row, columns->held_by_name, &isnull));
	return hold;
}

/* A hold on the jobs of a role that was dropped holds nothing: these jobs are to fail. */
static bool
counts(const KwjHold *hold)
{
	return !OidIsValid(hold->scope.owner) ||
		SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(hold->scope.owner));
}

static int
by_time(const ListCell *a, const ListCell *b)
{
	TimestampTz left = ((const KwjHold *) lfirst(a))->since;
	TimestampTz right = ((const KwjHold *) lfirst(b))->since;

	return left < right ? -1 : left > right;
}

/*
 * This is no query, because a query of ours may call a function that calls this, and because it has
 * to cost little where there is no hold.
 */
List *
kwj_store_holds(bool as_of_query)
{
	Relation	table = table_open(kwj_store_relation("hold"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(as_of_query ? GetActiveSnapshot() :
											GetLatestSnapshot());
	TableScanDesc scan = kwj_table_beginscan(table, snapshot);
	TupleTableSlot *row = table_slot_create(table, NULL);
	HoldColumns columns = find_columns(RelationGetRelid(table));
	KwjHold		server;
	List	   *holds = NIL;

	while (table_scan_getnextslot(scan, ForwardScanDirection, row))
	{
		KwjHold    *hold = read_row(row, &columns);

		if (counts(hold))
			holds = lappend(holds, hold);
	}
	ExecDropSingleTupleTableSlot(row);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, AccessShareLock);
	list_sort(holds, by_time);
	if (kwj_store_server_hold(&server))
	{
		KwjHold    *copy = palloc(sizeof(KwjHold));

		*copy = server;
		holds = lcons(copy, holds);
	}
	return holds;
}

const KwjHold *
kwj_hold_find(const List *holds, Oid owner, const char *job_type, const char *queue)
{
	ListCell   *lc;

	foreach(lc, holds)
	{
		const KwjHold *hold = lfirst(lc);

		if (kwj_hold_concerns(&hold->scope, owner, job_type, queue))
			return hold;
	}
	return NULL;
}

KwjJobs
kwj_store_running_jobs(const KwjHoldScope *scope)
{
	KwjStoreScope store;
	Datum		values[4];
	char		nulls[4];
	KwjJobs		jobs;

	kwj_store_enter(&store);
	scope_args(scope, values, nulls);
	jobs = kwj_rows_ids(kwj_query_run(&running_query, values, nulls, false), "job_id", store.caller);
	kwj_store_leave(&store);
	return jobs;
}

/* The job is still as the hold has paused it. */
static KwjQuery paused_by_hold_query = {
	"SELECT FROM kwjobs.hold AS h WHERE h.paused_at[array_position(h.paused, $1)] ="
	" (SELECT j.request_time FROM kwjobs.job AS j WHERE j.job_id = $1)",
	1, {INT8OID}
};

bool
kwj_store_is_paused_by_hold(int64 job_id)
{
	return kwj_query_run_for(&paused_by_hold_query, job_id) > 0;
}

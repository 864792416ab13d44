/*
 * src/store/schedules.c
 *	  Rows of schedules.
 *
 * Callers: sessions, for the statements on schedules (lifecycle/schedule.c); the coordinator, when
 * a schedule is due and when a run has ended (coordinator/fire.c).
 *
 *     (no row) --insert--> row --lock, update--> row --lock, delete--> (no row)
 *
 * Locks: whoever changes a row locks it first, FOR NO KEY UPDATE, until the end of the transaction.
 * A session waits for the lock; the coordinator skips the row (SKIP LOCKED), and the end of the
 * transaction that holds the lock wakes it. A second schedule of the same name waits in the unique
 * index. If the process dies, its transaction is rolled back, and nothing of this has happened.
 *
 * The coordinator locks and changes a row for each due time. It does so without plans (table.h), because to run
 * plans would take longer than all else that it does for a due time.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "job/clip.h"
#include "job/role.h"
#include "miscadmin.h"
#include "shared/job_id.h"
#include "shared/wakeup.h"
#include "storage/proc.h"
#include "store/query.h"
#include "store/relation.h"
#include "store/schedules.h"
#include "store/table.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

const char *const kwj_on_previous_names[3] = {
	[KWJ_PREVIOUS_START] = "start", [KWJ_PREVIOUS_SKIP] = "skip", [KWJ_PREVIOUS_WAIT] = "wait",
};
const char *const kwj_on_run_failure_names[3] = {
	[KWJ_FAILED_RETRY] = "retry", [KWJ_FAILED_RESCHEDULE] = "reschedule", [KWJ_FAILED_PAUSE] = "pause",
};
const char *const kwj_catch_up_names[3] = {
	[KWJ_CATCH_UP_ONE] = "one", [KWJ_CATCH_UP_ALL] = "all", [KWJ_CATCH_UP_NONE] = "none",
};

/* The columns that say what a schedule does, and when, with their types. column: a macro, see AS_SQL. */
#define RULE_COLUMNS(column) \
	column("job_type", TEXTOID) column("job", JSONBOID) column("cron", TEXTOID) column("time_zone", TEXTOID) \
	column("anchor", TIMESTAMPTZOID) column("starts", TIMESTAMPTZOID) column("ends", TIMESTAMPTZOID) \
	column("jitter", INT8OID) column("on_previous_running", TEXTOID) column("on_execution_failure", TEXTOID) \
	column("catch_up", TEXTOID) column("pause_after", INT4OID) column("failure_statement", TEXTOID) \
	column("failure_job", JSONBOID)

/* The columns that say when it is due next, and how its runs have gone. */
#define STATE_COLUMNS(column) \
	column("next_due", TIMESTAMPTZOID) column("next_run", TIMESTAMPTZOID) column("first_run", TIMESTAMPTZOID) \
	column("retry_of", TIMESTAMPTZOID) column("last_due", TIMESTAMPTZOID) column("state", TEXTOID) \
	column("paused", TIMESTAMPTZOID) column("paused_by", OIDOID) column("pause_reason", TEXTOID) \
	column("failures", INT4OID) column("refusals", INT4OID) column("runs", INT8OID) \
	column("succeeded", INT8OID) column("failed", INT8OID) column("last_success", TIMESTAMPTZOID)

/* All columns that may change. They are $2, $3 and so on, in this order; $1 is the id. */
#define ROW_COLUMNS(column)	RULE_COLUMNS(column) STATE_COLUMNS(column)

#define AS_SQL(name, type)		", " name
#define AS_NAME(name, type)		, name
#define AS_TYPE(name, type)		, type

static const char *const row_columns[] = {"schedule_id" ROW_COLUMNS(AS_NAME)};

/* The place of the first of STATE_COLUMNS in row_columns. */
#define FIRST_STATE_ARG	15

#define N_ROW_ARGS	lengthof(row_columns)
#define ROW_ARGS \
	"$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22," \
	" $23, $24, $25, $26, $27, $28, $29, $30"

/* $31: its name; $32, $33: its owner, and the owner's name. */
static KwjQuery insert_query = {
	"INSERT INTO kwjobs.schedule (schedule_id" ROW_COLUMNS(AS_SQL) ", name, owner, owner_name,"
	"  created, modified, home_cluster, home_database, home_table)"
	" SELECT $1, " ROW_ARGS ", $31, $32, $33, t.now, t.now, c.system_identifier, d.oid, 'kwjobs.schedule'::regclass"
	" FROM pg_control_system() AS c, pg_database AS d, (SELECT clock_timestamp()) AS t (now)"
	" WHERE d.datname = current_database() ON CONFLICT (name) DO NOTHING",
	N_ROW_ARGS + 3, {INT8OID ROW_COLUMNS(AS_TYPE), TEXTOID, OIDOID, TEXTOID}, .latest = true
};

/* Who owns the schedule. insert_query has no arguments left for some of these columns (KWJ_QUERY_MAX_ARGS). */
static KwjQuery owner_query = {
	"UPDATE kwjobs.schedule SET owner = $5, owner_name = $6, created_by = $2, created_by_session = $3,"
	" authority = (SELECT array_agg(a.role::kwjobs.role ORDER BY a.i) FROM unnest($4) WITH ORDINALITY AS a (role, i))"
	" WHERE schedule_id = $1",
	6, {INT8OID, OIDOID, OIDOID, OIDARRAYOID, OIDOID, TEXTOID}, .latest = true
};

static KwjQuery home_query = {
	"SELECT cluster, database FROM kwjobs.home", 0, {0}
};

static KwjQuery find_query = {
	"SELECT schedule_id, owner FROM kwjobs.schedule WHERE name = $1", 1, {TEXTOID}, .latest = true
};

static KwjQuery delete_query = {
	"WITH gone AS (DELETE FROM kwjobs.due_time WHERE schedule_id = $1)"
	" DELETE FROM kwjobs.schedule WHERE schedule_id = $1",
	1, {INT8OID}, .latest = true
};

static KwjQuery count_query = {
	"SELECT count(*) AS n FROM kwjobs.schedule WHERE owner = $1", 1, {OIDOID}, .latest = true
};

static KwjQuery owned_query = {
	"SELECT schedule_id FROM kwjobs.schedule WHERE owner = $1 ORDER BY name", 1, {OIDOID}, .latest = true
};

static KwjQuery names_query = {
	"SELECT name FROM kwjobs.schedule WHERE owner = $1 ORDER BY name LIMIT $2", 2, {OIDOID, INT4OID}, .latest = true
};

static KwjQuery due_query = {
	"SELECT s.schedule_id FROM kwjobs.schedule AS s WHERE s.next_run <= $1 AND s.schedule_id <> ALL ($3)"
	" ORDER BY s.next_run, s.schedule_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
	3, {TIMESTAMPTZOID, INT4OID, INT8ARRAYOID}
};

static KwjQuery next_query = {
	"SELECT min(next_run) AS next FROM kwjobs.schedule WHERE next_run > $1", 1, {TIMESTAMPTZOID}
};

static KwjQuery ahead_query = {
	"SELECT s.schedule_id FROM kwjobs.schedule AS s"
	" WHERE (s.last_due > $1 OR (s.anchor > $1 AND s.first_run IS NULL) OR s.modified > $2) AND s.paused IS NULL"
	" AND s.next_run IS NOT NULL LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED",
	3, {TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID}
};

static void
jsonb_arg(Datum *value, char *null, Jsonb *jb)
{
	*value = PointerGetDatum(jb);
	*null = jb == NULL ? 'n' : ' ';
}

/* Set the values of $1, and of the columns that say what the schedule does and when. */
static void
rule_args(const KwjSchedule *schedule, Datum *values, char *nulls)
{
	values[0] = Int64GetDatum(schedule->schedule_id);
	values[1] = CStringGetTextDatum(schedule->job_type);
	values[2] = JsonbPGetDatum(schedule->job);
	kwj_text_arg(&values[3], &nulls[3], schedule->cron);
	values[4] = CStringGetTextDatum(schedule->time_zone);
	values[5] = TimestampTzGetDatum(schedule->anchor);
	kwj_time_arg(&values[6], &nulls[6], schedule->starts);
	kwj_time_arg(&values[7], &nulls[7], schedule->ends);
	values[8] = Int64GetDatum(schedule->jitter_ms);
	values[9] = CStringGetTextDatum(kwj_on_previous_names[schedule->on_previous_running]);
	values[10] = CStringGetTextDatum(kwj_on_run_failure_names[schedule->on_execution_failure]);
	values[11] = CStringGetTextDatum(kwj_catch_up_names[schedule->catch_up]);
	values[12] = Int32GetDatum(schedule->pause_after);
	nulls[12] = schedule->pause_after == 0 ? 'n' : ' ';
	kwj_text_arg(&values[13], &nulls[13], schedule->failure_statement);
	jsonb_arg(&values[14], &nulls[14], schedule->failure_job);
}

/* Set the values of the other columns, from FIRST_STATE_ARG on. */
static void
state_args(const KwjSchedule *schedule, Datum *values, char *nulls)
{
	kwj_time_arg(&values[15], &nulls[15], schedule->next_due);
	kwj_time_arg(&values[16], &nulls[16], schedule->next_run);
	kwj_time_arg(&values[17], &nulls[17], schedule->first_run);
	kwj_time_arg(&values[18], &nulls[18], schedule->retry_of);
	kwj_time_arg(&values[19], &nulls[19], schedule->last_due);
	kwj_clipped_arg(&values[20], &nulls[20], schedule->state);
	kwj_time_arg(&values[21], &nulls[21], schedule->paused);
	values[22] = ObjectIdGetDatum(schedule->paused_by);
	nulls[22] = OidIsValid(schedule->paused_by) ? ' ' : 'n';
	kwj_clipped_arg(&values[23], &nulls[23], schedule->pause_reason);
	values[24] = Int32GetDatum(schedule->failures);
	values[25] = Int32GetDatum(schedule->refusals);
	values[26] = Int64GetDatum(schedule->runs);
	values[27] = Int64GetDatum(schedule->succeeded);
	values[28] = Int64GetDatum(schedule->failed);
	kwj_time_arg(&values[29], &nulls[29], schedule->last_success);
}

void
kwj_store_schedule_set_owner(const KwjSchedule *schedule)
{
	KwjStoreScope scope;
	Datum		values[6] = {
		Int64GetDatum(schedule->schedule_id), ObjectIdGetDatum(schedule->created_by),
		ObjectIdGetDatum(schedule->created_by_session)
	};

	kwj_store_enter(&scope);
	values[3] = kwj_oids_arg(schedule->authority, schedule->n_authority);
	values[4] = ObjectIdGetDatum(schedule->owner);
	values[5] = CStringGetTextDatum(kwj_role_name(schedule->owner));
	(void) kwj_query_run(&owner_query, values, NULL, false);
	kwj_store_leave(&scope);
}

bool
kwj_store_schedule_insert(KwjSchedule *schedule)
{
	KwjStoreScope scope;
	Datum		values[KWJ_QUERY_MAX_ARGS];
	char		nulls[KWJ_QUERY_MAX_ARGS];
	bool		inserted;

	schedule->schedule_id = kwj_job_id_next();
	kwj_store_enter(&scope);
	memset(nulls, ' ', sizeof(nulls));
	rule_args(schedule, values, nulls);
	state_args(schedule, values, nulls);
	values[N_ROW_ARGS] = CStringGetTextDatum(schedule->name);
	values[N_ROW_ARGS + 1] = ObjectIdGetDatum(schedule->owner);
	values[N_ROW_ARGS + 2] = CStringGetTextDatum(kwj_role_name(schedule->owner));
	inserted = kwj_query_run(&insert_query, values, nulls, false) > 0;
	if (inserted)
		kwj_store_schedule_set_owner(schedule);
	kwj_store_leave(&scope);
	if (inserted)
		kwj_wakeup_at_end(schedule->schedule_id);
	return inserted;
}

bool
kwj_store_schedule_find(const char *name, int64 *schedule_id, Oid *owner)
{
	KwjStoreScope scope;
	Datum		values[1] = {CStringGetTextDatum(name)};
	bool		found;

	*schedule_id = 0;
	*owner = InvalidOid;
	kwj_store_enter(&scope);
	found = kwj_query_run(&find_query, values, NULL, false) > 0;
	if (found)
	{
		*schedule_id = kwj_row_int64(0, "schedule_id");
		*owner = kwj_row_oid(0, "owner");
	}
	kwj_store_leave(&scope);
	return found;
}

/* Returns which of the three names the column has. Errors: 55000 if it has none of them. */
static int
row_choice(KwjTable *row, const char *column, const char *const names[3])
{
	char	   *name = kwj_table_get_text(row, column, CurrentMemoryContext);

	for (int i = 0; name != NULL && i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("column \"%s\" of a schedule has an unknown value", column),
			 errdetail("Somebody has changed the row in table kwjobs.schedule."),
			 errhint("Use DROP SCHEDULE, and create the schedule again.")));
	return 0;
}

/* Returns the text of a column that is NOT NULL unless a user has changed the table. */
static char *
text_or_empty(KwjTable *row, const char *column, MemoryContext context)
{
	char	   *text = kwj_table_get_text(row, column, context);

	return text != NULL ? text : MemoryContextStrdup(context, "");
}

static char *
clipped_text(KwjTable *row, const char *column, MemoryContext context)
{
	const char *text = kwj_clip_text(kwj_table_get_text(row, column, CurrentMemoryContext));

	return text != NULL ? MemoryContextStrdup(context, text) : NULL;
}

static void
read_creator(KwjTable *row, KwjSchedule *schedule, MemoryContext context)
{
	Datum		authority;
	bool		isnull;

	schedule->name = text_or_empty(row, "name", context);
	schedule->owner = kwj_table_get_oid(row, "owner");
	schedule->created_by = kwj_table_get_oid(row, "created_by");
	schedule->created_by_session = kwj_table_get_oid(row, "created_by_session");
	authority = kwj_table_get(row, "authority", &isnull);
	schedule->authority = kwj_copy_oids(authority, isnull, &schedule->n_authority, context);
}

static void
read_rules(KwjTable *row, KwjSchedule *schedule, MemoryContext context)
{
	schedule->job_type = text_or_empty(row, "job_type", context);
	schedule->job = kwj_table_get_jsonb(row, "job", context);
	schedule->cron = kwj_table_get_text(row, "cron", context);
	schedule->time_zone = text_or_empty(row, "time_zone", context);
	schedule->anchor = kwj_table_get_int64(row, "anchor");
	schedule->starts = kwj_table_get_int64(row, "starts");
	schedule->ends = kwj_table_get_int64(row, "ends");
	schedule->jitter_ms = kwj_table_get_int64(row, "jitter");
	schedule->on_previous_running = row_choice(row, "on_previous_running", kwj_on_previous_names);
	schedule->on_execution_failure = row_choice(row, "on_execution_failure", kwj_on_run_failure_names);
	schedule->catch_up = row_choice(row, "catch_up", kwj_catch_up_names);
	schedule->pause_after = kwj_table_get_int32(row, "pause_after");
	schedule->failure_statement = kwj_table_get_text(row, "failure_statement", context);
	schedule->failure_job = kwj_table_get_jsonb(row, "failure_job", context);
}

static void
read_state(KwjTable *row, KwjSchedule *schedule, MemoryContext context)
{
	schedule->next_due = kwj_table_get_int64(row, "next_due");
	schedule->next_run = kwj_table_get_int64(row, "next_run");
	schedule->first_run = kwj_table_get_int64(row, "first_run");
	schedule->retry_of = kwj_table_get_int64(row, "retry_of");
	schedule->last_due = kwj_table_get_int64(row, "last_due");
	schedule->state = clipped_text(row, "state", context);
	schedule->paused = kwj_table_get_int64(row, "paused");
	schedule->paused_by = kwj_table_get_oid(row, "paused_by");
	schedule->pause_reason = clipped_text(row, "pause_reason", context);
	schedule->failures = kwj_table_get_int32(row, "failures");
	schedule->refusals = kwj_table_get_int32(row, "refusals");
	schedule->runs = kwj_table_get_int64(row, "runs");
	schedule->succeeded = kwj_table_get_int64(row, "succeeded");
	schedule->failed = kwj_table_get_int64(row, "failed");
	schedule->last_success = kwj_table_get_int64(row, "last_success");
}

/*
 * Returns whether the row belongs to this database. This reads kwjobs.home once in a transaction, because the
 * coordinator asks for many schedules. A transaction that changes kwjobs.home locks no schedules (home.c).
 */
static bool
is_at_home(KwjTable *row)
{
	static LocalTransactionId read_in = InvalidLocalTransactionId;
	static int64 cluster;
	static Oid	database;

	if (read_in != kwj_local_transaction_id())
	{
		bool		found = kwj_query_run(&home_query, NULL, NULL, false) > 0;

		cluster = found ? kwj_row_int64(0, "cluster") : 0;
		database = found ? kwj_row_oid(0, "database") : InvalidOid;
		read_in = kwj_local_transaction_id();
	}
	return kwj_table_get_int64(row, "home_cluster") == cluster &&
		kwj_table_get_oid(row, "home_database") == database &&
		kwj_table_get_oid(row, "home_table") == kwj_store_relation("schedule");
}

bool
kwj_store_schedule_lock(int64 schedule_id, KwjLockWait wait, KwjSchedule *schedule)
{
	KwjStoreScope scope;
	Datum		key[1] = {Int64GetDatum(schedule_id)};
	KwjTable   *row;
	bool		found;

	kwj_wakeup_at_end(schedule_id);
	kwj_store_enter(&scope);
	PushActiveSnapshot(GetTransactionSnapshot());
	row = kwj_table_open("schedule");
	found = kwj_table_lock(row, key, NULL, wait == KWJ_SKIP_LOCKED ? LockWaitSkip : LockWaitBlock);
	if (found)
	{
		memset(schedule, 0, sizeof(*schedule));
		schedule->schedule_id = schedule_id;
		read_creator(row, schedule, scope.caller);
		read_rules(row, schedule, scope.caller);
		read_state(row, schedule, scope.caller);
		schedule->at_home = is_at_home(row);
	}
	kwj_table_close(row);
	PopActiveSnapshot();
	kwj_store_leave(&scope);
	return found;
}

static void
set_columns(KwjTable *row, const KwjSchedule *schedule, KwjScheduleWrite what)
{
	Datum		values[N_ROW_ARGS];
	char		nulls[N_ROW_ARGS];
	int			first = what == KWJ_WRITE_STATE ? FIRST_STATE_ARG : 1;

	memset(nulls, ' ', sizeof(nulls));
	if (what != KWJ_WRITE_STATE)
		rule_args(schedule, values, nulls);
	state_args(schedule, values, nulls);
	for (int i = first; i < N_ROW_ARGS; i++)
		if (nulls[i] == ' ')
			kwj_table_set(row, row_columns[i], values[i]);
		else
			kwj_table_set_null(row, row_columns[i]);
	kwj_table_set_text(row, "paused_by_name",
					   OidIsValid(schedule->paused_by) ? kwj_role_name(schedule->paused_by) : NULL);
	kwj_table_set(row, "modified", TimestampTzGetDatum(GetCurrentTimestamp()));
	if (what == KWJ_WRITE_HOME)
	{
		kwj_table_set(row, "home_cluster", Int64GetDatum((int64) GetSystemIdentifier()));
		kwj_table_set(row, "home_database", ObjectIdGetDatum(MyDatabaseId));
		kwj_table_set(row, "home_table", ObjectIdGetDatum(kwj_store_relation("schedule")));
	}
}

void
kwj_store_schedule_update(const KwjSchedule *schedule, KwjScheduleWrite what)
{
	KwjStoreScope scope;
	Datum		key[1] = {Int64GetDatum(schedule->schedule_id)};
	KwjTable   *row;

	kwj_store_enter(&scope);
	PushActiveSnapshot(GetTransactionSnapshot());
	row = kwj_table_open("schedule");
	if (kwj_table_find(row, key, NULL))
	{
		kwj_table_change_row(row);
		set_columns(row, schedule, what);
		kwj_table_update(row);
	}
	kwj_table_close(row);
	PopActiveSnapshot();
	kwj_store_leave(&scope);
}

void
kwj_store_schedule_delete(int64 schedule_id)
{
	(void) kwj_query_run_for(&delete_query, schedule_id);
}

int64
kwj_store_schedules_of(Oid owner)
{
	KwjStoreScope scope;
	Datum		values[1] = {ObjectIdGetDatum(owner)};
	int64		n;

	kwj_store_enter(&scope);
	(void) kwj_query_run(&count_query, values, NULL, false);
	n = kwj_row_int64(0, "n");
	kwj_store_leave(&scope);
	return n;
}

KwjJobs
kwj_store_schedules_owned(Oid owner)
{
	KwjStoreScope scope;
	Datum		values[1] = {ObjectIdGetDatum(owner)};
	KwjJobs		owned;

	kwj_store_enter(&scope);
	owned = kwj_rows_ids(kwj_query_run(&owned_query, values, NULL, false), "schedule_id", scope.caller);
	kwj_store_leave(&scope);
	return owned;
}

List *
kwj_store_schedule_names(Oid owner, int limit)
{
	KwjStoreScope scope;
	Datum		values[2] = {ObjectIdGetDatum(owner), Int32GetDatum(limit)};
	List	   *names = NIL;
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(&names_query, values, NULL, false);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *name = kwj_row_text_or_empty(i, "name", scope.caller);
		MemoryContext old = MemoryContextSwitchTo(scope.caller);

		names = lappend(names, name);
		MemoryContextSwitchTo(old);
	}
	kwj_store_leave(&scope);
	return names;
}

KwjJobs
kwj_store_schedules_due(TimestampTz now, int limit, KwjJobs without)
{
	KwjStoreScope scope;
	Datum		values[3] = {TimestampTzGetDatum(now), Int32GetDatum(limit)};
	KwjJobs		due;

	kwj_store_enter(&scope);
	values[2] = kwj_jobs_arg(without.ids, without.n);
	due = kwj_rows_ids(kwj_query_run(&due_query, values, NULL, false), "schedule_id", scope.caller);
	kwj_store_leave(&scope);
	return due;
}

TimestampTz
kwj_store_schedules_next(TimestampTz after)
{
	KwjStoreScope scope;
	Datum		values[1] = {TimestampTzGetDatum(after)};
	bool		isnull;
	TimestampTz next;

	kwj_store_enter(&scope);
	(void) kwj_query_run(&next_query, values, NULL, false);
	next = DatumGetTimestampTz(kwj_row_datum(0, "next", &isnull));
	kwj_store_leave(&scope);
	return isnull ? DT_NOEND : next;
}

KwjJobs
kwj_store_schedules_ahead(TimestampTz due, TimestampTz modified, int limit)
{
	KwjStoreScope scope;
	Datum		values[3] = {TimestampTzGetDatum(due), TimestampTzGetDatum(modified), Int32GetDatum(limit)};
	KwjJobs		ahead;

	kwj_store_enter(&scope);
	ahead = kwj_rows_ids(kwj_query_run(&ahead_query, values, NULL, false), "schedule_id", scope.caller);
	kwj_store_leave(&scope);
	return ahead;
}

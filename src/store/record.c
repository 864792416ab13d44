/*
 * src/store/record.c
 *	  Rows of jobs that sessions have done themselves.
 *
 * Callers: the session, before its transaction commits (src/lifecycle/session_job.c); the
 * coordinator, for jobs that failed or whose rows the session could not insert
 * (src/coordinator/record.c).
 *
 *     (no row) --insert--> succeeded | failed | canceled
 *
 * Locks: kwjobs.job in RowExclusiveLock until the end of the transaction; a session takes the lock
 * only if it need not wait. The session inserts without SPI and without changing its role: no code
 * of a user runs here, as kwj_table_may_refuse has found no triggers, and session_job.c does not
 * call this in a READ ONLY transaction.
 *
 * If the process dies before its commit, there is no row. shared/session_jobs.c describes what then
 * becomes of the job's place in shared memory.
 */
#include "postgres.h"

#include "job/json.h"
#include "job/role.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "store/job_row.h"
#include "store/query.h"
#include "store/record.h"
#include "store/relation.h"
#include "store/table.h"
#include "utils/builtins.h"

struct KwjRecords
{
	KwjTable   *jobs;
	KwjStoreScope *scope;		/* NULL: no scope was entered */
};

/* Lock kwjobs.job, if it exists and the lock is free. */
static bool
try_lock_jobs(void)
{
	Oid			table = kwj_store_find_relation("job");

	if (!OidIsValid(table) || !ConditionalLockRelationOid(table, RowExclusiveLock))
		return false;
	/* the table may have been dropped before the lock was taken */
	return kwj_store_find_relation("job") == table;
}

KwjRecords *
kwj_store_try_records(void)
{
	KwjRecords *records;

	if (!try_lock_jobs())
		return NULL;
	records = palloc0(sizeof(KwjRecords));
	records->jobs = kwj_table_open_jobs(KWJ_RECORDS);
	if (!kwj_table_may_refuse(records->jobs))
		return records;
	kwj_store_close_records(records);
	return NULL;
}

KwjRecords *
kwj_store_open_records(void)
{
	KwjRecords *records = palloc0(sizeof(KwjRecords));

	records->scope = palloc0(sizeof(KwjStoreScope));
	kwj_store_enter(records->scope);
	MemoryContextSwitchTo(records->scope->caller);
	records->jobs = kwj_table_open("job");
	return records;
}

void
kwj_store_close_records(KwjRecords *records)
{
	kwj_table_close(records->jobs);
	if (records->scope != NULL)
	{
		kwj_store_leave(records->scope);
		pfree(records->scope);
	}
	pfree(records);
}

/* Set the column. If the text is empty, leave the column as begin_row has set it, which is NULL or empty. */
static void
set_text_if_any(KwjTable *jobs, const char *column, const char *text)
{
	if (text[0] != '\0')
		kwj_table_set_text(jobs, column, text);
}

/*
 * What the process keeps of the row that it began last. The next jobs are mostly of the same type and the
 * same role, and have ended in the same way, so that their rows begin with the same values.
 */
static KwjModelRow last;
static KwjRecord of_last;
static char type_of_last[KWJ_JOB_TYPE_LEN];
static NameData user_of_last;

/* Returns whether the row of this job has the same values in the columns that set_common() sets. */
static bool
is_like_last(const KwjRecord *record, const char *user)
{
	return record->owner == of_last.owner &&
		record->created_by == of_last.created_by &&
		record->created_by_session == of_last.created_by_session &&
		record->status == of_last.status &&
		strcmp(record->job_type, type_of_last) == 0 &&
		strcmp(user, NameStr(user_of_last)) == 0;
}

static void
note_last(const KwjRecord *record, const char *user)
{
	of_last = (KwjRecord) {
		.owner = record->owner,
		.created_by = record->created_by,
		.created_by_session = record->created_by_session,
		.status = record->status,
	};
	strlcpy(type_of_last, record->job_type, sizeof(type_of_last));
	namestrcpy(&user_of_last, user);
}

/*
 * Sets the columns that many rows have in common. max_attempts and payload are NOT NULL, but mean
 * nothing for such a job. The session's one execution of the statement counts as an attempt, but this
 * attempt has no row of its own.
 */
static void
set_common(KwjTable *jobs, const KwjRecord *record, const char *user)
{
	kwj_table_set(jobs, "max_attempts", Int32GetDatum(1));
	kwj_table_set(jobs, "payload", JsonbPGetDatum(kwj_json_empty()));
	kwj_table_set(jobs, "total_num_of_ex", Int64GetDatum(1));
	kwj_table_set_text(jobs, "job_type", record->job_type);
	kwj_table_set(jobs, "owner", ObjectIdGetDatum(record->owner));
	kwj_table_set_text(jobs, "user_name", user);
	kwj_table_set(jobs, "created_by", ObjectIdGetDatum(record->created_by));
	kwj_table_set(jobs, "created_by_session", ObjectIdGetDatum(record->created_by_session));
	kwj_table_set(jobs, "coordinator_id", Int64GetDatum(kwj_node_id));
	kwj_table_set_status(jobs, record->status);
	if (record->status == KWJ_SUCCEEDED)
		kwj_table_set(jobs, "total_num_of_success", Int64GetDatum(1));
	if (record->status == KWJ_FAILED)
		kwj_table_set(jobs, "total_num_of_fail", Int64GetDatum(1));
}

/* Begins a row with all values that it may have in common with the last one. */
static void
begin_row(KwjTable *jobs, const KwjRecord *record)
{
	char	   *user = kwj_role_name(record->owner);

	if (is_like_last(record, user) && kwj_table_new_row_like(jobs, &last))
		return;
	kwj_job_row_begin(jobs);
	set_common(jobs, record, user);
	note_last(record, user);
	kwj_table_keep_row(jobs, &last);
}

static void
set_identity(KwjTable *jobs, const KwjRecord *record)
{
	kwj_table_set(jobs, "job_id", Int64GetDatum(record->job_id));
	kwj_table_set_text(jobs, "description", record->description);
	set_text_if_any(jobs, "statement", record->statement);
	if (record->created_by_type[0] == '\0')
		return;
	kwj_table_set_text(jobs, "created_by_type", record->created_by_type);
	kwj_table_set(jobs, "created_by_id", Int64GetDatum(record->created_by_id));
}

static void
set_times(KwjTable *jobs, const KwjRecord *record)
{
	Datum		started = TimestampTzGetDatum(record->started);
	Datum		finished = TimestampTzGetDatum(record->finished);

	kwj_table_set(jobs, "created", started);
	kwj_table_set(jobs, "due", started);
	kwj_table_set(jobs, "started", started);
	kwj_table_set(jobs, "finished", finished);
	kwj_table_set(jobs, "modified", finished);
	if (record->status == KWJ_SUCCEEDED)
		kwj_table_set(jobs, "time_of_last_success", finished);
	if (record->status == KWJ_FAILED)
		kwj_table_set(jobs, "errored", finished);
}

static void
set_outcome(KwjTable *jobs, const KwjRecord *record)
{
	set_text_if_any(jobs, "error", record->error);
	if (record->sqlstate != 0)
		kwj_table_set_text(jobs, "error_code", unpack_sql_state(record->sqlstate));
	set_text_if_any(jobs, "error_hint", record->error_hint);
	if (record->result != NULL)
		kwj_table_set(jobs, "result", JsonbPGetDatum(record->result));
}

static void
set_request(KwjTable *jobs, const KwjRecord *record)
{
	if (record->requested == 0)
		return;
	kwj_table_set(jobs, "request_time", TimestampTzGetDatum(record->requested));
	kwj_table_set(jobs, "requested_by", ObjectIdGetDatum(record->requested_by));
	kwj_table_set_text(jobs, "request_user", kwj_role_name(record->requested_by));
	set_text_if_any(jobs, "request_reason", record->request_reason);
}

void
kwj_store_record(KwjRecords *records, const KwjRecord *record)
{
	Datum		key[1] = {Int64GetDatum(record->job_id)};

	/*
	 * Only the coordinator has to look whether it has inserted the row before. A session inserts the
	 * row of a job at most once.
	 */
	if (records->scope != NULL && kwj_table_find(records->jobs, key, NULL))
		return;
	begin_row(records->jobs, record);
	set_identity(records->jobs, record);
	set_times(records->jobs, record);
	set_outcome(records->jobs, record);
	set_request(records->jobs, record);
	kwj_table_insert(records->jobs);
}

/*
 * src/store/jobs.c
 *	  Rows of jobs: how sessions create, control and wait for them.
 *
 * Callers: sessions, for submit, control statements and waits (src/lifecycle, src/function);
 * kwj_store_lock also in workers and in the coordinator, when they end an attempt;
 * kwj_store_note_ids also in the coordinator's first pass.
 *
 *     submit      INSERT ---> pending
 *     replace     lock the row, kwj_store_replace ---> the same status, other columns
 *     control     lock the row, kwj_verdict, kwj_store_request ---> the status that was asked for
 *     wait        read, without a lock, after each wake-up
 *
 * Locks: submit takes FOR KEY SHARE on the rows of the jobs depended on; a second job with the same
 * key waits in the unique index of the keys. A control statement locks the job's row FOR NO KEY
 * UPDATE until the end of its transaction. The process that ends the attempt locks the same row, so
 * the transaction that commits first decides. A coordinator that meets the lock skips the job; the
 * wake-up at the end of the locking transaction, commit or abort, makes it look again. A worker
 * that writes checkpoints does not lock the row.
 *
 * If the session dies, its transaction is rolled back, and nothing of this has happened. The
 * wake-up is sent after the commit. If it is lost because the server stops, the coordinator's first
 * pass looks at all rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/role.h"
#include "job/status.h"
#include "miscadmin.h"
#include "schedule/window.h"
#include "shared/job_id.h"
#include "shared/wakeup.h"
#include "storage/lmgr.h"
#include "store/due.h"
#include "store/job_row.h"
#include "store/jobs.h"
#include "store/line.h"
#include "store/query.h"
#include "store/queue.h"
#include "store/relation.h"
#include "store/table.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/*
 * How often a session tries to insert a job with a key, if each time the unfinished job with this
 * key has ended before the session could look at it.
 */
#define MOST_TRIES	100

/*
 * The columns that describe a new job. job_args() sets their values, which are the first arguments
 * of the next two queries, in this order.
 */
#define N_JOB_ARGS	25
#define JOB_ARG_TYPES \
	INT8OID, TEXTOID, TEXTOID, TEXTOID, OIDOID, INT4OID, INT4OID, JSONBOID, TEXTOID, \
	TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, BOOLOID, OIDOID, OIDOID, OIDARRAYOID, TEXTOID, \
	INT8OID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID
static const char *const job_columns[N_JOB_ARGS] = {
	"job_id", "job_type", "description", "statement", "owner", "priority", "max_attempts", "payload",
	"key", "run_at", "retry_delay", "timeout", "on_failure", "has_revert", "created_by",
	"created_by_session", "authority", "created_by_type", "created_by_id", "tags", "queue",
	"serial_key", "notify", "window", "window_end"
};

/*
 * Inserts a job. If an unfinished job of the same owner has the same key, this query inserts
 * nothing; if the transaction that has inserted that job is not over, the query waits for its end.
 * $26: the name of the role that owns the job; $27: due; $28: rank; $29: the present time.
 */
static KwjQuery insert_query = {
	"INSERT INTO kwjobs.job (job_id, job_type, description, statement, owner, priority, max_attempts,"
	" payload, key, run_at, retry_delay, timeout, on_failure, has_revert, created_by,"
	" created_by_session, authority, created_by_type, created_by_id, tags, queue, serial_key, notify,"
	" \"window\", window_end, user_name, status, due, rank, created, modified)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,"
	" $20, $21, $22, $23, $24, $25, $26, 'pending', $27, $28, $29, $29)"
	" ON CONFLICT (owner, key) WHERE key IS NOT NULL AND finished IS NULL DO NOTHING",
	N_JOB_ARGS + 4, {JOB_ARG_TYPES, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static KwjQuery has_limit_query = {
	"SELECT " KWJ_QUEUE_HAS_LIMIT("$1") " AS limited", 1, {TEXTOID}
};

/*
 * Replaces what a job does. $26: whether the new job depends on others.
 *
 * The job keeps the time at which it became due; otherwise a job that is replaced again and again
 * would never start. The job stays in line if it may start now and has the same serial key. It
 * loses its rank; the coordinator gives it a new one.
 */
static KwjQuery replace_query = {
	"UPDATE kwjobs.job AS j SET job_type = $2, description = $3, statement = $4,"
	" priority = $6, max_attempts = $7, payload = $8, run_at = $10, retry_delay = $11,"
	" timeout = $12, on_failure = $13, has_revert = $14, created_by = $15,"
	" created_by_session = $16, authority = $17, created_by_type = $18, created_by_id = $19,"
	" tags = $20, queue = $21, serial_key = $22, notify = $23, \"window\" = $24, window_end = $25,"
	" line = CASE WHEN NOT $26 AND j.serial_key = $22 AND ($10 IS NULL OR $10 <= t.now) THEN j.line END,"
	" queued = NULL, rank = NULL, refusals = 0, running_status = NULL, modified = t.now,"
	" due = CASE WHEN $26 THEN 'infinity' WHEN $10 > t.now THEN $10 ELSE least(j.due, t.now) END"
	" FROM (SELECT clock_timestamp()) AS t (now) WHERE j.job_id = $1",
	N_JOB_ARGS + 1, {JOB_ARG_TYPES, BOOLOID}
};

static KwjQuery forget_dependencies_query = {
	"DELETE FROM kwjobs.dependency AS d WHERE d.job_id = $1", 1, {INT8OID}
};

/*
 * Reads the unfinished job with key $2. differences: names of the arguments in which that job
 * differs from the new one.
 */
static KwjQuery same_key_query = {
	"SELECT j.job_id, concat_ws(', ',"
	" CASE WHEN j.job_type <> $3 THEN 'type' END,"
	" CASE WHEN j.payload -> 'statement' IS DISTINCT FROM $4 -> 'statement' THEN 'statement' END,"
	" CASE WHEN j.priority <> $5 THEN 'priority' END,"
	" CASE WHEN j.max_attempts <> $7 THEN 'max_attempts' END,"
	" CASE WHEN j.retry_delay <> $8 THEN 'retry_initial_delay' END,"
	" CASE WHEN j.timeout IS DISTINCT FROM $9 THEN 'timeout' END,"
	" CASE WHEN j.run_at IS DISTINCT FROM $6 THEN 'run_at' END,"
	/* a dependency that is met was deleted, so a job that succeeded makes no difference */
	" CASE WHEN EXISTS (SELECT FROM unnest($11) AS a (depends_on)"
	"   LEFT JOIN kwjobs.job AS o ON o.job_id = a.depends_on"
	"   WHERE o.status IS DISTINCT FROM 'succeeded' AND NOT EXISTS (SELECT FROM kwjobs.dependency AS d"
	"    WHERE d.job_id = j.job_id AND d.depends_on = a.depends_on)) THEN 'depends_on' END,"
	" CASE WHEN j.on_failure <> $10 THEN 'on_failure' END,"
	" CASE WHEN j.tags IS DISTINCT FROM $12 THEN 'tags' END,"
	" CASE WHEN j.queue IS DISTINCT FROM $13 THEN 'queue' END,"
	" CASE WHEN j.notify IS DISTINCT FROM $15 THEN 'notify' END,"
	" CASE WHEN j.serial_key IS DISTINCT FROM $14 THEN 'serial_key' END,"
	" CASE WHEN j.window IS DISTINCT FROM $16 THEN 'window' END,"
	" CASE WHEN j.window_end IS DISTINCT FROM $17 THEN 'window_end' END,"
	" CASE WHEN j.payload -> 'on_revert' IS DISTINCT FROM $4 -> 'on_revert' THEN 'on_revert' END,"
	" CASE WHEN j.payload -> 'settings' IS DISTINCT FROM $4 -> 'settings' THEN 'settings' END,"
	" CASE WHEN j.payload - '{statement,on_revert,settings}'::text[]"
	"   IS DISTINCT FROM $4 - '{statement,on_revert,settings}'::text[] THEN 'arguments' END)"
	"  AS differences"
	" FROM kwjobs.job AS j WHERE j.owner = $1 AND j.key = $2 AND j.finished IS NULL",
	17, {OIDOID, TEXTOID, TEXTOID, JSONBOID, INT4OID, TIMESTAMPTZOID, INT4OID, INT8OID, INT8OID,
	TEXTOID, INT8ARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static KwjQuery highest_id_query = {
	"SELECT max(job_id) AS highest FROM kwjobs.job", 0, {0}
};

/* The row locks keep retention from deleting these jobs before this transaction is over. */
static KwjQuery depend_query = {
	"INSERT INTO kwjobs.dependency (job_id, depends_on)"
	" SELECT $1, o.job_id FROM (SELECT j.job_id FROM kwjobs.job AS j"
	"  WHERE j.job_id = ANY ($2) FOR KEY SHARE) AS o",
	2, {INT8OID, INT8ARRAYOID}
};

static KwjQuery owner_query = {
	"SELECT owner FROM kwjobs.job WHERE job_id = $1", 1, {INT8OID}
};

/*
 * revertible is KWJ_IS_REVERTIBLE. FOR NO KEY UPDATE instead of FOR UPDATE: when a worker inserts a
 * row that refers to the job, the foreign key takes FOR KEY SHARE on the job's row. The worker must
 * not wait for a control statement that is not committed.
 */
#define LOCK_QUERY \
	"SELECT j.job_type, j.owner, j.status, j.active_attempt, j.retries," \
	" j.crashes, j.max_attempts, j.revert_to IS NOT NULL AS reverting," \
	" j.started IS NOT NULL AS started, j.attempts = 0 AND j.total_num_of_ex = 1 AS of_session," \
	" j.finished IS NOT NULL AS over," \
	" j.retry_delay, j.on_failure, j.window," \
	" c.written IS NOT NULL OR (j.has_revert AND j.started IS NOT NULL) AS revertible," \
	" coalesce(c.written >= a.started, false) OR EXISTS (SELECT FROM kwjobs.piece AS p" \
	"  WHERE p.job_id = j.job_id AND p.written >= a.started) AS progressed" \
	" FROM kwjobs.job AS j" \
	" LEFT JOIN kwjobs.checkpoint AS c ON c.job_id = j.job_id" \
	" LEFT JOIN kwjobs.attempt AS a" \
	" ON a.job_id = j.job_id AND a.attempt = j.active_attempt" \
	" WHERE j.job_id = $1"

static KwjQuery lock_queries[] = {
	[KWJ_WAIT] = {LOCK_QUERY " FOR NO KEY UPDATE OF j", 1, {INT8OID}},
	[KWJ_SKIP_LOCKED] = {LOCK_QUERY " FOR NO KEY UPDATE OF j SKIP LOCKED", 1, {INT8OID}},
	[KWJ_WAIT_TO_DELETE] = {LOCK_QUERY " FOR UPDATE OF j", 1, {INT8OID}},
};

static KwjQuery lock_at_once_query = {LOCK_QUERY " FOR NO KEY UPDATE OF j NOWAIT", 1, {INT8OID}};

static KwjQuery look_query = {LOCK_QUERY, 1, {INT8OID}};

/* $5: the statement takes back a request that has not been settled yet. */
static KwjQuery request_query = {
	"UPDATE kwjobs.job SET status = $2, request_reason = $3, request_user = $4,"
	" requested_by = $6, request_time = t.now, modified = t.now,"
	" due = CASE WHEN $5 OR $2 NOT IN ('pending', 'reverting') THEN due"
	"  WHEN EXISTS (SELECT FROM kwjobs.dependency AS d WHERE d.job_id = $1) THEN 'infinity'"
	"  ELSE greatest(run_at, t.now) END,"
	" rank = NULL, refusals = 0,"
	/*
	 * RESUME makes a revert-failed job unfinished again. Another job may have the same key by now,
	 * so the job loses its key.
	 */
	" finished = NULL, key = CASE WHEN finished IS NULL THEN key END,"
	" revert_to = CASE WHEN $2 = 'reverting' THEN coalesce(revert_to, 'failed')"
	" ELSE revert_to END,"
	" retries = CASE WHEN NOT $5 AND $2 IN ('pending', 'reverting') THEN 0 ELSE retries END,"
	" crashes = CASE WHEN NOT $5 AND $2 IN ('pending', 'reverting') THEN 0 ELSE crashes END"
	" FROM (SELECT clock_timestamp()) AS t (now) WHERE job_id = $1",
	6, {INT8OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, OIDOID}
};

static KwjQuery outcome_query = {
	"SELECT j.status, j.xmin AS written_by, j.finished IS NOT NULL AS over, coalesce(j.rows, c.rows, 0) AS rows,"
	" coalesce(c.fraction, 0) AS fraction, j.running_status,"
	" j.active_attempt IS NULL OR j.status = 'paused' AS waits, j.status = 'paused' OR"
	"  (j.due <> 'infinity' AND j.due > clock_timestamp() + interval '1 second') AS stays,"
	" j.error, j.error_code,"
	" j.error_detail, j.error_hint, j.error_context"
	" FROM kwjobs.job AS j LEFT JOIN kwjobs.checkpoint AS c ON c.job_id = j.job_id"
	" WHERE j.job_id = $1",
	1, {INT8OID}
};

/*
 * Reads why the job does not run. It is a query of its own, because even to start it costs more
 * than to run all of outcome_query.
 */
static KwjQuery reason_query = {
	"SELECT CASE WHEN " KWJ_PARKED("j") " THEN " KWJ_WAITS_IN_LINE("j")
	"  WHEN " KWJ_QUEUED("j") " THEN " KWJ_WAITS_IN_QUEUE("j")
	"  WHEN j.status IN ('pending', 'reverting')"
	"  THEN kwjobs_waiting(j.owner, j.job_type, j.due, j.run_at, j.rank IS NOT NULL, j.running_status,"
	"   CASE WHEN j.due = 'infinity' THEN ARRAY(SELECT d.depends_on FROM kwjobs.dependency AS d"
	"    WHERE d.job_id = j.job_id ORDER BY d.depends_on LIMIT 2) END,"
	"   CASE WHEN j.status = 'pending' THEN j.window END)"
	"  WHEN j.status = 'paused' THEN coalesce(j.running_status,"
	"   kwjobs_paused(kwdb_internal.role_name(j.requested_by, j.request_user), j.request_reason))"
	"  ELSE j.running_status END AS reason"
	" FROM kwjobs.job AS j WHERE j.job_id = $1 AND (j.active_attempt IS NULL OR j.status = 'paused')",
	1, {INT8OID}
};

static KwjQuery returned_query = {
	"SELECT j.result, (SELECT a.tags FROM kwjobs.attempt AS a WHERE a.job_id = j.job_id"
	"  AND a.status = 'succeeded' AND NOT a.reverting ORDER BY a.attempt DESC LIMIT 1) AS tags"
	" FROM kwjobs.job AS j WHERE j.job_id = $1",
	1, {INT8OID}
};

/* Returns the value of column window_end: a job without a window has none. */
static const char *
window_end_of(const KwjNewJob *job)
{
	return job->window != NULL ? job->window_end : NULL;
}

/* Set the values of job_columns. Both arrays have KWJ_QUERY_MAX_ARGS elements. */
static void
job_args(const KwjNewJob *job, int64 job_id, Datum *values, char *nulls)
{
	memset(nulls, ' ', KWJ_QUERY_MAX_ARGS);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(job->job_type);
	values[2] = CStringGetTextDatum(job->description);
	values[3] = CStringGetTextDatum(job->statement ? job->statement : "");
	values[4] = ObjectIdGetDatum(job->owner);
	values[5] = Int32GetDatum(job->priority);
	values[6] = Int32GetDatum(job->max_attempts);
	values[7] = JsonbPGetDatum(job->payload);
	kwj_text_arg(&values[8], &nulls[8], job->key);
	kwj_time_arg(&values[9], &nulls[9], job->run_at);
	values[10] = Int64GetDatum(job->retry_delay_ms);
	values[11] = Int64GetDatum(job->timeout_ms);
	nulls[11] = job->timeout_ms == 0 ? 'n' : ' ';
	values[12] = CStringGetTextDatum(job->on_failure);
	values[13] = BoolGetDatum(job->has_revert);
	values[14] = ObjectIdGetDatum(job->created_by);
	values[15] = ObjectIdGetDatum(job->created_by_session);
	nulls[16] = job->n_authority == 0 ? 'n' : ' ';
	values[16] = job->n_authority == 0 ? (Datum) 0 : kwj_oids_arg(job->authority, job->n_authority);
	kwj_text_arg(&values[17], &nulls[17], job->created_by_type);
	values[18] = Int64GetDatum(job->created_by_id);
	nulls[18] = job->created_by_type == NULL ? 'n' : ' ';
	values[19] = PointerGetDatum(job->tags);
	nulls[19] = job->tags == NULL ? 'n' : ' ';
	kwj_text_arg(&values[20], &nulls[20], job->queue);
	kwj_text_arg(&values[21], &nulls[21], job->serial_key);
	kwj_text_arg(&values[22], &nulls[22], job->notify);
	kwj_text_arg(&values[23], &nulls[23], job->window);
	kwj_text_arg(&values[24], &nulls[24], window_end_of(job));
}

/* Returns whether the queue has a limit, or is held. */
static bool
has_limit(const char *queue)
{
	Datum		values[1] = {CStringGetTextDatum(queue)};

	kwj_query_run(&has_limit_query, values, NULL, false);
	return kwj_row_bool(0, "limited");
}

/* When the job starts at the earliest, and its place among those that may start. */
typedef struct Place
{
	TimestampTz now;			/* the present time */
	TimestampTz due;			/* DT_NOEND: it depends on others */
	TimestampTz rank;			/* DT_NOEND: none yet */
} Place;

/*
 * A job that depends on others, has a serial key or a window, or is of a queue with a limit, gets no
 * rank yet; the coordinator gives it one later.
 */
static Place
place_of(const KwjNewJob *job)
{
	Place		place = {.now = GetCurrentTimestamp(), .due = DT_NOEND, .rank = DT_NOEND};

	if (job->n_depends_on > 0)
		return place;
	place.due = Max(job->run_at, place.now);
	if (job->window != NULL)
		place.due = Min(kwj_window_next(job->window, place.due), END_TIMESTAMP - 1);
	else if (job->run_at <= place.now && job->serial_key == NULL &&
			 (job->queue == NULL || !has_limit(job->queue)))
		place.rank = kwj_rank(place.now, job->priority);
	return place;
}

/*
 * Insert the row by a query. Returns false if no row was inserted: an unfinished job has the same
 * key, or a trigger has refused it.
 */
static bool
insert_by_query(const KwjNewJob *job, int64 job_id, const Place *place)
{
	Datum		values[KWJ_QUERY_MAX_ARGS];
	char		nulls[KWJ_QUERY_MAX_ARGS];

	job_args(job, job_id, values, nulls);
	values[N_JOB_ARGS] = CStringGetTextDatum(kwj_role_name(job->owner));
	values[N_JOB_ARGS + 1] = TimestampTzGetDatum(place->due);
	values[N_JOB_ARGS + 2] = TimestampTzGetDatum(place->rank);
	nulls[N_JOB_ARGS + 2] = place->rank == DT_NOEND ? 'n' : ' ';
	values[N_JOB_ARGS + 3] = TimestampTzGetDatum(place->now);
	return kwj_query_run(&insert_query, values, nulls, false) > 0;
}

static void
set_new_row(KwjTable *jobs, const KwjNewJob *job, int64 job_id, const Place *place)
{
	Datum		values[KWJ_QUERY_MAX_ARGS];
	char		nulls[KWJ_QUERY_MAX_ARGS];

	job_args(job, job_id, values, nulls);
	for (int i = 0; i < N_JOB_ARGS; i++)
		if (nulls[i] == ' ')
			kwj_table_set(jobs, job_columns[i], values[i]);
	kwj_table_set_text(jobs, "user_name", kwj_role_name(job->owner));
	kwj_table_set_status(jobs, KWJ_PENDING);
	kwj_table_set(jobs, "due", TimestampTzGetDatum(place->due));
	if (place->rank != DT_NOEND)
		kwj_table_set(jobs, "rank", TimestampTzGetDatum(place->rank));
	kwj_table_set(jobs, "created", TimestampTzGetDatum(place->now));
	kwj_table_set(jobs, "modified", TimestampTzGetDatum(place->now));
}

/*
 * Insert the row of a job without a key, without a plan, which would cost more than all else that a
 * session does for the job. Returns false, and does nothing, if this would not do all that an
 * INSERT does.
 */
static bool
insert_without_plan(const KwjNewJob *job, int64 job_id, const Place *place)
{
	KwjTable   *jobs;
	bool		enough;

	PushActiveSnapshot(GetTransactionSnapshot());
	jobs = kwj_table_open("job");
	enough = kwj_job_row_is_enough(jobs);
	if (enough)
	{
		kwj_job_row_begin(jobs);
		set_new_row(jobs, job, job_id, place);
		kwj_table_insert(jobs);
	}
	kwj_table_close(jobs);
	PopActiveSnapshot();
	return enough;
}

/*
 * Insert the job's row; *rank becomes its place in the order (DT_NOEND: it may not start yet).
 * Returns false if no row was inserted.
 */
static bool
insert_job(const KwjNewJob *job, int64 job_id, TimestampTz *rank)
{
	Place		place = place_of(job);

	*rank = place.rank;
	if (job->key == NULL && insert_without_plan(job, job_id, &place))
		return true;
	return insert_by_query(job, job_id, &place);
}

static Datum
dependencies_array(const KwjNewJob *job)
{
	return kwj_jobs_arg(job->depends_on, job->n_depends_on);
}

/* Read the unfinished job with the same key. The id stays 0 if that job has ended. */
static void
read_job_with_key(const KwjNewJob *job, KwjExisting *existing, MemoryContext context)
{
	Datum		values[17] = {
		ObjectIdGetDatum(job->owner), CStringGetTextDatum(job->key),
		CStringGetTextDatum(job->job_type), JsonbPGetDatum(job->payload),
		Int32GetDatum(job->priority), (Datum) 0,
		Int32GetDatum(job->max_attempts), Int64GetDatum(job->retry_delay_ms),
		Int64GetDatum(job->timeout_ms), CStringGetTextDatum(job->on_failure),
		dependencies_array(job), PointerGetDatum(job->tags)
	};
	char		nulls[17];

	memset(nulls, ' ', sizeof(nulls));
	kwj_time_arg(&values[5], &nulls[5], job->run_at);
	kwj_text_arg(&values[12], &nulls[12], job->queue);
	kwj_text_arg(&values[13], &nulls[13], job->serial_key);
	kwj_text_arg(&values[14], &nulls[14], job->notify);
	kwj_text_arg(&values[15], &nulls[15], job->window);
	kwj_text_arg(&values[16], &nulls[16], window_end_of(job));
	nulls[8] = job->timeout_ms == 0 ? 'n' : ' ';
	nulls[11] = job->tags == NULL ? 'n' : ' ';
	if (kwj_query_run(&same_key_query, values, nulls, false) == 0)
		return;
	existing->job_id = kwj_row_int64(0, "job_id");
	existing->differences = kwj_row_text(0, "differences", context);
}

static void
insert_dependencies(const KwjNewJob *job, int64 job_id)
{
	Datum		values[2] = {Int64GetDatum(job_id), dependencies_array(job)};

	if (kwj_query_run(&depend_query, values, NULL, false) < job->n_depends_on)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("a job that this one depends on does not exist any more"),
				 errhint("Leave out jobs that are in kwdb_internal.job_history only.")));
}

void
kwj_store_note_ids(void)
{
	/* once is enough: later jobs get their ids from this server */
	static bool noted = false;
	KwjStoreScope scope;

	if (noted)
		return;
	kwj_store_enter(&scope);
	kwj_query_run(&highest_id_query, NULL, NULL, false);
	kwj_job_id_note(kwj_row_int64(0, "highest"));
	kwj_store_leave(&scope);
	noted = true;
}

int64
kwj_store_insert(const KwjNewJob *job, KwjExisting *existing)
{
	KwjStoreScope scope;
	int64		job_id;
	TimestampTz rank;

	existing->job_id = 0;
	kwj_store_enter(&scope);
	kwj_store_note_ids();
	job_id = kwj_job_id_next();
	for (int tries = 1; !insert_job(job, job_id, &rank); tries++)
	{
		if (job->key == NULL || tries > MOST_TRIES)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
					 errmsg("the row of the job was not inserted"),
					 errhint("See which triggers are on kwjobs.job with: \\d kwjobs.job")));
		read_job_with_key(job, existing, scope.caller);
		if (existing->job_id != 0)
		{
			kwj_store_leave(&scope);
			return existing->job_id;
		}
		/* the job with this key ended in between: try again */
		CHECK_FOR_INTERRUPTS();
	}
	if (job->n_depends_on > 0)
		insert_dependencies(job, job_id);
	kwj_store_leave(&scope);

	if (rank == DT_NOEND)
		kwj_wakeup_at_end(job_id);
	else
		kwj_wakeup_at_end_of_creation(job_id, rank);
	return job_id;
}

void
kwj_store_replace(int64 job_id, const KwjNewJob *job)
{
	KwjStoreScope scope;
	Datum		values[KWJ_QUERY_MAX_ARGS];
	char		nulls[KWJ_QUERY_MAX_ARGS];

	kwj_store_enter(&scope);
	(void) kwj_query_run_for(&forget_dependencies_query, job_id);
	kwj_store_note_leaving(job_id);
	job_args(job, job_id, values, nulls);
	values[N_JOB_ARGS] = BoolGetDatum(job->n_depends_on > 0);
	kwj_query_run(&replace_query, values, nulls, false);
	if (job->n_depends_on > 0)
		insert_dependencies(job, job_id);
	kwj_store_leave(&scope);
}

bool
kwj_store_owner(int64 job_id, Oid *owner)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	bool		found;

	*owner = InvalidOid;
	kwj_store_enter(&scope);
	found = kwj_query_run(&owner_query, values, NULL, true) > 0;
	if (found)
		*owner = kwj_row_oid(0, "owner");
	kwj_store_leave(&scope);
	return found;
}

/* Reads the first row of a query with the columns of LOCK_QUERY. */
static void
read_job(int64 job_id, KwjJob *job, MemoryContext context)
{
	job->job_id = job_id;
	job->job_type = kwj_row_text_or_empty(0, "job_type", context);
	job->owner = kwj_row_oid(0, "owner");
	job->status = kwj_status_from_name(kwj_row_text(0, "status", CurrentMemoryContext));
	job->active_attempt = kwj_row_int32(0, "active_attempt");
	job->reverting = kwj_row_bool(0, "reverting");
	job->started = kwj_row_bool(0, "started");
	job->of_session = kwj_row_bool(0, "of_session");
	job->over = kwj_row_bool(0, "over");
	job->revertible = kwj_row_bool(0, "revertible");
	job->progressed = kwj_row_bool(0, "progressed");
	job->retries = kwj_row_int32(0, "retries");
	job->crashes = kwj_row_int32(0, "crashes");
	job->max_attempts = kwj_row_int32(0, "max_attempts");
	job->retry_delay_ms = kwj_row_int64(0, "retry_delay");
	job->on_failure = kwj_row_text_or_empty(0, "on_failure", context);
	job->window = kwj_row_text(0, "window", context);
}

bool
kwj_store_lock(int64 job_id, KwjLockWait wait, KwjJob *job)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	KwjQuery   *query = wait == KWJ_WAIT && kwj_store_never_waits() ? &lock_at_once_query : &lock_queries[wait];
	bool		found;

	memset(job, 0, sizeof(*job));
	kwj_store_enter(&scope);
	/* The caller will write the row, so this locks what REINDEX locks first (table.c). */
	LockRelationOid(kwj_store_relation("job"), RowExclusiveLock);
	found = kwj_query_run(query, values, NULL, false) > 0;
	if (found)
	{
		/*
		 * The lock keeps the coordinator from claiming the job, so wake it when the lock is gone,
		 * however the transaction ends. Do so only if there is such a job: a coordinator that wakes
		 * itself after each pass would never sleep.
		 */
		kwj_wakeup_at_end(job_id);
		read_job(job_id, job, scope.caller);
	}
	kwj_store_leave(&scope);
	return found;
}

bool
kwj_store_job(int64 job_id, KwjJob *job)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	bool		found;

	memset(job, 0, sizeof(*job));
	kwj_store_enter(&scope);
	found = kwj_query_run(&look_query, values, NULL, false) > 0;
	if (found)
		read_job(job_id, job, scope.caller);
	kwj_store_leave(&scope);
	return found;
}

void
kwj_store_request(int64 job_id, KwjStatus next, const char *reason, bool taken_back)
{
	KwjStoreScope scope;
	Oid			role = GetUserId();
	char	   *user = GetUserNameFromId(role, false);
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};

	kwj_store_enter(&scope);
	values[0] = Int64GetDatum(job_id);
	values[1] = CStringGetTextDatum(kwj_status_name(next));
	kwj_text_arg(&values[2], &nulls[2], reason);
	values[3] = CStringGetTextDatum(user);
	values[4] = BoolGetDatum(taken_back);
	values[5] = ObjectIdGetDatum(role);
	kwj_query_run(&request_query, values, nulls, false);
	kwj_store_leave(&scope);
}

static void
read_outcome(KwjOutcome *outcome, MemoryContext context)
{
	bool		isnull;
	char	   *code = kwj_row_text(0, "error_code", CurrentMemoryContext);
	char	   *error;

	outcome->status =
		kwj_status_from_name(kwj_row_text(0, "status", CurrentMemoryContext));
	outcome->written_by = DatumGetTransactionId(kwj_row_datum(0, "written_by", &isnull));
	outcome->rows = kwj_row_int64(0, "rows");
	outcome->fraction = DatumGetFloat8(kwj_row_datum(0, "fraction", &isnull));
	outcome->running_status = kwj_row_clipped(0, "running_status", context);
	outcome->waits = kwj_row_bool(0, "waits");
	outcome->stays = kwj_row_bool(0, "stays");
	outcome->over = kwj_row_bool(0, "over") || kwj_status_is_terminal(outcome->status);
	outcome->error_code = code && strlen(code) == 5 ?
		MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]) : 0;
	error = kwj_row_clipped(0, "error", context);
	outcome->error = error ? error : MemoryContextStrdup(context, "");
	outcome->error_detail = kwj_row_clipped(0, "error_detail", context);
	outcome->error_hint = kwj_row_clipped(0, "error_hint", context);
	outcome->error_context = kwj_row_clipped(0, "error_context", context);
}

/* Read why the job of outcome_query does not run, with the same snapshot. */
static char *
read_reason(Datum *values, MemoryContext context)
{
	if (kwj_query_run(&reason_query, values, NULL, true) == 0)
		return NULL;
	return kwj_row_clipped(0, "reason", context);
}

/*
 * Release all that this resource owner has, including the locks. Otherwise the locks would last
 * until the end of the transaction, and a VACUUM FULL in the job that the session waits for would
 * wait for the session.
 */
static void
let_go(ResourceOwner owner)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, true, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, true, false);
	ResourceOwnerDelete(owner);
}

bool
kwj_store_outcome(int64 job_id, bool reason, KwjOutcome *outcome)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	bool		found;

	ResourceOwner caller = CurrentResourceOwner;
	ResourceOwner look = ResourceOwnerCreate(caller, "kwjobs look");

	/*
	 * Take the latest snapshot instead of the transaction's: under REPEATABLE READ a session would
	 * never see that the job is over.
	 */
	CurrentResourceOwner = look;
	PushActiveSnapshot(GetLatestSnapshot());
	kwj_store_enter(&scope);
	found = kwj_query_run(&outcome_query, values, NULL, true) > 0;
	if (found)
		read_outcome(outcome, scope.caller);
	if (found && outcome->waits && !outcome->over)
		outcome->running_status = reason || outcome->stays ?
			read_reason(values, scope.caller) : NULL;
	kwj_store_leave(&scope);
	PopActiveSnapshot();
	CurrentResourceOwner = caller;
	let_go(look);
	return found;
}

void
kwj_store_returned(int64 job_id, KwjReturned *returned)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	bool		isnull = true;
	Datum		tags = (Datum) 0;

	memset(returned, 0, sizeof(*returned));
	PushActiveSnapshot(GetLatestSnapshot());
	kwj_store_enter(&scope);
	if (kwj_query_run(&returned_query, values, NULL, true) > 0)
	{
		tags = kwj_row_datum(0, "tags", &isnull);
		returned->result = kwj_row_jsonb(0, "result", scope.caller);
	}
	MemoryContextSwitchTo(scope.caller);
	if (!isnull)
		returned->tags = DatumGetArrayTypePCopy(tags);
	kwj_store_leave(&scope);
	PopActiveSnapshot();
}

/*
 * src/store/again.c
 *	  Jobs that a user lets run again, or at another time than planned.
 *
 * Process: sessions; src/lifecycle/control.c calls this. Locks: the rows of the jobs, FOR NO KEY
 * UPDATE, and the rows that are changed, until the end of the transaction. kwj_store_lock has armed
 * the wake-up of the coordinator. If the session dies, its transaction is rolled back, and nothing
 * has happened.
 *
 *     failed, canceled    --retry---> pending     and its dependents that failed with it
 *     pending             --run now-> pending     due now
 *     pending, paused     --alter---> the same    a pending job gets a new place in the order
 *     revert-failed       --close---> failed
 *
 * When a job fails because another one did not succeed, dependency.c writes a row into
 * kwjobs.failed_dependency, with the ids of all jobs that the failed one still waited for. RETRY of
 * the other job makes the failed one pending, too, and restores its dependencies on all these jobs.
 * If one of them has failed meanwhile, the job fails again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "job/isolate.h"
#include "job/json.h"
#include "job/status.h"
#include "shared/wakeup.h"
#include "store/again.h"
#include "store/attempts.h"
#include "store/dependency.h"
#include "store/end.h"
#include "store/events.h"
#include "store/jobs.h"
#include "store/line.h"
#include "store/over.h"
#include "store/query.h"
#include "store/queue.h"
#include "store/store.h"
#include "utils/builtins.h"

/*
 * At most this many dependents become pending again with a job that is retried. The others stay
 * failed.
 */
#define MOST_DEPENDENTS	10000

static KwjQuery key_query = {
	"SELECT o.job_id, o.key FROM kwjobs.job AS j JOIN kwjobs.job AS o"
	" ON o.owner = j.owner AND o.key = j.key AND o.finished IS NULL AND o.key IS NOT NULL"
	" WHERE j.job_id = $1",
	1, {INT8OID}
};

static KwjQuery retry_query = {
	"UPDATE kwjobs.job AS j SET status = 'pending', finished = NULL, started = NULL, revert_to = NULL,"
	" cause = NULL, error = '', error_code = NULL, error_detail = NULL, error_hint = NULL,"
	" error_context = NULL, error_file = NULL, error_line = NULL, error_column = NULL,"
	" result = NULL, running_status = NULL, queued = NULL, retries = 0, crashes = 0, refusals = 0, rank = NULL,"
	" due = CASE WHEN EXISTS (SELECT FROM kwjobs.dependency AS d WHERE d.job_id = j.job_id)"
	"  THEN 'infinity' ELSE greatest(j.run_at, t.now) END, modified = t.now"
	" FROM (SELECT clock_timestamp()) AS t (now) WHERE j.job_id = $1",
	1, {INT8OID}
};

static KwjQuery note_request_query = {
	"UPDATE kwjobs.job AS j SET request_reason = $2, request_user = $3, requested_by = $4,"
	" request_time = clock_timestamp() WHERE j.job_id = $1",
	4, {INT8OID, TEXTOID, TEXTOID, OIDOID}
};

/*
 * The state is NULL if a revert has undone the work (kwj_store_forget_state). Then the retry starts
 * from the beginning, so the row is deleted with its count of rows and its progress, too.
 */
static KwjQuery forget_checkpoint_query = {
	"DELETE FROM kwjobs.checkpoint AS c WHERE c.job_id = $1 AND c.state IS NULL", 1, {INT8OID}
};

/* Jobs that failed because the job in $1 did not succeed, or are about to fail. */
static KwjQuery dependents_query = {
	"SELECT l.job_id FROM (SELECT j.job_id FROM kwjobs.failed_dependency AS f"
	" JOIN kwjobs.job AS j ON j.job_id = f.job_id"
	" WHERE f.depends_on = $1 ORDER BY j.job_id LIMIT $2) AS l",
	2, {INT8OID, INT4OID}
};

static KwjQuery lock_dependent_query = {
	"SELECT j.status, j.finished IS NOT NULL AS over FROM kwjobs.job AS j WHERE j.job_id = $1"
	" FOR NO KEY UPDATE",
	1, {INT8OID}
};

/* As lock_dependent_query, for a process that must not wait (kwj_store_never_wait). */
static KwjQuery lock_dependent_at_once_query = {
	"SELECT j.status, j.finished IS NOT NULL AS over FROM kwjobs.job AS j WHERE j.job_id = $1"
	" FOR NO KEY UPDATE NOWAIT",
	1, {INT8OID}
};

/*
 * Restores the dependencies that the job in $1 had when it failed, leaving out jobs that have
 * succeeded or were deleted meanwhile.
 */
static KwjQuery restore_query = {
	"WITH f AS (DELETE FROM kwjobs.failed_dependency AS f WHERE f.job_id = $1 RETURNING f.others)"
	" INSERT INTO kwjobs.dependency (job_id, depends_on)"
	" SELECT $1, o.job_id FROM (SELECT k.job_id FROM f, kwjobs.job AS k"
	"  WHERE k.job_id = ANY (f.others) AND k.status <> 'succeeded' FOR KEY SHARE OF k) AS o"
	" ON CONFLICT DO NOTHING",
	1, {INT8OID}
};

static KwjQuery forget_failed_query = {
	"DELETE FROM kwjobs.failed_dependency AS f WHERE f.job_id = $1", 1, {INT8OID}
};

/* Whether job j, which has the id $1, waits for no other jobs. */
#define WAITS_FOR_NONE \
	" NOT EXISTS (SELECT FROM kwjobs.dependency AS d WHERE d.job_id = $1)" \
	" AND NOT (" KWJ_PARKED("j") ") AND NOT (" KWJ_QUEUED("j") ")"

static KwjQuery run_now_query = {
	"UPDATE kwjobs.job AS j SET run_at = NULL, due = t.now, rank = NULL, refusals = 0, modified = t.now"
	" FROM (SELECT clock_timestamp()) AS t (now) WHERE j.job_id = $1 AND" WAITS_FOR_NONE,
	1, {INT8OID}
};

static KwjQuery may_run_now_query = {
	"SELECT FROM kwjobs.job AS j WHERE j.job_id = $1 AND" WAITS_FOR_NONE, 1, {INT8OID}
};

/*
 * $2 to $5, $7, $8, $14: NULL leaves the column as it is. $10, $11, $13: set the timeout to $6, the tags to $9
 * and the window to $12, where NULL means none. A job with a window may be put off because of these or of its
 * timeout, so it is due at once then, and the coordinator looks. rank becomes NULL, so that the coordinator
 * computes the job's place in the order again, from its new due time and priority.
 */
static KwjQuery alter_query = {
	"UPDATE kwjobs.job AS j SET description = coalesce($2, j.description),"
	" statement = CASE WHEN $2 IS NOT NULL AND j.statement = '' AND j.job_type = 'SQL'"
	"  THEN coalesce(j.payload ->> 'statement', '') ELSE j.statement END,"
	" priority = coalesce($3, j.priority), max_attempts = coalesce($4, j.max_attempts),"
	" retry_delay = coalesce($5, j.retry_delay),"
	" timeout = CASE WHEN $10 THEN $6 ELSE j.timeout END,"
	" run_at = coalesce($7, j.run_at), on_failure = coalesce($8, j.on_failure),"
	" tags = CASE WHEN $11 THEN $9 ELSE j.tags END, rank = NULL, modified = t.now,"
	" \"window\" = t.window, window_end = CASE WHEN t.window IS NOT NULL THEN coalesce($14, j.window_end, 'pause') END,"
	" running_status = CASE WHEN t.anew THEN NULL ELSE j.running_status END,"
	" line = CASE WHEN $7 > t.now THEN NULL ELSE j.line END,"
	" queued = CASE WHEN $7 > t.now THEN NULL ELSE j.queued END,"
	" refusals = CASE WHEN $7 > t.now THEN 0 ELSE j.refusals END,"
	" due = CASE WHEN j.status <> 'pending'"
	"   OR EXISTS (SELECT FROM kwjobs.dependency AS d WHERE d.job_id = j.job_id) THEN j.due"
	"  WHEN $7 IS NOT NULL THEN greatest($7, t.now)"
	"  WHEN t.anew AND j.due < 'infinity' THEN greatest(j.run_at, t.now) ELSE j.due END"
	" FROM (SELECT clock_timestamp(), k.job_id, CASE WHEN $13 THEN $12 ELSE k.window END,"
	"   $13 OR k.window IS NOT NULL AND ($10 OR $14 IS NOT NULL) AND k.status = 'pending'"
	"  FROM kwjobs.job AS k WHERE k.job_id = $1) AS t (now, job_id, \"window\", anew)"
	" WHERE j.job_id = t.job_id",
	14, {INT8OID, TEXTOID, INT4OID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTARRAYOID,
	BOOLOID, BOOLOID, TEXTOID, BOOLOID, TEXTOID}
};

/* The values of what alter_query changes, as users write them; long ones are clipped. */
static KwjQuery alterable_query = {
	"SELECT jsonb_build_object('description', left(j.description, 1000), 'priority', j.priority,"
	" 'max_attempts', j.max_attempts,"
	" 'retry_initial_delay', j.retry_delay * interval '1 millisecond',"
	" 'timeout', j.timeout * interval '1 millisecond', 'run_at', j.run_at,"
	" 'on_failure', j.on_failure, 'tags', left(j.tags::text, 1000), 'window', j.window,"
	" 'window_end', j.window_end) AS options"
	" FROM kwjobs.job AS j WHERE j.job_id = $1",
	1, {INT8OID}
};

/* $1, $2: these values before and after. */
static KwjQuery changes_query = {
	"SELECT jsonb_object_agg(n.key, jsonb_build_array($1 -> n.key, n.value)) AS changes"
	" FROM jsonb_each($2) AS n WHERE n.value IS DISTINCT FROM $1 -> n.key",
	2, {JSONBOID, JSONBOID}
};

static KwjQuery close_query = {
	"UPDATE kwjobs.job AS j SET status = 'failed', finished = t.now, modified = t.now,"
	" running_status = NULL, error = c.error, error_code = c.error_code, error_detail = c.error_detail,"
	" error_hint = c.error_hint, error_context = c.error_context, error_file = c.error_file,"
	" error_line = c.error_line, error_column = c.error_column, cause = NULL"
	" FROM kwjobs.job AS k, LATERAL jsonb_to_record(k.cause) AS c (error text, error_code text,"
	"  error_detail text, error_hint text, error_context text, error_file text, error_line bigint,"
	"  error_column text), (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = $1 AND k.job_id = j.job_id AND k.cause IS NOT NULL"
	" RETURNING" KWJ_OVER_COLUMNS,
	1, {INT8OID}
};

/* For a job without a cause: the job keeps the error of the revert. */
static KwjQuery close_plainly_query = {
	"UPDATE kwjobs.job AS j SET status = 'failed', finished = t.now, modified = t.now,"
	" running_status = NULL FROM (SELECT clock_timestamp()) AS t (now) WHERE j.job_id = $1"
	" RETURNING" KWJ_OVER_COLUMNS,
	1, {INT8OID}
};

/* Note which role has asked for the change, and why. */
static void
note_request(int64 job_id, const char *reason, Oid role)
{
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	values[0] = Int64GetDatum(job_id);
	kwj_text_arg(&values[1], &nulls[1], reason);
	values[2] = CStringGetTextDatum(GetUserNameFromId(role, false));
	values[3] = ObjectIdGetDatum(role);
	kwj_query_run(&note_request_query, values, nulls, false);
}

static void
check_key(int64 job_id)
{
	Datum		values[1] = {Int64GetDatum(job_id)};

	if (kwj_query_run(&key_query, values, NULL, false) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("job " INT64_FORMAT " cannot be retried, as another one with key \"%s\" is not over",
					job_id, kwj_row_clipped(0, "key", CurrentMemoryContext)),
			 errhint("Wait for job " INT64_FORMAT ", or cancel it.", kwj_row_int64(0, "job_id"))));
}

/* Returns the jobs that failed because of this one, in the order of their ids. */
static KwjJobs
dependents_of(int64 job_id, int limit)
{
	Datum		values[2] = {Int64GetDatum(job_id), Int32GetDatum(limit)};

	return kwj_rows_ids(kwj_query_run(&dependents_query, values, NULL, false), "job_id", CurrentMemoryContext);
}

/* Make the job pending. It starts from the beginning if a revert has undone its work. */
static void
make_pending(int64 job_id)
{
	(void) kwj_query_run_for(&forget_checkpoint_query, job_id);
	(void) kwj_query_run_for(&retry_query, job_id);
}

typedef struct Return
{
	int64		job_id;
	KwjActor	actor;			/* who retries the other job, and why */
	const char *reason;
	int64		because_of;		/* that other job */
	bool		done;			/* bring_back has made the job pending again */
} Return;

static void
note_return(const Return *dependent)
{
	KwjEvent	event = {
		.job_id = dependent->job_id,
		.event = "retry",
		.actor = dependent->actor,
		.status = KWJ_PENDING,
		.reason = dependent->reason,
		.detail = kwj_json_parse(psprintf("{\"because_of\": " INT64_FORMAT "}",
										  dependent->because_of)),
	};

	kwj_store_event(&event);
}

/*
 * Makes a dependent pending again. If the dependent has not failed yet, because its dependencies
 * are deleted in several steps, it only gets back those that were deleted already.
 */
static void
bring_back(void *arg)
{
	Return	   *dependent = arg;
	Datum		values[1] = {Int64GetDatum(dependent->job_id)};
	KwjQuery   *lock = kwj_store_never_waits() ? &lock_dependent_at_once_query : &lock_dependent_query;
	bool		failed;

	if (kwj_query_run(lock, values, NULL, false) == 0)
		return;
	failed = kwj_status_from_name(kwj_row_text(0, "status", CurrentMemoryContext)) == KWJ_FAILED;
	if (kwj_row_bool(0, "over") &&
		(!failed || kwj_query_run_for(&key_query, dependent->job_id) > 0))
		return;
	kwj_wakeup_at_end(dependent->job_id);
	(void) kwj_query_run_for(&restore_query, dependent->job_id);
	if (!failed)
		return;
	kwj_store_event_of_end(dependent->job_id);
	make_pending(dependent->job_id);
	note_return(dependent);
	dependent->done = true;
}

/* Brings back the dependents of this job, and the dependents of these. Returns how many. */
static int
bring_dependents_back(int64 job_id, KwjActor actor, const char *reason)
{
	int64	   *found = palloc(sizeof(int64) * (MOST_DEPENDENTS + 1));
	int			n = 1;

	found[0] = job_id;
	for (int i = 0; i < n; i++)
	{
		KwjJobs		dependents = dependents_of(found[i], MOST_DEPENDENTS + 1 - n);

		for (int k = 0; k < dependents.n; k++)
		{
			Return		dependent = {
				.job_id = dependents.ids[k],
				.actor = actor,
				.reason = reason,
				.because_of = found[i],
			};
			ErrorData  *edata;

			CHECK_FOR_INTERRUPTS();
			/*
			 * A dependent that cannot come back, because its key is taken or after an error, stays
			 * as it is. If this process must not wait for its lock, the whole RETRY is tried again.
			 */
			edata = kwj_isolate_within_quietly(bring_back, &dependent);
			if (edata != NULL && edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
				ThrowErrorData(edata);
			if (edata == NULL && dependent.done)
				found[n++] = dependent.job_id;
		}
	}
	pfree(found);
	return n - 1;
}

void
kwj_store_retry(int64 job_id, const char *reason, int *dependents)
{
	KwjStoreScope scope;
	KwjActor	actor = kwj_store_actor();

	kwj_store_enter(&scope);
	check_key(job_id);
	kwj_store_take_back_end(job_id);
	/* a user who retries this job itself does not want it to wait again for what it waited for */
	(void) kwj_query_run_for(&forget_failed_query, job_id);
	make_pending(job_id);
	note_request(job_id, reason, actor.role);
	*dependents = bring_dependents_back(job_id, actor, reason);
	kwj_store_leave(&scope);
}

bool
kwj_store_run_now(int64 job_id)
{
	return kwj_query_run_for(&run_now_query, job_id) > 0;
}

bool
kwj_store_may_run_now(int64 job_id)
{
	return kwj_query_run_for(&may_run_now_query, job_id) > 0;
}

void
kwj_store_close(int64 job_id, const char *reason)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	uint64		n;
	Oid			role = GetUserId();

	kwj_store_enter(&scope);
	n = kwj_query_run(&close_query, values, NULL, false);
	if (n == 0)
		n = kwj_query_run(&close_plainly_query, values, NULL, false);
	kwj_store_tell_listeners(n);
	note_request(job_id, reason, role);
	/* an administrator has undone the changes by hand, so nothing is left to revert */
	kwj_store_forget_state(job_id);
	kwj_store_forget_work(job_id);
	kwj_store_leave(&scope);
}

/* Returns the values of the options that can be altered, as an object; NULL if there is no such job. */
static Jsonb *
alterable(int64 job_id)
{
	Datum		values[1] = {Int64GetDatum(job_id)};

	if (kwj_query_run(&alterable_query, values, NULL, false) == 0)
		return NULL;
	return kwj_row_jsonb(0, "options", CurrentMemoryContext);
}

/*
 * before: the options of the job as they were before kwj_store_alter() changed its row. Returns those that
 * are different now, as an object: the name of each option, and an array of its old and its new value. NULL
 * if none is different, or if there is no such job.
 */
static Jsonb *
changes_since(int64 job_id, Jsonb *before, MemoryContext context)
{
	Jsonb	   *after = alterable(job_id);
	Datum		values[2] = {JsonbPGetDatum(before), JsonbPGetDatum(after)};

	if (before == NULL || after == NULL)
		return NULL;
	kwj_query_run(&changes_query, values, NULL, false);
	return kwj_row_jsonb(0, "changes", context);
}

Jsonb *
kwj_store_alter(int64 job_id, const KwjChange *change)
{
	KwjStoreScope scope;
	Jsonb	   *before;
	Jsonb	   *changes;
	const bool *is_set = change->is_set;
	const KwjNewJob *job = &change->values;
	Datum		values[14];
	char		nulls[14];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(job_id);
	kwj_text_arg(&values[1], &nulls[1], job->description);
	values[2] = Int32GetDatum(job->priority);
	nulls[2] = is_set[KWJ_OPTION_PRIORITY] ? ' ' : 'n';
	values[3] = Int32GetDatum(job->max_attempts);
	nulls[3] = is_set[KWJ_OPTION_MAX_ATTEMPTS] ? ' ' : 'n';
	values[4] = Int64GetDatum(job->retry_delay_ms);
	nulls[4] = is_set[KWJ_OPTION_RETRY_INITIAL_DELAY] ? ' ' : 'n';
	values[5] = Int64GetDatum(job->timeout_ms);
	nulls[5] = job->timeout_ms > 0 ? ' ' : 'n';
	values[6] = TimestampTzGetDatum(job->run_at);
	nulls[6] = is_set[KWJ_OPTION_RUN_AT] ? ' ' : 'n';
	kwj_text_arg(&values[7], &nulls[7], job->on_failure);
	values[8] = PointerGetDatum(job->tags);
	nulls[8] = job->tags != NULL ? ' ' : 'n';
	values[9] = BoolGetDatum(is_set[KWJ_OPTION_TIMEOUT]);
	values[10] = BoolGetDatum(is_set[KWJ_OPTION_TAGS]);
	kwj_text_arg(&values[11], &nulls[11], job->window);
	values[12] = BoolGetDatum(is_set[KWJ_OPTION_WINDOW]);
	kwj_text_arg(&values[13], &nulls[13], is_set[KWJ_OPTION_WINDOW_END] ? job->window_end : NULL);
	kwj_store_enter(&scope);
	before = alterable(job_id);
	/* A job that is put off gives way to those behind it in line. */
	if (is_set[KWJ_OPTION_RUN_AT])
		kwj_store_note_leaving(job_id);
	kwj_query_run(&alter_query, values, nulls, false);
	changes = changes_since(job_id, before, scope.caller);
	kwj_store_leave(&scope);
	return changes;
}

/*
 * src/store/complete.c
 *	  The store, as a job that only completes needs it: its end, and the claim of the
 *	  next one, in one transaction.
 *
 * Process: worker; kwj_store_tell_dependents also the coordinator. Locks: the rows of both
 * jobs until the end of the transaction, and those of dependencies on the first.
 */
#include "postgres.h"

#include "job/isolate.h"
#include "miscadmin.h"
#include "shared/wakeup.h"
#include "storage/proc.h"
#include "store/complete.h"
#include "store/dependency.h"
#include "store/query.h"
#include "store/table.h"
#include "utils/builtins.h"
#include "utils/guc.h"

struct KwjCompletion
{
	int			guc_level;		/* 0: no setting was changed */
	KwjTable   *jobs;
	KwjTable   *attempts;
};

KwjCompletion *
kwj_store_begin_completion(void)
{
	KwjCompletion *completion = palloc0(sizeof(KwjCompletion));

	/* one that the job has set is for its statements */
	if (LockTimeout != 0)
	{
		completion->guc_level = NewGUCNestLevel();
		(void) set_config_option("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}

	kwj_store_lock_tables(false);
	completion->jobs = kwj_table_open("job");
	completion->attempts = kwj_table_open("attempt");
	return completion;
}

void
kwj_store_end_completion(KwjCompletion *completion)
{
	kwj_table_close(completion->attempts);
	kwj_table_close(completion->jobs);
	if (completion->guc_level > 0)
		AtEOXact_GUC(true, completion->guc_level);
	pfree(completion);
}

static int64
get_int64(KwjTable *table, const char *column)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static int32
get_int32(KwjTable *table, const char *column)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static KwjStatus
get_status(KwjTable *jobs, char **name)
{
	bool		isnull;
	Datum		value = kwj_table_get(jobs, "status", &isnull);

	*name = isnull ? NULL : TextDatumGetCString(value);
	return kwj_status_from_name(*name);
}

/* One more than the column says. */
static int64
get_next(KwjTable *table, const char *column)
{
	int64		value = get_int64(table, column);

	if (value == PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range"),
				 errdetail("This is the job's column \"%s\".", column)));
	return value + 1;
}

static bool
is_null(KwjTable *table, const char *column)
{
	bool		isnull;

	(void) kwj_table_get(table, column, &isnull);
	return isnull;
}

/* Copied into context; NULL for NULL. */
static Jsonb *
get_jsonb(KwjTable *table, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return kwj_copy_jsonb(value, isnull, context);
}

static void
set_status(KwjTable *table, KwjStatus status)
{
	kwj_table_set(table, "status", CStringGetTextDatum(kwj_status_name(status)));
}

static void
set_or_null(KwjTable *table, const char *column, void *varlena)
{
	if (varlena != NULL)
		kwj_table_set(table, column, PointerGetDatum(varlena));
	else
		kwj_table_set_null(table, column);
}

/* ---- the end ---- */

/* Of a job that was paused after an error, and has succeeded after all; its attempts keep theirs. */
static void
forget_error(KwjTable *jobs)
{
	static const char *const columns[] = {
		"error_code", "error_detail", "error_hint", "error_context",
		"error_file", "error_line", "error_column",
	};

	kwj_table_set(jobs, "error", CStringGetTextDatum(""));
	for (int i = 0; i < lengthof(columns); i++)
		kwj_table_set_null(jobs, columns[i]);
}

/* Locks the row before anything else is read: see kwj_store_end. */
static bool
succeed_job(KwjTable *jobs, KwjAttempt *attempt, int64 rows, Jsonb *result,
			TimestampTz now)
{
	Datum		key[1] = {Int64GetDatum(attempt->job_id)};
	KwjStatus	status;
	char	   *name;

	if (!kwj_table_lock(jobs, key, &attempt->job_place, LockWaitBlock) ||
		get_int32(jobs, "active_attempt") != attempt->attempt)
		return false;
	status = get_status(jobs, &name);
	if (status == KWJ_CANCEL_REQUESTED)
		return false;
	if (status == KWJ_UNKNOWN_STATUS)
		kwj_report_unknown_status(name);
	kwj_table_change_row(jobs);
	set_status(jobs, KWJ_SUCCEEDED);
	kwj_table_set_null(jobs, "active_attempt");
	kwj_table_set(jobs, "retries", Int32GetDatum(0));
	kwj_table_set(jobs, "refusals", Int32GetDatum(0));
	kwj_table_set_null(jobs, "running_status");
	kwj_table_set(jobs, "rows", Int64GetDatum(rows));
	if (result != NULL)
		kwj_table_set(jobs, "result", JsonbPGetDatum(result));
	if (!is_null(jobs, "error_code"))
		forget_error(jobs);
	kwj_table_set(jobs, "finished", TimestampTzGetDatum(now));
	kwj_table_set(jobs, "modified", TimestampTzGetDatum(now));
	kwj_table_set(jobs, "time_of_last_success", TimestampTzGetDatum(now));
	kwj_table_set(jobs, "total_num_of_success",
				  Int64GetDatum(get_next(jobs, "total_num_of_success")));
	kwj_table_update(jobs);
	return true;
}

/* Nobody else changes the row of an attempt while its worker is there. */
static void
succeed_attempt(KwjTable *attempts, KwjAttempt *attempt, int64 rows, ArrayType *tags,
				ArrayType *messages, TimestampTz now)
{
	Datum		key[2] = {Int64GetDatum(attempt->job_id), Int32GetDatum(attempt->attempt)};

	if (!kwj_table_find(attempts, key, &attempt->attempt_place))
		elog(ERROR, "attempt %d of job " INT64_FORMAT " has disappeared",
			 attempt->attempt, attempt->job_id);
	kwj_table_change_row(attempts);
	set_status(attempts, KWJ_SUCCEEDED);
	kwj_table_set(attempts, "finished", TimestampTzGetDatum(now));
	kwj_table_set(attempts, "rows", Int64GetDatum(rows));
	set_or_null(attempts, "tags", tags);
	set_or_null(attempts, "messages", messages);
	kwj_table_update(attempts);
}

bool
kwj_store_succeed(KwjCompletion *completion, KwjAttempt *attempt, int64 rows,
				  Jsonb *result, ArrayType *tags, ArrayType *messages)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!succeed_job(completion->jobs, attempt, rows, result, now))
		return false;
	succeed_attempt(completion->attempts, attempt, rows, tags, messages, now);
	kwj_store_tell_dependents(attempt->job_id, KWJ_SUCCEEDED);
	return true;
}

typedef struct Ended
{
	int64		job_id;
	KwjStatus	status;
	bool		told;			/* those that depend on the job */
} Ended;

/* Those that depend on the job, up to this one, are told; the coordinator tells the others. */
static void
put_down(const Ended *ended, int64 told)
{
	KwjTable   *untold = kwj_table_open("untold");
	Datum		key[1] = {Int64GetDatum(ended->job_id)};

	/* a job that had ended before, as revert-failed, may still be there: one bad end is like another */
	if (!kwj_table_find(untold, key, NULL))
	{
		kwj_table_new_row(untold);
		kwj_table_set(untold, "job_id", Int64GetDatum(ended->job_id));
		set_status(untold, ended->status);
		kwj_table_set(untold, "told", Int64GetDatum(told));
		kwj_table_insert(untold);
	}
	kwj_table_close(untold);
}

static void
mark_dependencies(void *arg)
{
	Ended	   *ended = arg;
	KwjTable   *dependencies = kwj_table_open("dependency");
	int			n = 0;

	kwj_table_begin_scan(dependencies, "dependency_depends_on", ended->job_id);
	/* a deferred trigger would raise its error at the commit of the job that has ended */
	ended->told = !kwj_table_may_refuse(dependencies);
	while (ended->told && kwj_table_lock_next(dependencies))
	{
		kwj_table_change_row(dependencies);
		set_status(dependencies, ended->status);
		kwj_table_set(dependencies, "fresh", BoolGetDatum(false));
		kwj_table_update(dependencies);
		if (++n == KWJ_TELL_STEP)
		{
			put_down(ended, get_int64(dependencies, "job_id"));
			break;
		}
	}
	kwj_table_end_scan(dependencies);
	kwj_table_close(dependencies);
}

void
kwj_store_tell_dependents(int64 job_id, KwjStatus status)
{
	Ended		ended = {job_id, status};

	/* mostly nothing does */
	if (!kwj_index_has("dependency", "dependency_depends_on", job_id))
		return;
	if (kwj_isolate_within(mark_dependencies, &ended) == NULL && ended.told)
		kwj_wakeup_at_end(job_id);
	else
		kwj_wakeup_overlooked_at_end(job_id);
}

/* ---- the claim ---- */

static bool
may_start(KwjTable *jobs, Oid owner)
{
	bool		isnull;
	char	   *name;

	return DatumGetObjectId(kwj_table_get(jobs, "owner", &isnull)) == owner &&
		!is_null(jobs, "rank") && get_status(jobs, &name) == KWJ_PENDING;
}

/* A claim of this worker. */
typedef struct Claim
{
	KwjCompletion *completion;
	int64		job_id;
	const KwjAttempt *done;
	KwjFits		fits;
	KwjAttempt *into;
	MemoryContext context;		/* of what is read */

	/* what was read */
	bool		may;			/* this process may claim the job */
	ItemPointerData place;		/* the version of the job's row that was read */
	ItemPointerData checkpoint_place;	/* valid if there is one */
} Claim;

/* The job's number of the next attempt, for which there must be no row yet. */
static int32
read_attempt(Claim *claim)
{
	int32		attempt = kwj_next_attempt(get_int32(claim->completion->jobs, "attempts"));
	Datum		key[2] = {Int64GetDatum(claim->job_id), Int32GetDatum(attempt)};

	kwj_check_attempt(attempt);
	if (kwj_table_find(claim->completion->attempts, key, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("attempt %d of job " INT64_FORMAT " exists already",
						attempt, claim->job_id)));
	return attempt;
}

/* As whom the job's creator acted: the worker checks that before it begins. */
static void
read_authority(Claim *claim)
{
	bool		isnull;
	Datum		authority = kwj_table_get(claim->completion->jobs, "authority", &isnull);
	KwjAttempt *into = claim->into;

	into->authority = kwj_copy_oids(authority, isnull, &into->n_authority, claim->context);
}

static void
read_checkpoint(Claim *claim)
{
	KwjTable   *checkpoints = kwj_table_open("checkpoint");
	Datum		key[1] = {Int64GetDatum(claim->job_id)};

	if (kwj_table_may_refuse(checkpoints))
		claim->may = false;
	else if (kwj_table_find(checkpoints, key, NULL))
	{
		claim->into->checkpoint = get_jsonb(checkpoints, "state", claim->context);
		claim->into->rows = get_int64(checkpoints, "rows");
		claim->checkpoint_place = kwj_table_row_place(checkpoints);
	}
	kwj_table_close(checkpoints);
}

/* All that can go wrong because of the job's rows goes wrong here, before anything is written. */
static void
read_claim(void *arg)
{
	Claim	   *claim = arg;
	KwjTable   *jobs = claim->completion->jobs;
	KwjAttempt *into = claim->into;
	Datum		key[1] = {Int64GetDatum(claim->job_id)};

	if (kwj_table_find(jobs, key, NULL) && may_start(jobs, claim->done->owner))
	{
		into->payload = get_jsonb(jobs, "payload", claim->context);
		kwj_check_payload(into->payload);
		claim->may = claim->fits(into->payload);
		into->attempt = read_attempt(claim);
		into->timeout_ms = get_int64(jobs, "timeout");
		read_authority(claim);
		(void) get_next(jobs, "total_num_of_ex");
		claim->place = kwj_table_row_place(jobs);
		/* the first attempt cannot have one */
		if (into->attempt > 1)
			read_checkpoint(claim);
	}
	kwj_table_forget_row(jobs);
	kwj_table_forget_row(claim->completion->attempts);
}

/*
 * Lock the row that was read; false if somebody else has it locked, or has changed it since. held: it is
 * locked now, whatever this returns.
 */
static bool
lock_read(KwjTable *table, int64 job_id, ItemPointer place, bool *held)
{
	Datum		key[1] = {Int64GetDatum(job_id)};
	ItemPointerData now;

	if (!kwj_table_lock(table, key, place, LockWaitSkip))
		return false;
	*held = true;
	now = kwj_table_row_place(table);
	return ItemPointerEquals(&now, place);
}

/* The columns are those of KWJ_CLAIM_COLUMNS. Reverts are left to the coordinator. */
static void
begin_job(KwjTable *jobs, KwjAttempt *into, TimestampTz now)
{
	kwj_table_change_row(jobs);
	set_status(jobs, KWJ_RUNNING);
	kwj_table_set(jobs, "active_attempt", Int32GetDatum(into->attempt));
	kwj_table_set(jobs, "attempts", Int32GetDatum(into->attempt));
	kwj_table_set_null(jobs, "rank");
	kwj_table_set_null(jobs, "running_status");
	if (is_null(jobs, "started"))
		kwj_table_set(jobs, "started", TimestampTzGetDatum(now));
	kwj_table_set(jobs, "modified", TimestampTzGetDatum(now));
	kwj_table_set(jobs, "coordinator_id", Int64GetDatum(kwj_node_id));
	kwj_table_set(jobs, "total_num_of_ex",
				  Int64GetDatum(get_next(jobs, "total_num_of_ex")));
	kwj_table_update(jobs);
	into->job_place = kwj_table_place(jobs);
}

static void
begin_attempt(KwjTable *attempts, KwjAttempt *attempt, TimestampTz now)
{
	kwj_table_new_row(attempts);
	kwj_table_set(attempts, "job_id", Int64GetDatum(attempt->job_id));
	kwj_table_set(attempts, "attempt", Int32GetDatum(attempt->attempt));
	kwj_table_set(attempts, "reverting", BoolGetDatum(false));
	set_status(attempts, KWJ_RUNNING);
	kwj_table_set(attempts, "started", TimestampTzGetDatum(now));
	kwj_table_set(attempts, "node_id", Int64GetDatum(kwj_node_id));
	kwj_table_set(attempts, "pid", Int32GetDatum(MyProcPid));
	kwj_table_set(attempts, "rows", Int64GetDatum(0));
	kwj_table_insert(attempts);
	attempt->attempt_place = kwj_table_place(attempts);
}

/* The checkpoint is this attempt's now. False: somebody else is at it. */
static bool
take_checkpoint(Claim *claim)
{
	KwjTable   *checkpoints = kwj_table_open("checkpoint");
	bool		held = false;
	bool		taken = lock_read(checkpoints, claim->job_id, &claim->checkpoint_place, &held);

	if (taken)
	{
		kwj_table_change_row(checkpoints);
		kwj_table_set(checkpoints, "attempt", Int32GetDatum(claim->into->attempt));
		kwj_table_update(checkpoints);
	}
	kwj_table_close(checkpoints);
	return taken;
}

/*
 * False: the job is not claimed. held: this transaction has locked the job's row for nothing, and keeps
 * it locked until its end.
 */
static bool
write_claim(Claim *claim, bool *held)
{
	KwjAttempt *into = claim->into;
	TimestampTz now = GetCurrentTimestamp();

	*held = false;
	if (!lock_read(claim->completion->jobs, claim->job_id, &claim->place, held) ||
		(ItemPointerIsValid(&claim->checkpoint_place) && !take_checkpoint(claim)))
		return false;
	into->job_id = claim->job_id;
	into->job_type = MemoryContextStrdup(claim->context, claim->done->job_type);
	into->owner = claim->done->owner;
	begin_job(claim->completion->jobs, into, now);
	begin_attempt(claim->completion->attempts, into, now);
	return true;
}

bool
kwj_store_may_claim_within(KwjCompletion *completion)
{
	return !kwj_table_may_refuse(completion->jobs) &&
		!kwj_table_may_refuse(completion->attempts);
}

/*
 * The subtransaction writes nothing, so that it takes no transaction number, of which a job needs but one.
 */
bool
kwj_store_claim(KwjCompletion *completion, int64 job_id, const KwjAttempt *done,
				KwjFits fits, KwjAttempt *into, MemoryContext context)
{
	Claim		claim = {completion, job_id, done, fits, into, context};
	bool		held;

	memset(into, 0, sizeof(*into));
	ItemPointerSetInvalid(&claim.checkpoint_place);
	kwj_table_forget_row(completion->jobs);
	kwj_table_forget_row(completion->attempts);
	if (kwj_isolate_within(read_claim, &claim) != NULL)
	{
		kwj_table_forget_lost_row(completion->jobs);
		kwj_table_forget_lost_row(completion->attempts);
		/* the coordinator finds out what is to be done with the job */
		kwj_wakeup_at_end(job_id);
		return false;
	}
	/* the lock of one that is not to be claimed would be in others' way until the commit */
	if (!claim.may)
		return false;
	if (write_claim(&claim, &held))
		return true;

	/*
	 * A coordinator may have skipped the row because of this lock, so it has to look again. A row that
	 * another process has locked is that one's: the coordinator itself, which sets the job out again, or
	 * a session, whose end wakes the coordinator.
	 */
	if (held)
		kwj_wakeup_at_end(job_id);
	return false;
}

/*
 * src/store/claim.c
 *	  The claim of a job: the job becomes running, and its next attempt gets a row.
 *
 * Callers: the coordinator in its pass, for jobs whose rows it has locked (kwj_store_begin); a
 * worker, for a job that the coordinator has set out for it in shared/ready.h (kwj_store_claim).
 * The worker claims in the transaction that ends its last job. If that commit waits for a standby,
 * or the claim could make it fail, the worker claims in a second transaction.
 *
 *     pending   --claim--> running      active_attempt = n, rank = NULL
 *     reverting --claim--> reverting    the same columns; only the coordinator claims this job
 *        ^                    |
 *        +----- unclaim ------+         the attempt never began (kwj_store_unclaim in due.c)
 *
 * Locks: the job's row, then the checkpoint's row, both until the end of the transaction. The
 * coordinator has locked the job's row with SKIP LOCKED when it chose the job. The worker reads the
 * rows first, in a subtransaction, so that an error costs nothing; then it locks them without
 * waiting, and compares their ctids with the ones it has read. If another transaction has locked or
 * changed a row in between, the worker leaves the job alone.
 *
 * The claim moves the checkpoint to the new attempt, so that an older attempt, if its worker still
 * runs, can write no checkpoint any more.
 *
 * If the process dies before the commit, nothing was claimed. If it dies after the commit, the job
 * has an active attempt that no slot in shared memory has, as soon as the worker is gone: the
 * coordinator (or its successor) takes the claim back if the attempt never began, else it ends the
 * attempt. To make this safe, the slot learns of the claim before the commit: the coordinator
 * assigns it, the worker announces it (shared/slots.h, shared/worker.h).
 */
#include "postgres.h"

#include "job/isolate.h"
#include "job/status.h"
#include "miscadmin.h"
#include "shared/wakeup.h"
#include "store/claim.h"
#include "store/query.h"
#include "store/table.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * Write a claim: change the job's row, which the caller has locked and read, and insert the row of
 * the attempt. pid: the worker's, 0 if the worker has not been started yet. A job that reverts
 * keeps its status, and the revert does not count as an execution.
 */
static void
write_rows(KwjJobTables *tables, int64 job_id, int32 attempt, bool is_revert, int pid)
{
	TimestampTz now = GetCurrentTimestamp();

	kwj_table_change_row(tables->jobs);
	if (!is_revert)
	{
		kwj_table_set_status(tables->jobs, KWJ_RUNNING);
		kwj_table_set(tables->jobs, "total_num_of_ex",
					  Int64GetDatum(kwj_table_get_next(tables->jobs, "total_num_of_ex")));
	}
	kwj_table_set(tables->jobs, "active_attempt", Int32GetDatum(attempt));
	kwj_table_set(tables->jobs, "attempts", Int32GetDatum(attempt));
	kwj_table_set_null(tables->jobs, "rank");
	kwj_table_set_null(tables->jobs, "running_status");
	if (kwj_table_is_null(tables->jobs, "started"))
		kwj_table_set(tables->jobs, "started", TimestampTzGetDatum(now));
	kwj_table_set(tables->jobs, "modified", TimestampTzGetDatum(now));
	kwj_table_set(tables->jobs, "coordinator_id", Int64GetDatum(kwj_node_id));
	kwj_table_update(tables->jobs);

	kwj_table_new_row(tables->attempts);
	kwj_table_set(tables->attempts, "job_id", Int64GetDatum(job_id));
	kwj_table_set(tables->attempts, "attempt", Int32GetDatum(attempt));
	kwj_table_set(tables->attempts, "reverting", BoolGetDatum(is_revert));
	kwj_table_set_status(tables->attempts, KWJ_RUNNING);
	kwj_table_set(tables->attempts, "started", TimestampTzGetDatum(now));
	kwj_table_set(tables->attempts, "node_id", Int64GetDatum(kwj_node_id));
	if (pid != 0)
		kwj_table_set(tables->attempts, "pid", Int32GetDatum(pid));
	kwj_table_set(tables->attempts, "rows", Int64GetDatum(0));
	kwj_table_insert(tables->attempts);
}

/*
 * Let only this attempt write the checkpoint from now on. The caller has locked and read its row.
 */
static void
give_checkpoint(KwjTable *checkpoints, int32 attempt)
{
	kwj_table_change_row(checkpoints);
	kwj_table_set(checkpoints, "attempt", Int32GetDatum(attempt));
	kwj_table_update(checkpoints);
}

/* ---- the worker ---- */

static bool
may_start(KwjTable *jobs, Oid owner)
{
	bool		isnull;
	char	   *name;

	return DatumGetObjectId(kwj_table_get(jobs, "owner", &isnull)) == owner &&
		!kwj_table_is_null(jobs, "rank") && kwj_table_is_null(jobs, "window") &&
		kwj_table_get_status(jobs, &name) == KWJ_PENDING;
}

/* A claim by this worker. */
typedef struct Claim
{
	KwjJobTables *tables;
	int64		job_id;
	const KwjAttempt *done;
	KwjFits		fits;
	KwjAttempt *into;
	MemoryContext context;		/* where the values in *into are palloc'd */

	/* set by read_claim */
	bool		may;			/* this worker may claim the job */
	ItemPointerData place;		/* ctid of the version of the job's row that was read */
	ItemPointerData checkpoint_place;	/* ctid of the checkpoint's row; invalid: there is none */
} Claim;

/*
 * Find the job's row, and the number of its next attempt. Returns false if the job may not start.
 */
static bool
find_job(const Claim *claim, int32 *attempt)
{
	KwjTable   *jobs = claim->tables->jobs;
	Datum		key[1] = {Int64GetDatum(claim->job_id)};

	if (!kwj_table_find(jobs, key, NULL) || !may_start(jobs, claim->done->owner))
		return false;
	*attempt = kwj_next_attempt(kwj_table_get_int32(jobs, "attempts"));
	return true;
}

/*
 * Returns whether the next attempt has a row already. Usually another worker has claimed the job
 * since this one read its row, because each row is found with a snapshot of its own; the job has no
 * such attempt to begin any more then. If it still has, the rows contradict each other.
 */
static bool
has_attempt(const Claim *claim, int32 attempt)
{
	Datum		key[2] = {Int64GetDatum(claim->job_id), Int32GetDatum(attempt)};
	int32		attempt_now;

	if (!kwj_table_find(claim->tables->attempts, key, NULL))
		return false;
	if (find_job(claim, &attempt_now) && attempt_now == attempt)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("attempt %d of job " INT64_FORMAT " exists already",
						attempt, claim->job_id)));
	return true;
}

/*
 * Read the roles by whose right the job runs as its owner. The worker checks this right before the
 * attempt begins.
 */
static void
read_authority(Claim *claim)
{
	bool		isnull;
	Datum		authority = kwj_table_get(claim->tables->jobs, "authority", &isnull);
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
		claim->into->checkpoint = kwj_table_get_jsonb(checkpoints, "state", claim->context);
		claim->into->rows = kwj_table_get_int64(checkpoints, "rows");
		claim->checkpoint_place = kwj_table_row_place(checkpoints);
	}
	kwj_table_close(checkpoints);
}

/*
 * Read all that the claim needs, and check it. Every error that the job's rows can cause is raised
 * here, before anything is written.
 */
static void
read_claim(void *arg)
{
	Claim	   *claim = arg;
	KwjTable   *jobs = claim->tables->jobs;
	KwjAttempt *into = claim->into;

	if (find_job(claim, &into->attempt))
	{
		into->payload = kwj_table_get_jsonb(jobs, "payload", claim->context);
		kwj_check_payload(into->payload);
		kwj_check_attempt(into->attempt);
		into->timeout_ms = kwj_table_get_int64(jobs, "timeout");
		read_authority(claim);
		/* Before the job begins, the worker looks whether its queue is held. */
		into->queue = kwj_table_get_text(jobs, "queue", claim->context);
		(void) kwj_table_get_next(jobs, "total_num_of_ex");
		claim->place = kwj_table_row_place(jobs);
		claim->may = claim->fits(into->payload) && !has_attempt(claim, into->attempt);
		/* the first attempt has no checkpoint yet */
		if (claim->may && into->attempt > 1)
			read_checkpoint(claim);
	}
	kwj_table_forget_row(jobs);
	kwj_table_forget_row(claim->tables->attempts);
}

/*
 * Lock the row without waiting. Returns false if another transaction has locked the row, or has
 * changed it since it was read. *held is set if the lock was taken, even if the function returns
 * false.
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

/*
 * Give the checkpoint to this attempt. Returns false if another transaction has locked or changed
 * it.
 */
static bool
take_checkpoint(Claim *claim)
{
	KwjTable   *checkpoints = kwj_table_open("checkpoint");
	bool		held = false;
	bool		taken = lock_read(checkpoints, claim->job_id, &claim->checkpoint_place, &held);

	if (taken)
		give_checkpoint(checkpoints, claim->into->attempt);
	kwj_table_close(checkpoints);
	return taken;
}

/*
 * Lock the rows and write the claim. Returns false if the job could not be claimed. *held becomes
 * whether this transaction has locked the job's row; it keeps the lock until its end.
 */
static bool
write_claim(Claim *claim, bool *held)
{
	KwjAttempt *into = claim->into;

	*held = false;
	if (!lock_read(claim->tables->jobs, claim->job_id, &claim->place, held) ||
		(ItemPointerIsValid(&claim->checkpoint_place) && !take_checkpoint(claim)))
		return false;
	into->job_id = claim->job_id;
	into->job_type = MemoryContextStrdup(claim->context, claim->done->job_type);
	into->owner = claim->done->owner;
	write_rows(claim->tables, claim->job_id, into->attempt, false, MyProcPid);
	into->job_place = kwj_table_place(claim->tables->jobs);
	into->attempt_place = kwj_table_place(claim->tables->attempts);
	return true;
}

bool
kwj_store_may_claim_within(KwjJobTables *tables)
{
	return !kwj_table_may_refuse(tables->jobs) &&
		!kwj_table_may_refuse(tables->attempts);
}

/* The subtransaction only reads, so it needs no transaction id: each job costs one id, not two. */
bool
kwj_store_claim(KwjJobTables *tables, int64 job_id, const KwjAttempt *done,
				KwjFits fits, KwjAttempt *into, MemoryContext context)
{
	Claim		claim = {tables, job_id, done, fits, into, context};
	bool		held;

	memset(into, 0, sizeof(*into));
	ItemPointerSetInvalid(&claim.checkpoint_place);
	kwj_table_forget_row(tables->jobs);
	kwj_table_forget_row(tables->attempts);
	if (kwj_isolate_within(read_claim, &claim) != NULL)
	{
		kwj_table_forget_lost_row(tables->jobs);
		kwj_table_forget_lost_row(tables->attempts);
		/* the coordinator will meet the same error, and decides what becomes of the job */
		kwj_wakeup_at_end(job_id);
		return false;
	}
	/* do not lock a job that is not claimed: the lock would last until the commit */
	if (!claim.may)
		return false;
	if (write_claim(&claim, &held))
		return true;

	/*
	 * The coordinator may have skipped the row because of this lock, so it has to look again. If
	 * another process has locked the row, that process sees to the job: it is either the
	 * coordinator, which will offer the job again, or a session, whose commit wakes the
	 * coordinator.
	 */
	if (held)
		kwj_wakeup_at_end(job_id);
	return false;
}

/* ---- the coordinator ---- */

/*
 * The job has a rank although it may not start: for example, a user has written a rank into the row
 * of a job that is over. Take the rank away, so that the coordinator does not choose the job again.
 * No attempt begins; the worker to which the job is assigned finds none, and becomes idle.
 */
static void
take_rank(KwjTable *jobs)
{
	kwj_table_change_row(jobs);
	kwj_table_set_null(jobs, "rank");
	kwj_table_update(jobs);
}

static void
begin_claim(KwjJobTables *tables, KwjTable *checkpoints, const KwjClaim *claim)
{
	Datum		key[1] = {Int64GetDatum(claim->job_id)};
	KwjStatus	status;
	char	   *name;

	kwj_check_attempt(claim->attempt);
	if (!kwj_table_lock(tables->jobs, key, NULL, LockWaitBlock))
		elog(ERROR, "job " INT64_FORMAT " has disappeared", claim->job_id);
	status = kwj_table_get_status(tables->jobs, &name);
	if (status != KWJ_PENDING && status != KWJ_REVERTING)
	{
		take_rank(tables->jobs);
		return;
	}
	write_rows(tables, claim->job_id, claim->attempt, status == KWJ_REVERTING, claim->pid);
	/* the first attempt has no checkpoint yet */
	if (claim->attempt > 1 && kwj_table_lock(checkpoints, key, NULL, LockWaitBlock))
		give_checkpoint(checkpoints, claim->attempt);
}

void
kwj_store_begin(const List *claims)
{
	KwjStoreScope scope;
	KwjJobTables *tables;
	KwjTable   *checkpoints;
	ListCell   *lc;

	kwj_store_enter(&scope);
	tables = kwj_open_job_tables(KWJ_ALL_ROWS);
	checkpoints = kwj_table_open("checkpoint");
	foreach(lc, claims)
		begin_claim(tables, checkpoints, lfirst(lc));
	kwj_table_close(checkpoints);
	kwj_close_job_tables(tables);
	kwj_store_leave(&scope);
}

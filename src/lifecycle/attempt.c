/*
 * src/lifecycle/attempt.c
 *	  The functions by which a job type runs an attempt.
 *
 * Callers: the job types (src/type) in the worker, and the statement of a SQL job by way of
 * src/function/checkpoint.c (kwj_attempt_write_checkpoint). The worker has set the hooks.
 *
 *    kwj_attempt_begin              begins a transaction, in which the type does a step of its work
 *    kwj_attempt_checkpoint         commits step and checkpoint; the type begins the next step, or
 *                                   returns if there is a request
 *    kwj_attempt_begin_reading,     begin and end a transaction that reads one snapshot, between
 *    kwj_attempt_end_reading        steps that write
 *    kwj_attempt_succeed,           commit the last step together with the end of the attempt;
 *    kwj_attempt_succeed_and_claim, the second one also claims the worker's next job
 *    kwj_attempt_reverted
 *
 * Locks: the row of the checkpoint. At the end of an attempt these functions also lock the job's
 * row, and wait for that lock if necessary. Both locks are held until the commit. So a CANCEL that
 * commits before the worker has locked the job's row decides what becomes of the job; a later one
 * waits for the worker's commit, and finds the job over. A PAUSE comes too late by then, because
 * the work is done.
 *
 * A query cancel (SIGINT) that comes before begin_last_commit rolls the step back, and the worker
 * settles the attempt. A CANCEL that kwj_attempt_succeed finds in the job's row does not: the step
 * is committed with its checkpoint, and the revert removes what it did.
 * (kwj_attempt_succeed_and_claim raises an error instead, which rolls the work back.) The commit
 * that ends an attempt may wait for a standby, and a signal would end that wait. So from
 * begin_last_commit on, the worker is sent no signal for a request or for the job's timeout.
 *
 * If the worker dies before a commit, the step is rolled back with its checkpoint. The coordinator
 * settles the attempt, and the next one goes on from the last checkpoint. If the worker dies after
 * the commit that ends the attempt, nothing is left to do. If the coordinator dies, the attempt
 * goes on: the next coordinator finds the worker in its slot.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/trigger.h"
#include "job/progress.h"
#include "job/stop.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "job/transcript.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "shared/team.h"
#include "shared/wakeup.h"
#include "store/attempts.h"
#include "store/end.h"
#include "store/job_tables.h"
#include "store/jobs.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static const KwjAttemptHooks *hooks;

/* The subtransactions that were noted since kwj_attempt_begin, in TopTransactionContext. */
static FullTransactionId *subtransactions;
static int	n_subtransactions;

void
kwj_attempt_begin_without_snapshot(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

void
kwj_attempt_begin(KwjAttempt *attempt)
{
	kwj_attempt_begin_without_snapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	subtransactions = NULL;
	n_subtransactions = 0;
}

int
kwj_attempt_note_subtransaction(void)
{
	FullTransactionId xid = GetCurrentFullTransactionIdIfAny();

	Assert(IsSubTransaction());
	if (!FullTransactionIdIsValid(xid))
		return 0;
	/* The array grows each time by its own length: when the number is a power of two. */
	if (n_subtransactions == 0)
		subtransactions = MemoryContextAlloc(TopTransactionContext, sizeof(FullTransactionId));
	else if ((n_subtransactions & (n_subtransactions - 1)) == 0)
		subtransactions = repalloc(subtransactions, 2 * n_subtransactions * sizeof(FullTransactionId));
	subtransactions[n_subtransactions++] = xid;
	return 1;
}

void
kwj_attempt_write_subtransactions(const KwjAttempt *attempt, int64 piece)
{
	for (int i = 0; i < n_subtransactions; i++)
		kwj_store_note_transaction(attempt->job_id, subtransactions[i], piece);
}

void
kwj_attempt_end_look(MemoryContext context)
{
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

static void
commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* An attempt may last for hours; autovacuum must not get its statistics only at the end. */
	(void) pgstat_report_stat(false);
}

void
kwj_attempt_begin_reading(KwjAttempt *attempt, List *tables)
{
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactIsoLevel = XACT_REPEATABLE_READ;
	XactReadOnly = true;
	foreach(lc, tables)
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	Assert(!FirstSnapshotSet);
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
kwj_attempt_end_reading(KwjAttempt *attempt)
{
	Assert(XactReadOnly);
	commit();
}

void
kwj_attempt_run_deferred(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	all->deferred = false;
	AfterTriggerSetState(all);
}

/*
 * The next commit ends the attempt, and nothing may interrupt it. A request that has sent its
 * signal before is still obeyed: CHECK_FOR_INTERRUPTS raises its error here.
 */
static void
begin_last_commit(const KwjAttempt *attempt)
{
	hooks->work_is_over(attempt);
	CHECK_FOR_INTERRUPTS();
}

KwjRequest
kwj_attempt_request(KwjRequest in_row)
{
	return in_row == KWJ_REQUEST_NONE && kwj_progress_request() == KWJ_REQUEST_CLOSE ?
		KWJ_REQUEST_CLOSE : in_row;
}

/* Writes the checkpoint in the current transaction, which has done the work of this step. */
static KwjRequest
write_checkpoint(KwjAttempt *attempt, Jsonb *state, double fraction, int64 rows,
				 bool revertible)
{
	FullTransactionId xid = revertible ? GetTopFullTransactionId() : InvalidFullTransactionId;
	KwjRequest	request;

	CommandCounterIncrement();
	request = kwj_store_checkpoint(attempt->job_id, attempt->attempt, state,
								   fraction, rows, xid);
	if (revertible)
		kwj_attempt_write_subtransactions(attempt, KWJ_NO_PIECE);
	attempt->rows = rows;
	return kwj_attempt_request(request);
}

void
kwj_attempt_commit_checkpoint(void)
{
	kwj_set_locally("synchronous_commit", "off");
	commit();
}

KwjRequest
kwj_attempt_checkpoint(KwjAttempt *attempt, Jsonb *state, double fraction,
					   int64 rows, bool revertible)
{
	KwjRequest	request = write_checkpoint(attempt, state, fraction, rows, revertible);

	kwj_attempt_commit_checkpoint();
	kwj_stop_at_checkpoint();
	return request;
}

KwjRequest
kwj_attempt_note_on_disk(KwjAttempt *attempt, Jsonb *state, bool revertible)
{
	FullTransactionId xid = revertible ? GetTopFullTransactionId() : InvalidFullTransactionId;
	KwjRequest	request;

	CommandCounterIncrement();
	request = kwj_store_begin_anew(attempt->job_id, attempt->attempt, state, xid);
	attempt->rows = 0;
	commit();
	XLogFlush(XactLastCommitEnd);
	kwj_stop_at_checkpoint();
	return request;
}

/* Writes the end of the attempt and of the job, with the tags and messages of its statements. */
static void
write_end(const KwjAttempt *attempt, KwjEnd *end)
{
	end->transcript = kwj_transcript_read();
	kwj_wakeup_at_end(attempt->job_id);
	if (!kwj_store_end(NULL, end))
		elog(ERROR, "attempt %d of job " INT64_FORMAT " is not the active one",
			 attempt->attempt, attempt->job_id);
}

KwjRequest
kwj_attempt_succeed(KwjAttempt *attempt, Jsonb *state, int64 rows, bool revertible,
					Jsonb *result)
{
	KwjJob		job;
	KwjEnd		end = {0};

	CommandCounterIncrement();
	kwj_attempt_run_deferred();
	(void) write_checkpoint(attempt, state, 1.0, rows, revertible);

	if (!kwj_store_lock(attempt->job_id, KWJ_WAIT, &job))
		elog(ERROR, "job " INT64_FORMAT " has disappeared", attempt->job_id);
	if (job.status == KWJ_CANCEL_REQUESTED)
	{
		kwj_attempt_commit_checkpoint();
		return KWJ_REQUEST_CANCEL;
	}

	end.job_id = attempt->job_id;
	end.attempt = attempt->attempt;
	end.attempt_status = kwj_status_name(KWJ_SUCCEEDED);
	end.status = KWJ_SUCCEEDED;
	end.result = result;
	write_end(attempt, &end);
	begin_last_commit(attempt);
	commit();
	return KWJ_REQUEST_NONE;
}

/*
 * The job could not be marked as succeeded: raises the error that tells why. If this transaction
 * itself has canceled the job, the error rolls that CANCEL back, too. So attempt->canceled tells
 * the worker to carry it out nevertheless.
 */
static void
refuse_completion(KwjAttempt *attempt)
{
	KwjJob		job;

	if (kwj_store_lock(attempt->job_id, KWJ_WAIT, &job) &&
		job.active_attempt == attempt->attempt && job.status == KWJ_CANCEL_REQUESTED)
	{
		attempt->canceled = true;
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("job " INT64_FORMAT " was canceled before its work was committed",
						attempt->job_id)));
	}
	elog(ERROR, "attempt %d of job " INT64_FORMAT " is not the active one",
		 attempt->attempt, attempt->job_id);
}

void
kwj_attempt_succeed_and_claim(KwjAttempt *attempt, int64 rows, Jsonb *result)
{
	KwjJobTables *tables;
	KwjEnd		end = {
		.job_id = attempt->job_id,
		.attempt = attempt->attempt,
		.job_place = &attempt->job_place,
		.attempt_place = &attempt->attempt_place,
		.attempt_status = kwj_status_name(KWJ_SUCCEEDED),
		.status = KWJ_SUCCEEDED,
		.unless_canceled = true,
		.result = result,
		.has_rows = true,
		.rows = rows,
		.transcript = kwj_transcript_read(),
	};

	/* The work itself may have changed the job's row, such as by CANCEL JOB: make that visible. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	tables = kwj_open_job_tables(KWJ_WORKED);
	if (!kwj_store_end(tables, &end))
		refuse_completion(attempt);
	kwj_wakeup_waiters_at_end(attempt->job_id);
	begin_last_commit(attempt);
	hooks->claim(attempt, tables);
	kwj_close_job_tables(tables);
	kwj_test_gate(4902);
	commit();
}

KwjRequest
kwj_attempt_write_checkpoint(KwjAttempt *attempt, Jsonb *state, double fraction, int64 rows)
{
	return write_checkpoint(attempt, state, fraction, rows, false);
}

void
kwj_attempt_init(const KwjAttemptHooks *attempt_hooks)
{
	hooks = attempt_hooks;
}

void
kwj_attempt_reverted(KwjAttempt *attempt, const char *note, bool undone)
{
	KwjEnd		end = {0};
	KwjJob		job;

	CommandCounterIncrement();
	kwj_attempt_run_deferred();
	if (!kwj_store_lock(attempt->job_id, KWJ_WAIT, &job))
		elog(ERROR, "job " INT64_FORMAT " has disappeared", attempt->job_id);
	end.job_id = attempt->job_id;
	end.attempt = attempt->attempt;
	end.attempt_status = kwj_status_name(KWJ_SUCCEEDED);
	end.status = kwj_store_revert_to(attempt->job_id);
	end.note = note;
	if (undone)
		kwj_store_forget_state(attempt->job_id);
	write_end(attempt, &end);
	begin_last_commit(attempt);
	commit();
}

bool
kwj_attempt_failed_at_record(const KwjAttempt *attempt)
{
	return kwj_store_failed_at_record(attempt->job_id);
}

FullTransactionId *
kwj_attempt_transactions(KwjAttempt *attempt, int *n)
{
	return kwj_store_transactions(attempt->job_id, KWJ_NO_PIECE, n);
}

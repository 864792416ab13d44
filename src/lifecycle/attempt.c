/*
 * src/lifecycle/attempt.c
 *	  What a job type may do with the attempt that it runs.
 *
 * Process: worker. Every function that commits does so with interrupts allowed
 * until the commit itself: a cancel before it rolls the step back, and the
 * worker settles that. The commit that ends an attempt may wait for a standby; from begin_last_commit
 * on neither a request nor the job's timeout comes in between, which would end that wait.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "job/progress.h"
#include "job/transcript.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "shared/wakeup.h"
#include "store/attempts.h"
#include "store/end.h"
#include "store/job_tables.h"
#include "store/jobs.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static const KwjAttemptHooks *hooks;

void
kwj_attempt_begin(KwjAttempt *attempt)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* an attempt may last for hours, and autovacuum and ANALYZE go by this */
	(void) pgstat_report_stat(false);
}

/*
 * Constraints and triggers that wait for the end of the transaction run now: their errors and messages
 * are those of the work, and it can be interrupted still.
 */
void
kwj_attempt_run_deferred(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	all->deferred = false;
	AfterTriggerSetState(all);
}

/* The commit of this transaction ends the attempt: what has been asked for until now comes first. */
static void
begin_last_commit(const KwjAttempt *attempt)
{
	hooks->work_is_over(attempt);
	CHECK_FOR_INTERRUPTS();
}

/* The step's work is over: see it. */
static KwjRequest
write_checkpoint(KwjAttempt *attempt, Jsonb *state, double fraction, int64 rows,
				 bool revertible)
{
	FullTransactionId xid = revertible ? GetTopFullTransactionId() : InvalidFullTransactionId;
	KwjRequest	request;

	CommandCounterIncrement();
	request = kwj_store_checkpoint(attempt->job_id, attempt->attempt, state,
								   fraction, rows, xid);
	attempt->rows = rows;
	return request;
}

/*
 * No need to wait for the disk: the checkpoint commits with the work that it describes, so a server
 * crash can lose only both together.
 */
static void
commit_checkpoint(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	commit();
}

KwjRequest
kwj_attempt_checkpoint(KwjAttempt *attempt, Jsonb *state, double fraction,
					   int64 rows, bool revertible)
{
	KwjRequest	request = write_checkpoint(attempt, state, fraction, rows, revertible);

	commit_checkpoint();
	return request;
}

/* Mark how the job ends, with what its statements said. */
static void
write_end(const KwjAttempt *attempt, KwjEnd *end)
{
	end->tags = kwj_transcript_tags();
	end->messages = kwj_transcript_messages();
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
		commit_checkpoint();
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
 * The job was not to be marked succeeded: say why. The request goes with the work if it is the
 * work's own, but not what was asked for.
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
kwj_attempt_complete(KwjAttempt *attempt, int64 rows, Jsonb *result)
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
		.tags = kwj_transcript_tags(),
		.messages = kwj_transcript_messages(),
	};

	/* what the work has done to the job itself */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	tables = kwj_open_job_tables();
	if (!kwj_store_end(tables, &end))
		refuse_completion(attempt);
	kwj_wakeup_waiters_at_end(attempt->job_id);
	begin_last_commit(attempt);
	hooks->claim(attempt, tables);
	kwj_close_job_tables(tables);
	commit();
}

KwjRequest
kwj_attempt_note(KwjAttempt *attempt, Jsonb *state, double fraction, int64 rows)
{
	return write_checkpoint(attempt, state, fraction, rows, false);
}

void
kwj_attempt_init(const KwjAttemptHooks *attempt_hooks)
{
	hooks = attempt_hooks;
}

void
kwj_attempt_reverted(KwjAttempt *attempt, const char *note)
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
	write_end(attempt, &end);
	begin_last_commit(attempt);
	commit();
}

FullTransactionId *
kwj_attempt_transactions(KwjAttempt *attempt, int *n)
{
	return kwj_store_transactions(attempt->job_id, n);
}

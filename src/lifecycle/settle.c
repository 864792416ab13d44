/*
 * src/lifecycle/settle.c
 *	  What becomes of a job when an attempt ends without success.
 *
 * Callers: the worker, when the work has raised an error or stopped for a request
 * (src/worker/settle.c); the coordinator, when the worker is gone (src/coordinator/adopt.c). This
 * file decides what becomes of the job, and store/end.c writes it.
 *
 *    CANCEL is committed                    -> reverting; canceled if there is nothing to revert
 *    PAUSE is committed, and the attempt    -> paused, even after a crash
 *      stopped for it or could be retried
 *    the attempt stopped for a PAUSE that   -> pending or reverting, at once
 *      was taken back
 *    interruption                           -> pending or reverting, not counted
 *    error or crash that is to be retried   -> pending or reverting, after a delay
 *    other error, on_failure = 'pause'      -> paused
 *    other error                            -> reverting; failed if there is nothing to revert
 *    other error in a revert                -> revert-failed
 *
 * Locks: the job's row, until the end of the transaction. If a control statement that is not
 * committed yet has locked the row, the worker waits for it, and then obeys it. The coordinator
 * skips the job instead; the end of the other transaction wakes the coordinator.
 *
 * If the process dies before its commit, the job still has its active attempt, and the coordinator
 * or its successor settles the attempt. If both a worker and a coordinator settle an attempt, the
 * second process finds that it is not the job's active attempt any more, and does nothing.
 */
#include "postgres.h"

#include "compat.h"
#include "job/current.h"
#include "job/progress.h"
#include "job/transcript.h"
#include "lifecycle/settle.h"
#include "shared/wakeup.h"
#include "store/end.h"
#include "store/jobs.h"

#define BACKOFF_LIMIT_MS	(5 * 60 * 1000)
#define CRASH_DELAY_MS		1000

/*
 * Returns how many milliseconds after a failure the next attempt starts: 0 after the first failure
 * in a row, first_ms after the second one, then twice as long each time, up to 5 minutes, or
 * first_ms if that is longer. Up to one half of the delay is added at random, so that jobs that
 * failed together are not all retried at the same time.
 */
static int64
backoff(int retries, int64 first_ms)
{
	int64		delay = first_ms;

	if (retries == 0)
		return 0;
	for (int i = 1; i < retries && delay < BACKOFF_LIMIT_MS; i++)
		delay *= 2;
	delay = Min(delay, Max(first_ms, BACKOFF_LIMIT_MS));
	return delay + (int64) (kwj_random_fraction() * delay / 2);
}

/* Returns whether another attempt may succeed, or the job asks for one after any error. */
static bool
is_retryable(KwjEndKind kind, const KwjError *error, const KwjJob *job)
{
	int			class = ERRCODE_TO_CATEGORY(error->code);

	if (kind == KWJ_END_IMPOSSIBLE)
		return false;
	if (kind == KWJ_END_CRASHED || strcmp(job->on_failure, "retry") == 0)
		return true;
	return class == ERRCODE_CONNECTION_EXCEPTION ||
		class == ERRCODE_TRANSACTION_ROLLBACK ||
		class == ERRCODE_INSUFFICIENT_RESOURCES ||
		error->code == ERRCODE_ADMIN_SHUTDOWN ||
		error->code == ERRCODE_CRASH_SHUTDOWN ||
		error->code == ERRCODE_CANNOT_CONNECT_NOW ||
		error->code == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* Returns whether the attempt was interrupted, which does not count as a failure. */
static bool
is_interruption(KwjEndKind kind)
{
	return kind == KWJ_END_INTERRUPTED || kind == KWJ_END_STOPPED;
}

/* Returns whether a PAUSE is committed: it has yet to take effect, or the attempt stands still for it. */
static bool
is_pause(const KwjJob *job)
{
	return job->status == KWJ_PAUSE_REQUESTED || job->status == KWJ_PAUSED;
}

/*
 * Returns whether a job for which PAUSE is requested is to be paused after this end of an attempt.
 * It is if the attempt was interrupted or terminated, probably because of the PAUSE, and also after
 * an error that allows a retry, whether or not the job has an attempt left.
 */
static bool
is_end_of_pause(KwjEndKind kind, const KwjError *error, const KwjJob *job)
{
	return is_interruption(kind) || error->code == ERRCODE_QUERY_CANCELED ||
		is_retryable(kind, error, job);
}

static void
start_revert(KwjEnd *end, const KwjJob *job, const char *revert_to)
{
	end->revert_to = revert_to;
	end->retries = end->crashes = 0;
	/*
	 * revertible: an attempt has committed a checkpoint, or has started a job that has a statement
	 * for its revert. Otherwise there is nothing to undo.
	 */
	end->status = job->revertible ? KWJ_REVERTING : kwj_status_from_name(revert_to);
}

static void
end_by_request(KwjEnd *end, const KwjJob *job, KwjRequest request)
{
	static const KwjError canceled = {
		.code = ERRCODE_QUERY_CANCELED,
		.message = "job canceled by user",
	};

	if (request == KWJ_REQUEST_PAUSE)
	{
		end->attempt_status = "paused";
		end->status = KWJ_PAUSED;
		end->retries = 0;
		end->note = kwj_attempt_current() ? kwj_attempt_current()->pause_note : NULL;
		end->error = NULL;
		return;
	}
	end->attempt_status = "canceled";
	end->error = &canceled;
	end->job_error = true;
	start_revert(end, job, "canceled");
}

/*
 * The attempt has stopped for a PAUSE that a RESUME took back before this process could settle the
 * attempt. The next attempt goes on from the checkpoint at once.
 */
static void
end_without_request(KwjEnd *end, const KwjJob *job)
{
	end->attempt_status = "paused";
	end->status = job->reverting ? KWJ_REVERTING : KWJ_PENDING;
	end->retries = job->progressed ? 0 : job->retries;
	end->error = NULL;
}

/*
 * The attempt has ended because of a request. Another request may have replaced that one, so the
 * job's present status decides. This process has locked the job's row, so the status stays.
 */
static void
end_as_requested(KwjEnd *end, const KwjJob *job)
{
	if (job->status == KWJ_CANCEL_REQUESTED)
		end_by_request(end, job, KWJ_REQUEST_CANCEL);
	else if (is_pause(job))
		end_by_request(end, job, KWJ_REQUEST_PAUSE);
	else
		end_without_request(end, job);
}

/*
 * Returns whether the attempts of this job have crashed as often as kwjobs.max_crashes allows.
 * Progress between the crashes does not reset their number.
 */
static bool
has_crashed_too_often(const KwjEnd *end, KwjEndKind kind)
{
	return kind == KWJ_END_CRASHED && end->crashes >= kwj_max_crashes;
}

static const KwjError *
explain_crashes(const KwjEnd *end)
{
	KwjError   *error = palloc(sizeof(KwjError));

	*error = *end->error;
	error->detail = psprintf("That has happened %d times to this job, and kwjobs.max_crashes allows no more.",
							 end->crashes);
	return error;
}

/* Returns the milliseconds until the next attempt. */
static int64
delay_after(KwjEndKind kind, const KwjJob *job, int retries)
{
	switch (kind)
	{
		case KWJ_END_INTERRUPTED:
			return 0;
		case KWJ_END_STOPPED:
			return job->retry_delay_ms;
		case KWJ_END_CRASHED:
			/*
			 * Progress resets retries, but not crashes: so the delay grows even if the job makes
			 * progress between crashes, and it cannot take the server down at short intervals.
			 */
			return backoff(Max(retries, job->crashes), Max(job->retry_delay_ms, CRASH_DELAY_MS));
		default:
			/*
			 * Progress resets retries. But a job that writes a checkpoint in each attempt, and then
			 * fails, must not run again and again without a delay.
			 */
			return backoff(job->retries > 0 ? Max(retries, 1) : retries, job->retry_delay_ms);
	}
}

static void
end_by_error(KwjEnd *end, const KwjJob *job, KwjEndKind kind)
{
	int			retries = job->progressed ? 0 : job->retries;

	if (kind == KWJ_END_CRASHED && end->crashes < PG_INT32_MAX)
		end->crashes++;
	end->attempt_status = kind == KWJ_END_CRASHED ? "crashed" :
		is_interruption(kind) ? "interrupted" : "failed";

	if (is_interruption(kind) ||
		(is_retryable(kind, end->error, job) && retries < job->max_attempts - 1 &&
		 !has_crashed_too_often(end, kind)))
	{
		end->status = job->reverting ? KWJ_REVERTING : KWJ_PENDING;
		end->delay_ms = delay_after(kind, job, retries);
		end->retries = is_interruption(kind) ? retries : Min(retries, PG_INT32_MAX - 1) + 1;
		return;
	}
	end->job_error = true;
	if (has_crashed_too_often(end, kind))
		end->error = explain_crashes(end);
	if (job->reverting)
		end->status = KWJ_REVERT_FAILED;
	else if (strcmp(job->on_failure, "pause") == 0 && kind != KWJ_END_IMPOSSIBLE)
	{
		end->status = KWJ_PAUSED;
		end->note = "paused after an error; RESUME JOB tries again";
	}
	else
		start_revert(end, job, "failed");
}

/*
 * Locks the job's row and begins to fill in *end. Returns false if this is not the job's active
 * attempt any more, or another transaction has locked the row and `wait` says to skip it.
 */
static bool
begin_end(KwjEnd *end, KwjJob *job, int64 job_id, int32 attempt, KwjLockWait wait)
{
	memset(end, 0, sizeof(*end));
	end->job_id = job_id;
	end->attempt = attempt;
	end->transcript = kwj_transcript_read();
	if (!kwj_store_lock(job_id, wait, job) || job->active_attempt != attempt)
		return false;
	end->has_crashes = true;
	end->crashes = job->crashes;
	return true;
}

/* Writes the end. The caller has locked the job's row, and this is the job's active attempt. */
static void
end_attempt(const KwjEnd *end)
{
	kwj_wakeup_at_end(end->job_id);
	if (!kwj_store_end(NULL, end))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempt %d has no row in the table of attempts", end->attempt),
				 errhint("Create the job again.")));
}

void
kwj_settle_request(int64 job_id, int32 attempt, KwjRequest request)
{
	KwjEnd		end;
	KwjJob		job;

	if (!begin_end(&end, &job, job_id, attempt, KWJ_WAIT))
		return;
	/*
	 * The work itself may have run CANCEL JOB for this job. Its rollback has undone that, so the
	 * status does not show it; and no other statement can have taken it back.
	 */
	if (request == KWJ_REQUEST_CANCEL)
		end_by_request(&end, &job, request);
	else
		end_as_requested(&end, &job);
	end_attempt(&end);
}

int64
kwj_settle_limit_timeout(int64 timeout_ms)
{
	if (kwj_max_timeout == 0)
		return timeout_ms;
	return timeout_ms == 0 ? kwj_max_timeout : Min(timeout_ms, kwj_max_timeout);
}

void
kwj_settle_explain_timeout(KwjError *error, int64 timeout_ms, bool by_job)
{
	error->code = ERRCODE_QUERY_CANCELED;
	error->message = by_job ?
		psprintf("the attempt took longer than the job's timeout of %.3f s", timeout_ms / 1000.0) :
		psprintf("the attempt took longer than kwjobs.max_timeout, %.3f s", timeout_ms / 1000.0);
	error->detail = NULL;
	error->hint = by_job ? "Create the job again with a longer timeout." :
		"Split the job, or have an administrator raise kwjobs.max_timeout.";
}

void
kwj_settle_error(int64 job_id, int32 attempt, KwjEndKind kind, const KwjError *error,
				 KwjLockWait wait)
{
	KwjEnd		end;
	KwjJob		job;

	if (!begin_end(&end, &job, job_id, attempt, wait))
		return;
	end.error = error;
	if (kind == KWJ_END_REQUESTED)
		end_as_requested(&end, &job);
	else if (job.status == KWJ_CANCEL_REQUESTED)
		end_by_request(&end, &job, KWJ_REQUEST_CANCEL);
	else if (is_pause(&job) && is_end_of_pause(kind, error, &job))
		end_by_request(&end, &job, KWJ_REQUEST_PAUSE);
	else
		end_by_error(&end, &job, kind);
	end_attempt(&end);
}

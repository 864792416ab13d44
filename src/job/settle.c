/*
 * src/job/settle.c
 *	  What becomes of a job when an attempt ends otherwise than by success.
 *
 * Process: worker; coordinator for attempts whose worker is gone. Locks: the
 * job's row, so it waits for a control statement that is not committed yet:
 * that one decides.
 */
#include "postgres.h"

#include "compat.h"
#include "job/settle.h"

#define BACKOFF_FIRST_MS	1000
#define BACKOFF_LIMIT_MS	(5 * 60 * 1000)

/*
 * Milliseconds until the next attempt: none after the first failure in a row,
 * then 1 s, 2 s, 4 s, ..., each up to half longer, so that jobs that failed
 * together do not come back together.
 */
static int
backoff(int retries)
{
	int			delay;

	if (retries == 0)
		return 0;
	delay = BACKOFF_FIRST_MS << Min(retries - 1, 12);
	delay = Min(delay, BACKOFF_LIMIT_MS);
	return delay + (int) (kwj_random_fraction() * delay / 2);
}

/* Errors that another attempt may not meet. */
static bool
is_retryable(KwjEndKind kind, const KwjError *error)
{
	int			class = ERRCODE_TO_CATEGORY(error->code);

	if (kind == KWJ_END_CRASHED)
		return true;
	if (kind == KWJ_END_REFUSED)
		return false;
	return class == ERRCODE_CONNECTION_EXCEPTION ||
		class == ERRCODE_TRANSACTION_ROLLBACK ||
		class == ERRCODE_INSUFFICIENT_RESOURCES ||
		error->code == ERRCODE_ADMIN_SHUTDOWN ||
		error->code == ERRCODE_CRASH_SHUTDOWN ||
		error->code == ERRCODE_CANNOT_CONNECT_NOW ||
		error->code == ERRCODE_LOCK_NOT_AVAILABLE;
}

static void
start_revert(KwjEnd *end, const KwjJob *job, const char *revert_to)
{
	end->revert_to = revert_to;
	end->retries = 0;
	/* Nothing was committed: nothing to undo. */
	end->status = job->has_checkpoint ? KWJ_REVERTING : kwj_status_from_name(revert_to);
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
		end->error = NULL;
		return;
	}
	end->attempt_status = "canceled";
	end->error = &canceled;
	end->job_error = true;
	start_revert(end, job, "canceled");
}

static void
end_by_error(KwjEnd *end, const KwjJob *job, KwjEndKind kind)
{
	int			retries = job->progressed ? 0 : job->retries;

	end->attempt_status = kind == KWJ_END_CRASHED ? "crashed" :
		kind == KWJ_END_INTERRUPTED ? "interrupted" : "failed";

	if (kind == KWJ_END_INTERRUPTED ||
		(is_retryable(kind, end->error) && retries + 1 < job->max_attempts))
	{
		end->status = job->reverting ? KWJ_REVERTING : KWJ_PENDING;
		end->delay_ms = kind == KWJ_END_INTERRUPTED ? 0 : backoff(retries);
		end->retries = kind == KWJ_END_INTERRUPTED ? retries : retries + 1;
		return;
	}
	end->job_error = true;
	if (job->reverting)
		end->status = KWJ_REVERT_FAILED;
	else
		start_revert(end, job, "failed");
}

/* Lock the job; false if it is not this attempt's any more. */
static bool
begin_end(KwjEnd *end, KwjJob *job, int64 job_id, int32 attempt, KwjLockWait wait)
{
	memset(end, 0, sizeof(*end));
	end->job_id = job_id;
	end->attempt = attempt;
	return kwj_store_lock(job_id, wait, job) && job->active_attempt == attempt;
}

void
kwj_settle_request(int64 job_id, int32 attempt, KwjRequest request)
{
	KwjEnd		end;
	KwjJob		job;

	if (!begin_end(&end, &job, job_id, attempt, KWJ_WAIT))
		return;
	end_by_request(&end, &job, request);
	kwj_store_end(&end);
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
	if (job.status == KWJ_CANCEL_REQUESTED)
		end_by_request(&end, &job, KWJ_REQUEST_CANCEL);
	else
	{
		end_by_error(&end, &job, kind);

		/*
		 * The interrupt that a pause ends with, or anything else that would be
		 * tried again: paused is what was asked for.
		 */
		if (job.status == KWJ_PAUSE_REQUESTED &&
			(end.status == KWJ_PENDING ||
			 (job.reverting && end.status == KWJ_REVERTING) ||
			 error->code == ERRCODE_QUERY_CANCELED))
		{
			end.job_error = false;
			end.revert_to = NULL;
			end_by_request(&end, &job, KWJ_REQUEST_PAUSE);
		}
	}
	kwj_store_end(&end);
}

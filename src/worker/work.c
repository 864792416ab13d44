/*
 * src/worker/work.c
 *	  Running the work of an attempt, which requests and the attempt's timeout may interrupt.
 *
 * Process: worker; worker.c and parts.c call this. Locks: only the work takes locks.
 *
 *     begin_work    query cancels are let through, and the attempt's timeout is armed
 *        |
 *        +-- error: end_work, the transaction is aborted, kwj_work_try returns the error
 *        +-- before the last commit: work_is_over, after which no signal interrupts the commit
 *        v
 *     end_work      query cancels are held off
 *
 * SIGINT interrupts the work. The coordinator sends it for CANCEL, and for PAUSE after a grace
 * period; another part of the attempt sends it when that part has failed; and this process sends it
 * to itself when the time of the attempt is over. If that does not help, it sends itself SIGTERM.
 */
#include "postgres.h"

#include "access/xact.h"
#include "child/child.h"
#include "compat.h"
#include "job/progress.h"
#include "job/stop.h"
#include "job/transaction.h"
#include "lifecycle/attempt.h"
#include "lifecycle/settle.h"
#include "miscadmin.h"
#include "serve/server.h"
#include "shared/worker.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "worker/claim.h"
#include "worker/work.h"

/*
 * If an attempt goes on when its time is over, it is interrupted every INTERRUPT_AGAIN_MS, at most
 * MAX_INTERRUPTS times, and then its worker is terminated.
 */
#define INTERRUPT_AGAIN_MS	KWJ_WAIT_MS(1000)
#define MAX_INTERRUPTS		5
/* The timeouts of PostgreSQL are of type int, so a long one is armed in several steps. */
#define LONGEST_TIMEOUT_MS	(24 * 60 * 60 * 1000)

static volatile sig_atomic_t timed_out = false;
static int64 limit_ms;			/* how long the attempt may take; 0: no limit */
static TimeoutId attempt_timeout;
static int64 time_left_ms;		/* what is left after the timeout that is armed */
static int	interrupts;

static void
arm_timeout(int64 ms)
{
	int			now = (int) Min(ms, LONGEST_TIMEOUT_MS);

	time_left_ms = ms - now;
	enable_timeout_after(attempt_timeout, now);
}

static void
on_timeout(void)
{
	if (time_left_ms > 0)
	{
		arm_timeout(time_left_ms);
		return;
	}
	timed_out = true;
	kill(MyProcPid, interrupts++ < MAX_INTERRUPTS ? SIGINT : SIGTERM);
	arm_timeout(INTERRUPT_AGAIN_MS);
}

static void
name_attempt(void *arg)
{
	KwjAttempt *attempt = arg;

	errcontext("kwjobs job " INT64_FORMAT " (%s), attempt %d",
			   attempt->job_id, attempt->job_type, attempt->attempt);
}

bool
kwj_work_was_interrupted(const KwjAttempt *attempt, const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		(attempt->stopped || kwj_progress_interrupted());
}

bool
kwj_work_took_too_long(const KwjAttempt *attempt, const ErrorData *edata, KwjError *error)
{
	if (!timed_out || edata->sqlerrcode != ERRCODE_QUERY_CANCELED)
		return false;
	kwj_settle_explain_timeout(error, limit_ms, limit_ms == attempt->timeout_ms);
	return true;
}

/* Only the commit is left to do: neither the timeout nor a request may interrupt it. */
static void
work_is_over(const KwjAttempt *attempt)
{
	if (limit_ms > 0)
		disable_timeout(attempt_timeout, false);
	kwj_shared_begin_commit();
}

static const KwjAttemptHooks attempt_hooks = {work_is_over, kwj_worker_claim_within};

const KwjType *
kwj_work_reverted_type(const KwjAttempt *attempt)
{
	return attempt->reverting && kwj_type_exists(attempt->job_type) ?
		kwj_type_by_name(attempt->job_type) : NULL;
}

/* Returns how many milliseconds the attempt may take; 0: there is no limit. */
static int64
time_limit(const KwjAttempt *attempt)
{
	const KwjType *reverted = kwj_work_reverted_type(attempt);

	if (reverted != NULL && reverted->reverts_at_length)
		return attempt->timeout_ms;
	return kwj_settle_limit_timeout(attempt->timeout_ms);
}

/*
 * Returns how many milliseconds this work may take. If several workers carry the attempt, its time
 * runs since part 0 has begun.
 */
static int64
time_left(const KwjAttempt *attempt)
{
	if (attempt->began == 0)
		return limit_ms;
	return Max(1, limit_ms - (GetCurrentTimestamp() - attempt->began) / 1000);
}

/* From now on the work may be interrupted, and its time runs. */
static void
begin_work(KwjAttempt *attempt)
{
	kwj_shared_begin_work();
	/*
	 * A pending query cancel may have been meant for the last job. From now on a cancel is pending
	 * if and only if there is a request for this job.
	 */
	QueryCancelPending = kwj_progress_request() != KWJ_REQUEST_NONE;
	attempt->stopped = QueryCancelPending;
	InterruptPending |= QueryCancelPending;
	timed_out = false;
	interrupts = 0;
	limit_ms = time_limit(attempt);
	if (limit_ms > 0)
		arm_timeout(time_left(attempt));
	RESUME_CANCEL_INTERRUPTS();
}

static void
end_work(const KwjAttempt *attempt)
{
	/*
	 * This is also right after an error, because then elog.c has set QueryCancelHoldoffCount to 0.
	 */
	HOLD_CANCEL_INTERRUPTS();
	if (limit_ms > 0)
		disable_timeout(attempt_timeout, false);
	/*
	 * End programs and their sessions before the transaction is aborted, because they may use its
	 * snapshot. A program that ends must not wait for a session that it would not get.
	 */
	kwj_servers_refuse();
	kwj_children_end();
	kwj_servers_end();
}

/*
 * Returns the error that the work has raised, copied into the context. Writes it to the server log,
 * unless it is the interrupt of a request, which is no fault, or comes while the server stops: then
 * the stop of another process may be its cause, and the next attempt will tell. A library may
 * change an error when it is reported, as Citus does with its distributed deadlocks: then the
 * changed error becomes the job's error.
 */
static ErrorData *
take_error(const KwjAttempt *attempt, MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	if (attempt->lacks == NULL && !attempt->canceled && !kwj_work_was_interrupted(attempt, edata) &&
		!kwj_stop_is_asked())
	{
		EmitErrorReport();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
	}
	FlushErrorState();
	return edata;
}

ErrorData *
kwj_work_try(KwjAttempt *attempt, MemoryContext context, KwjWork work, void *arg)
{
	ErrorContextCallback callback = {error_context_stack, name_attempt, attempt};
	ErrorData  *volatile edata = NULL;

	Assert(!IsTransactionState());
	error_context_stack = &callback;
	begin_work(attempt);
	PG_TRY();
	{
		work(attempt, arg);
		end_work(attempt);
		kwj_worker_begin_claimed(true);
	}
	PG_CATCH();
	{
		end_work(attempt);
		kwj_worker_begin_claimed(false);
		edata = take_error(attempt, context);
		HOLD_INTERRUPTS();
		kwj_abort_after_error();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	/* After an error, too: the next attempt meets it again, unless the stop was its cause. */
	kwj_stop_expect_none();
	MemoryContextSwitchTo(context);
	return edata;
}

void
kwj_work_init(void)
{
	attempt_timeout = RegisterTimeout(USER_TIMEOUT, on_timeout);
	kwj_attempt_init(&attempt_hooks);
}

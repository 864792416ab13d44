/*
 * src/lifecycle/broken.c
 *	  Ends a job whose rows in kwjobs's tables cannot be used as they are.
 *
 * Callers: the worker, if it cannot end its attempt (src/worker/settle.c); the coordinator, if a
 * step that concerns one job raises an error (src/coordinator/careful.c).
 *
 *    end_job, as other jobs end  --error-->  end_job, plainly  --error-->  false
 *       |                                       |
 *       |                                    end_attempts, end_dependencies
 *       v                                       v
 *    tell_dependents, if the job is over     tell_dependents
 *
 * The fault may be in any column of any table. So the first try writes all rows, as the end of any
 * job does, and the second try ("plainly") writes only the job's row. Each step is a transaction
 * of its own; if a later step raises an error, the steps after it are still tried.
 *
 * Locks: rows of the job, with SKIP LOCKED, each until the end of the step's transaction.
 *
 * If the process dies between two steps, the job is already over, or reverting. The row of an
 * attempt may still say "running" then. Jobs that depend on this one wait until the next start of
 * the server: the first coordinator after that searches for such jobs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/isolate.h"
#include "lifecycle/broken.h"
#include "store/break.h"
#include "store/dependency.h"

typedef struct Broken
{
	int64		job_id;
	KwjError	error;
	bool		plainly;
	bool		done;
	KwjStatus	status;			/* the job's new status, if done */
} Broken;

static void
end_job(void *arg)
{
	Broken	   *broken = arg;

	broken->done = kwj_store_break(broken->job_id, &broken->error, broken->plainly,
								   &broken->status);
}

static void
end_attempts(void *arg)
{
	Broken	   *broken = arg;

	kwj_store_end_attempts(broken->job_id, &broken->error);
}

static void
end_dependencies(void *arg)
{
	kwj_store_end_dependencies(((Broken *) arg)->job_id);
}

static void
tell_dependents(void *arg)
{
	Broken	   *broken = arg;

	kwj_store_tell_dependents(broken->job_id, broken->status);
}

/* Runs the step. Returns whether it has raised an error. */
static bool
fails(KwjStep step, Broken *broken)
{
	return kwj_isolate_quietly(step, broken) != NULL;
}

bool
kwj_break_job(int64 job_id, const char *what, const ErrorData *edata)
{
	Broken		broken = {
		.job_id = job_id,
		.error = {
			.code = edata->sqlerrcode,
			.message = psprintf("%s: %s", what, edata->message ? edata->message : "unknown error"),
			.detail = edata->detail,
			.hint = edata->hint ? edata->hint :
			"What kwjobs has stored of this job cannot be used as it is. Create the job again.",
			.context = edata->context,
		},
	};

	Assert(!IsTransactionState());
	if (fails(end_job, &broken))
	{
		broken.plainly = true;
		if (fails(end_job, &broken))
			return false;
	}
	if (!broken.done)
		return false;
	if (broken.plainly)
	{
		(void) fails(end_attempts, &broken);
		(void) fails(end_dependencies, &broken);
	}
	if (kwj_status_is_terminal(broken.status))
		(void) fails(tell_dependents, &broken);
	return true;
}

bool
kwj_error_may_pass(const ErrorData *edata)
{
	int			class = ERRCODE_TO_CATEGORY(edata->sqlerrcode);

	return class == ERRCODE_TRANSACTION_ROLLBACK ||
		class == ERRCODE_INSUFFICIENT_RESOURCES ||
		class == ERRCODE_OPERATOR_INTERVENTION ||
		edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

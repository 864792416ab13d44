/*
 * src/coordinator/adopt.c
 *	  Attempts whose worker is gone.
 *
 * Process: coordinator. Locks: the job's row with SKIP LOCKED, until the end of the transaction.
 */
#include "postgres.h"

#include "coordinator/adopt.h"
#include "coordinator/dispatch.h"
#include "lifecycle/settle.h"
#include "process/process.h"
#include "shared/slots.h"
#include "store/due.h"
#include "store/jobs.h"
#include "utils/syscache.h"

/* The longest wait before a job whose worker could not connect gets another one. */
#define REFUSED_RETRY_MS	60000

static bool predecessor_interrupted;
static bool first_pass = true;

void
kwj_adopt_init(bool interrupted)
{
	predecessor_interrupted = interrupted;
}

void
kwj_adopt_know_all(void)
{
	first_pass = false;
}

/* The job's owner is gone: no worker can ever be had. */
static void
settle_impossible(const KwjActive *lost)
{
	KwjError	error = {
		.code = ERRCODE_UNDEFINED_OBJECT,
		.message = psprintf("the job's owner, the role with OID %u, does not exist any more",
							lost->owner),
		.hint = "Create the job again as another role. If its changes could not be reverted, undo them by hand.",
	};

	kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_IMPOSSIBLE, &error, KWJ_SKIP_LOCKED);
}

static void
settle_lost(const KwjActive *lost)
{
	KwjError	interrupted = {
		.code = ERRCODE_ADMIN_SHUTDOWN,
		.message = "the worker was stopped with the server, or for a command on its database or on the extension",
	};
	KwjError	timeout = {0};
	KwjError	crashed = {
		.code = ERRCODE_CRASH_SHUTDOWN,
		.message = first_pass ?
		"the server or the worker was stopped while the attempt ran" :
		"the worker ended before it could settle the attempt",
		.hint = "The server log says more.",
	};

	if (first_pass && predecessor_interrupted)
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_INTERRUPTED, &interrupted,
						 KWJ_SKIP_LOCKED);
	/* workers may be gone before the postmaster's signal is here */
	else if (!first_pass && lost->exceeded_ms == 0 && kwj_process_server_stops())
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_STOPPED, &interrupted,
						 KWJ_SKIP_LOCKED);
	/* it did not heed its interrupts, and was terminated: no crash, even if nobody asks any more */
	else if (kwj_dispatch_has_terminated(lost->job_id, lost->attempt))
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_REQUESTED, &crashed,
						 KWJ_SKIP_LOCKED);
	else if (!first_pass && lost->exceeded_ms > 0)
	{
		/* it did not heed its interrupts, and was terminated */
		kwj_settle_explain_timeout(&timeout, lost->exceeded_ms, lost->exceeded_ms != kwj_max_timeout);
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_TIMEOUT, &timeout,
						 KWJ_SKIP_LOCKED);
	}
	else
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_CRASHED, &crashed,
						 KWJ_SKIP_LOCKED);
}

/*
 * Settle an attempt whose worker is gone. One that never said that it is there, or left in
 * order before, has not begun.
 */
static void
adopt(const KwjActive *lost)
{
	if (!lost->has_row)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("attempt %d has no row in the table of attempts", lost->attempt),
				 errhint("Create the job again.")));
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(lost->owner)))
		settle_impossible(lost);
	else if (lost->pid == 0 && !first_pass)
		kwj_store_unclaim(lost->job_id, lost->attempt,
						  "waiting: its worker could not connect, the server log says why",
						  REFUSED_RETRY_MS);
	else if (lost->pid == 0 || kwj_shared_was_unbegun(lost->job_id, lost->attempt))
		kwj_store_unclaim(lost->job_id, lost->attempt, "waiting for a new worker", 0);
	else
		settle_lost(lost);
}

List *
kwj_adopt_orphans(List *active, const KwjWorkerInfo *before, int n_before)
{
	KwjWorkerInfo *after = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n_after = kwj_shared_workers(after, &elsewhere);
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);

		if (kwj_has_worker(before, n_before, item->job_id, item->attempt) ||
			kwj_has_worker(after, n_after, item->job_id, item->attempt))
			continue;
		adopt(item);
		active = foreach_delete_current(active, lc);
	}
	return active;
}

/*
 * src/coordinator/adopt.c
 *	  Attempts whose worker is gone.
 *
 * Process: coordinator, in a transaction; coordinator.c calls this for all active attempts,
 * singly.c for one at a time. Locks: the job's row with SKIP LOCKED, until the end of the
 * transaction; kwj_shared->lock, shared, for a moment.
 *
 * An attempt that is active in the tables and in no slot has lost its worker (shared/memory.h). Its
 * end depends on how far it came and why the worker is gone:
 *
 *   the owner was dropped                         fails for good
 *   no pid in kwjobs.attempt, in a first pass     never began: taken back, not counted
 *   no pid, later                                 its worker could not connect: taken back, retried
 *                                                 after REFUSED_RETRY_MS at the latest
 *   its worker left a KwjUnbegun                  never began: taken back, not counted
 *   a lockout or an orderly stop of the server    interrupted, not counted
 *   ended it, and this is a first pass
 *   the server is being stopped                   interrupted, not counted, retried later
 *   this process had terminated it for a request  ended by request, no crash
 *   its timeout was over                          timeout
 *   anything else, such as a kill -9, after       crashed, counted
 *   which a new coordinator makes its first pass
 *
 * These are the reasons. lifecycle/settle.c decides: a PAUSE or CANCEL that is committed comes
 * first, so the attempt then ends as paused or canceled, and no crash is counted. (Only a job whose
 * owner was dropped is not paused.) An attempt that is taken back keeps its request, and the next
 * step of the pass (settle_requests) obeys it.
 *
 * If this process dies here, the transaction is rolled back, and its successor does the same again.
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

/* The longest delay before a job whose worker could not connect gets another one. */
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

/* The job's owner was dropped, so that it can never have a worker. */
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
	/* Workers may have exited before the postmaster's signal reaches this process. */
	else if (!first_pass && lost->exceeded_ms == 0 && kwj_process_server_stops())
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_STOPPED, &interrupted,
						 KWJ_SKIP_LOCKED);
	/*
	 * The worker ignored its interrupts, and this process terminated it: no crash, even if the
	 * request was taken back since.
	 */
	else if (kwj_dispatch_has_terminated(lost->job_id, lost->attempt))
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_REQUESTED, &crashed,
						 KWJ_SKIP_LOCKED);
	else if (!first_pass && lost->exceeded_ms > 0)
	{
		/* The worker ignored its own interrupts, and terminated itself. */
		kwj_settle_explain_timeout(&timeout, lost->exceeded_ms, lost->exceeded_ms != kwj_max_timeout);
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_TIMEOUT, &timeout,
						 KWJ_SKIP_LOCKED);
	}
	else
		kwj_settle_error(lost->job_id, lost->attempt, KWJ_END_CRASHED, &crashed,
						 KWJ_SKIP_LOCKED);
}

/* Settles an attempt whose worker is gone. */
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

		if (item->request == KWJ_REQUEST_PAUSE && !item->paused &&
			kwj_stands(after, n_after, item->job_id, item->attempt))
			kwj_store_stand(item->job_id, item->attempt);
		if (kwj_has_worker(before, n_before, item->job_id, item->attempt) ||
			kwj_has_worker(after, n_after, item->job_id, item->attempt))
			continue;
		adopt(item);
		active = foreach_delete_current(active, lc);
	}
	return active;
}

/*
 * src/worker/claim.c
 *	  How a worker claims its next job itself.
 *
 * Process: worker. store/claim.c describes what such a claim does in the tables, shared/worker.c
 * what it does in the slot. The way of a claim:
 *
 *     kwj_attempt_succeed_and_claim   lifecycle/attempt.c; has written the end of the last job, and
 *                                     calls this file by the hook that work.c has set
 *     kwj_worker_claim_within         takes a job from the list (kwj_shared_take_job), claims it
 *                                     (kwj_store_claim), notes it in the slot (kwj_shared_announce)
 *     ... commit, or rollback ...
 *     kwj_worker_begin_claimed        from work.c: the slot gets the job, or forgets it
 *     kwj_worker_take_claimed         from worker.c: the attempt begins
 *
 * If the work has failed, settle.c settles the attempt, and calls kwj_worker_claim_within and
 * kwj_worker_begin_claimed.
 *
 * kwj_worker_claim_within leaves the claim to kwj_worker_claim_apart in two cases: the commit may
 * wait for a standby, or the claim could make the commit fail. worker.c calls
 * kwj_worker_claim_apart after each attempt. In these two cases it claims the next job in a
 * transaction of its own; in all others it does nothing.
 *
 * Locks: the rows that store/claim.c locks, without waiting, until the end of the transaction;
 * kwj_shared->lock for moments. If the worker dies after the commit, the coordinator finds an
 * attempt without a worker.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "shared/worker.h"
#include "storage/pmsignal.h"
#include "store/claim.h"
#include "utils/memutils.h"
#include "worker/claim.h"
#include "worker/reset.h"

/*
 * The attempt that was claimed, until kwj_worker_take_claimed(). The present and the next attempt
 * have memory contexts of their own, because the worker loads the next one while it still needs the
 * present one.
 */
static KwjAttempt next;
static bool has_next = false;
static bool claims_apart = false;	/* kwj_worker_claim_apart() has to claim */
static MemoryContext context_of_next;

void
kwj_worker_claim_init(void)
{
	context_of_next = AllocSetContextCreate(TopMemoryContext, "kwjobs next attempt",
											ALLOCSET_DEFAULT_SIZES);
}

void
kwj_worker_claim_nothing(void)
{
	has_next = claims_apart = false;
}

/*
 * Returns whether a commit may wait for a synchronous standby now. While it waits, nobody sees the
 * claim that it contains, and the claimed job can be neither paused nor canceled.
 */
static bool
commit_waits_for_standby(void)
{
	return SyncRepRequested() && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/*
 * Claims the next job and announces it in the slot, unless jobs of another role or type wait for a
 * worker. Runs in the transaction that ends attempt `done`, or in a later one. If the rows of a job
 * raise an error, the job is left to the coordinator.
 */
static void
claim_next(const KwjAttempt *done, KwjJobTables *tables)
{
	int64		job_id;

	/*
	 * If the postmaster is gone, the worker should exit. If it stops the server, the coordinator
	 * exits, and there is no list any more from which to claim. In a serializable transaction, the
	 * reads for the claim could cause conflicts. If settings have changed, and this process has not
	 * read them yet, its limits are old: the coordinator chooses.
	 */
	if (!PostmasterIsAlive() || IsolationIsSerializable() || ConfigReloadPending)
		return;
	while (!has_next && kwj_worker_session_is_current() &&
		   kwj_shared_take_job(done->job_type, &job_id))
	{
		MemoryContextReset(context_of_next);
		has_next = kwj_store_claim(tables, job_id, done, kwj_worker_session_fits, &next,
								   context_of_next);
	}
	if (has_next)
		kwj_shared_announce(next.job_id, next.attempt);
}

void
kwj_worker_claim_within(const KwjAttempt *done, KwjJobTables *tables)
{
	claims_apart = commit_waits_for_standby() || !kwj_store_may_claim_within(tables);
	if (!claims_apart)
		claim_next(done, tables);
}

void
kwj_worker_begin_claimed(bool committed)
{
	if (has_next)
		kwj_shared_begin_announced(committed);
	has_next &= committed;
}

/* Claims in a transaction of its own, whose commit waits for no standby. */
static void
claim_step(void *arg)
{
	KwjJobTables *tables;

	kwj_set_locally("synchronous_commit", "local");
	tables = kwj_open_job_tables(KWJ_WORKED);
	claim_next(arg, tables);
	kwj_close_job_tables(tables);
}

void
kwj_worker_claim_apart(KwjAttempt *done)
{
	if (!has_next && claims_apart)
		kwj_worker_begin_claimed(kwj_isolate(claim_step, done) == NULL);
}

bool
kwj_worker_has_claimed(void)
{
	return has_next;
}

void
kwj_worker_take_claimed(KwjAttempt *attempt, MemoryContext *context)
{
	MemoryContext done = *context;

	Assert(has_next);
	*attempt = next;
	*context = context_of_next;
	context_of_next = done;
}

/*
 * src/worker/held.c
 *	  Whether the job that a worker was given may begin, as of the holds of now.
 *
 * Process: worker; worker.c calls this before each attempt. Mostly no hold has changed since the
 * job was claimed, which is one look at shared memory (shared/held.c). Locks: the job's row, with
 * SKIP LOCKED, if it is given back, until the end of the transaction.
 *
 * The coordinator or this worker may have claimed the job by a snapshot that did not show the hold
 * yet, so the claim may commit after the hold. Therefore the worker looks again before it begins
 * the job, and gives the claim back if the job is held. If the worker dies here, its exit callback
 * tells the coordinator that the attempt has not begun. It also exits if the holds cannot be read;
 * that is no fault of the job, which stays pending.
 */
#include "postgres.h"

#include "job/isolate.h"
#include "job/transaction.h"
#include "shared/held.h"
#include "shared/wakeup.h"
#include "storage/ipc.h"
#include "store/due.h"
#include "store/held.h"
#include "worker/held.h"

static bool
is_held(const KwjAttempt *attempt)
{
	return kwj_hold_find(kwj_store_holds(false), attempt->owner, attempt->job_type,
						 attempt->queue) != NULL;
}

bool
kwj_worker_gives_to_hold(const KwjAttempt *attempt)
{
	if (attempt->part > 0 || !kwj_shared_may_be_held() || !is_held(attempt))
		return false;
	if (!kwj_store_unclaim(attempt->job_id, attempt->attempt, "waiting for a worker",
						   KWJ_KEEP_PLACE))
		proc_exit(0);
	kwj_wakeup_at_end(attempt->job_id);
	return true;
}

typedef struct Giving
{
	const KwjAttempt *attempt;
	bool		given;
} Giving;

static void
give(void *arg)
{
	Giving	   *giving = arg;

	/* No standby has to know of it. */
	kwj_set_locally("synchronous_commit", "local");
	giving->given = kwj_worker_gives_to_hold(giving->attempt);
}

bool
kwj_worker_gives_to_hold_apart(KwjAttempt *attempt)
{
	Giving		giving = {.attempt = attempt};

	if (!kwj_shared_may_be_held())
		return false;
	/*
	 * If the holds cannot be read, this worker must not begin the job. It exits, and the
	 * coordinator takes the claim back.
	 */
	if (kwj_isolate(give, &giving) != NULL)
		proc_exit(0);
	return giving.given;
}

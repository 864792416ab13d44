/*
 * src/coordinator/claim.c
 *	  Which jobs a pass of the coordinator claims.
 *
 * Process: coordinator, in the transaction of a pass; coordinator.c and singly.c call this. Locks:
 * rows of kwjobs.job with SKIP LOCKED, until the end of the transaction; kwj_shared->lock for
 * moments.
 *
 * The way of a claim: held.c reads the holds, groups.c reads and locks candidates, window.c puts off
 * those that are outside their windows, assign.c takes a slot for each that can have one (the slot is
 * "assigned" then), kwj_store_begin() writes the job's and the attempt's row, and after the commit the
 * slots are handed over. If the transaction is rolled back, or this process dies, the slots are taken
 * back.
 */
#include "postgres.h"

#include "coordinator/assign.h"
#include "coordinator/claim.h"
#include "coordinator/groups.h"
#include "coordinator/held.h"
#include "coordinator/refusal.h"
#include "coordinator/window.h"
#include "shared/held.h"
#include "store/candidates.h"
#include "store/claim.h"

/*
 * A retried job may be the one that crashed the server: its claim must be on disk before it runs,
 * so that the attempt is counted.
 */
static bool
is_retry_among(const List *claims)
{
	ListCell   *lc;

	foreach(lc, claims)
		if (((KwjClaim *) lfirst(lc))->attempt > 1)
			return true;
	return false;
}

bool
kwj_claim_lacks_worker(const List *claims)
{
	ListCell   *lc;

	foreach(lc, claims)
		if (((KwjClaim *) lfirst(lc))->slot < 0)
			return true;
	return false;
}

/* Returns the lowest rank of the candidates; DT_NOEND if there are none. */
static TimestampTz
find_lowest_rank(const List *candidates)
{
	TimestampTz lowest = DT_NOEND;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const KwjCandidate *candidate = lfirst(lc);

		if (candidate->job_id != 0)
			lowest = Min(lowest, candidate->rank);
	}
	return lowest;
}

/*
 * If jobs of one role and type wait, lists them for workers that claim by themselves. If this process has just
 * created jobs of schedules, the list has room for all of these: the workers may have done all jobs of a
 * shorter list while this process creates the jobs of the next schedules, and would have to wait.
 */
static void
list_ready(KwjPass *pass, KwjJobs set_aside)
{
	KwjReady   *ready = &pass->ready;
	int			length = Min(Max(kwj_shared_ready_length(), pass->fired), KWJ_READY_LEN);

	ready->holds_noted = kwj_shared_holds_noted();
	if (ready->who == KWJ_ONE_WAITS)
		ready->n = kwj_store_ready(ready->owner, ready->job_type, kwj_held_list(), set_aside,
								   pass->from, ready->job_ids, length);
	pass->refused_again = kwj_refusal_next();
	ready->refused = pass->refused_again != DT_NOEND;
}

void
kwj_claim_assign(KwjPass *pass, const KwjWorkerInfo *workers, int n, KwjJobs set_aside)
{
	KwjCoordinator *coordinator = pass->coordinator;

	/* Ask for one more than can have a worker, to see whether any job waits. */
	KwjAsked	asked = {
		.limit = Min(kwj_shared_capacity(), kwj_max_workers) + 1,
		.without = kwj_refusal_review(), .set_aside = set_aside,
		.from = pass->from, .news = pass->news
	};
	bool		open;
	KwjSeen		seen = {.all_groups = true, .enough = true};
	int			n_refused = kwj_refusal_count();
	List	   *candidates = NIL;

	kwj_held_read(pass->todo.held);
	open = !kwj_held_is_everything();
	if (open)
		candidates = kwj_windows_leave_out(pass, kwj_groups_candidates(&asked, workers, n, &seen));

	coordinator->lowest_rank = seen.all_groups && seen.enough ? find_lowest_rank(candidates) :
		DT_NOBEGIN;
	pass->claims = kwj_assign(candidates, workers, n,
							  GetCurrentTimestamp() >= coordinator->room_again, &pass->ready,
							  &pass->jobs_wait);
	if (!seen.all_groups || !seen.enough)
	{
		pass->ready.who = KWJ_SEVERAL_WAIT;
		pass->jobs_wait = true;

		/*
		 * If only the last slot is left, it is for another role, and there is no use in trying more
		 * jobs of these groups. They look locked when workers that claim by themselves have just
		 * claimed them.
		 */
		if (kwj_shared_capacity() > 0 && !(seen.all_groups && kwj_shared_has_reserve_only()))
			pass->again |= kwj_groups_more(pass->claims != NIL || n_refused < kwj_refusal_count());
	}
	list_ready(pass, set_aside);
}

void
kwj_claim_begin(KwjPass *pass)
{
	KwjJobs		nothing = {0};

	kwj_claim_assign(pass, pass->workers, pass->n_workers, nothing);
	if (pass->claims != NIL)
	{
		kwj_store_begin(pass->claims);
		pass->wait_for_disk = is_retry_among(pass->claims);
		pass->again |= kwj_claim_lacks_worker(pass->claims);
	}
}

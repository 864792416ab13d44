/*
 * src/shared/served.c
 *	  Shared memory: the places for sessions of private servers.
 *
 * Process: worker (src/serve), under kwj_shared->lock; sessions only count. A worker notes its places in its
 * slot, and gives them back when its program has ended. If the worker exits before that, its places become
 * free together with its slot.
 *
 *     max_worker_processes   [ those of the start | max_workers + 1 workers | 1 coordinator | sessions ]
 *
 * A session may last as long as its program, and a program may stand still. So sessions never take what workers
 * and a coordinator need: otherwise one role's BACKUP could keep the jobs of all others waiting for ever. For
 * the same reason, one role never gets all places, just as it never gets all workers (kwj_may_run_one_more in
 * slot.c): as many places as a BACKUP needs by default are left for other roles, as far as the role itself has
 * that many.
 */
#include "postgres.h"

#include "shared/memory.h"
#include "shared/served.h"
#include "shared/slot.h"

/* What a BACKUP needs by default: a session for pg_dump, and one for each of its two processes. */
#define DEFAULT_NEED	3

int
kwj_places_of_role(int most)
{
	int			others = Min(DEFAULT_NEED, most - DEFAULT_NEED);

	return most - Max(others, 0);
}

/* Counts the places and who has them. The caller holds the lock. */
static void
count_places(KwjSessionPlaces *places)
{
	const KwjSlot *mine = kwj_my_slot();

	*places = (KwjSessionPlaces) {.most = kwj_shared->max_sessions, .per_role = kwj_places_of_role(kwj_shared->max_sessions)};
	for (int i = 0; i < kwj_used_slots; i++)
	{
		const KwjSlot *slot = &kwj_slots[i];

		if (!slot->in_use)
			continue;
		places->taken += slot->sessions;
		if (mine != NULL && slot->role == mine->role)
			places->of_role += slot->sessions;
	}
}

void
kwj_shared_session_places(KwjSessionPlaces *places)
{
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	count_places(places);
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_take_sessions(int n, KwjSessionPlaces *places)
{
	KwjSlot    *mine = kwj_my_slot();
	bool		may;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(mine->sessions == 0);
	count_places(places);
	may = places->taken + n <= places->most && places->of_role + n <= places->per_role;
	if (may)
		mine->sessions = n;
	LWLockRelease(kwj_shared->lock);
	return may;
}

void
kwj_shared_give_sessions_back(void)
{
	KwjSlot    *mine = kwj_my_slot();

	/*
	 * A worker that exits closes its server first, and then frees its slot. If the slot is free already, so are
	 * its places.
	 */
	if (mine == NULL)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	mine->sessions = 0;
	LWLockRelease(kwj_shared->lock);
}

/*
 * src/shared/served.c
 *	  Shared memory: how many sessions of private servers there are.
 *
 * Process: worker (src/serve), under kwj_shared->lock. The worker gives its sessions back before it
 * exits. If it dies without that, the postmaster makes the memory anew.
 *
 *     max_worker_processes   [ those of the start | max_workers + 1 workers | 1 coordinator | sessions ]
 *
 * A session may last as long as its program, and a program may stand still. So sessions never take
 * what workers and a coordinator need: otherwise one role's BACKUP could keep the jobs of all others
 * waiting for ever.
 */
#include "postgres.h"

#include "shared/memory.h"
#include "shared/served.h"

bool
kwj_shared_take_session(void)
{
	bool		may;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	may = kwj_shared->n_sessions < kwj_shared->max_sessions;
	if (may)
		kwj_shared->n_sessions++;
	LWLockRelease(kwj_shared->lock);
	return may;
}

void
kwj_shared_give_session_back(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(kwj_shared->n_sessions > 0);
	kwj_shared->n_sessions--;
	LWLockRelease(kwj_shared->lock);
}

/*
 * src/shared/stop.c
 *	  Shared memory: the launcher sees the workers out when the server stops.
 *
 * Callers: process/stop.c, in the launcher; kwj_shared_sees_workers_out is called by a handler of
 * signals in the worker, so it takes no lock. Locks: kwj_shared->lock for moments. process/stop.c
 * has the order of the steps, and says what happens if the launcher dies.
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"
#include "pgstat.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "shared/stop.h"
#include "utils/timestamp.h"

void
kwj_shared_see_workers_out(bool does)
{
	pg_atomic_write_u32(&kwj_shared->sees_workers_out, does);
	/* The caller's reads that follow must not be done before this write. */
	pg_memory_barrier();
}

bool
kwj_shared_sees_workers_out(void)
{
	/* This read must not be done before the caller's earlier reads. */
	pg_memory_barrier();
	return pg_atomic_read_u32(&kwj_shared->sees_workers_out) != 0;
}

static bool
is_worker_left(void)
{
	bool		left = false;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_used_slots && !left; i++)
		left = kwj_slots[i].in_use && kwj_slots[i].proc != NULL;
	LWLockRelease(kwj_shared->lock);
	return left;
}

/* A worker signals kwj_shared->left when it has exited. */
void
kwj_shared_wait_for_workers(int ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);

	ConditionVariablePrepareToSleep(&kwj_shared->left);
	while (is_worker_left())
	{
		long		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		if (left_ms <= 0)
			break;
		(void) ConditionVariableTimedSleep(&kwj_shared->left, left_ms, kwj_wait_event("KwjobsMain"));
	}
	ConditionVariableCancelSleep();
}

void
kwj_shared_terminate_workers(void)
{
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].proc != NULL)
			kwj_signal(kwj_slots[i].proc, SIGTERM);
	LWLockRelease(kwj_shared->lock);
}

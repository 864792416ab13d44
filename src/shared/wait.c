/*
 * src/shared/wait.c
 *	  Shared memory: the condition variables on which processes wait for jobs to end.
 *
 * Process: any. Sessions and workers wait in src/lifecycle/wait.c. The process that has committed
 * the end of a job broadcasts (shared/wakeup.c), and so does a coordinator that ends a wait
 * (kwj_shared_end_wait). Several jobs share a condition variable, so a waiting process looks at its
 * job's row whenever it is woken. If a waiting process dies, it leaves nothing behind.
 */
#include "postgres.h"

#include "shared/memory.h"
#include "shared/wait.h"

ConditionVariable *
kwj_wait_place(int64 job_id)
{
	/* The low bits are the node id, see job_id.h. */
	return &kwj_shared->job_changed[(uint64) (job_id >> 15) % KWJ_WAIT_PLACES];
}

void
kwj_wake_waiters(int64 job_id)
{
	if (job_id != 0)
		ConditionVariableBroadcast(kwj_wait_place(job_id));
	else
		for (int i = 0; i < KWJ_WAIT_PLACES; i++)
			ConditionVariableBroadcast(&kwj_shared->job_changed[i]);
}

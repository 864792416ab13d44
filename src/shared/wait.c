/*
 * src/shared/wait.c
 *	  Shared memory: places where processes wait for jobs.
 *
 * Process: any. No lock but those of the condition variables.
 */
#include "postgres.h"

#include "shared/memory.h"
#include "shared/wait.h"

ConditionVariable *
kwj_wait_place(int64 job_id)
{
	/* the low bits are the node's */
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

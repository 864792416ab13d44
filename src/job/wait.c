/*
 * src/job/wait.c
 *	  Waiting for jobs to be over.
 *
 * Process: sessions. Sleeps on a condition variable that the commit of whoever
 * settles the job broadcasts.
 */
#include "postgres.h"

#include "compat.h"
#include "job/wait.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static KwjWaitPlace place_of;

void
kwj_wait_init(KwjWaitPlace place)
{
	place_of = place;
}

/* Sleep until something happens to a job, or the next notice is due. */
static void
sleep_until(ConditionVariable *place, bool timed, TimestampTz notice_due)
{
	/* The catalog snapshot of the last look would hold back xmin. */
	InvalidateCatalogSnapshot();

	if (timed)
	{
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), notice_due);

		if (ms > 0)
			ConditionVariableTimedSleep(place, ms, kwj_wait_event("KwjobsJobComplete"));
	}
	else
		ConditionVariableSleep(place, kwj_wait_event("KwjobsJobComplete"));
}

bool
kwj_wait_for(int64 job_id, KwjOutcome *outcome, KwjWaitNotice notice, int interval_ms)
{
	ConditionVariable *place = place_of(job_id);
	bool		timed = notice != NULL && interval_ms > 0;
	TimestampTz notice_due = 0;
	MemoryContext look = AllocSetContextCreate(CurrentMemoryContext,
											   "kwjobs wait", ALLOCSET_SMALL_SIZES);
	bool		found;

	if (timed)
		notice_due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), interval_ms);

	/* Before the look, so that no event falls between look and sleep. */
	ConditionVariablePrepareToSleep(place);
	for (;;)
	{
		MemoryContext old = MemoryContextSwitchTo(look);

		MemoryContextReset(look);
		found = kwj_store_outcome(job_id, outcome);
		MemoryContextSwitchTo(old);
		if (!found || kwj_status_is_terminal(outcome->status))
			break;
		if (timed && GetCurrentTimestamp() >= notice_due)
		{
			notice(job_id, outcome);
			notice_due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), interval_ms);
		}
		sleep_until(place, timed, notice_due);
	}
	ConditionVariableCancelSleep();
	return found;
}

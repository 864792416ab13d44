/*
 * src/lifecycle/stand.c
 *	  Attempts that obey a PAUSE by standing still.
 *
 * Process: worker. Locks: kwj_shared->lock for moments.
 *
 *     session        worker                    coordinator
 *     PAUSE          |                         |
 *     job: pause-requested ------------------> delivers it
 *                    | <-----------------------+
 *                    kwj_attempt_stand: "stands" in its slot
 *                    +-----------------------> job: paused; the attempt stays active
 *     RESUME         |                         |
 *     job: running --------------------------> takes the request back
 *                    | <-----------------------+
 *                    goes on
 *
 * The coordinator writes the status, because the worker may be in the middle of a transaction whose
 * snapshot it keeps. If another PAUSE follows before the worker has seen the RESUME, the attempt still
 * stands. The coordinator delivers a CANCEL as to any other attempt.
 *
 * If the worker or the server dies, the coordinator ends the attempt, and the job stays paused: RESUME
 * begins another attempt. If the coordinator dies, its successor finds "stands" in the slot.
 */
#include "postgres.h"

#include "compat.h"
#include "lifecycle/stand.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "shared/notify.h"
#include "storage/latch.h"

/* The running_status from before the attempt stood still. */
static char before[KWJ_RUNNING_STATUS_LEN];

void
kwj_attempt_stand(const char *kept)
{
	if (!kwj_progress_stand(kept != NULL))
		return;
	if (kept == NULL)
	{
		kwj_progress_set_status(before);
		return;
	}
	kwj_progress_get_status(before);
	kwj_progress_set_status(kept);
	kwj_wake_my_coordinator(DT_NOBEGIN);
}

void
kwj_attempt_will_stand(void)
{
	kwj_progress_will_stand();
}

KwjRequest
kwj_attempt_stand_still(const char *kept)
{
	KwjRequest	request;

	CHECK_FOR_INTERRUPTS();
	while ((request = kwj_progress_request()) == KWJ_REQUEST_PAUSE)
	{
		kwj_attempt_stand(kept);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1,
						 kwj_wait_event("KwjobsPaused"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	kwj_attempt_stand(NULL);
	return request;
}

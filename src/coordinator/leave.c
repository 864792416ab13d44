/*
 * src/coordinator/leave.c
 *	  When the coordinator of a database leaves.
 *
 * Process: coordinator. Locks: see leave.h.
 */
#include "postgres.h"

#include "coordinator/leave.h"
#include "coordinator/retention.h"
#include "shared/launch.h"
#include "storage/ipc.h"

/* So long, once it was told to leave, this process waits for workers that it has started to be there. */
#define LINGER_MS			5000

static TimestampTz idle_since = 0;	/* 0: there is something to do */
static TimestampTz told_since = 0;	/* 0: nobody has told this process to leave */

/* Tell others whether this process could leave now. */
static void
note(bool busy)
{
	if (busy == (idle_since == 0))
		return;
	idle_since = busy ? 0 : GetCurrentTimestamp();
	kwj_shared_coordinator_idle(idle_since);
}

/* Leave, unless there is something of that kind. */
static void
leave(TimestampTz due, KwjStay stay)
{
	if (kwj_shared_coordinator_leaves(due, stay))
		proc_exit(0);
}

/* When there is something to do next, old jobs that are to be deleted included. */
static TimestampTz
next_due(TimestampTz due)
{
	return Min(due, kwj_retention_due(idle_since));
}

/* This process has had nothing to do for long enough: leave, unless there will be something soon. */
static void
leave_if_worthwhile(TimestampTz due, TimestampTz now)
{
	/* starting a process for what is to be done soon takes more than waiting for it */
	TimestampTz soon = TimestampTzPlusMilliseconds(now, kwj_coordinator_idle_timeout);

	if (due > soon && (due = next_due(due)) > soon)
		leave(due, KWJ_STAY_FOR_ANYTHING);
}

/*
 * Another database needs the place of this coordinator. It leaves whatever there is to do, as its successor looks at
 * everything. It lets workers that it has started come to life, because their slots are taken back when it leaves; but it does
 * not wait for them for long. Returns when to ask again.
 */
static TimestampTz
make_place(bool busy, TimestampTz due, TimestampTz now)
{
	TimestampTz until;

	if (told_since == 0)
		told_since = now;
	until = TimestampTzPlusMilliseconds(told_since, LINGER_MS);
	leave(busy ? now : next_due(due), now < until ? KWJ_STAY_FOR_STARTED : KWJ_STAY_FOR_NOTHING);
	return until;
}

TimestampTz
kwj_leave_or_stay(bool busy, bool certain, TimestampTz due)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz deadline;

	note(busy);
	if (kwj_shared_told_to_leave())
		return make_place(busy, due, now);
	if (busy || kwj_coordinator_idle_timeout < 0)
		return DT_NOEND;
	deadline = TimestampTzPlusMilliseconds(idle_since, kwj_coordinator_idle_timeout);
	if (now < deadline)
		return deadline;
	/* what keeps this process here sets its latch, or is due, and a pass that looks at everything follows this one */
	if (certain)
		leave_if_worthwhile(due, now);
	return DT_NOEND;
}

/*
 * src/coordinator/leave.c
 *	  When the coordinator of a database leaves.
 *
 * Process: coordinator, after each pass; coordinator.c calls this. Locks: kwj_shared->lock, for
 * moments (shared/launch.c decides under it whether something came up meanwhile).
 *
 *   busy      -> idle       note(): other databases may have the place at once
 *   idle      -> leaving    after kwjobs.coordinator_idle_timeout, if nothing is due soon
 *   any       -> told       another database needs the place (shared/launch.c), or the clock was set back
 *   told      -> leaving    after the next pass, at the latest LINGER_MS later
 *
 * Leaving means proc_exit(0): the exit callback makes the entry LEFT, with `due` for the launcher.
 * A coordinator that dies instead has a successor at once, or later if it died young. Workers go on
 * in either case; the slots of those that have not attached are freed.
 */
#include "postgres.h"

#include "coordinator/leave.h"
#include "coordinator/retention.h"
#include "job/isolate.h"
#include "job/test_gate.h"
#include "process/process.h"
#include "shared/launch.h"
#include "shared/quiet.h"
#include "storage/ipc.h"
#include "store/listing.h"

/* How long a coordinator that was told to leave waits for workers that it has started to attach. */
#define LINGER_MS			5000

/* A successor comes this long before it is due, so that its start delays nothing. */
#define LEAD_MS				500

static TimestampTz idle_since = 0;	/* 0: this process is busy */
static TimestampTz told_since = 0;	/* 0: it was not told to leave */

/* Tells the launcher whether this process could leave now. */
static void
note(bool busy)
{
	if (busy == (idle_since == 0))
		return;
	idle_since = busy ? 0 : GetCurrentTimestamp();
	kwj_shared_coordinator_idle(idle_since);
}

/* A step of kwj_isolate(): finds out when the last job ended; DT_NOEND: some are not over. */
static void
look_for_newest(void *arg)
{
	*(TimestampTz *) arg = kwj_process_lock_extension() ? kwj_store_newest_end() : DT_NOEND;
	kwj_test_gate(4936);
}

/*
 * Leaves, unless something of the kind that `stay` names keeps this process. If all jobs are over,
 * sessions that list the jobs of the server do not ask this database as long as nothing happens
 * here, and all has ended too long ago for them (shared/quiet.h).
 */
static void
leave(TimestampTz due, KwjStay stay)
{
	uint32		changes = kwj_quiet_changes();
	TimestampTz newest = DT_NOEND;

	if (kwj_isolate(look_for_newest, &newest) != NULL)
		newest = DT_NOEND;
	if (kwj_shared_coordinator_leaves(due, stay, newest, changes))
		proc_exit(0);
}

/* Returns when there is something to do next, including old jobs that are to be deleted. */
static TimestampTz
next_due(TimestampTz due)
{
	return Min(due, kwj_retention_due(idle_since));
}

/*
 * This process has been idle for long enough: leaves, unless there will be something to do soon. Returns when that
 * will be.
 */
static TimestampTz
leave_if_worthwhile(TimestampTz due, TimestampTz now)
{
	/* Waiting for it costs less than starting another process. */
	TimestampTz soon = TimestampTzPlusMilliseconds(now, kwj_coordinator_idle_timeout);

	if (due > soon && (due = next_due(due)) > soon)
		leave(due == DT_NOEND ? due : TimestampTzPlusMilliseconds(due, -Min(LEAD_MS, kwj_coordinator_idle_timeout)),
			  KWJ_STAY_FOR_ANYTHING);
	return due;
}

/*
 * Returns whether somebody has set the clock back since this process began. Many files of this process keep
 * times at which they have something to do, and have computed them before the change of the clock. So this
 * process leaves, and its successor computes all of them anew.
 */
static bool
is_clock_set_back(TimestampTz now)
{
	static TimestampTz latest = DT_NOBEGIN;

	latest = Max(latest, now);
	return kwj_clock_was_set_back(latest, now);
}

/*
 * Called when the launcher has told this coordinator to leave, because another database needs its place, or
 * when the clock was set back. The coordinator exits even if jobs wait: the next coordinator of this database
 * looks at all of them. Workers that it has started and that have not attached to their slots would lose the
 * slots when it exits, so it waits for them first, but not for long. Returns when to call this again.
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
	/* The time `due` may be wrong, too: as for a process that is busy, the successor comes at once. */
	if (is_clock_set_back(now))
		return make_place(true, due, now);
	if (kwj_shared_told_to_leave())
		return make_place(busy, due, now);
	if (busy || kwj_coordinator_idle_timeout < 0)
		return DT_NOEND;
	deadline = TimestampTzPlusMilliseconds(idle_since, kwj_coordinator_idle_timeout);
	if (now < deadline)
		return deadline;
	/*
	 * If the pass was a short one, stay: a full pass follows, and whatever keeps this process here
	 * sets its latch or is due.
	 */
	return certain ? leave_if_worthwhile(due, now) : DT_NOEND;
}

/*
 * src/shared/sight.c
 *	  Shared memory: what the last look at a running job has seen.
 *
 * Process: sessions that look at jobs (src/function/watch.c). Locks: the spinlock of the sight, for
 * a few instructions. The processes that run jobs know nothing of sights: a slot or place that gets
 * its next job keeps the sight of the last one, and the first look at the new job finds another
 * database, job or attempt in it, and begins anew.
 *
 * Known hole: a session first copies the slot, and later notes in the sight what it has seen. If the
 * slot gets its next job in between, and another session looks at that job, the first session
 * overwrites its sight with that of the old job. The next look at the new job then knows nothing of
 * earlier looks, and may show a smaller fraction than they did.
 */
#include "postgres.h"

#include "shared/memory.h"
#include "shared/sight.h"

KwjSight *
kwj_sight_of_slot(int slot)
{
	return &kwj_slots[slot].sight;
}

KwjSight *
kwj_sight_of_place(int place)
{
	return &kwj_session_places[place].sight;
}

static void
begin_anew(KwjSight *sight, const KwjSeen *seen)
{
	sight->last = *seen;
	sight->moved = sight->first_at = 0;
	sight->first_fraction = 0;
}

/* Adds what was seen to what was known of the same job and attempt. */
static void
add(KwjSight *sight, const KwjSeen *seen)
{
	double		highest = Max(sight->last.fraction, seen->fraction);

	if (seen->counters != sight->last.counters)
		sight->moved = seen->at;
	sight->last = *seen;
	sight->last.fraction = highest;
}

KwjKnown
kwj_sight_look(KwjSight *sight, const KwjSeen *seen)
{
	KwjKnown	known;

	SpinLockAcquire(&sight->mutex);
	if (sight->last.dboid != seen->dboid || sight->last.job_id != seen->job_id ||
		sight->last.attempt != seen->attempt)
		begin_anew(sight, seen);
	else
		add(sight, seen);
	if (sight->first_at == 0 && seen->fraction >= 0)
	{
		sight->first_at = seen->at;
		sight->first_fraction = seen->fraction;
	}
	known.fraction = sight->last.fraction;
	known.moved = sight->moved;
	known.first_at = sight->first_at;
	known.first_fraction = sight->first_fraction;
	SpinLockRelease(&sight->mutex);
	return known;
}

KwjWaitCounts
kwj_sight_add_waits(KwjSight *sight, Oid dboid, int64 job_id, int32 attempt, const KwjWaitCounts *waits)
{
	KwjWaitCounts sum;

	SpinLockAcquire(&sight->mutex);
	if (sight->waits_dboid != dboid || sight->waits_job_id != job_id || sight->waits_attempt != attempt)
	{
		sight->waits_dboid = dboid;
		sight->waits_job_id = job_id;
		sight->waits_attempt = attempt;
		memset(&sight->waits, 0, sizeof(sight->waits));
	}
	kwj_wait_counts_add(&sight->waits, waits);
	sum = sight->waits;
	SpinLockRelease(&sight->mutex);
	return sum;
}

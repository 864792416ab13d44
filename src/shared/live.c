/*
 * src/shared/live.c
 *	  Shared memory: the attempts that run now, and their progress.
 *
 * Process: sessions (src/function), which only read; one that dies leaves nothing behind. While a
 * session holds kwj_shared->lock, shared, no slot gets another attempt. The spinlock in KwjProgress
 * makes sure that done, total, rows and running_status are of the same moment.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/init.h"
#include "shared/live.h"
#include "shared/memory.h"
#include "shared/slot.h"
#include "storage/spin.h"

double
kwj_live_fraction(const KwjLive *live)
{
	if (live->total == 0)
		return 0.0;
	return Min((double) live->done / (double) live->total, 1.0);
}

static void
copy(KwjLive *live, KwjSlot *slot)
{
	KwjProgress *progress = &slot->progress;

	live->dboid = slot->dboid;
	live->since = slot->since;
	live->slot = slot - kwj_slots;
	strlcpy(live->job_type, slot->job_type, KWJ_JOB_TYPE_LEN);
	live->job_id = slot->job_id;
	live->attempt = slot->attempt;
	live->part = slot->part;
	live->owner = slot->role;
	live->pid = slot->proc ? slot->proc->pid : 0;
	memset(&live->waits, 0, sizeof(live->waits));
	/* The worker sets its wait event without a lock, and PostgreSQL's own views read it without one. */
	if (slot->proc)
		kwj_wait_counts_note(&live->waits, *(volatile uint32 *) &slot->proc->wait_event_info);
	live->request = (KwjRequest) pg_atomic_read_u32(&progress->request);
	live->reverting = pg_atomic_read_u32(&progress->reverting) != 0;
	live->stands = kwj_slot_stands(slot);
	SpinLockAcquire(&progress->mutex);
	live->done = progress->done;
	live->total = progress->total;
	live->rows = progress->rows;
	memcpy(live->running_status, progress->running_status, KWJ_RUNNING_STATUS_LEN);
	live->encoding = progress->encoding;
	live->statement = progress->statement;
	live->file = progress->file;
	kwj_position_read(&progress->scan, &live->scan_block, &live->scan_blocks);
	SpinLockRelease(&progress->mutex);
}

/*
 * Returns whether another worker has got the same part of the same attempt later. A worker that gives its job back
 * commits that first, and frees its slot a moment later. In between, the coordinator may claim the job again, under
 * the same number of the attempt, for another worker. If somebody sets the clock back in between, this function
 * takes the worker that gives the job back for the later one. The caller holds the lock.
 */
static bool
is_replaced(const KwjSlot *slot)
{
	for (int i = 0; i < kwj_used_slots; i++)
	{
		const KwjSlot *other = &kwj_slots[i];

		if (other != slot && other->in_use && other->job_id == slot->job_id && other->attempt == slot->attempt &&
			other->part == slot->part && other->dboid == slot->dboid &&
			(other->since > slot->since || (other->since == slot->since && other > slot)))
			return true;
	}
	return false;
}

/* Copies the slots with a job. The caller holds the lock. */
static int
copy_all(KwjLive *live, bool everywhere)
{
	int			n = 0;

	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].job_id != 0 &&
			(everywhere || kwj_slots[i].dboid == MyDatabaseId) && !is_replaced(&kwj_slots[i]))
			copy(&live[n++], &kwj_slots[i]);
	return n;
}

int
kwj_shared_live(KwjLive *live, bool everywhere)
{
	int			n;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	n = copy_all(live, everywhere);
	LWLockRelease(kwj_shared->lock);
	return n;
}

/*
 * Writes the sums of the team, its done pieces and the progress of its parts, into the entry of the
 * part with the lowest number.
 */
static void
add_up(KwjLive *live, int n, const KwjTeam *team)
{
	KwjLive    *first = NULL;
	uint64		done = team->done;
	uint64		rows = team->rows;
	KwjWaitCounts waits = {0};

	for (int i = 0; i < n; i++)
	{
		if (live[i].job_id != team->job_id || live[i].attempt != team->attempt)
			continue;
		done += live[i].done;
		rows += live[i].rows;
		kwj_wait_counts_add(&waits, &live[i].waits);
		if (first == NULL || live[i].part < first->part)
			first = &live[i];
	}
	if (first == NULL)
		return;
	first->done = done;
	first->rows = rows;
	first->total = team->total;
	first->waits = waits;
}

/*
 * Keeps one entry for each attempt, the one of the part with the lowest number, and moves these to
 * the front. Returns how many there are. An entry that is overwritten was not kept, and is not
 * needed to find the lowest part of its attempt.
 */
static int
leave_first_parts(KwjLive *live, int n)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		bool		is_first = true;

		for (int k = 0; k < n; k++)
			is_first &= live[k].job_id != live[i].job_id || live[k].attempt != live[i].attempt ||
				live[k].part >= live[i].part;
		if (is_first)
			live[kept++] = live[i];
	}
	return kept;
}

int
kwj_shared_live_attempts(KwjLive *live)
{
	int			n;
	bool		has_parts = false;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	n = copy_all(live, false);
	for (int i = 0; i < kwj_worker_slots; i++)
		if (kwj_teams[i].job_id != 0 && kwj_teams[i].dboid == MyDatabaseId)
			add_up(live, n, &kwj_teams[i]);
	LWLockRelease(kwj_shared->lock);
	for (int i = 0; i < n; i++)
		has_parts |= live[i].part > 0;
	return has_parts ? leave_first_parts(live, n) : n;
}

bool
kwj_shared_live_of(int64 job_id, KwjLive *live)
{
	KwjLive    *all = palloc(sizeof(KwjLive) * kwj_worker_slots);
	int			n = kwj_shared_live_attempts(all);
	bool		found = false;

	for (int i = 0; i < n && !found; i++)
	{
		found = all[i].job_id == job_id;
		if (found)
			*live = all[i];
	}
	pfree(all);
	return found;
}

List *
kwj_shared_messages(int64 job_id)
{
	List	   *found = NIL;

	for (int i = 0; kwj_shared_ready() && i < kwj_worker_slots; i++)
	{
		KwjMessages *messages = &kwj_slots[i].messages;
		KwjMessages *copy;

		/*
		 * In most slots, the messages are those of another job, so look before copying. A worker that begins
		 * this job at this moment has written no message of it yet.
		 */
		if (messages->job_id != job_id)
			continue;
		copy = palloc(sizeof(KwjMessages));
		kwj_messages_copy(copy, messages);
		if (copy->job_id == job_id && copy->dboid == MyDatabaseId)
			found = lappend(found, copy);
		else
			pfree(copy);
	}
	return found;
}

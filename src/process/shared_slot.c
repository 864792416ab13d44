/*
 * src/process/shared_slot.c
 *	  Shared memory: the slots of workers, and the progress in them.
 *
 * Process: coordinator, worker; sessions read. The lock rules are in
 * shared_internal.h.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "process/shared_internal.h"
#include "storage/ipc.h"
#include "storage/spin.h"

static int	my_slot = -1;

void
kwj_free_slot(KwjSlot *slot)
{
	bool		was_last = true;

	for (int i = 0; i < kwj_max_workers && was_last; i++)
		was_last = kwj_slots[i].in_use;
	slot->in_use = false;
	slot->proc = NULL;

	/* Where there was no slot left, any database may wait for this one. */
	if (was_last)
		kwj_wake_all_coordinators();
	else
		kwj_wake_coordinator_of(slot->dboid);
}

bool
kwj_is_my_slot(int slot)
{
	return slot == my_slot;
}

int
kwj_shared_workers(KwjWorkerInfo *workers)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != MyDatabaseId)
			continue;
		workers[n].slot = i;
		workers[n].generation = slot->generation;
		workers[n].job_id = slot->job_id;
		workers[n].attempt = slot->attempt;
		workers[n].pid = slot->proc ? slot->proc->pid : 0;
		workers[n].launched = slot->launched;
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

int
kwj_shared_free_slots(void)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_max_workers; i++)
		n += !kwj_slots[i].in_use;
	LWLockRelease(kwj_shared->lock);
	return n;
}

static void
fill_slot(KwjSlot *slot, int64 job_id, int32 attempt, Oid role)
{
	KwjProgress *progress = &slot->progress;

	slot->in_use = true;
	slot->generation++;
	slot->dboid = MyDatabaseId;
	slot->role = role;
	slot->job_id = job_id;
	slot->attempt = attempt;
	slot->proc = NULL;
	slot->launched = GetCurrentTimestamp();
	pg_atomic_write_u32(&progress->request, KWJ_REQUEST_NONE);
	pg_atomic_write_u64(&progress->done, 0);
	pg_atomic_write_u64(&progress->total, 0);
	pg_atomic_write_u64(&progress->rows, 0);
	SpinLockAcquire(&progress->mutex);
	progress->running_status[0] = '\0';
	SpinLockRelease(&progress->mutex);
}

int
kwj_shared_reserve_slot(int64 job_id, int32 attempt, Oid role, uint32 *generation)
{
	KwjDatabase *database;
	int			found = -1;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	for (int i = 0; i < kwj_max_workers && found < 0; i++)
		if (!kwj_slots[i].in_use && database != NULL && database->holds == 0)
		{
			fill_slot(&kwj_slots[i], job_id, attempt, role);
			*generation = kwj_slots[i].generation;
			found = i;
		}
	LWLockRelease(kwj_shared->lock);
	return found;
}

void
kwj_shared_free_slot(int slot, uint32 generation)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (kwj_slots[slot].in_use && kwj_slots[slot].generation == generation &&
		kwj_slots[slot].proc == NULL)
		kwj_free_slot(&kwj_slots[slot]);
	LWLockRelease(kwj_shared->lock);
	ConditionVariableBroadcast(&kwj_shared->left);
}

bool
kwj_shared_deliver(int slot, uint32 generation, KwjRequest request, bool interrupt)
{
	KwjSlot	   *s = &kwj_slots[slot];
	bool		there;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	there = s->in_use && s->generation == generation;
	if (there)
	{
		pg_atomic_write_u32(&s->progress.request, request);
		if (interrupt && s->proc != NULL)
			kill(s->proc->pid, SIGINT);
	}
	LWLockRelease(kwj_shared->lock);
	return there;
}

/* ---- worker ---- */

static void
worker_exits(int code, Datum arg)
{
	kwj_progress_attach(NULL);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_free_slot(&kwj_slots[my_slot]);
	kwj_wake(kwj_shared->launcher);
	LWLockRelease(kwj_shared->lock);
	my_slot = -1;
	ConditionVariableBroadcast(&kwj_shared->left);
}

bool
kwj_shared_attach_worker(int slot, uint32 generation, KwjAssignment *assignment)
{
	KwjSlot	   *s = &kwj_slots[slot];
	bool		attached;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	attached = s->in_use && s->generation == generation && s->proc == NULL;
	if (attached)
	{
		s->proc = MyProc;
		my_slot = slot;
		assignment->dboid = s->dboid;
		assignment->role = s->role;
		assignment->job_id = s->job_id;
		assignment->attempt = s->attempt;
	}
	LWLockRelease(kwj_shared->lock);

	if (attached)
	{
		before_shmem_exit(worker_exits, (Datum) 0);
		kwj_progress_attach(&s->progress);
	}
	return attached;
}

/* ---- sessions ---- */

double
kwj_live_fraction(const KwjLive *live)
{
	if (live->total == 0)
		return 0.0;
	return Min((double) live->done / (double) live->total, 1.0);
}

int
kwj_shared_live(KwjLive *live, bool everywhere)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];
		KwjProgress *progress = &slot->progress;

		if (!slot->in_use || (!everywhere && slot->dboid != MyDatabaseId))
			continue;
		live[n].job_id = slot->job_id;
		live[n].attempt = slot->attempt;
		live[n].owner = slot->role;
		live[n].pid = slot->proc ? slot->proc->pid : 0;
		live[n].request = (KwjRequest) pg_atomic_read_u32(&progress->request);
		live[n].reverting = pg_atomic_read_u32(&progress->reverting) != 0;
		live[n].done = pg_atomic_read_u64(&progress->done);
		live[n].total = pg_atomic_read_u64(&progress->total);
		live[n].rows = pg_atomic_read_u64(&progress->rows);
		SpinLockAcquire(&progress->mutex);
		memcpy(live[n].running_status, progress->running_status, KWJ_RUNNING_STATUS_LEN);
		SpinLockRelease(&progress->mutex);
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

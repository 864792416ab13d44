/*
 * src/shared/worker.c
 *	  Shared memory: what a worker does to its slot.
 *
 * Process: worker. The lock rules are in shared/memory.h.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "shared/slot.h"
#include "shared/worker.h"
#include "storage/ipc.h"

static int	my_slot = -1;

bool
kwj_is_my_slot(int slot)
{
	return slot == my_slot;
}

bool
kwj_is_dismissed_worker(void)
{
	bool		dismissed;

	if (my_slot < 0)
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	dismissed = kwj_slots[my_slot].dismissed;
	LWLockRelease(kwj_shared->lock);
	return dismissed;
}

/* A worker leaves, in order, with a job that it has not begun: nobody else would know. */
static void
note_unbegun(const KwjSlot *slot)
{
	KwjUnbegun *entry = &kwj_unbegun[kwj_shared->next_unbegun];

	if (slot->job_id == 0 || slot->begun)
		return;
	kwj_shared->n_unbegun += entry->job_id == 0;
	kwj_shared->next_unbegun = (kwj_shared->next_unbegun + 1) % kwj_max_unbegun;
	entry->dboid = slot->dboid;
	entry->job_id = slot->job_id;
	entry->attempt = slot->attempt;
}

static void
worker_exits(int code, Datum arg)
{
	kwj_progress_attach(NULL);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	/* somebody has to settle the attempt, even where no coordinator is */
	if (kwj_slots[my_slot].job_id != 0)
		kwj_need_coordinator(kwj_slots[my_slot].dboid);
	note_unbegun(&kwj_slots[my_slot]);
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
		KwjDatabase *database = kwj_find_database(s->dboid);

		s->proc = MyProc;
		my_slot = slot;
		/* the coordinator may have waited for that to leave */
		if (database != NULL && database->told_to_leave != 0)
			kwj_wake_coordinator_of(s->dboid);
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

bool
kwj_shared_assignment(KwjAssignment *assignment)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];
	bool		there;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	there = slot->job_id != 0 && slot->handed_over;
	if (there)
	{
		assignment->dboid = slot->dboid;
		assignment->role = slot->role;
		assignment->job_id = slot->job_id;
		assignment->attempt = slot->attempt;
	}
	LWLockRelease(kwj_shared->lock);
	return there;
}

/* Whether the worker may take a job that was set out for it. */
static bool
may_go_on(const KwjSlot *slot, const KwjDatabase *database, const char *job_type)
{
	const KwjQueue *queue = &database->queue;

	return !slot->leave && database->holds == 0 &&
		kwj_may_run_one_more(slot->role, slot) && !kwj_is_kept_for_others(slot->role) &&
		!kwj_do_others_starve(slot->dboid) &&
		queue->who == KWJ_ONE_WAITS && queue->owner == slot->role &&
		strcmp(queue->job_type, job_type) == 0 && queue->taken < queue->n;
}

bool
kwj_shared_take_job(const char *job_type, int64 *job_id)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];
	KwjDatabase *database;
	bool		may;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(slot->dboid);
	may = database != NULL && may_go_on(slot, database, job_type);
	if (may)
	{
		KwjQueue   *queue = &database->queue;

		*job_id = queue->job_ids[queue->taken++];
		/* there may be more in the tables, once only */
		if (queue->n >= KWJ_QUEUE_MIN && queue->taken == queue->n / 2)
			kwj_wake(database->proc);
	}
	LWLockRelease(kwj_shared->lock);
	return may;
}

void
kwj_shared_announce(int64 job_id, int32 attempt)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->next_job_id = job_id;
	slot->next_attempt = attempt;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_begin_announced(bool committed)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (committed)
	{
		char		job_type[KWJ_JOB_TYPE_LEN];

		/* it is of the same type */
		strlcpy(job_type, slot->job_type, sizeof(job_type));
		kwj_set_job(slot, slot->next_job_id, slot->next_attempt, job_type, true);
		database = kwj_find_database(slot->dboid);
		if (database != NULL && database->watched)
		{
			database->lowest_rank = DT_NOBEGIN;
			kwj_wake(database->proc);
		}
	}
	else
		/* who settles the attempt then wakes the coordinator */
		kwj_unsettle(slot->dboid);
	slot->next_job_id = 0;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_begin_work(void)
{
	kwj_slots[my_slot].begun = true;
}

void
kwj_shared_begin_commit(void)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];

	/* the coordinator holds the lock while it looks at this and sends a signal */
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->committing = true;
	LWLockRelease(kwj_shared->lock);
	/* one that it has sent before is here when a system call returns */
	(void) kill(MyProcPid, 0);
}

void
kwj_set_wait(int64 job_id)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];

	if (my_slot < 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->waits_for = job_id;
	slot->wait_verdict = KWJ_WAIT_GOES_ON;
	if (job_id != 0)
	{
		/* it may be the last one that others waited for */
		kwj_unsettle(slot->dboid);
		kwj_need_coordinator(slot->dboid);
	}
	LWLockRelease(kwj_shared->lock);
}

KwjWaitVerdict
kwj_my_wait_verdict(void)
{
	KwjWaitVerdict verdict;

	if (my_slot < 0)
		return KWJ_WAIT_GOES_ON;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	verdict = kwj_slots[my_slot].wait_verdict;
	LWLockRelease(kwj_shared->lock);
	return verdict;
}

void
kwj_shared_worker_idle(void)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_set_job(slot, 0, 0, "", false);
	kwj_wake_waiting_coordinators(slot->dboid);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_worker_gives_back(void)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->leave = true;
	kwj_set_job(slot, 0, 0, "", false);
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_worker_leaves(bool wants_to)
{
	KwjSlot	   *slot = &kwj_slots[my_slot];
	bool		leaves;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (wants_to && slot->job_id == 0)
		slot->leave = true;
	leaves = slot->leave && slot->job_id == 0;
	LWLockRelease(kwj_shared->lock);
	return leaves;
}

/*
 * src/process/shared_slot.c
 *	  Shared memory: the slots of workers, and the progress in them. What a worker
 *	  does to its own is in shared_worker.c.
 *
 * Process: coordinator; sessions read. The lock rules are in shared_internal.h.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "process/shared_internal.h"
#include "storage/spin.h"

void
kwj_free_slot(KwjSlot *slot)
{
	bool		was_last = true;

	for (int i = 0; i < kwj_max_workers && was_last; i++)
		was_last = kwj_slots[i].in_use;
	slot->in_use = false;
	slot->proc = NULL;
	kwj_unsettle(slot->dboid);

	/* Where there was no slot left, any database may wait for this one. */
	if (was_last)
		kwj_wake_all_coordinators();
	else
		kwj_wake_coordinator_of(slot->dboid);
}

int
kwj_shared_workers(KwjWorkerInfo *workers, int *elsewhere)
{
	int			n = 0;

	*elsewhere = 0;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use)
			continue;
		if (slot->dboid != MyDatabaseId)
		{
			(*elsewhere)++;
			continue;
		}
		workers[n].slot = i;
		workers[n].generation = slot->generation;
		workers[n].job_id = slot->job_id;
		workers[n].attempt = slot->attempt;
		workers[n].next_job_id = slot->next_job_id;
		workers[n].next_attempt = slot->next_attempt;
		workers[n].waits_for = slot->wait_verdict == KWJ_WAIT_GOES_ON ? slot->waits_for : 0;
		workers[n].since = slot->since;
		workers[n].role = slot->role;
		strlcpy(workers[n].job_type, slot->job_type, KWJ_JOB_TYPE_LEN);
		workers[n].pid = slot->proc ? slot->proc->pid : 0;
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

bool
kwj_has_worker(const KwjWorkerInfo *workers, int n, int64 job_id, int32 attempt)
{
	for (int i = 0; i < n; i++)
		if ((workers[i].job_id == job_id && workers[i].attempt == attempt) ||
			(workers[i].next_job_id == job_id && workers[i].next_attempt == attempt))
			return true;
	return false;
}

/* Attached, without a job, and not about to leave. */
static bool
is_idle(const KwjSlot *slot)
{
	return slot->in_use && slot->proc != NULL && slot->job_id == 0 && !slot->leave;
}

int
kwj_shared_capacity(void)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_max_workers; i++)
		n += !kwj_slots[i].in_use || is_idle(&kwj_slots[i]);
	LWLockRelease(kwj_shared->lock);
	return n;
}

/* The attempt has a worker again: what is known of its last one is over. */
static void
forget_unbegun(KwjDatabase *database, int64 job_id, int32 attempt)
{
	for (int i = 0; i < Min(database->n_unbegun, KWJ_UNBEGUN); i++)
		if (database->unbegun[i].job_id == job_id && database->unbegun[i].attempt == attempt)
			database->unbegun[i].job_id = 0;
}

void
kwj_set_job(KwjSlot *slot, int64 job_id, int32 attempt, const char *job_type, bool handed_over)
{
	KwjProgress *progress = &slot->progress;
	KwjDatabase *database = kwj_find_database(slot->dboid);

	if (job_id != 0 && database != NULL)
		forget_unbegun(database, job_id, attempt);
	slot->job_id = job_id;
	slot->attempt = attempt;
	strlcpy(slot->job_type, job_type, KWJ_JOB_TYPE_LEN);
	slot->handed_over = handed_over;
	slot->begun = slot->committing = false;
	slot->next_job_id = 0;
	slot->waits_for = 0;
	slot->since = GetCurrentTimestamp();
	pg_atomic_write_u32(&progress->request, KWJ_REQUEST_NONE);
	pg_atomic_write_u32(&progress->interrupted, 0);
	pg_atomic_write_u64(&progress->done, 0);
	pg_atomic_write_u64(&progress->total, 0);
	pg_atomic_write_u64(&progress->rows, 0);
	SpinLockAcquire(&progress->mutex);
	progress->running_status[0] = '\0';
	SpinLockRelease(&progress->mutex);
}

static KwjSlot *
find_idle(Oid role)
{
	for (int i = 0; i < kwj_max_workers; i++)
		if (is_idle(&kwj_slots[i]) && kwj_slots[i].dboid == MyDatabaseId &&
			kwj_slots[i].role == role)
			return &kwj_slots[i];
	return NULL;
}

static KwjSlot *
take_free(Oid role)
{
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (slot->in_use)
			continue;
		slot->in_use = true;
		slot->generation++;
		slot->dboid = MyDatabaseId;
		slot->role = role;
		slot->leave = false;
		slot->proc = NULL;
		return slot;
	}
	return NULL;
}

/*
 * A worker cannot be had otherwise: the one that has been idle longest leaves its one, unless one is
 * leaving already.
 */
static void
evict_idle(void)
{
	KwjSlot	   *oldest = NULL;

	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (slot->in_use && slot->leave)
			return;
		if (is_idle(slot) && (oldest == NULL || slot->since < oldest->since))
			oldest = slot;
	}
	if (oldest == NULL)
		return;
	oldest->leave = true;
	kwj_wake(oldest->proc);
}

static bool
is_any_free(void)
{
	for (int i = 0; i < kwj_max_workers; i++)
		if (!kwj_slots[i].in_use)
			return true;
	return false;
}

/* A slot for a worker of that role; NULL if it has to wait. */
static KwjSlot *
find_slot(Oid role, bool may_start, bool others_first)
{
	KwjSlot    *slot;

	if (OidIsValid(kwj_shared->starving) && kwj_shared->starving != MyDatabaseId)
		others_first = true;

	/* What is free, or about to be, is for them; workers that are idle besides are not. */
	if (others_first)
	{
		if (!is_any_free())
			evict_idle();
		return find_idle(role);
	}
	slot = find_idle(role);
	if (slot == NULL && may_start)
		slot = take_free(role);
	if (slot == NULL)
		evict_idle();
	return slot;
}

int
kwj_shared_assign(int64 job_id, int32 attempt, const char *job_type, Oid role,
				  bool may_start, bool others_first, uint32 *generation, int *pid)
{
	KwjDatabase *database;
	KwjSlot	   *slot = NULL;
	int			number = -1;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL && database->holds == 0)
		slot = find_slot(role, may_start, others_first);
	if (slot != NULL)
	{
		kwj_set_job(slot, job_id, attempt, job_type, false);
		*generation = slot->generation;
		*pid = slot->proc ? slot->proc->pid : 0;
		number = slot - kwj_slots;
	}
	LWLockRelease(kwj_shared->lock);
	return number;
}

void
kwj_shared_make_room(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	evict_idle();
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_hand_over(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != MyDatabaseId || slot->job_id == 0 ||
			slot->handed_over)
			continue;
		slot->handed_over = true;
		kwj_wake(slot->proc);
	}
	LWLockRelease(kwj_shared->lock);
}

/* Assigned by this coordinator, and the claim is not committed. */
static bool
is_merely_assigned(const KwjSlot *slot)
{
	return slot->in_use && slot->dboid == MyDatabaseId && slot->job_id != 0 && !slot->handed_over;
}

static void
unassign(KwjSlot *slot)
{
	if (slot->proc == NULL)
		kwj_free_slot(slot);
	else
	{
		kwj_set_job(slot, 0, 0, "", false);
		kwj_wake(slot->proc);
	}
}

void
kwj_shared_take_back(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_max_workers; i++)
		if (is_merely_assigned(&kwj_slots[i]))
			unassign(&kwj_slots[i]);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_take_back_one(int slot, uint32 generation)
{
	if (slot < 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (kwj_slots[slot].generation == generation && is_merely_assigned(&kwj_slots[slot]))
		unassign(&kwj_slots[slot]);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_take_assignments_back(Oid dboid)
{
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != dboid)
			continue;
		if (slot->proc == NULL)
			kwj_free_slot(slot);
		else if (slot->job_id != 0 && !slot->handed_over)
		{
			kwj_set_job(slot, 0, 0, "", false);
			kwj_wake(slot->proc);
		}
	}
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

void
kwj_shared_dismiss_idle(Oid role)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!is_idle(slot) || slot->dboid != MyDatabaseId || slot->role != role)
			continue;
		slot->leave = true;
		kwj_wake(slot->proc);
	}
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_deliver(const KwjWorkerInfo *worker, KwjRequest request, KwjForce force)
{
	KwjSlot	   *slot = &kwj_slots[worker->slot];
	bool		there;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	there = slot->in_use && slot->generation == worker->generation &&
		slot->job_id == worker->job_id && slot->attempt == worker->attempt;
	if (there)
	{
		pg_atomic_write_u32(&slot->progress.request, request);
		if (force == KWJ_TELL)
			kwj_wake(slot->proc);
		else if (slot->proc != NULL && !slot->committing)
		{
			pg_atomic_write_u32(&slot->progress.interrupted, 1);
			kill(slot->proc->pid, force == KWJ_INTERRUPT ? SIGINT : SIGTERM);
		}
	}
	LWLockRelease(kwj_shared->lock);
	return there;
}

/* Whether this database has a worker that is not about to leave. */
static bool
has_workers(void)
{
	for (int i = 0; i < kwj_max_workers; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].dboid == MyDatabaseId && !kwj_slots[i].leave)
			return true;
	return false;
}

void
kwj_shared_set_queue(const KwjQueue *queue)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		database->queue = *queue;
	if (queue->who == KWJ_NOBODY_WAITS || has_workers())
		kwj_not_starving(MyDatabaseId);
	else if (!OidIsValid(kwj_shared->starving))
		kwj_shared->starving = MyDatabaseId;
	LWLockRelease(kwj_shared->lock);
}

TimestampTz
kwj_shared_take_lowest_rank(void)
{
	KwjDatabase *database;
	TimestampTz lowest_rank = DT_NOBEGIN;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
	{
		lowest_rank = database->lowest_rank;
		database->lowest_rank = DT_NOEND;
	}
	LWLockRelease(kwj_shared->lock);
	return lowest_rank;
}

bool
kwj_shared_take_overlooked(void)
{
	KwjDatabase *database;
	bool		overlooked = false;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
	{
		overlooked = database->overlooked;
		database->overlooked = false;
	}
	LWLockRelease(kwj_shared->lock);
	return overlooked;
}

bool
kwj_shared_take_released(void)
{
	KwjDatabase *database;
	bool		released = true;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
	{
		released = database->released;
		database->released = false;
	}
	LWLockRelease(kwj_shared->lock);
	return released;
}

int
kwj_shared_queue_length(void)
{
	KwjDatabase *database;
	int			length = KWJ_QUEUE_MIN;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(MyDatabaseId);
	/* who has taken half of them wakes the coordinator, but others do, too */
	if (database != NULL)
		length = Max(length, Max(4 * database->queue.taken, database->queue.n / 2));
	LWLockRelease(kwj_shared->lock);
	return Min(length, KWJ_QUEUE_LEN);
}

void
kwj_shared_end_wait(const KwjWorkerInfo *worker, KwjWaitVerdict verdict)
{
	KwjSlot	   *slot = &kwj_slots[worker->slot];

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (slot->generation == worker->generation && slot->waits_for == worker->waits_for)
		slot->wait_verdict = verdict;
	LWLockRelease(kwj_shared->lock);
	kwj_wake_waiters(worker->waits_for);
}

void
kwj_shared_watch(bool watch)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		database->watched = watch;
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_watch_announced(const KwjWorkerInfo *worker)
{
	KwjSlot	   *slot = &kwj_slots[worker->slot];
	KwjDatabase *database;
	bool		announced;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		database->watched = true;
	announced = slot->generation == worker->generation &&
		slot->next_job_id == worker->next_job_id &&
		slot->next_attempt == worker->next_attempt;
	LWLockRelease(kwj_shared->lock);
	return announced;
}

bool
kwj_shared_was_unbegun(int64 job_id, int32 attempt)
{
	KwjDatabase *database;
	bool		found = false;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(MyDatabaseId);
	for (int i = 0; database != NULL && i < Min(database->n_unbegun, KWJ_UNBEGUN); i++)
		found |= database->unbegun[i].job_id == job_id &&
			database->unbegun[i].attempt == attempt;
	LWLockRelease(kwj_shared->lock);
	return found;
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

		if (!slot->in_use || slot->job_id == 0 ||
			(!everywhere && slot->dboid != MyDatabaseId))
			continue;
		live[n].dboid = slot->dboid;
		live[n].since = slot->since;
		strlcpy(live[n].job_type, slot->job_type, KWJ_JOB_TYPE_LEN);
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
		live[n].encoding = progress->encoding;
		SpinLockRelease(&progress->mutex);
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

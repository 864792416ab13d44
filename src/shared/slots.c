/*
 * src/shared/slots.c
 *	  Shared memory: the coordinator's view of its workers. It assigns jobs, hands them over, and
 *	  delivers requests.
 *
 * Process: coordinator; most files of src/coordinator call this. store/dependency.c and
 * store/line.c call kwj_shared_watch_jobs(), the launcher calls kwj_shared_make_room(), and
 * shared/team.c kwj_reserve_slot(), for which the caller holds the lock. Each other function takes
 * kwj_shared->lock, exclusively if it changes something. The life of a slot is at the top of
 * shared/memory.h; what the worker does with its own slot is in shared/worker.c.
 *
 * A pass of the coordinator calls, in this order:
 *
 *   kwj_shared_workers()      before its snapshot
 *   kwj_shared_assign()       for each job that it is about to claim; the slot is "assigned"
 *   ... commit ...
 *   kwj_shared_hand_over()    or, if the transaction was rolled back, kwj_shared_take_back()
 *   kwj_shared_deliver()      for requests, with a signal if need be
 *
 * If the coordinator dies before the commit, kwj_take_assignments_back() has the same effect as
 * kwj_shared_take_back(). It cannot exit between the commit and the hand-over, because interrupts
 * are held off. If a worker dies, its slot is freed, and the next worker of the slot gets a new
 * generation, so that nothing that is meant for the old worker reaches the new one.
 *
 * kwj_shared_deliver() sends a signal to a process, not to an attempt. It reads "committing" and
 * sends the signal under the lock, so that no signal is sent once the work is over. A signal that
 * arrived before is dropped when the worker begins its next job (begin_work in src/worker/work.c).
 */
#include "postgres.h"

#include <signal.h>

#include "job/test_gate.h"
#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/held.h"
#include "shared/job_id.h"
#include "shared/memory.h"
#include "shared/slot.h"
#include "shared/slots.h"
#include "storage/spin.h"

/* ---- who may have a worker ---- */

/* Returns the number of jobs of the role that run in all databases together. */
static int
count_of_role(Oid role)
{
	int			n = 0;

	for (int i = 0; i < kwj_used_slots; i++)
		n += kwj_slots[i].in_use && kwj_slots[i].job_id != 0 && kwj_slots[i].role == role;
	return n;
}

int
kwj_shared_workers(KwjWorkerInfo *workers, int *elsewhere)
{
	int			n = 0;

	*elsewhere = 0;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_used_slots; i++)
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
		workers[n].part = slot->part;
		workers[n].next_job_id = slot->next_job_id;
		workers[n].next_attempt = slot->next_attempt;
		workers[n].waits_for = slot->wait_verdict == KWJ_WAIT_GOES_ON ? slot->waits_for : 0;
		workers[n].stands = kwj_slot_stands(slot);
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
kwj_stands(const KwjWorkerInfo *workers, int n, int64 job_id, int32 attempt)
{
	for (int i = 0; i < n; i++)
		if (workers[i].job_id == job_id && workers[i].attempt == attempt && workers[i].stands)
			return true;
	return false;
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

int
kwj_shared_capacity(void)
{
	int			busy;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	busy = kwj_count_busy();
	LWLockRelease(kwj_shared->lock);
	/* The reserve is one slot above kwjobs.max_workers, see kwj_may_run_one_more(). */
	return kwj_max_workers > 0 ? Max(kwj_max_workers + 1 - busy, 0) : 0;
}

bool
kwj_shared_has_reserve_only(void)
{
	int			busy;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	busy = kwj_count_busy();
	LWLockRelease(kwj_shared->lock);
	return busy >= kwj_max_workers;
}

int
kwj_shared_roles_elsewhere(Oid *roles)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].job_id != 0 && kwj_slots[i].dboid != MyDatabaseId)
			roles[n++] = kwj_slots[i].role;
	LWLockRelease(kwj_shared->lock);
	return n;
}

static KwjSlot *
find_idle(Oid role)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_is_idle(&kwj_slots[i]) && kwj_slots[i].dboid == MyDatabaseId &&
			kwj_slots[i].role == role)
			return &kwj_slots[i];
	return NULL;
}

static KwjSlot *
take_free(Oid role)
{
	for (int i = 0; i < kwj_worker_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (slot->in_use)
			continue;
		slot->in_use = true;
		kwj_shared->used_slots = Max(kwj_shared->used_slots, i + 1);
		slot->generation++;
		slot->dboid = MyDatabaseId;
		slot->role = role;
		slot->leave = slot->dismissed = false;
		slot->job_id = slot->next_job_id = 0;
		slot->proc = NULL;
		return slot;
	}
	return NULL;
}

/*
 * Tells the longest-idle worker, of any role and database, to exit, because a job cannot get a
 * worker otherwise. Does nothing if some worker is about to exit already: one at a time is enough.
 */
static void
evict_idle(void)
{
	KwjSlot	   *oldest = NULL;

	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (slot->in_use && slot->leave)
			return;
		if (kwj_is_idle(slot) && (oldest == NULL || slot->since < oldest->since))
			oldest = slot;
	}
	if (oldest == NULL)
		return;
	oldest->leave = true;
	kwj_wake(oldest->proc);
}

/*
 * Returns whether one more worker may be started. Idle workers exit first, so the last slot is
 * taken only when all other slots have jobs (see kwj_may_run_one_more).
 */
static bool
may_start_one_more(void)
{
	if (kwj_count_in_use() < kwj_max_workers)
		return true;
	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].job_id == 0)
			return false;
	return true;
}

/* Finds or reserves a slot for a job of the role. Returns NULL if the job has to wait. */
static KwjSlot *
find_slot(Oid role, bool may_start, bool others_first)
{
	KwjSlot    *slot;

	if (!kwj_may_run_one_more(role, NULL))
		return NULL;
	if (kwj_do_others_starve(MyDatabaseId))
		others_first = true;

	/*
	 * The next slot that is free is for a job of another role. This job may get an idle worker, if
	 * at least one slot is left for the other job.
	 */
	if (others_first)
	{
		if (!may_start_one_more())
			evict_idle();
		return kwj_count_busy() + 1 < kwj_max_workers ? find_idle(role) : NULL;
	}
	slot = find_idle(role);
	if (slot == NULL && may_start && may_start_one_more())
		slot = take_free(role);
	if (slot == NULL)
		evict_idle();
	return slot;
}

/*
 * Returns whether the role is at its limit. If only one more of its jobs may run, and another
 * database comes first (kwj_is_kept_for_others), the role is at its limit here, too.
 */
static bool
is_role_limited(Oid role)
{
	int			n;

	if (kwj_max_workers_per_role == 0)
		return false;
	n = count_of_role(role);
	return n >= kwj_max_workers_per_role ||
		(n + 1 == kwj_max_workers_per_role && kwj_is_kept_for_others(role));
}

KwjSlot *
kwj_reserve_slot(Oid role, bool may_start, bool others_first, bool *limited)
{
	KwjDatabase *database = kwj_find_database(MyDatabaseId);
	KwjSlot	   *slot = NULL;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	*limited = is_role_limited(role);
	if (database != NULL && database->lockouts == 0 && !*limited)
		slot = find_slot(role, may_start, others_first);
	Assert(slot == NULL || (slot->job_id == 0 && slot->next_job_id == 0 && !slot->leave));
	return slot;
}

int
kwj_shared_assign(int64 job_id, int32 attempt, const char *job_type, Oid role,
				  bool may_start, bool others_first, uint32 *generation, int *pid, bool *limited)
{
	KwjSlot	   *slot;
	int			number = -1;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot = kwj_reserve_slot(role, may_start, others_first, limited);
	if (slot != NULL)
	{
		kwj_set_job(slot, job_id, attempt, job_type, false);
		slot->holds_noted = kwj_shared_holds_noted();
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

/* Returns whether this coordinator has assigned the slot's job and not handed it over yet. */
static bool
is_merely_assigned(const KwjSlot *slot)
{
	return slot->in_use && slot->dboid == MyDatabaseId && slot->job_id != 0 && !slot->handed_over;
}

static void
hand_over(KwjSlot *slot)
{
	slot->handed_over = true;
	kwj_wake(slot->proc);
}

void
kwj_shared_hand_over(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_used_slots; i++)
		if (is_merely_assigned(&kwj_slots[i]))
			hand_over(&kwj_slots[i]);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_hand_over_one(int slot, uint32 generation)
{
	if (slot < 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (kwj_slots[slot].generation == generation && is_merely_assigned(&kwj_slots[slot]))
		hand_over(&kwj_slots[slot]);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_take_back(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_used_slots; i++)
		if (is_merely_assigned(&kwj_slots[i]))
			kwj_unassign_slot(&kwj_slots[i]);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_take_back_one(int slot, uint32 generation)
{
	if (slot < 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (kwj_slots[slot].generation == generation && is_merely_assigned(&kwj_slots[slot]))
		kwj_unassign_slot(&kwj_slots[slot]);
	LWLockRelease(kwj_shared->lock);
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
	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!kwj_is_idle(slot) || slot->dboid != MyDatabaseId || slot->role != role)
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
	if (there && force != KWJ_TELL && request == KWJ_REQUEST_PAUSE &&
		(kwj_slot_stands(slot) || pg_atomic_read_u32(&slot->progress.will_stand) != 0))
		there = false;
	if (there)
	{
		pg_atomic_write_u32(&slot->progress.request, request);
		if (force == KWJ_TELL)
			kwj_wake(slot->proc);
		else if (slot->proc != NULL && !slot->committing)
		{
			pg_atomic_write_u32(&slot->progress.interrupted, 1);
			kwj_signal(slot->proc, force == KWJ_INTERRUPT ? SIGINT : SIGTERM);
		}
	}
	LWLockRelease(kwj_shared->lock);
	return there;
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

bool
kwj_shared_watch_announced(const KwjWorkerInfo *worker)
{
	KwjSlot	   *slot = &kwj_slots[worker->slot];
	bool		announced;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	announced = slot->generation == worker->generation &&
		slot->next_job_id == worker->next_job_id &&
		slot->next_attempt == worker->next_attempt;
	slot->watched |= announced;
	LWLockRelease(kwj_shared->lock);
	return announced;
}

void
kwj_shared_watch_jobs(const int64 *job_ids, int n)
{
	kwj_test_gate(4901);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (slot->in_use && slot->dboid == MyDatabaseId && slot->job_id != 0 &&
			(bsearch(&slot->job_id, job_ids, n, sizeof(int64), kwj_job_id_compare) != NULL ||
			 bsearch(&slot->next_job_id, job_ids, n, sizeof(int64), kwj_job_id_compare) != NULL))
			slot->watched = true;
	}
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_was_unbegun(int64 job_id, int32 attempt)
{
	bool		found;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	found = kwj_find_unbegun(MyDatabaseId, job_id, attempt) != NULL;
	LWLockRelease(kwj_shared->lock);
	return found;
}

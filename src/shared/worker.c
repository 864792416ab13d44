/*
 * src/shared/worker.c
 *	  Shared memory: what a worker does to its own slot.
 *
 * Process: worker; src/worker and src/lifecycle/wait.c call this. The life of a slot is at the top
 * of shared/memory.h. All transitions take kwj_shared->lock exclusively. kwj_shared_begin_work()
 * needs no lock, because only this process reads "begun".
 *
 * A worker that has run a job may claim the next one in the transaction that ends the last one:
 *
 *   kwj_shared_take_job()         takes a job from the coordinator's list; then the worker locks
 *                                 the job's row and claims it
 *   kwj_shared_announce()         before the commit: notes the claim in the slot
 *   ... commit, or rollback ...
 *   kwj_shared_begin_announced()  replaces the last job in the slot by this one
 *
 * If the worker dies after the commit and before kwj_shared_begin_announced(), its slot is freed,
 * and the coordinator finds an attempt without a worker.
 *
 * Known holes: in that case, worker_exits() notes a KwjUnbegun only for the slot's job, not for the
 * announced one, so the announced attempt counts as crashed, although it never began. A job that
 * was taken from the list is not put back if its claim is rolled back; the coordinator finds it in
 * a full pass (kwj_want_full_pass).
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "shared/slot.h"
#include "shared/worker.h"
#include "storage/ipc.h"

bool
kwj_is_my_slot(int slot)
{
	return kwj_my_slot() == &kwj_slots[slot];
}

bool
kwj_is_dismissed_worker(void)
{
	bool		dismissed;

	if (kwj_my_slot() == NULL)
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	dismissed = kwj_my_slot()->dismissed;
	LWLockRelease(kwj_shared->lock);
	return dismissed;
}

/*
 * If the worker exits with a job whose work it has not begun, notes that, because otherwise the
 * coordinator would take the exit for a crash.
 */
static void
note_unbegun(const KwjSlot *slot)
{
	KwjUnbegun *entry = &kwj_unbegun[kwj_shared->next_unbegun];

	/* If a part other than 0 is missing, the other parts go on, so no attempt is taken back. */
	if (slot->job_id == 0 || slot->begun || slot->part > 0)
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
	kwj_messages_attach(NULL);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	/* A coordinator has to settle the attempt. If there is none, the launcher has to start one. */
	if (kwj_my_slot()->job_id != 0)
		kwj_need_coordinator(kwj_my_slot()->dboid);
	kwj_wake_if_watched(kwj_my_slot());
	note_unbegun(kwj_my_slot());
	kwj_team_lose(kwj_my_slot());
	kwj_free_slot(kwj_my_slot());
	kwj_wake_launcher();
	LWLockRelease(kwj_shared->lock);
	kwj_set_my_slot(NULL);
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
		kwj_set_my_slot(s);
		/* The coordinator may have put off leaving until its workers have attached. */
		if (database != NULL && database->told_to_leave != 0)
			kwj_wake_coordinator_of(s->dboid);
		assignment->dboid = s->dboid;
		assignment->role = s->role;
		assignment->job_id = s->job_id;
		assignment->attempt = s->attempt;
		assignment->part = s->part;
	}
	LWLockRelease(kwj_shared->lock);

	if (attached)
	{
		before_shmem_exit(worker_exits, (Datum) 0);
		kwj_progress_attach(&s->progress);
		kwj_messages_attach(&s->messages);
	}
	return attached;
}

bool
kwj_shared_assignment(KwjAssignment *assignment)
{
	KwjSlot	   *slot = kwj_my_slot();
	bool		there;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	there = slot->job_id != 0 && slot->handed_over;
	if (there)
	{
		assignment->dboid = slot->dboid;
		assignment->role = slot->role;
		assignment->job_id = slot->job_id;
		assignment->attempt = slot->attempt;
		assignment->part = slot->part;
	}
	LWLockRelease(kwj_shared->lock);
	return there;
}

/*
 * Returns whether the worker may take a job from the list: it may not if a job of another role,
 * type or database should come first.
 */
static bool
may_go_on(const KwjSlot *slot, const KwjDatabase *database, const char *job_type)
{
	const KwjReady *ready = &database->ready;

	/* Only idle workers are told to leave, and these get no more jobs. */
	Assert(!slot->leave);
	return database->lockouts == 0 &&
		kwj_may_run_one_more(slot->role, slot) && !kwj_is_kept_for_others(slot->role) &&
		!kwj_do_others_starve(slot->dboid) &&
		ready->who == KWJ_ONE_WAITS && ready->owner == slot->role &&
		strcmp(ready->job_type, job_type) == 0 && ready->taken < ready->n;
}

bool
kwj_shared_take_job(const char *job_type, int64 *job_id)
{
	KwjSlot	   *slot = kwj_my_slot();
	KwjDatabase *database;
	bool		may;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(slot->dboid);
	may = database != NULL && may_go_on(slot, database, job_type);
	if (may)
	{
		KwjReady   *ready = &database->ready;

		*job_id = ready->job_ids[ready->taken++];
		slot->next_holds_noted = ready->holds_noted;
		/* Wake the coordinator, once for each list, so that it lists more jobs if there are any. */
		if (ready->n >= KWJ_READY_MIN && ready->taken == ready->n / 2)
			kwj_wake_coordinator(database);
	}
	LWLockRelease(kwj_shared->lock);
	return may;
}

void
kwj_shared_announce(int64 job_id, int32 attempt)
{
	KwjSlot	   *slot = kwj_my_slot();

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->next_job_id = job_id;
	slot->next_attempt = attempt;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_begin_announced(bool committed)
{
	KwjSlot	   *slot = kwj_my_slot();

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (committed)
	{
		char		job_type[KWJ_JOB_TYPE_LEN];

		Assert(slot->next_job_id != 0);
		strlcpy(job_type, slot->job_type, sizeof(job_type));
		kwj_set_job(slot, slot->next_job_id, slot->next_attempt, job_type, true);
		slot->holds_noted = slot->next_holds_noted;
		kwj_wake_if_watched(slot);
	}
	else
		/* The worker wakes the coordinator when it has settled the attempt. */
		kwj_want_full_pass(slot->dboid);
	slot->next_job_id = 0;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_begin_work(void)
{
	kwj_my_slot()->begun = true;
}

void
kwj_shared_forget_interrupt(void)
{
	/* Other processes set `interrupted` and send the signal while they hold the lock. */
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	pg_atomic_write_u32(&kwj_my_slot()->progress.interrupted, 0);
	LWLockRelease(kwj_shared->lock);
	(void) kill(MyProcPid, 0);
}

void
kwj_shared_begin_commit(void)
{
	KwjSlot	   *slot = kwj_my_slot();

	/* The coordinator holds the lock while it reads `committing` and sends a signal. */
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->committing = true;
	LWLockRelease(kwj_shared->lock);
	/*
	 * A signal that the coordinator has sent before is delivered when this system call returns, or
	 * earlier.
	 */
	(void) kill(MyProcPid, 0);
}

void
kwj_set_wait(int64 job_id)
{
	KwjSlot	   *slot = kwj_my_slot();

	if (kwj_my_slot() == NULL)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->waits_for = job_id;
	slot->wait_verdict = KWJ_WAIT_GOES_ON;
	if (job_id != 0)
	{
		/*
		 * While this worker waits, other waiting jobs may be stuck: the coordinator looks for
		 * deadlocks.
		 */
		kwj_want_full_pass(slot->dboid);
		kwj_need_coordinator(slot->dboid);
	}
	LWLockRelease(kwj_shared->lock);
}

KwjWaitVerdict
kwj_my_wait_verdict(void)
{
	KwjWaitVerdict verdict;

	if (kwj_my_slot() == NULL)
		return KWJ_WAIT_GOES_ON;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	verdict = kwj_my_slot()->wait_verdict;
	LWLockRelease(kwj_shared->lock);
	return verdict;
}

void
kwj_shared_worker_idle(void)
{
	KwjSlot	   *slot = kwj_my_slot();

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_set_job(slot, 0, 0, "", false);
	kwj_wake_if_watched(slot);
	kwj_wake_waiting_coordinators(slot->dboid);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_worker_gives_back(void)
{
	KwjSlot	   *slot = kwj_my_slot();

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	slot->leave = true;
	kwj_set_job(slot, 0, 0, "", false);
	LWLockRelease(kwj_shared->lock);
}

/*
 * Returns whether there are more workers than kwjobs.max_workers allows since it was lowered. One
 * more is allowed, for a job of another role (kwj_may_run_one_more). The caller holds the lock.
 */
static bool
is_surplus(void)
{
	int			n = 0;

	for (int i = 0; i < kwj_used_slots; i++)
		n += kwj_slots[i].in_use && !kwj_slots[i].leave;
	return kwj_max_workers == 0 || n > kwj_max_workers + 1;
}

bool
kwj_shared_worker_leaves(bool wants_to)
{
	KwjSlot	   *slot = kwj_my_slot();
	bool		leaves;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if ((wants_to || is_surplus()) && slot->job_id == 0)
		slot->leave = true;
	leaves = slot->leave && slot->job_id == 0;
	LWLockRelease(kwj_shared->lock);
	return leaves;
}

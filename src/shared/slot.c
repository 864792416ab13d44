/*
 * src/shared/slot.c
 *	  Shared memory: helpers for one slot, and how many jobs may run.
 *
 * Process: any. The caller holds kwj_shared->lock. The life of a slot, with the process that makes
 * each transition, is at the top of shared/memory.h.
 *
 * kwj_free_slot() runs when a worker exits, when the postmaster had no process for it, when a
 * command on the database sends away a worker that has not attached, and when a coordinator exits.
 *
 * If a worker or coordinator dies, its exit callback (worker_exits in worker.c, coordinator_exits
 * in launch.c) calls this file.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/slot.h"
#include "storage/spin.h"

static KwjSlot *my_slot = NULL;

KwjSlot *
kwj_my_slot(void)
{
	return my_slot;
}

void
kwj_set_my_slot(KwjSlot *slot)
{
	my_slot = slot;
}

int
kwj_count_in_use(void)
{
	int			n = 0;

	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; i < kwj_used_slots; i++)
		n += kwj_slots[i].in_use;
	return n;
}

bool
kwj_is_idle(const KwjSlot *slot)
{
	return slot->in_use && slot->proc != NULL && slot->job_id == 0 && !slot->leave;
}

int
kwj_count_busy(void)
{
	int			n = 0;

	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; i < kwj_used_slots; i++)
		n += kwj_slots[i].in_use && !kwj_is_idle(&kwj_slots[i]);
	return n;
}

/*
 * At most kwjobs.max_workers jobs run. But a role that got all of these workers while no other role
 * wanted one could keep the other roles waiting for as long as its jobs take. Therefore, if all
 * running jobs are of one role, one more job may run, of another role; with kwjobs.max_workers = 0,
 * none may.
 */
bool
kwj_may_run_one_more(Oid role, const KwjSlot *except)
{
	int			n = 0;
	Oid			others = InvalidOid;	/* the role of the jobs counted so far */
	bool		of_one_role = true;

	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; i < kwj_used_slots; i++)
	{
		const KwjSlot *slot = &kwj_slots[i];

		if (!slot->in_use || slot->job_id == 0 || slot == except)
			continue;
		n++;
		of_one_role = of_one_role && slot->role != role &&
			(others == InvalidOid || slot->role == others);
		others = slot->role;
	}
	return n < kwj_max_workers || (n > 0 && n == kwj_max_workers && of_one_role);
}

void
kwj_free_slot(KwjSlot *slot)
{
	bool		was_full = kwj_count_in_use() >= kwj_max_workers;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	slot->in_use = slot->watched = false;
	slot->sessions = 0;
	slot->proc = NULL;
	while (kwj_used_slots > 0 && !kwj_slots[kwj_used_slots - 1].in_use)
		kwj_shared->used_slots--;
	kwj_want_full_pass(slot->dboid);

	/* All slots were in use, so no database could start a worker. Now any database may. */
	if (was_full)
		kwj_wake_all_coordinators();
	if (!was_full || OidIsValid(kwj_shared->starving))
	{
		kwj_wake_coordinator_of(slot->dboid);
		kwj_wake_kept_for();
	}
}

bool
kwj_slot_stands(KwjSlot *slot)
{
	Assert(kwj_holds_lock(LW_SHARED));
	return pg_atomic_read_u32(&slot->progress.stands) != 0 &&
		pg_atomic_read_u32(&slot->progress.request) == KWJ_REQUEST_PAUSE;
}

KwjUnbegun *
kwj_find_unbegun(Oid dboid, int64 job_id, int32 attempt)
{
	Assert(kwj_holds_lock(LW_SHARED));
	/* Callers ask for each attempt without a worker. Mostly there are no entries to search. */
	for (int i = 0; kwj_shared->n_unbegun > 0 && i < kwj_max_unbegun; i++)
		if (kwj_unbegun[i].job_id == job_id && kwj_unbegun[i].attempt == attempt &&
			kwj_unbegun[i].dboid == dboid)
			return &kwj_unbegun[i];
	return NULL;
}

/* Removes the note about the attempt's last worker, because the attempt has a worker again. */
static void
forget_unbegun(Oid dboid, int64 job_id, int32 attempt)
{
	KwjUnbegun *entry = kwj_find_unbegun(dboid, job_id, attempt);

	if (entry == NULL)
		return;
	entry->job_id = 0;
	kwj_shared->n_unbegun--;
}

void
kwj_set_job(KwjSlot *slot, int64 job_id, int32 attempt, const char *job_type, bool handed_over)
{
	KwjProgress *progress = &slot->progress;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	Assert(!slot->in_use || slot->proc == NULL || !slot->in_team);
	if (job_id != 0)
		forget_unbegun(slot->dboid, job_id, attempt);
	slot->job_id = job_id;
	slot->attempt = attempt;
	strlcpy(slot->job_type, job_type, KWJ_JOB_TYPE_LEN);
	slot->handed_over = handed_over;
	slot->begun = slot->committing = false;
	slot->next_job_id = 0;
	slot->part = 0;
	slot->in_team = false;
	slot->piece = KWJ_NO_PIECE;
	slot->waits_for = 0;
	slot->since = GetCurrentTimestamp();
	pg_atomic_write_u32(&progress->request, KWJ_REQUEST_NONE);
	pg_atomic_write_u32(&progress->interrupted, 0);
	pg_atomic_write_u32(&progress->reverting, 0);
	pg_atomic_write_u32(&progress->stands, 0);
	pg_atomic_write_u32(&progress->will_stand, 0);
	SpinLockAcquire(&progress->mutex);
	progress->done = progress->total = progress->rows = 0;
	progress->running_status[0] = '\0';
	kwj_progress_forget_statement(progress);
	SpinLockRelease(&progress->mutex);
}

void
kwj_unassign_slot(KwjSlot *slot)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (slot->proc == NULL)
		kwj_free_slot(slot);
	else
	{
		kwj_set_job(slot, 0, 0, "", false);
		kwj_wake(slot->proc);
	}
}

void
kwj_take_assignments_back(Oid dboid)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != dboid)
			continue;
		if (slot->proc == NULL || (slot->job_id != 0 && !slot->handed_over))
			kwj_unassign_slot(slot);
	}
}

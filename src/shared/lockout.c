/*
 * src/shared/lockout.c
 *	  Shared memory: lockouts, by which a command gets a database without coordinator and workers.
 *
 * Process: sessions that run DROP DATABASE, ALTER DATABASE RENAME or SET TABLESPACE, CREATE
 * DATABASE from a template, DROP EXTENSION kwjobs or ALTER EXTENSION kwjobs. All counts are in
 * KwjDatabase, under kwj_shared->lock, exclusively:
 *
 *   lock_out(): lockouts + 1; SIGTERM to the coordinator and the workers; frees the slots of workers
 *               that have not attached
 *   wait:       on the condition variable "left", on which the exit callbacks of coordinators and
 *               workers broadcast
 *   meanwhile:  the launcher starts no coordinator (kwj_shared_coordinator_starting), and no worker
 *               is assigned a job (kwj_shared_assign)
 *   release:    lockouts - 1; the entry is freed or, if jobs were interrupted, becomes LEFT, so that
 *               the launcher starts a coordinator
 *
 * Lockouts belong to the session's transaction, whose end releases them
 * (src/session/utility_hook.c); a session that dies aborts its transaction. If a coordinator or
 * worker does not react to SIGTERM, the command waits for it until the user cancels the command.
 *
 * Known hole: if the database has no entry and all entries are in use, the lockout is not recorded.
 * Then a coordinator can start in the database if an entry becomes free while the command runs.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "compat.h"
#include "shared/entry.h"
#include "shared/lockout.h"
#include "shared/mail.h"
#include "shared/session_jobs.h"
#include "shared/slot.h"
#include "shared/wait.h"
#include "shared/worker.h"
#include "utils/memutils.h"

static Oid *my_lockouts = NULL;	/* the databases on which this transaction has lockouts */
static int	n_my_lockouts = 0;
static int	my_lockouts_size = 0;
static Oid	my_waits_end = InvalidOid;	/* the database whose lockout also ends waits; or none */

/* Returns whether a coordinator, or a worker other than this process, is left in the database. */
static bool
is_busy(Oid dboid)
{
	KwjDatabase *database;
	bool		busy;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(dboid);
	busy = database != NULL && kwj_has_coordinator(database);
	for (int i = 0; i < kwj_used_slots && !busy; i++)
		busy = kwj_slots[i].in_use && kwj_slots[i].dboid == dboid && !kwj_is_my_slot(i);
	LWLockRelease(kwj_shared->lock);
	return busy;
}

/* Tells the coordinator of the database to exit. The caller holds the lock exclusively. */
static void
dismiss_coordinator(KwjDatabase *database)
{
	if (database->state != DATABASE_RUNNING)
		return;
	database->in_order = true;
	database->due = DT_NOBEGIN;
	kwj_signal(database->proc, SIGTERM);
}

/*
 * Tells the workers of the database to exit, except this process. Returns whether there were any.
 * A worker that the postmaster is still starting has no process here that could be signaled. This
 * function frees its slot, and the worker exits when it cannot attach to it. The caller holds the
 * lock exclusively.
 */
static bool
dismiss_workers(Oid dboid)
{
	bool		any = false;

	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != dboid || kwj_is_my_slot(i))
			continue;
		any = true;
		slot->dismissed = true;
		if (slot->proc != NULL)
			kwj_signal(slot->proc, SIGTERM);
		else
			kwj_free_slot(slot);
	}
	return any;
}

static void
make_room_for_lockout(void)
{
	if (n_my_lockouts < my_lockouts_size)
		return;
	if (my_lockouts == NULL)
		my_lockouts = MemoryContextAlloc(TopMemoryContext, sizeof(Oid) * 4);
	else
		my_lockouts = repalloc(my_lockouts, sizeof(Oid) * my_lockouts_size * 2);
	my_lockouts_size = Max(4, my_lockouts_size * 2);
}

/*
 * Puts a lockout on the database, and tells the coordinator and the workers there to exit. The
 * caller holds the lock exclusively, and has called make_room_for_lockout(), because nothing is
 * allocated under the lock. A transaction that locks out a database again counts it again. If the
 * database has no entry and none is free, there is no coordinator, and none can start a worker now;
 * so it is enough to tell the workers that run.
 */
static void
lock_out(Oid dboid, bool end_waits)
{
	KwjDatabase *database = kwj_make_database(dboid);
	bool		interrupted;

	if (database != NULL)
	{
		database->lockouts++;
		my_lockouts[n_my_lockouts++] = dboid;
		if (end_waits && !OidIsValid(my_waits_end))
		{
			database->waits_end++;
			my_waits_end = dboid;
		}
		dismiss_coordinator(database);
	}
	interrupted = dismiss_workers(dboid);
	if (database != NULL)
		database->interrupted |= interrupted;
}

void
kwj_shared_lock_out(Oid dboid, bool end_waits)
{
	Assert(IsTransactionState());
	make_room_for_lockout();
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	lock_out(dboid, end_waits);
	LWLockRelease(kwj_shared->lock);
	if (end_waits)
		kwj_wake_waiters(0);

	ConditionVariablePrepareToSleep(&kwj_shared->left);
	while (is_busy(dboid))
		ConditionVariableSleep(&kwj_shared->left, kwj_wait_event("KwjobsHold"));
	ConditionVariableCancelSleep();
}

void
kwj_shared_end_lockouts(Oid gone)
{
	if (n_my_lockouts == 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	while (n_my_lockouts > 0)
	{
		KwjDatabase *database = kwj_find_database(my_lockouts[--n_my_lockouts]);

		if (database == NULL)
			continue;
		database->lockouts--;
		if (database->dboid == my_waits_end)
		{
			database->waits_end--;
			my_waits_end = InvalidOid;
		}
		if (database->dboid == gone)
		{
			database->state = DATABASE_IDLE;
			database->interrupted = false;
		}
		/* Workers were told to exit where no coordinator runs: the next coordinator must know. */
		else if (database->lockouts == 0 && database->state == DATABASE_IDLE && database->interrupted)
		{
			database->state = DATABASE_LEFT;
			database->in_order = database->looked = true;
			database->due = DT_NOBEGIN;
		}
		kwj_forget_if_idle(database);
	}
	if (OidIsValid(gone))
	{
		kwj_forget_session_jobs_of(gone);
		kwj_forget_mails_of(gone);
		kwj_forget_without(gone);
		kwj_forget_quiet(gone);
	}
	my_waits_end = InvalidOid;
	kwj_wake_launcher();
	LWLockRelease(kwj_shared->lock);
	/* Sessions of other databases may wait for jobs of a database that is gone, or has no kwjobs. */
	kwj_wake_waiters(0);
}

bool
kwj_waits_must_end(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_SHARED);
	bool		end;

	end = database != NULL && database->waits_end > 0;
	LWLockRelease(kwj_shared->lock);
	return end;
}

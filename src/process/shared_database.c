/*
 * src/process/shared_database.c
 *	  Shared memory: the entries of databases, asking for a coordinator, and holds.
 *
 * Process: any; holds are put on databases by sessions. The life of coordinators is in
 * shared_coordinator.c, the lock rules are in shared_internal.h.
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"
#include "miscadmin.h"
#include "process/shared_internal.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/* A coordinator for which a worker, or a job of a role, is kept has to take it within this time. */
#define KEPT_MS				1000

static Oid *my_holds = NULL;	/* databases */
static int	n_my_holds = 0;
static int	my_holds_size = 0;
static Oid	my_waits_end = InvalidOid;	/* one of them ends waits: its database */

/* ---- pieces; the caller holds the lock ---- */

KwjDatabase *
kwj_find_database(Oid dboid)
{
	for (int i = 0; i < kwj_entries; i++)
		if (kwj_databases[i].dboid == dboid)
			return &kwj_databases[i];
	return NULL;
}

KwjDatabase *
kwj_make_database(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database == NULL && (database = kwj_find_database(InvalidOid)) != NULL)
	{
		memset(database, 0, sizeof(*database));
		database->dboid = dboid;
		database->lowest_rank = DT_NOBEGIN;
	}
	return database;
}

void
kwj_forget_if_idle(KwjDatabase *database)
{
	if (database->state == DATABASE_IDLE && database->holds == 0)
		database->dboid = InvalidOid;
}

void
kwj_wake(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
kwj_unsettle(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database != NULL)
		database->lowest_rank = DT_NOBEGIN;
}

void
kwj_wake_coordinator_of(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database != NULL && database->state == DATABASE_RUNNING)
		kwj_wake(database->proc);
}

void
kwj_wake_all_coordinators(void)
{
	for (int i = 0; i < kwj_entries; i++)
		if (OidIsValid(kwj_databases[i].dboid) && kwj_databases[i].state == DATABASE_RUNNING)
			kwj_wake(kwj_databases[i].proc);
}

void
kwj_wake_waiting_coordinators(Oid dboid)
{
	for (int i = 0; i < kwj_entries; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (OidIsValid(database->dboid) && database->state == DATABASE_RUNNING &&
			(database->dboid == dboid || database->queue.who != KWJ_NOBODY_WAITS))
			kwj_wake(database->proc);
	}
	kwj_wake_kept_for();
}

void
kwj_wake_kept_for(void)
{
	if (OidIsValid(kwj_shared->starving))
	{
		if (kwj_shared->starving_woken == 0)
			kwj_shared->starving_woken = GetCurrentTimestamp();
		kwj_wake_coordinator_of(kwj_shared->starving);
	}
	for (int i = 0; i < kwj_entries; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (!OidIsValid(database->dboid) || database->state != DATABASE_RUNNING ||
			!OidIsValid(database->queue.limited))
			continue;
		if (database->limited_woken == 0)
			database->limited_woken = GetCurrentTimestamp();
		kwj_wake(database->proc);
	}
}

/* Since when the role waits for its limit in that database; DT_NOEND: it does not. */
static TimestampTz
limited_since(const KwjDatabase *database, Oid role)
{
	return OidIsValid(database->dboid) && database->state == DATABASE_RUNNING &&
		database->queue.limited == role ? database->limited_since : DT_NOEND;
}

bool
kwj_is_kept_for_others(Oid role)
{
	const KwjDatabase *mine = kwj_find_database(MyDatabaseId);
	TimestampTz since;
	TimestampTz reacts_by;

	if (kwj_max_workers_per_role == 0 || mine == NULL)
		return false;
	since = limited_since(mine, role);
	reacts_by = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -KEPT_MS);
	for (int i = 0; i < kwj_entries; i++)
	{
		const KwjDatabase *other = &kwj_databases[i];

		if (other != mine && limited_since(other, role) < since &&
			(other->limited_woken == 0 || other->limited_woken > reacts_by))
			return true;
	}
	return false;
}

bool
kwj_do_others_starve(Oid dboid)
{
	return OidIsValid(kwj_shared->starving) && kwj_shared->starving != dboid &&
		(kwj_shared->starving_woken == 0 ||
		 !TimestampDifferenceExceeds(kwj_shared->starving_woken, GetCurrentTimestamp(), KEPT_MS));
}

void
kwj_not_starving(Oid dboid)
{
	if (kwj_shared->starving != dboid)
		return;
	kwj_shared->starving_woken = 0;
	kwj_shared->starving = InvalidOid;
	/* what has been kept for it is for anybody again */
	kwj_wake_all_coordinators();
}

/* The launcher has to start a coordinator there. */
static void
want(Oid dboid)
{
	int			known = Min(kwj_shared->n_wanted, KWJ_WANTED);

	for (int i = 0; i < known; i++)
		if (kwj_shared->wanted[i] == dboid)
			return;
	if (known < KWJ_WANTED)
		kwj_shared->wanted[known] = dboid;
	kwj_shared->n_wanted++;
	kwj_wake(kwj_shared->launcher);
}

void
kwj_need_coordinator(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database != NULL)
		database->asked = true;
	if (database == NULL || database->state == DATABASE_IDLE)
		want(dboid);
	else if (database->state == DATABASE_RUNNING)
		kwj_wake(database->proc);
}

/* ---- sessions ---- */

void
kwj_shared_want_coordinator(Oid dboid)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_need_coordinator(dboid);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_wake_my_coordinator(TimestampTz lowest_rank)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
	{
		database->lowest_rank = Min(database->lowest_rank, lowest_rank);
		database->released |= lowest_rank == DT_NOBEGIN;
	}
	kwj_need_coordinator(MyDatabaseId);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_note_overlooked(void)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		database->overlooked = true;
	else
		kwj_shared->overlooked_unseen = true;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_wake_refused(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_entries; i++)
		if (OidIsValid(kwj_databases[i].dboid) && kwj_databases[i].state == DATABASE_RUNNING &&
			kwj_databases[i].queue.refused)
		{
			kwj_databases[i].lowest_rank = DT_NOBEGIN;
			kwj_wake(kwj_databases[i].proc);
		}
	LWLockRelease(kwj_shared->lock);
}

/* ---- holds ---- */

/* Whether anything of kwjobs but this process still runs in that database. */
static bool
is_busy(Oid dboid)
{
	KwjDatabase *database;
	bool		busy;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(dboid);
	busy = database != NULL && (database->state == DATABASE_STARTING ||
								database->state == DATABASE_RUNNING);
	for (int i = 0; i < kwj_worker_slots && !busy; i++)
		busy = kwj_slots[i].in_use && kwj_slots[i].dboid == dboid && !kwj_is_my_slot(i);
	LWLockRelease(kwj_shared->lock);
	return busy;
}

/* Ask the coordinator of that database to leave. The caller holds the lock. */
static void
dismiss_coordinator(KwjDatabase *database)
{
	if (database->state != DATABASE_RUNNING)
		return;
	database->in_order = true;
	database->due = DT_NOBEGIN;
	kill(database->proc->pid, SIGTERM);
}

/*
 * Ask the workers of that database to leave; returns whether there were any. The caller holds the lock.
 * A worker that has not attached yet loses its slot, and leaves when it sees that.
 */
static bool
dismiss_workers(Oid dboid)
{
	bool		any = false;

	for (int i = 0; i < kwj_worker_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != dboid || kwj_is_my_slot(i))
			continue;
		any = true;
		slot->dismissed = true;
		if (slot->proc != NULL)
			kill(slot->proc->pid, SIGTERM);
		else
			kwj_free_slot(slot);
	}
	return any;
}

static void
release_at_exit(int code, Datum arg)
{
	kwj_shared_release_holds(InvalidOid);
}

static void
make_room_for_hold(void)
{
	if (n_my_holds < my_holds_size)
		return;
	if (my_holds == NULL)
		my_holds = MemoryContextAlloc(TopMemoryContext, sizeof(Oid) * 4);
	else
		my_holds = repalloc(my_holds, sizeof(Oid) * my_holds_size * 2);
	my_holds_size = Max(4, my_holds_size * 2);
}

/* Count a hold of this session, once; the caller holds the lock and has made room. */
static void
add_hold(KwjDatabase *database)
{
	for (int i = 0; i < n_my_holds; i++)
		if (my_holds[i] == database->dboid)
			return;
	database->holds++;
	my_holds[n_my_holds++] = database->dboid;
}

/*
 * Put a hold on the database, and ask everything of kwjobs there to leave. Without an entry, and all in use, no
 * coordinator can start there, and so no worker: those that are there are all.
 */
static void
hold(Oid dboid, bool end_waits)
{
	KwjDatabase *database = kwj_make_database(dboid);
	bool		interrupted;

	if (database != NULL)
	{
		add_hold(database);
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
kwj_shared_hold(Oid dboid, bool end_waits)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(release_at_exit, (Datum) 0);
		registered = true;
	}
	make_room_for_hold();
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	hold(dboid, end_waits);
	LWLockRelease(kwj_shared->lock);
	if (end_waits)
		kwj_wake_waiters(0);

	ConditionVariablePrepareToSleep(&kwj_shared->left);
	while (is_busy(dboid))
		ConditionVariableSleep(&kwj_shared->left, kwj_wait_event("KwjobsHold"));
	ConditionVariableCancelSleep();
}

void
kwj_shared_release_holds(Oid gone)
{
	if (n_my_holds == 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	while (n_my_holds > 0)
	{
		KwjDatabase *database = kwj_find_database(my_holds[--n_my_holds]);

		if (database == NULL)
			continue;
		database->holds--;
		if (database->dboid == my_waits_end)
			database->waits_end--;
		if (database->dboid == gone)
		{
			database->state = DATABASE_IDLE;
			database->interrupted = false;
		}
		/* jobs were interrupted where no coordinator was: the next one has to know */
		else if (database->holds == 0 && database->state == DATABASE_IDLE && database->interrupted)
		{
			database->state = DATABASE_LEFT;
			database->in_order = database->at_home = true;
			database->due = DT_NOBEGIN;
		}
		kwj_forget_if_idle(database);
	}
	my_waits_end = InvalidOid;
	kwj_wake(kwj_shared->launcher);
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_waits_must_end(void)
{
	KwjDatabase *database;
	bool		end;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(MyDatabaseId);
	end = database != NULL && database->waits_end > 0;
	LWLockRelease(kwj_shared->lock);
	return end;
}

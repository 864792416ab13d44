/*
 * src/shared/entry.c
 *	  Shared memory: the entries of databases, and which coordinators to wake.
 *
 * Process: any. The caller holds kwj_shared->lock, or takes it with kwj_lock_my_database(). The
 * states of an entry are drawn in shared/memory.h; the functions that change them are in
 * shared/launch.c (launcher and coordinators) and shared/lockout.c (sessions).
 *
 * Two promises are kept here across databases. The next free worker is kept for a database that has
 * none ("starving"), and the next job of a role at its limit is kept for the database that has
 * waited longest for it ("limited"). Neither is kept for ever: a coordinator that has not reacted
 * KEPT_MS after it was woken, because it waits for a lock or has died, loses its turn.
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"
#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/* How long a coordinator has, once woken, to take the worker or the job that is kept for it. */
#define KEPT_MS				5000

KwjDatabase *
kwj_find_database(Oid dboid)
{
	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; i < kwj_shared->used_entries; i++)
		if (kwj_databases[i].dboid == dboid)
			return &kwj_databases[i];
	return NULL;
}

KwjDatabase *
kwj_lock_my_database(LWLockMode mode)
{
	LWLockAcquire(kwj_shared->lock, mode);
	return kwj_find_database(MyDatabaseId);
}

/* Returns an entry that no database has, or NULL. */
static KwjDatabase *
find_free(void)
{
	for (int i = 0; i < kwj_shared->used_entries; i++)
		if (!OidIsValid(kwj_databases[i].dboid))
			return &kwj_databases[i];
	return kwj_shared->used_entries < kwj_entries ? &kwj_databases[kwj_shared->used_entries++] : NULL;
}

KwjDatabase *
kwj_make_database(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (database == NULL && (database = find_free()) != NULL)
	{
		memset(database, 0, sizeof(*database));
		database->dboid = dboid;
		database->lowest_rank = DT_NOBEGIN;
		database->holds_changed = pg_atomic_read_u32(&kwj_shared->hold_changes);
	}
	return database;
}

void
kwj_forget_if_idle(KwjDatabase *database)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (database->state == DATABASE_IDLE && database->lockouts == 0)
		database->dboid = InvalidOid;
}

void
kwj_forget_ready(KwjDatabase *database)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (database->ready.who == KWJ_ONE_WAITS)
		database->ready.who = KWJ_SEVERAL_WAIT;
	database->ready.n = database->ready.taken = 0;
}

bool
kwj_holds_are_old(const KwjDatabase *database, uint32 as_of)
{
	Assert(kwj_holds_lock(LW_SHARED));
	return (int32) (database->holds_changed - as_of) > 0;
}

void
kwj_wake(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
kwj_wake_coordinator(KwjDatabase *database)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	database->woken = true;
	kwj_wake(database->proc);
}

void
kwj_wake_launcher(void)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	kwj_shared->launcher_woken = true;
	kwj_wake(kwj_shared->launcher);
}

void
kwj_signal(const PGPROC *proc, int signal_number)
{
	Assert(kwj_holds_lock(LW_SHARED));
	Assert(proc->pid != 0);
	(void) kill(proc->pid, signal_number);
}

void
kwj_want_full_pass(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (database != NULL)
		database->lowest_rank = DT_NOBEGIN;
}

void
kwj_wake_coordinator_of(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database != NULL && database->state == DATABASE_RUNNING)
		kwj_wake_coordinator(database);
}

void
kwj_wake_if_watched(KwjSlot *slot)
{
	KwjDatabase *database;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (!slot->watched)
		return;
	slot->watched = false;
	database = kwj_find_database(slot->dboid);
	if (database == NULL)
		return;
	database->lowest_rank = DT_NOBEGIN;
	database->released = true;
	kwj_wake_coordinator(database);
}

void
kwj_wake_all_coordinators(void)
{
	for (int i = 0; i < kwj_entries; i++)
		if (OidIsValid(kwj_databases[i].dboid) && kwj_databases[i].state == DATABASE_RUNNING)
			kwj_wake_coordinator(&kwj_databases[i]);
}

void
kwj_wake_waiting_coordinators(Oid dboid)
{
	for (int i = 0; i < kwj_entries; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (OidIsValid(database->dboid) && database->state == DATABASE_RUNNING &&
			(database->dboid == dboid || database->ready.who != KWJ_NOBODY_WAITS))
			kwj_wake_coordinator(database);
	}
	kwj_wake_kept_for();
}

void
kwj_wake_kept_for(void)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
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
			!OidIsValid(database->ready.limited))
			continue;
		if (database->limited_woken == 0)
			database->limited_woken = GetCurrentTimestamp();
		kwj_wake_coordinator(database);
	}
}

/*
 * Returns since when jobs of the role wait in the database because the role is at its limit;
 * DT_NOEND if they do not.
 */
static TimestampTz
limited_since(const KwjDatabase *database, Oid role)
{
	return OidIsValid(database->dboid) && database->state == DATABASE_RUNNING &&
		database->ready.limited == role ? database->limited_since : DT_NOEND;
}

bool
kwj_is_kept_for_others(Oid role)
{
	const KwjDatabase *mine = kwj_find_database(MyDatabaseId);
	TimestampTz since;
	TimestampTz reacts_by;

	Assert(kwj_holds_lock(LW_SHARED));
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
	Assert(kwj_holds_lock(LW_SHARED));
	return OidIsValid(kwj_shared->starving) && kwj_shared->starving != dboid &&
		(kwj_shared->starving_woken == 0 ||
		 !TimestampDifferenceExceeds(kwj_shared->starving_woken, GetCurrentTimestamp(), KEPT_MS));
}

/*
 * A right ends KEPT_MS after the coordinator that has it was woken for it. Returns this end if it is
 * after `since`; DT_NOEND if not, or if the coordinator has yet to be woken (woken is 0).
 */
static TimestampTz
end_of_right(TimestampTz woken, TimestampTz since)
{
	TimestampTz end = TimestampTzPlusMilliseconds(woken, KEPT_MS);

	return woken != 0 && end > since ? end : DT_NOEND;
}

TimestampTz
kwj_kept_until(TimestampTz since)
{
	TimestampTz until = DT_NOEND;

	Assert(kwj_holds_lock(LW_SHARED));
	if (OidIsValid(kwj_shared->starving) && kwj_shared->starving != MyDatabaseId)
		until = end_of_right(kwj_shared->starving_woken, since);
	for (int i = 0; i < kwj_entries; i++)
	{
		const KwjDatabase *other = &kwj_databases[i];

		if (OidIsValid(other->dboid) && other->dboid != MyDatabaseId &&
			OidIsValid(other->ready.limited))
			until = Min(until, end_of_right(other->limited_woken, since));
	}
	return until;
}

void
kwj_not_starving(Oid dboid)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (kwj_shared->starving != dboid)
		return;
	kwj_shared->starving_woken = 0;
	kwj_shared->starving = InvalidOid;
	/* Other databases may have the worker that was kept for this one. */
	kwj_wake_all_coordinators();
}

/*
 * Tells the launcher to start a coordinator in the database. If the list is full, only n_wanted
 * grows; then the launcher visits all databases.
 */
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
	kwj_wake_launcher();
}

int
kwj_find_without(Oid dboid)
{
	for (int i = 0; i < kwj_shared->n_without; i++)
		if (kwj_shared->without[i] == dboid)
			return i;
	return -1;
}

void
kwj_note_without(Oid dboid)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (kwj_find_without(dboid) < 0 && kwj_shared->n_without < KWJ_WITHOUT)
		kwj_shared->without[kwj_shared->n_without++] = dboid;
}

void
kwj_forget_without(Oid dboid)
{
	int			i = kwj_find_without(dboid);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (i >= 0)
		kwj_shared->without[i] = kwj_shared->without[--kwj_shared->n_without];
}

int
kwj_find_quiet(Oid dboid)
{
	for (int i = 0; i < kwj_shared->n_quiet; i++)
		if (kwj_shared->quiet[i].dboid == dboid)
			return i;
	return -1;
}

void
kwj_forget_quiet(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);
	int			i = kwj_find_quiet(dboid);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (database != NULL)
		database->quiet_changes++;
	if (i >= 0)
		kwj_shared->quiet[i] = kwj_shared->quiet[--kwj_shared->n_quiet];
}

void
kwj_need_coordinator(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	/*
	 * The caller may need a coordinator because it has just created the extension. So the database
	 * may have kwjobs now.
	 */
	kwj_forget_without(dboid);
	kwj_forget_quiet(dboid);
	if (database != NULL)
		database->asked = true;
	if (database == NULL || database->state == DATABASE_IDLE)
		want(dboid);
	else if (database->state == DATABASE_RUNNING)
		kwj_wake_coordinator(database);
}

bool
kwj_has_coordinator(const KwjDatabase *database)
{
	return OidIsValid(database->dboid) &&
		(database->state == DATABASE_STARTING || database->state == DATABASE_RUNNING);
}

/* The bits of wait_event_info that hold the class of the wait event. */
#define WAIT_CLASS			0xFF000000U

bool
kwj_is_blocked(const KwjDatabase *database)
{
	return database->state == DATABASE_RUNNING &&
		(*(volatile uint32 *) &database->proc->wait_event_info & WAIT_CLASS) == PG_WAIT_LOCK;
}

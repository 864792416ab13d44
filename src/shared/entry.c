/*
 * src/shared/entry.c
 *	  Shared memory: the entries of databases, asking for a coordinator, and holds.
 *
 * Process: any; holds are put on databases by sessions. The life of coordinators is in
 * shared/launch.c, the lock rules are in shared/memory.h.
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"
#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/* A coordinator for which a worker, or a job of a role, is kept has to take it within this time. */
#define KEPT_MS				5000

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

bool
kwj_has_coordinator(const KwjDatabase *database)
{
	return OidIsValid(database->dboid) &&
		(database->state == DATABASE_STARTING || database->state == DATABASE_RUNNING);
}

/* The part of a wait event that says what kind it is. */
#define WAIT_CLASS			0xFF000000U

bool
kwj_is_blocked(const KwjDatabase *database)
{
	return database->state == DATABASE_RUNNING &&
		(*(volatile uint32 *) &database->proc->wait_event_info & WAIT_CLASS) == PG_WAIT_LOCK;
}

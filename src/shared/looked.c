/*
 * src/shared/looked.c
 *	  Shared memory: how many rows of a database had changed when its collector last looked, and when its
 *	  coordinator last looked whether a schedule is due, and at the clock. This stays there when the
 *	  coordinator leaves.
 *
 * Process: the coordinator notes its looks; autovacuum workers and the launcher compare how many rows
 * have changed; sessions read when it last looked at the schedules (kwjobs.health). Locks:
 * kwj_shared->lock for moments.
 *
 *     coordinator   has looked at the tables (n rows changed) ----> looked[dboid].changes = n
 *     autovacuum    counted (m rows) ----> m - n enough: KwjDatabase.changed, wakes the coordinator;
 *                                          without one, the launcher starts one, which looks first
 *     coordinator   has looked at the schedules ----> looked[dboid].schedules = the time
 *     coordinator   has looked at the clock ----> looked[dboid].clock = the time; a successor compares
 *
 * The array outlives the entries of databases, which go with their coordinators. If it is full, the
 * oldest place is taken. The database that loses it gets a look of the collector and one of put_off.c
 * too many, and kwjobs.health knows of no look at its schedules until the next one. If a process dies, nothing is
 * lost: a look that was asked for and not done is asked for again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/looked.h"
#include "shared/memory.h"

static KwjLooked *
find(Oid dboid)
{
	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; i < KWJ_LOOKED; i++)
		if (kwj_shared->looked[i].dboid == dboid)
			return &kwj_shared->looked[i];
	return NULL;
}

/* Returns the place of this process's database, and takes one if it has none. */
static KwjLooked *
my_place(void)
{
	/* The coordinator needs the place in each pass, and so searches the array once only. */
	static KwjLooked *mine = NULL;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (mine != NULL && mine->dboid == MyDatabaseId)
		return mine;
	mine = find(MyDatabaseId);
	if (mine == NULL)
	{
		mine = &kwj_shared->looked[kwj_shared->next_looked];
		kwj_shared->next_looked = (kwj_shared->next_looked + 1) % KWJ_LOOKED;
		*mine = (KwjLooked) {.dboid = MyDatabaseId};
	}
	return mine;
}

void
kwj_shared_changes_looked(int64 changes)
{
	KwjLooked  *mine;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	mine = my_place();
	mine->counted = true;
	mine->changes = changes;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_changes_counted(Oid dboid, int64 changes, int64 enough)
{
	const KwjLooked *looked;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	looked = find(dboid);
	if (looked == NULL || !looked->counted || changes < looked->changes ||
		changes - looked->changes >= Max(enough, 1))
	{
		KwjDatabase *database = kwj_find_database(dboid);

		if (database != NULL)
			database->changed = true;
		kwj_need_coordinator(dboid);
	}
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_take_changes(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);
	bool		changed = database != NULL && database->changed;

	if (changed)
		database->changed = false;
	LWLockRelease(kwj_shared->lock);
	return changed;
}

void
kwj_shared_schedules_looked(TimestampTz now)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	my_place()->schedules = now;
	LWLockRelease(kwj_shared->lock);
}

/* Returns a copy of this database's place; an empty one if it has none. */
static KwjLooked
read_my_place(void)
{
	const KwjLooked *looked;
	KwjLooked	copy = {.dboid = MyDatabaseId};

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	looked = find(MyDatabaseId);
	if (looked != NULL)
		copy = *looked;
	LWLockRelease(kwj_shared->lock);
	return copy;
}

TimestampTz
kwj_shared_schedules_last_look(void)
{
	return read_my_place().schedules;
}

void
kwj_shared_clock_looked(TimestampTz now)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	my_place()->clock = now;
	LWLockRelease(kwj_shared->lock);
}

TimestampTz
kwj_shared_clock_last_look(void)
{
	return read_my_place().clock;
}

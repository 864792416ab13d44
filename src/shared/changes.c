/*
 * src/shared/changes.c
 *	  Shared memory: how many rows had changed in a database when its collector last looked.
 *
 * Process: the coordinator notes a look; autovacuum workers and the launcher compare. Locks:
 * kwj_shared->lock for moments.
 *
 *     coordinator   looked (n rows) -----> looked[dboid] = n
 *     autovacuum    counted (m rows) ----> m - n enough: KwjDatabase.changed, wakes the coordinator;
 *                                          without one, the launcher starts one, which looks first
 *
 * The array outlives the entries of databases, which go with their coordinators. If it is full, the
 * oldest place is taken, and the database that loses it gets a look too many. If a process dies,
 * nothing is lost: a look that was asked for and not done is asked for again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/changes.h"
#include "shared/entry.h"
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

void
kwj_shared_changes_looked(int64 changes)
{
	KwjLooked  *looked;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	looked = find(MyDatabaseId);
	if (looked == NULL)
	{
		looked = &kwj_shared->looked[kwj_shared->next_looked];
		kwj_shared->next_looked = (kwj_shared->next_looked + 1) % KWJ_LOOKED;
	}
	*looked = (KwjLooked) {MyDatabaseId, changes};
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_changes_counted(Oid dboid, int64 changes, int64 enough)
{
	const KwjLooked *looked;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	looked = find(dboid);
	if (looked == NULL || changes < looked->changes ||
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

/*
 * src/shared/held.c
 *	  Shared memory: that holds on jobs have changed.
 *
 * hold_changes goes up when a transaction that has changed holds has committed, after its changes
 * are visible and before the client is told. The order of events makes sure that no job begins
 * after that which a hold is about:
 *
 *   coordinator   notes hold_changes, takes its snapshot, reads the holds, claims, commits; a slot
 *                 that it assigns, and the queue that it sets, carry the noted number
 *   session       commits a hold; under the lock it counts up and empties the database's queue
 *   coordinator   kwj_shared_set_queue sets no queue whose number is old
 *   worker        takes jobs only from the queue; before it begins a job whose number is old, it
 *                 reads the holds, and gives the claim back if one is about the job
 *
 * The number counts for all databases. The entry of a database has the number of the last change
 * that is about its jobs, so that a change in another database costs one look at the entry, and
 * makes nothing old. An entry that is made begins with the number of then; where there is none, any
 * change counts. The number begins anew with the server, and so do all that remember it; as it may
 * wrap around, numbers are compared by their difference.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/held.h"
#include "shared/memory.h"
#include "shared/slot.h"

static uint32 noted = 0;

uint32
kwj_shared_hold_changes(void)
{
	return pg_atomic_read_u32(&kwj_shared->hold_changes);
}

/* The holds on the jobs of this database have changed, for the time that has this number. */
static void
note_change(KwjDatabase *database, uint32 number)
{
	database->holds_changed = number;
	kwj_forget_queue(database);
}

/* All coordinators look at everything. Where there is none, the launcher sends one. */
static void
note_change_everywhere(uint32 number)
{
	for (int i = 0; i < kwj_entries; i++)
		if (OidIsValid(kwj_databases[i].dboid))
		{
			note_change(&kwj_databases[i], number);
			kwj_databases[i].lowest_rank = DT_NOBEGIN;
		}
	kwj_wake_all_coordinators();
	/* As if the list were full: the launcher visits all databases. */
	kwj_shared->n_wanted = KWJ_WANTED + 1;
	kwj_wake(kwj_shared->launcher);
}

void
kwj_note_holds_changed(bool everywhere)
{
	KwjDatabase *database;
	uint32		number;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	number = pg_atomic_add_fetch_u32(&kwj_shared->hold_changes, 1);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		note_change(database, number);
	if (everywhere)
		note_change_everywhere(number);
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_holds_changed_since(uint32 as_of)
{
	const KwjDatabase *database;
	bool		changed;

	if (as_of == kwj_shared_hold_changes())
		return false;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(MyDatabaseId);
	changed = database == NULL || kwj_holds_are_old(database, as_of);
	LWLockRelease(kwj_shared->lock);
	return changed;
}

void
kwj_shared_note_holds(void)
{
	noted = kwj_shared_hold_changes();
}

uint32
kwj_shared_holds_noted(void)
{
	return noted;
}

bool
kwj_shared_may_be_held(void)
{
	return kwj_shared_holds_changed_since(kwj_my_slot()->holds_noted);
}

/*
 * src/shared/held.c
 *	  Shared memory: that holds on jobs have changed.
 *
 * Process: sessions count (shared/wakeup.c), the coordinator and workers read. Locks:
 * kwj_shared->lock for moments. If a process dies, nothing is lost, because the rows are the truth.
 *
 * hold_changes goes up when a transaction that has changed holds has committed: after its changes
 * are visible, before its client is told. So once kwjobs.hold() is committed for its client, no job
 * begins that the hold is about:
 *
 *   coordinator   notes hold_changes, takes its snapshot, reads the holds, claims, commits; a slot
 *                 that it assigns, and the list of ready jobs that it sets, carry the noted number
 *   session       commits a hold; under the lock it counts up and empties the database's list
 *   coordinator   kwj_shared_set_ready sets no list whose number is old
 *   worker        takes jobs only from the list; before it begins a job whose number is old, it
 *                 reads the holds, and gives the claim back if one is about the job
 *
 * hold_changes counts the changes in all databases. KwjDatabase.holds_changed is the number of the
 * last change that concerns this database, so a change in another one costs a look at the entry,
 * and makes no claim old. A new entry starts with the present number; without an entry, any change
 * counts. The counter starts anew with the server, and nothing that stores its value outlives the
 * server. It may wrap around, so two values are compared by their difference.
 */
#include "postgres.h"

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

/* Notes that the change with this number concerns the jobs of the database. */
static void
note_change(KwjDatabase *database, uint32 number)
{
	database->holds_changed = number;
	kwj_forget_ready(database);
}

/* Wakes all coordinators for a full pass. Where there is none, the launcher starts one. */
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
	/* A number above KWJ_WANTED makes the launcher visit all databases. */
	kwj_shared->n_wanted = KWJ_WANTED + 1;
	kwj_wake_launcher();
}

void
kwj_note_holds_changed(bool everywhere)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);
	uint32		number = pg_atomic_add_fetch_u32(&kwj_shared->hold_changes, 1);

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
	database = kwj_lock_my_database(LW_SHARED);
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

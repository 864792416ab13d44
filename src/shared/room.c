/*
 * src/shared/room.c
 *	  Shared memory: whether a database has a coordinator, which jobs run on the server, and how
 *	  many coordinators may run.
 *
 * Process: sessions (function/reason.c, lifecycle/submit.c), which only read, under
 * kwj_shared->lock, shared; one that dies leaves nothing behind.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/room.h"

static KwjCoordinatorState
state_of(const KwjDatabase *database)
{
	if (database != NULL && database->state == DATABASE_RUNNING)
		return kwj_is_blocked(database) ? KWJ_COORDINATOR_BLOCKED : KWJ_COORDINATOR_RUNS;
	if (database != NULL && database->state == DATABASE_STARTING)
		return KWJ_COORDINATOR_STARTS;
	if (kwj_shared->launcher == NULL)
		return KWJ_NO_LAUNCHER;
	return kwj_shared->no_slot ? KWJ_NO_SLOT : kwj_shared->place_wanted ? KWJ_NO_PLACE : KWJ_COORDINATOR_STARTS;
}

KwjCoordinatorState
kwj_shared_coordinator(void)
{
	KwjCoordinatorState state;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	state = state_of(kwj_find_database(MyDatabaseId));
	LWLockRelease(kwj_shared->lock);
	return state;
}

void
kwj_shared_room(KwjServerRoom *room)
{
	const KwjDatabase *database;

	room->n_coordinators = room->n_running = 0;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	room->max_coordinators = kwj_shared->max_coordinators;
	database = kwj_find_database(MyDatabaseId);
	room->coordinator = state_of(database);
	room->coordinator_pid = database != NULL && database->proc != NULL ? database->proc->pid : 0;
	for (int i = 0; i < kwj_entries; i++)
		room->n_coordinators += kwj_has_coordinator(&kwj_databases[i]);
	for (int i = 0; i < kwj_used_slots; i++)
	{
		const KwjSlot *slot = &kwj_slots[i];
		KwjRunning *running = &room->running[room->n_running];

		if (!slot->in_use || slot->job_id == 0)
			continue;
		running->dboid = slot->dboid;
		running->role = slot->role;
		strlcpy(running->job_type, slot->job_type, KWJ_JOB_TYPE_LEN);
		room->n_running++;
	}
	LWLockRelease(kwj_shared->lock);
}

/*
 * src/shared/quiet.c
 *	  Shared memory: databases in which nothing has happened since their coordinator left.
 *
 * Process: coordinators note that their database is quiet when they leave. The quiet ends when a process needs
 * a coordinator (kwj_need_coordinator), as each process does that changes a job which workers run. A session
 * that does a job itself needs no coordinator, so it ends the quiet when it begins the job, and when it has
 * committed the job's row. Locks: kwj_shared->lock for moments.
 *
 * If the coordinator dies instead of leaving, its database is not quiet. If there are more quiet
 * databases than KWJ_QUIET, sessions ask the others, which have nothing to show.
 *
 * Known hole: a session that writes to kwjobs.job by hand does not end the quiet.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "shared/quiet.h"

void
kwj_quiet_leave_out(Oid *databases, int *n, TimestampTz from)
{
	int			left = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < *n; i++)
	{
		int			quiet = kwj_find_quiet(databases[i]);

		if (quiet < 0 || kwj_shared->quiet[quiet].newest >= from)
			databases[left++] = databases[i];
	}
	LWLockRelease(kwj_shared->lock);
	*n = left;
}

void
kwj_quiet_ends(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_forget_quiet(MyDatabaseId);
	LWLockRelease(kwj_shared->lock);
}

uint32
kwj_quiet_changes(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_SHARED);
	uint32		changes = database != NULL ? database->quiet_changes : 0;

	LWLockRelease(kwj_shared->lock);
	return changes;
}

/*
 * Returns whether a session does a job in the database, or has done one whose row the coordinator
 * may not have seen.
 */
static bool
has_session_job(Oid dboid, TimestampTz newest)
{
	for (int i = 0; i <= kwj_shared->highest_place; i++)
	{
		const KwjSessionJob *job = &kwj_session_places[i].job;

		if (job->state != KWJ_SESSION_FREE && job->dboid == dboid &&
			(job->state != KWJ_SESSION_WRITTEN || job->ended > newest))
			return true;
	}
	return false;
}

void
kwj_note_quiet(Oid dboid, TimestampTz newest, uint32 changes)
{
	const KwjDatabase *database = kwj_find_database(dboid);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	Assert(kwj_find_quiet(dboid) < 0);
	if (database == NULL || database->quiet_changes != changes || has_session_job(dboid, newest) ||
		kwj_shared->n_quiet == KWJ_QUIET)
		return;
	kwj_shared->quiet[kwj_shared->n_quiet++] = (KwjQuiet) {dboid, newest};
}

/*
 * src/process/shared_start.c
 *	  Shared memory: the start of the server, and which databases have yet to record it.
 *
 * Process: launcher, coordinator. The lock rules are in shared_internal.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "process/shared_internal.h"

bool
kwj_shared_start_ready(const KwjServerStart *ready)
{
	KwjServerStart *start = &kwj_shared->server_start;
	bool		announced;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (start->job_id == 0)
	{
		start->job_id = ready->job_id;
		start->ready = ready->ready;
		start->to_lsn = ready->to_lsn;
		start->to_timeline = ready->to_timeline;
		start->next_xid = ready->next_xid;
	}
	announced = start->announced;
	LWLockRelease(kwj_shared->lock);
	return !announced;
}

/*
 * Whether what runs according to the tables was ended when this server was stopped in order. Where
 * they came from another server nobody knows.
 */
static bool
follows_orderly_stop(const KwjServerStart *start)
{
	return start->clean && start->setups == 1 && !start->standby && !start->archive_recovery;
}

void
kwj_shared_start_expected(Oid dboid)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	if (database != NULL)
	{
		database->start_unrecorded = true;
		database->interrupted = follows_orderly_stop(&kwj_shared->server_start);
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_start_announced(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->server_start.announced = true;
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_start_to_record(KwjServerStart *start)
{
	KwjDatabase *database;
	bool		unrecorded;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(MyDatabaseId);
	unrecorded = database != NULL && database->start_unrecorded;
	if (unrecorded)
		*start = kwj_shared->server_start;
	LWLockRelease(kwj_shared->lock);
	return unrecorded;
}

void
kwj_shared_start_recorded(void)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		database->start_unrecorded = false;
	LWLockRelease(kwj_shared->lock);
}

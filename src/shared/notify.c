/*
 * src/shared/notify.c
 *	  Shared memory: telling coordinators that they have something to do.
 *
 * Process: any, mostly at the end of a transaction. The functions note in the database's entry what
 * is new, under kwj_shared->lock, exclusively, and set the coordinator's latch. If the database has
 * no coordinator, it is added to the launcher's list (kwj_need_coordinator). A lost wake-up only
 * delays jobs: passes read the tables, and the first pass of a coordinator is a full one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/notify.h"

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
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);

	if (database != NULL)
	{
		database->lowest_rank = Min(database->lowest_rank, lowest_rank);
		database->released |= lowest_rank == DT_NOBEGIN;
	}
	kwj_need_coordinator(MyDatabaseId);
	LWLockRelease(kwj_shared->lock);
}

/* Returns whether workers will take another job of this owner and type from the list. */
static bool
is_listed(const KwjReady *ready, Oid owner, const char *job_type)
{
	return ready->who == KWJ_ONE_WAITS && ready->owner == owner &&
		strcmp(ready->job_type, job_type) == 0 &&
		ready->taken < ready->n && ready->n < KWJ_READY_LEN;
}

void
kwj_offer_job(int64 job_id, Oid owner, const char *job_type, TimestampTz rank)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);

	if (database != NULL)
		database->lowest_rank = Min(database->lowest_rank, rank);
	if (database != NULL && is_listed(&database->ready, owner, job_type))
		database->ready.job_ids[database->ready.n++] = job_id;
	else
		kwj_need_coordinator(MyDatabaseId);
	LWLockRelease(kwj_shared->lock);
}

void
kwj_note_overlooked(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);

	/* Without an entry there is no coordinator, and the next one looks in any case. */
	if (database != NULL)
		database->overlooked = true;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_wake_refused(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_entries; i++)
		if (OidIsValid(kwj_databases[i].dboid) && kwj_databases[i].state == DATABASE_RUNNING &&
			kwj_databases[i].ready.refused)
		{
			kwj_databases[i].lowest_rank = DT_NOBEGIN;
			kwj_wake_coordinator(&kwj_databases[i]);
		}
	LWLockRelease(kwj_shared->lock);
}

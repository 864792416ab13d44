/*
 * src/shared/ready.c
 *	  Shared memory: which jobs of a database wait for a worker, and what is new for its
 *	  coordinator.
 *
 * Process: coordinator. It calls the kwj_shared_take_* functions at the beginning of a pass, before
 * it takes its snapshot, so that a change which is committed later is news for the next pass. It
 * calls kwj_shared_set_ready() after the commit. All data are in the database's entry, under
 * kwj_shared->lock, exclusively. Workers take jobs from the list (kwj_shared_take_job in
 * shared/worker.c); sessions note what has changed (shared/notify.c).
 *
 * If the coordinator dies, coordinator_exits() empties the list. The news that it had taken is not
 * lost: the first pass of its successor is a full one, and looks for overlooked jobs. A worker that
 * takes a job from the list locks and checks its row, because another process may have claimed or
 * deleted the job meanwhile.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/ready.h"

static bool
has_workers(void)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].dboid == MyDatabaseId && !kwj_slots[i].leave)
			return true;
	return false;
}

void
kwj_shared_set_ready(const KwjReady *ready)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);

	if (database != NULL)
	{
		if (database->ready.limited != ready->limited)
			database->limited_since = GetCurrentTimestamp();
		database->limited_woken = 0;
		database->ready = *ready;
		if (ready->who == KWJ_ONE_WAITS && kwj_holds_are_old(database, ready->holds_noted))
		{
			kwj_forget_ready(database);
			database->lowest_rank = DT_NOBEGIN;
		}
		/*
		 * Holds have changed, or jobs that are not in the new list were offered since the pass
		 * began: another pass has to follow.
		 */
		if (database->lowest_rank != DT_NOEND)
			kwj_wake_coordinator(database);
	}
	if (ready->who == KWJ_NOBODY_WAITS || has_workers())
		kwj_not_starving(MyDatabaseId);
	else if (!OidIsValid(kwj_shared->starving) || kwj_shared->starving == MyDatabaseId)
	{
		kwj_shared->starving = MyDatabaseId;
		kwj_shared->starving_woken = 0;
	}
	LWLockRelease(kwj_shared->lock);
}

TimestampTz
kwj_shared_kept_until(TimestampTz pass_began)
{
	TimestampTz until;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	until = kwj_kept_until(pass_began);
	LWLockRelease(kwj_shared->lock);
	return until;
}

TimestampTz
kwj_shared_take_lowest_rank(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);
	TimestampTz lowest_rank = DT_NOBEGIN;

	if (database != NULL)
	{
		lowest_rank = database->lowest_rank;
		database->lowest_rank = DT_NOEND;
		database->woken = false;
	}
	LWLockRelease(kwj_shared->lock);
	return lowest_rank;
}

bool
kwj_shared_coordinator_was_woken(void)
{
	const KwjDatabase *database = kwj_lock_my_database(LW_SHARED);
	bool		woken = database != NULL && database->woken;

	LWLockRelease(kwj_shared->lock);
	return woken;
}

bool
kwj_shared_take_overlooked(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);
	bool		overlooked = false;

	if (database != NULL)
	{
		overlooked = database->overlooked;
		database->overlooked = false;
	}
	LWLockRelease(kwj_shared->lock);
	return overlooked;
}

bool
kwj_shared_take_released(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);
	bool		released = true;

	if (database != NULL)
	{
		released = database->released;
		database->released = false;
	}
	LWLockRelease(kwj_shared->lock);
	return released;
}

int
kwj_shared_ready_length(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_SHARED);
	int			length = KWJ_READY_MIN;

	/*
	 * Sessions may wake the coordinator before workers have taken many jobs: so a new list has at
	 * least half the length of the present one.
	 */
	if (database != NULL)
		length = Max(length, Max(4 * database->ready.taken, database->ready.n / 2));
	LWLockRelease(kwj_shared->lock);
	return Min(length, KWJ_READY_LEN);
}

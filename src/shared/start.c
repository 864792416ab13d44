/*
 * src/shared/start.c
 *	  Shared memory: the start of the server, and which databases have yet to record it.
 *
 * Process: postmaster, launcher, coordinator; src/process and src/coordinator call this. Any
 * process may call kwj_shared_start_times. A start takes these steps:
 *
 *   postmaster    sets up shared memory (kwj_shared_start_begin); it needs no lock, because there
 *                 are no other processes yet
 *   launcher      when the server accepts writes: kwj_shared_start_ready; then it marks all
 *                 databases (start_unrecorded)
 *   coordinator   of a marked database: inserts the RESTART job, commits, and removes the mark
 *                 (kwj_shared_start_recorded)
 *   launcher      when no database has a mark: kwj_shared_start_announced
 *
 * All steps except the first one take kwj_shared->lock. If a coordinator dies before it has removed
 * the mark, the launcher gets the mark in KwjLeft, and passes it to the next coordinator. If the
 * launcher dies, its successor marks all databases again; a database that has recorded the start
 * already has a job with this id, so it does not record the start twice.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"

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
		start->ready_for_schedules = ready->ready_for_schedules;
		start->to_lsn = ready->to_lsn;
		start->to_timeline = ready->to_timeline;
		start->next_xid = ready->next_xid;
	}
	announced = start->announced;
	LWLockRelease(kwj_shared->lock);
	return !announced;
}

/*
 * Needs no lock, because the postmaster has written these facts before there were other processes.
 * On a standby, or after the restore of a backup, the attempts in the tables are those of another
 * server, and pg_control does not say how that server was stopped.
 */
bool
kwj_shared_follows_orderly_stop(void)
{
	const KwjServerStart *start = &kwj_shared->server_start;

	return start->clean && start->setups == 1 && !start->standby && !start->archive_recovery;
}

bool
kwj_shared_has_recorded_start(Oid dboid)
{
	KwjDatabase *database;
	bool		recorded;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(dboid);
	recorded = database != NULL && database->state == DATABASE_RUNNING && !database->start_unrecorded;
	LWLockRelease(kwj_shared->lock);
	return recorded;
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
	KwjDatabase *database = kwj_lock_my_database(LW_SHARED);
	bool		unrecorded;

	unrecorded = database != NULL && database->start_unrecorded;
	if (unrecorded)
		*start = kwj_shared->server_start;
	LWLockRelease(kwj_shared->lock);
	return unrecorded;
}

void
kwj_shared_start_recorded(void)
{
	KwjDatabase *database = kwj_lock_my_database(LW_EXCLUSIVE);

	if (database != NULL)
		database->start_unrecorded = false;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_start_times(TimestampTz *down, TimestampTz *ready)
{
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	*down = kwj_shared_follows_orderly_stop() ? kwj_shared->server_start.last_sign : 0;
	*ready = kwj_shared->server_start.ready_for_schedules;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_start_begin(KwjServerStart *start)
{
	/* The postmaster lives on when it sets up shared memory again after a crash. */
	static int	setups = 0;
	ControlFileData *control;
	bool		valid;

	/* If the control file is not valid, the server does not start. */
	control = get_controlfile(DataDir, &valid);
	memset(start, 0, sizeof(*start));
	start->began = GetCurrentTimestamp();
	start->last_sign = time_t_to_timestamptz(control->time);
	start->setups = ++setups;
	start->clean = valid && control->state == DB_SHUTDOWNED;
	start->standby = access(STANDBY_SIGNAL_FILE, F_OK) == 0;
	start->archive_recovery = access(RECOVERY_SIGNAL_FILE, F_OK) == 0;
	start->from_lsn = control->checkPointCopy.redo;
	start->from_timeline = control->checkPointCopy.ThisTimeLineID;
	pfree(control);
}

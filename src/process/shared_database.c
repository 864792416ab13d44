/*
 * src/process/shared_database.c
 *	  Shared memory: databases with a coordinator, and holds on them.
 *
 * Process: launcher, coordinator, sessions. The lock rules are in
 * shared_internal.h.
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"
#include "miscadmin.h"
#include "process/shared_internal.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/*
 * How many coordinators at most are looking for kwjobs at the same time: at the start
 * of a server with many databases they must not take all background workers.
 */
#define MAX_LOOKING			2

/* A coordinator that lived shorter than this died young. */
#define YOUNG_MS			10000
#define RESTART_FIRST_MS	1000
#define RESTART_LIMIT_MS	60000

static Oid	my_database = InvalidOid;	/* this process coordinates it */
static bool my_database_wanted = true;	/* once this process is gone */
static Oid *my_holds = NULL;	/* databases */
static int	n_my_holds = 0;
static int	my_holds_size = 0;
static Oid	my_waits_end = InvalidOid;	/* one of them ends waits: its database */

/* ---- pieces; the caller holds the lock ---- */

KwjDatabase *
kwj_find_database(Oid dboid)
{
	for (int i = 0; i < kwj_max_databases; i++)
		if (kwj_databases[i].dboid == dboid)
			return &kwj_databases[i];
	return NULL;
}

/* The entry of that database, made if there is none; NULL if all are in use. */
static KwjDatabase *
need_database(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database == NULL && (database = kwj_find_database(InvalidOid)) != NULL)
	{
		memset(database, 0, sizeof(*database));
		database->dboid = dboid;
		database->lowest_rank = DT_NOBEGIN;
	}
	return database;
}

static void
forget_if_idle(KwjDatabase *database)
{
	if (database->state == DATABASE_IDLE && database->holds == 0)
		database->dboid = InvalidOid;
}

void
kwj_wake(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
kwj_unsettle(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database != NULL)
		database->lowest_rank = DT_NOBEGIN;
}

void
kwj_wake_coordinator_of(Oid dboid)
{
	KwjDatabase *database = kwj_find_database(dboid);

	if (database != NULL && database->state == DATABASE_RUNNING)
		kwj_wake(database->proc);
}

void
kwj_wake_all_coordinators(void)
{
	for (int i = 0; i < kwj_max_databases; i++)
		if (OidIsValid(kwj_databases[i].dboid) && kwj_databases[i].state == DATABASE_RUNNING)
			kwj_wake(kwj_databases[i].proc);
}

void
kwj_wake_waiting_coordinators(Oid dboid)
{
	for (int i = 0; i < kwj_max_databases; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (OidIsValid(database->dboid) && database->state == DATABASE_RUNNING &&
			(database->dboid == dboid || database->queue.who != KWJ_NOBODY_WAITS))
			kwj_wake(database->proc);
	}
}

void
kwj_not_starving(Oid dboid)
{
	if (kwj_shared->starving != dboid)
		return;
	kwj_shared->starving = InvalidOid;
	/* what has been kept for it is for anybody again */
	kwj_wake_all_coordinators();
}

/* A coordinator is gone, or never came: its database waits for the next one. */
static void
want_again(KwjDatabase *database)
{
	TimestampTz now = GetCurrentTimestamp();

	database->state = DATABASE_WANTED;
	database->proc = NULL;
	database->not_before = now;
	if (database->holds > 0 ||
		TimestampDifferenceExceeds(database->launched, now, YOUNG_MS))
		database->died_young = 0;
	else
	{
		int			delay = RESTART_FIRST_MS << Min(database->died_young, 10);

		database->died_young++;
		database->not_before = TimestampTzPlusMilliseconds(now, Min(delay, RESTART_LIMIT_MS));
	}
}

/* ---- launcher ---- */

static void
launcher_exits(int code, Datum arg)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->launcher = NULL;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_set_launcher(void)
{
	before_shmem_exit(launcher_exits, (Datum) 0);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->launcher = MyProc;

	/*
	 * What a predecessor started may never come to life, and nobody would say so.
	 * If it does, either one attaches; the other finds that out and leaves.
	 */
	for (int i = 0; i < kwj_max_databases; i++)
		if (OidIsValid(kwj_databases[i].dboid) &&
			kwj_databases[i].state == DATABASE_STARTING)
			want_again(&kwj_databases[i]);
	LWLockRelease(kwj_shared->lock);
}

/* Whether a coordinator was started there that does not know yet whether to stay. */
static bool
is_looking(const KwjDatabase *database)
{
	return database->state == DATABASE_STARTING ||
		(database->state == DATABASE_RUNNING && !database->at_home);
}

bool
kwj_shared_next_wanted(KwjWanted *wanted)
{
	KwjDatabase *next = NULL;
	int			looking = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_max_databases; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (!OidIsValid(database->dboid))
			continue;
		looking += is_looking(database);
		if (database->state == DATABASE_WANTED && database->holds == 0 &&
			(next == NULL || database->not_before < next->not_before))
			next = database;
	}
	if (looking >= MAX_LOOKING)
		next = NULL;
	if (next != NULL)
	{
		wanted->dboid = next->dboid;
		wanted->not_before = next->not_before;
	}
	LWLockRelease(kwj_shared->lock);
	return next != NULL;
}

bool
kwj_shared_coordinator_starting(Oid dboid)
{
	KwjDatabase *database;
	bool		wanted;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	wanted = database != NULL && database->state == DATABASE_WANTED && database->holds == 0;
	if (wanted)
	{
		database->state = DATABASE_STARTING;
		database->launched = GetCurrentTimestamp();
	}
	LWLockRelease(kwj_shared->lock);
	return wanted;
}

void
kwj_shared_forget_database(Oid dboid)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	if (database != NULL && database->state == DATABASE_WANTED)
	{
		database->state = DATABASE_IDLE;
		forget_if_idle(database);
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_coordinator_refused(Oid dboid, TimestampTz not_before)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	if (database != NULL && database->state == DATABASE_STARTING)
	{
		database->state = DATABASE_WANTED;
		database->not_before = not_before;
	}
	LWLockRelease(kwj_shared->lock);
	ConditionVariableBroadcast(&kwj_shared->left);
}

void
kwj_shared_coordinator_gone(Oid dboid)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	if (database != NULL && database->state == DATABASE_STARTING)
		want_again(database);
	LWLockRelease(kwj_shared->lock);
	ConditionVariableBroadcast(&kwj_shared->left);
}

void
kwj_shared_want_coordinator(Oid dboid)
{
	KwjDatabase *database;
	bool		full;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = need_database(dboid);
	full = database == NULL;
	if (database != NULL && database->state == DATABASE_IDLE)
	{
		database->state = DATABASE_WANTED;
		database->not_before = GetCurrentTimestamp();
	}
	if (database != NULL)
		database->asked = true;
	kwj_wake(kwj_shared->launcher);
	LWLockRelease(kwj_shared->lock);

	if (full)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no coordinator can be started in the database with OID %u", dboid),
				 errdetail("All %d entries are in use.", kwj_max_databases),
				 errhint("Increase kwjobs.max_databases and restart the server.")));
}

/* ---- coordinator ---- */

static void
coordinator_exits(int code, Datum arg)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(my_database);
	kwj_take_assignments_back(my_database);
	kwj_not_starving(my_database);
	if (database != NULL && database->proc == MyProc)
	{
		/* asked: what it did not find may have come since it looked */
		if (my_database_wanted || database->asked)
			want_again(database);
		else
		{
			database->state = DATABASE_IDLE;
			database->proc = NULL;
			forget_if_idle(database);
		}
	}
	kwj_wake(kwj_shared->launcher);
	LWLockRelease(kwj_shared->lock);
	ConditionVariableBroadcast(&kwj_shared->left);
}

bool
kwj_shared_attach_coordinator(Oid dboid, bool *interrupted)
{
	KwjDatabase *database;
	bool		attached;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	attached = database != NULL && database->state == DATABASE_STARTING &&
		database->holds == 0;
	if (attached)
	{
		database->state = DATABASE_RUNNING;
		database->at_home = false;
		database->asked = false;
		database->proc = MyProc;
		*interrupted = database->interrupted;
		database->interrupted = false;
		my_database = dboid;
	}
	else if (database != NULL && database->state == DATABASE_STARTING)
		want_again(database);
	LWLockRelease(kwj_shared->lock);

	if (attached)
		before_shmem_exit(coordinator_exits, (Datum) 0);
	else
		ConditionVariableBroadcast(&kwj_shared->left);
	return attached;
}

void
kwj_shared_coordinator_at_home(void)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(my_database);
	if (database != NULL && database->proc == MyProc)
		database->at_home = true;
	kwj_wake(kwj_shared->launcher);
	LWLockRelease(kwj_shared->lock);
}

int
kwj_shared_coordinator_pid(Oid dboid)
{
	KwjDatabase *database;
	int			pid = 0;

	if (!kwj_shared_ready())
		return 0;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(dboid);
	if (database != NULL && database->proc != NULL)
		pid = database->proc->pid;
	LWLockRelease(kwj_shared->lock);
	return pid;
}

void
kwj_shared_coordinator_leaves_for_good(void)
{
	my_database_wanted = false;
}

/* ---- sessions ---- */

void
kwj_wake_my_coordinator(TimestampTz lowest_rank)
{
	KwjDatabase *database;
	bool		none;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	none = database == NULL || database->state == DATABASE_IDLE;
	if (database != NULL)
	{
		database->asked = true;
		database->lowest_rank = Min(database->lowest_rank, lowest_rank);
	}
	kwj_wake_coordinator_of(MyDatabaseId);
	LWLockRelease(kwj_shared->lock);

	if (none)
		kwj_shared_want_coordinator(MyDatabaseId);
}

void
kwj_note_overlooked(void)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(MyDatabaseId);
	if (database != NULL)
		database->overlooked = true;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_wake_refused(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_max_databases; i++)
		if (OidIsValid(kwj_databases[i].dboid) && kwj_databases[i].state == DATABASE_RUNNING &&
			kwj_databases[i].queue.refused)
		{
			kwj_databases[i].lowest_rank = DT_NOBEGIN;
			kwj_wake(kwj_databases[i].proc);
		}
	LWLockRelease(kwj_shared->lock);
}

/* ---- holds ---- */

/* Whether anything of kwjobs but this process still runs in that database. */
static bool
is_busy(Oid dboid)
{
	KwjDatabase *database;
	bool		busy;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(dboid);
	busy = database != NULL && (database->state == DATABASE_STARTING ||
								database->state == DATABASE_RUNNING);
	for (int i = 0; i < kwj_max_workers && !busy; i++)
		busy = kwj_slots[i].in_use && kwj_slots[i].dboid == dboid && !kwj_is_my_slot(i);
	LWLockRelease(kwj_shared->lock);
	return busy;
}

/*
 * Ask everything of kwjobs in that database to leave. The caller holds the lock.
 * A worker that has not attached yet loses its slot, and leaves when it sees that.
 */
static void
dismiss(KwjDatabase *database)
{
	if (database->state == DATABASE_RUNNING)
		kill(database->proc->pid, SIGTERM);
	for (int i = 0; i < kwj_max_workers; i++)
	{
		KwjSlot    *slot = &kwj_slots[i];

		if (!slot->in_use || slot->dboid != database->dboid || kwj_is_my_slot(i))
			continue;
		if (slot->proc != NULL)
			kill(slot->proc->pid, SIGTERM);
		else
			kwj_free_slot(slot);
		database->interrupted = true;
	}
}

static void
release_at_exit(int code, Datum arg)
{
	kwj_shared_release_holds(InvalidOid);
}

static void
make_room_for_hold(void)
{
	if (n_my_holds < my_holds_size)
		return;
	if (my_holds == NULL)
		my_holds = MemoryContextAlloc(TopMemoryContext, sizeof(Oid) * 4);
	else
		my_holds = repalloc(my_holds, sizeof(Oid) * my_holds_size * 2);
	my_holds_size = Max(4, my_holds_size * 2);
}

/* Count a hold of this session, once; the caller holds the lock and has made room. */
static void
add_hold(KwjDatabase *database)
{
	for (int i = 0; i < n_my_holds; i++)
		if (my_holds[i] == database->dboid)
			return;
	database->holds++;
	my_holds[n_my_holds++] = database->dboid;
}

void
kwj_shared_hold(Oid dboid, bool end_waits)
{
	static bool registered = false;
	KwjDatabase *database;

	if (!registered)
	{
		before_shmem_exit(release_at_exit, (Datum) 0);
		registered = true;
	}
	make_room_for_hold();

	/* Without an entry, and all in use: nothing runs there, and nothing can start. */
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = need_database(dboid);
	if (database != NULL)
	{
		add_hold(database);
		if (end_waits && !OidIsValid(my_waits_end))
		{
			database->waits_end++;
			my_waits_end = dboid;
		}
		dismiss(database);
	}
	LWLockRelease(kwj_shared->lock);
	if (end_waits)
		kwj_wake_waiters(0);

	ConditionVariablePrepareToSleep(&kwj_shared->left);
	while (is_busy(dboid))
		ConditionVariableSleep(&kwj_shared->left, kwj_wait_event("KwjobsHold"));
	ConditionVariableCancelSleep();
}

void
kwj_shared_release_holds(Oid gone)
{
	if (n_my_holds == 0)
		return;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	while (n_my_holds > 0)
	{
		KwjDatabase *database = kwj_find_database(my_holds[--n_my_holds]);

		if (database == NULL)
			continue;
		database->holds--;
		if (database->dboid == my_waits_end)
			database->waits_end--;
		if (database->dboid == gone)
			database->state = DATABASE_IDLE;
		forget_if_idle(database);
	}
	my_waits_end = InvalidOid;
	kwj_wake(kwj_shared->launcher);
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_waits_must_end(void)
{
	KwjDatabase *database;
	bool		end;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = kwj_find_database(MyDatabaseId);
	end = database != NULL && database->waits_end > 0;
	LWLockRelease(kwj_shared->lock);
	return end;
}

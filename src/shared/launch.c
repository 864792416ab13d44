/*
 * src/shared/launch.c
 *	  Shared memory: the life of coordinators, and how many of them there are.
 *
 * Process: launcher and coordinator, each in its own part of this file. All state is in
 * KwjDatabase, under kwj_shared->lock. The states of an entry are drawn in shared/memory.h; these
 * are the functions that change them:
 *
 *   (none), IDLE -> STARTING   launcher: kwj_shared_coordinator_starting
 *   STARTING -> (none), IDLE   launcher: kwj_shared_coordinator_refused, if the postmaster has no
 *                              slot
 *   STARTING -> LEFT           launcher: kwj_shared_coordinator_gone, kwj_shared_set_launcher;
 *                              coordinator: kwj_shared_attach_coordinator, if it finds a lockout
 *   STARTING -> RUNNING        coordinator: kwj_shared_attach_coordinator
 *   RUNNING -> LEFT            coordinator: coordinator_exits, its exit callback
 *   LEFT -> (none)             launcher: kwj_shared_take_left, once there is no lockout
 *
 * Coordinators and workers take their processes from the same max_worker_processes. So there are at
 * most as many coordinators at a time as leave room for all workers and for the background workers
 * that are registered when the server starts (count_places in shared/init.c). If more databases
 * need one, coordinators without anything to do leave at once, then those that are blocked by a
 * lock in their first pass, and the others take turns of QUANTUM_MS.
 *
 * If the launcher dies, its successor visits all databases. A coordinator that the old launcher had
 * started, and that has not attached, counts as dead. If it attaches after all, it finds its entry
 * gone, or it takes the place of the next coordinator, which then exits. If a coordinator dies, its
 * exit callback makes its entry LEFT, with in_order false, and the launcher starts the next one,
 * after longer and longer delays if they die soon. If a coordinator is killed, the server goes
 * through a crash restart.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "shared/aside.h"
#include "shared/ask.h"
#include "shared/entry.h"
#include "shared/launch.h"
#include "shared/mail.h"
#include "shared/memory.h"
#include "shared/quiet.h"
#include "shared/slot.h"
#include "shared/worker.h"
#include "storage/ipc.h"

/*
 * How many coordinators may be in their first pass at the same time. When a server with many
 * databases starts, most of them find no extension and leave. A coordinator whose first pass takes
 * longer than LOOK_MS does not count.
 */
#define MAX_LOOKING			2
#define LOOK_MS				1000

/* How long a coordinator that is busy may stay while other databases need its place. */
#define QUANTUM_MS			KWJ_WAIT_MS(1000)

/*
 * How long it may stay while a session asks other databases, or errands are on their way: the session gives up
 * when no database has answered for a second.
 */
#define ASKED_QUANTUM_MS	200

/* A coordinator that is blocked by a lock this long after it was told to leave is terminated. */
#define TOLD_MS				1000

static Oid	my_database = InvalidOid;	/* the database whose coordinator this process is */

/* ---- launcher ---- */

static void
launcher_exits(int code, Datum arg)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->launcher = NULL;
	LWLockRelease(kwj_shared->lock);
}

/* Makes the entry LEFT, because its coordinator has exited or will never attach. */
static void
note_death(KwjDatabase *database)
{
	database->state = DATABASE_LEFT;
	database->proc = NULL;
	database->in_order = false;
}

void
kwj_shared_set_launcher(void)
{
	before_shmem_exit(launcher_exits, (Datum) 0);
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->launcher = MyProc;

	/*
	 * If a coordinator that the last launcher has started never attaches, this launcher is not told
	 * of it. If it does attach, it finds its entry gone, and exits, or takes the place of its
	 * successor.
	 */
	for (int i = 0; i < kwj_entries; i++)
		if (OidIsValid(kwj_databases[i].dboid) &&
			kwj_databases[i].state == DATABASE_STARTING)
			note_death(&kwj_databases[i]);
	LWLockRelease(kwj_shared->lock);
	/* A session with a lockout waits until its database has no coordinator. */
	ConditionVariableBroadcast(&kwj_shared->left);
}

static void
copy_left(const KwjDatabase *database, KwjLeft *left)
{
	left->dboid = database->dboid;
	left->launched = database->launched;
	left->looked = database->looked;
	left->asked = database->asked;
	left->in_order = database->in_order;
	left->due = database->due;
	left->interrupted = database->interrupted;
	left->start_unrecorded = database->start_unrecorded;
}

bool
kwj_shared_take_left(KwjLeft *left)
{
	bool		found = false;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_entries && !found; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (!OidIsValid(database->dboid) || database->state != DATABASE_LEFT || database->lockouts > 0)
			continue;
		copy_left(database, left);
		database->dboid = InvalidOid;
		found = true;
	}
	LWLockRelease(kwj_shared->lock);
	return found;
}

void
kwj_shared_launcher_looks(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_shared->launcher_woken = false;
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_launcher_was_woken(void)
{
	bool		woken;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	woken = kwj_shared->launcher_woken;
	LWLockRelease(kwj_shared->lock);
	return woken;
}

bool
kwj_shared_take_wanted(Oid *dboid, bool *any)
{
	bool		found = false;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	if (kwj_shared->n_wanted > KWJ_WANTED)
	{
		*any = true;
		kwj_shared->n_wanted = KWJ_WANTED;
	}
	if (kwj_shared->n_wanted > 0)
	{
		*dboid = kwj_shared->wanted[--kwj_shared->n_wanted];
		found = true;
	}
	LWLockRelease(kwj_shared->lock);
	return found;
}

static TimestampTz
later(TimestampTz time, int ms)
{
	return TimestampTzPlusMilliseconds(time, ms);
}

static int
quantum(void)
{
	return kwj_shared->n_asks > 0 || kwj_shared->n_mails > 0 ? ASKED_QUANTUM_MS : QUANTUM_MS;
}

/*
 * Returns the time from which on the coordinator may be told to leave for another database;
 * DT_NOEND: never. In its first pass, only a coordinator that is blocked may be told. If its first
 * pass just takes long, that of its successor would not be faster.
 */
static TimestampTz
replaceable_at(const KwjDatabase *database, TimestampTz now)
{
	if (database->state != DATABASE_RUNNING)
		return DT_NOEND;
	if (!database->looked)
		return kwj_is_blocked(database) ? later(database->launched, LOOK_MS) :
			Max(later(database->launched, LOOK_MS), later(now, LOOK_MS));
	return database->idle_since != 0 ? DT_NOBEGIN : later(database->looked_since, quantum());
}

/* Returns whether coordinator a should leave rather than b, which may be NULL. */
static bool
goes_first(const KwjDatabase *a, const KwjDatabase *b)
{
	if (b == NULL)
		return true;
	if ((a->idle_since != 0) != (b->idle_since != 0))
		return a->idle_since != 0;
	if (a->idle_since != 0)
		return a->idle_since < b->idle_since;
	if (a->looked != b->looked)
		return !a->looked;
	return a->launched < b->launched;
}

/*
 * Called for a coordinator that was told to leave and has not: if it is still blocked after
 * TOLD_MS, terminates it. Returns when to look again.
 */
static TimestampTz
press(KwjDatabase *database, TimestampTz now)
{
	TimestampTz patient_until = later(database->told_to_leave, TOLD_MS);

	if (patient_until > now)
		return patient_until;
	if (kwj_is_blocked(database))
		kwj_signal(database->proc, SIGTERM);
	return later(now, TOLD_MS);
}

/*
 * Tells a coordinator to leave, unless one was told before and is still there, or none may be told
 * yet. Returns when to look again. The caller holds the lock exclusively.
 */
static TimestampTz
make_place(TimestampTz now, bool *crowded)
{
	KwjDatabase *first = NULL;
	TimestampTz again = DT_NOEND;

	for (int i = 0; i < kwj_entries; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (!kwj_has_coordinator(database))
			continue;
		if (database->told_to_leave != 0)
			return press(database, now);
		again = Min(again, replaceable_at(database, now));
		if (replaceable_at(database, now) <= now && goes_first(database, first))
			first = database;
	}
	if (first == NULL)
		return again;
	*crowded = first->idle_since == 0 && first->looked;
	first->told_to_leave = now;
	/* A coordinator that is blocked in its first pass does not look at its latch. */
	if (!first->looked)
		kwj_signal(first->proc, SIGTERM);
	kwj_wake_coordinator(first);
	return later(now, TOLD_MS);
}

bool
kwj_shared_has_place(TimestampTz *again, bool *crowded)
{
	TimestampTz now = GetCurrentTimestamp();
	int			n = 0;
	int			looking = 0;

	*again = DT_NOEND;
	*crowded = false;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_entries; i++)
	{
		KwjDatabase *database = &kwj_databases[i];

		if (!kwj_has_coordinator(database))
			continue;
		n++;
		if (database->looked || later(database->launched, LOOK_MS) <= now)
			continue;
		looking++;
		*again = Min(*again, later(database->launched, LOOK_MS));
	}
	kwj_shared->place_wanted = n >= kwj_shared->max_coordinators;
	if (kwj_shared->place_wanted)
		*again = make_place(now, crowded);
	LWLockRelease(kwj_shared->lock);
	return n < kwj_shared->max_coordinators && looking < MAX_LOOKING;
}

TimestampTz
kwj_shared_make_place(void)
{
	TimestampTz again;
	bool		crowded;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	again = make_place(GetCurrentTimestamp(), &crowded);
	LWLockRelease(kwj_shared->lock);
	return again;
}

static void
begin_launch(KwjDatabase *database, bool interrupted, bool record_start)
{
	database->state = DATABASE_STARTING;
	database->launch = ++kwj_shared->launches;
	database->launched = GetCurrentTimestamp();
	database->looked = false;
	database->idle_since = 0;
	database->told_to_leave = 0;
	database->in_order = false;
	database->interrupted |= interrupted;
	database->start_unrecorded = record_start;
	/*
	 * A note about overlooked jobs is lost when there is no entry for it, when the coordinator that
	 * looks for them exits, and when the server is started: so each new coordinator looks.
	 */
	database->overlooked = true;
	database->lowest_rank = DT_NOBEGIN;
}

KwjStarting
kwj_shared_coordinator_starting(Oid dboid, bool interrupted, bool record_start, uint32 *launch)
{
	KwjDatabase *database;
	KwjStarting result = KWJ_STARTING;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_make_database(dboid);
	if (database == NULL)
		result = KWJ_NO_ENTRY;
	else if (database->lockouts > 0)
		result = KWJ_IS_LOCKED_OUT;
	else if (database->state != DATABASE_IDLE)
	{
		/*
		 * The launcher sends a coordinator when, for example, a setting has changed. The one that is there may
		 * have made its last pass before the change. If it has not decided to leave yet, it makes a full pass
		 * first. If it has, the launcher starts the next one when it has left, because `asked` is set.
		 */
		kwj_want_full_pass(dboid);
		kwj_need_coordinator(dboid);
		result = KWJ_RUNS_ALREADY;
	}
	else
	{
		kwj_forget_quiet(dboid);
		begin_launch(database, interrupted, record_start);
		*launch = database->launch;
	}
	LWLockRelease(kwj_shared->lock);
	return result;
}

void
kwj_shared_coordinator_refused(Oid dboid)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	if (database != NULL && database->state == DATABASE_STARTING)
	{
		database->state = DATABASE_IDLE;
		kwj_forget_if_idle(database);
	}
	kwj_shared->no_slot = true;
	LWLockRelease(kwj_shared->lock);
	ConditionVariableBroadcast(&kwj_shared->left);
}

void
kwj_shared_coordinator_gone(Oid dboid, uint32 launch)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = kwj_find_database(dboid);
	if (database != NULL && database->state == DATABASE_STARTING && database->launch == launch)
		note_death(database);
	LWLockRelease(kwj_shared->lock);
	ConditionVariableBroadcast(&kwj_shared->left);
}

/* ---- coordinator ---- */

/* Returns the entry of this process, or NULL if it has none. The caller holds the lock. */
static KwjDatabase *
my_entry(void)
{
	KwjDatabase *database = kwj_find_database(my_database);

	return database != NULL && database->proc == MyProc ? database : NULL;
}

static void
coordinator_exits(int code, Datum arg)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	kwj_take_assignments_back(my_database);
	kwj_not_starving(my_database);
	kwj_clear_asides(my_database);
	kwj_mails_put_back(my_database);
	database = my_entry();
	if (database != NULL)
	{
		database->state = DATABASE_LEFT;
		database->proc = NULL;
		memset(&database->ready, 0, sizeof(database->ready));
	}
	kwj_wake_launcher();
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
	attached = database != NULL && database->state == DATABASE_STARTING && database->lockouts == 0;
	if (attached)
	{
		database->state = DATABASE_RUNNING;
		kwj_shared->no_slot = false;
		database->asked = false;
		database->proc = MyProc;
		*interrupted = database->interrupted;
		my_database = dboid;
	}
	else if (database != NULL && database->state == DATABASE_STARTING)
	{
		/*
		 * A command has put a lockout on the database since the launcher started this
		 * coordinator. The launcher starts the next one when the lockout ends.
		 */
		database->state = DATABASE_LEFT;
		database->in_order = true;
		database->due = DT_NOBEGIN;
	}
	LWLockRelease(kwj_shared->lock);

	if (attached)
		before_shmem_exit(coordinator_exits, (Datum) 0);
	else
		ConditionVariableBroadcast(&kwj_shared->left);
	return attached;
}

void
kwj_shared_coordinator_has_looked(void)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = my_entry();
	if (database != NULL)
	{
		database->looked = true;
		database->looked_since = GetCurrentTimestamp();
		/*
		 * The first pass has settled the interrupted attempts. But if a lockout has told this
		 * coordinator to exit meanwhile, it may have interrupted other attempts, which are left to
		 * the successor.
		 */
		if (!database->in_order)
			database->interrupted = false;
	}
	kwj_wake_launcher();
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_coordinator_leaves_for_good(void)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = my_entry();
	if (database != NULL)
	{
		database->looked = false;
		database->in_order = true;
		database->due = DT_NOEND;
		/*
		 * If somebody has asked for a coordinator meanwhile, the extension may have been created.
		 * Then the next coordinator finds out.
		 */
		if (!database->asked)
			kwj_note_without(my_database);
	}
	LWLockRelease(kwj_shared->lock);
}

void
kwj_shared_coordinator_idle(TimestampTz since)
{
	KwjDatabase *database;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = my_entry();
	if (database != NULL)
		database->idle_since = since;
	if (since != 0 && kwj_shared->place_wanted)
		kwj_wake_launcher();
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_shared_told_to_leave(void)
{
	KwjDatabase *database;
	bool		told;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	database = my_entry();
	told = database != NULL && database->told_to_leave != 0;
	LWLockRelease(kwj_shared->lock);
	return told;
}

bool
kwj_shared_is_dismissed(void)
{
	KwjDatabase *database;
	bool		dismissed = false;

	if (OidIsValid(my_database))
	{
		LWLockAcquire(kwj_shared->lock, LW_SHARED);
		database = my_entry();
		dismissed = database != NULL && (database->in_order || database->told_to_leave != 0);
		LWLockRelease(kwj_shared->lock);
	}
	return dismissed || kwj_is_dismissed_worker();
}

/*
 * Returns whether this database has a worker; unless `any` is true, only workers that have yet to
 * attach count.
 */
static bool
do_workers_need_me(bool any)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (kwj_slots[i].in_use && kwj_slots[i].dboid == my_database && (any || kwj_slots[i].proc == NULL))
			return true;
	return false;
}

/*
 * Returns whether a process has woken the coordinator, or asked it for a pass, since its last pass began. The launcher
 * also wakes it to tell it to leave. Then this returns true although there is nothing to do, and the launcher
 * sends a successor once for nothing.
 */
static bool
has_news(const KwjDatabase *database)
{
	return database->woken || database->lowest_rank != DT_NOEND;
}

static bool
has_to_stay(const KwjDatabase *database, KwjStay stay)
{
	/*
	 * A session has asked this database, or another database has sent errands or their results. The
	 * coordinator answers right after this pass. If it left now, its successor could be told to leave
	 * before it answers, too.
	 */
	if (stay != KWJ_STAY_FOR_NOTHING && (kwj_is_asked(my_database) || kwj_has_mail(my_database)))
		return true;
	switch (stay)
	{
		case KWJ_STAY_FOR_ANYTHING:
			return has_news(database) || do_workers_need_me(true);
		case KWJ_STAY_FOR_STARTED:
			return do_workers_need_me(false);
		case KWJ_STAY_FOR_NOTHING:
			break;
	}
	return false;
}

bool
kwj_shared_coordinator_leaves(TimestampTz due, KwjStay stay, TimestampTz newest, uint32 quiet_changes)
{
	KwjDatabase *database;
	bool		leaves;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	database = my_entry();
	leaves = database != NULL && !has_to_stay(database, stay);
	if (leaves)
	{
		database->in_order = true;
		/*
		 * A worker that has yet to attach loses its slot when this process exits. So the next
		 * coordinator has to take back the claim of its attempt.
		 */
		database->due = has_news(database) || do_workers_need_me(false) ? DT_NOBEGIN : due;
		if (newest != DT_NOEND && !has_news(database))
			kwj_note_quiet(my_database, newest, quiet_changes);
		/* Requests from now on are for the successor. */
		database->asked = false;
	}
	LWLockRelease(kwj_shared->lock);
	return leaves;
}

/*
 * src/process/launcher.c
 *	  The launcher: starts a coordinator in every database that needs one.
 *
 * Process: launcher, one for the server. The postmaster starts it when recovery has finished, so
 * nothing runs on a standby until it is promoted. It is connected to no database and reads
 * pg_database only. Locks: kwj_shared->lock for moments (shared/launch.c has the states of a
 * database's entry).
 *
 * The shared catalogs do not say which databases have kwjobs. So the launcher keeps, in its own
 * memory, a list of visits: databases to which it will send a coordinator, and when.
 *
 *   launcher starts         all databases are due; if a coordinator finds no extension, it leaves
 *                           for good, and the visit is forgotten
 *   a coordinator leaves    it says when its successor has something to do
 *   a coordinator dies      its successor is due at once; if it died young, after 1, 2, 4, ... 60 s
 *   a session asks          it has created a database, the extension or a job: due now
 *   settings of retention,  databases with kwjobs are due now
 *   of how many jobs run,
 *   of the collector
 *   the clock is set back   the same: their due times were computed by the old time
 *   a visit begins          the postmaster is asked for a coordinator; the entry is STARTING
 *
 * Visits begin in the order in which they are due, so that all databases have their turn, however
 * many there are, as far as there are places for coordinators (kwj_shared_has_place).
 *
 * An error ends the process. The postmaster starts it again a second later; the new launcher knows
 * no visits, and visits all databases. Coordinators and workers go on meanwhile. If a coordinator
 * is started and never attaches, reap() hears of it from the postmaster; if the launcher died in
 * between, its successor counts that coordinator as dead (kwj_shared_set_launcher).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "job/databases.h"
#include "lifecycle/collection.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/syslogger.h"
#include "process/process.h"
#include "process/room.h"
#include "process/server_start.h"
#include "process/spawn.h"
#include "process/stop.h"
#include "shared/admin_role.h"
#include "shared/init.h"
#include "shared/launch.h"
#include "shared/slots.h"
#include "shared/start.h"
#include "statement/statement.h"
#include "type/limits.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

/*
 * The first and the longest wait between tries when the postmaster has no slot for a coordinator.
 * It frees the slot of a process a moment after that has exited; only a lack that lasts longer is
 * reported.
 */
#define NO_ROOM_FIRST_MS	10
#define NO_ROOM_LONGEST_MS	1000
#define NO_ROOM_REPORT_MS	500

/*
 * A coordinator that lived shorter than this, and did not leave in order, died young. Then its
 * successor waits, at first and at the most, this long.
 */
#define YOUNG_MS			KWJ_WAIT_MS(10000)
#define RESTART_FIRST_MS	KWJ_WAIT_MS(1000)
#define RESTART_LIMIT_MS	KWJ_WAIT_MS(60000)

/* If coordinators keep dying and somebody asks for one, it is not started sooner than this. */
#define ASKED_AGAIN_MS		KWJ_WAIT_MS(5000)

/*
 * A database for which somebody asks comes before others that are due, but not before those that
 * have been due for this long.
 */
#define ASKED_FIRST_MS		KWJ_WAIT_MS(10000)

/*
 * A database to which a coordinator is to be sent. This is all that is known of a database without
 * a coordinator. The next launcher begins anew, with all databases.
 */
typedef struct Visit
{
	Oid			dboid;
	TimestampTz due;			/* DT_NOEND: when somebody asks, or its coordinator has left */
	int			died_young;		/* number of coordinators in a row that died young */
	TimestampTz died;			/* when the last of them died */
	bool		has_kwjobs;		/* as the last coordinator found */
	bool		locked_out;		/* there was a lockout in this round of the main loop */
	bool		interrupted;	/* to be told to the next coordinator, see KwjLeft */
	bool		record_start;
} Visit;

/* A coordinator that was started, until the postmaster says that it has exited. */
typedef struct Started
{
	Oid			dboid;
	uint32		launch;			/* its number, as its successor may be there already */
	BackgroundWorkerHandle *handle;
} Started;

/* Lists of Visit and of Started, in TopMemoryContext. */
static List *visits = NIL;
static List *started = NIL;
static bool recording = false;	/* not all databases have recorded the start of the server */

void
kwj_launcher_register(void)
{
	BackgroundWorker worker;

	kwj_process_describe(&worker, "kwj_launcher_main", "kwjobs launcher");
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

/* Returns the OIDs of all databases that accept connections. */
static List *
connectable_databases(void)
{
	List	   *oids;
	MemoryContext caller = CurrentMemoryContext;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	MemoryContextSwitchTo(caller);
	oids = kwj_connectable_databases();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return oids;
}

/* Returns whether the database exists and accepts connections. */
static bool
is_connectable(Oid dboid)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		connectable = false;
	MemoryContext caller = CurrentMemoryContext;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_database_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(dboid));
	scan = systable_beginscan(rel, DatabaseOidIndexId, criticalSharedRelcachesBuilt, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		connectable = kwj_accepts_connections((Form_pg_database) GETSTRUCT(tuple));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return connectable;
}

/* ---- which databases are to be visited, and when ---- */

static Visit *
find_visit(Oid dboid)
{
	ListCell   *lc;

	foreach(lc, visits)
	{
		Visit	   *visit = lfirst(lc);

		if (visit->dboid == dboid)
			return visit;
	}
	return NULL;
}

static Visit *
need_visit(Oid dboid)
{
	Visit	   *visit = find_visit(dboid);
	MemoryContext old;

	if (visit != NULL)
		return visit;
	old = MemoryContextSwitchTo(TopMemoryContext);
	visit = palloc0(sizeof(Visit));
	visit->dboid = dboid;
	visit->due = DT_NOEND;
	visits = lappend(visits, visit);
	MemoryContextSwitchTo(old);
	return visit;
}

static void
forget_visit(Visit *visit)
{
	visits = list_delete_ptr(visits, visit);
	pfree(visit);
}

/* Makes all databases due. new_start: they have yet to record the start of the server. */
static void
visit_all(bool new_start)
{
	List	   *oids = connectable_databases();
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, oids)
	{
		Visit	   *visit = need_visit(lfirst_oid(lc));

		visit->due = Min(visit->due, now);
		visit->record_start |= new_start;
		visit->interrupted |= new_start && kwj_shared_follows_orderly_stop();
	}
	list_free(oids);
	recording |= new_start;
}

/*
 * Makes the visit due, because a session asks for a coordinator there. If coordinators keep dying,
 * the launcher starts the next one, because the cause may have been removed, but not at once.
 */
static void
ask_for(Visit *visit)
{
	TimestampTz first = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -ASKED_FIRST_MS);

	if (visit->died_young > 0)
		first = TimestampTzPlusMilliseconds(visit->died, ASKED_AGAIN_MS);
	visit->due = Min(visit->due, first);
}

static void
hear_who_asks(void)
{
	Oid			dboid;
	bool		any = false;

	while (kwj_shared_take_wanted(&dboid, &any))
		ask_for(need_visit(dboid));
	if (any)
		visit_all(false);
}

/*
 * Returns when the next coordinator is started after one that died: later and later if they die
 * young.
 */
static TimestampTz
after_death(Visit *visit, TimestampTz launched)
{
	TimestampTz now = GetCurrentTimestamp();
	int			delay;

	if (TimestampDifferenceExceeds(launched, now, YOUNG_MS))
	{
		visit->died_young = 0;
		return now;
	}
	delay = RESTART_FIRST_MS << Min(visit->died_young, 10);
	visit->died_young++;
	visit->died = now;
	return TimestampTzPlusMilliseconds(now, Min(delay, RESTART_LIMIT_MS));
}

/* Takes over what coordinators that are gone have left behind. */
static void
hear_who_left(void)
{
	KwjLeft		left;

	while (kwj_shared_take_left(&left))
	{
		Visit	   *visit = need_visit(left.dboid);

		visit->has_kwjobs = left.looked;
		visit->interrupted |= left.interrupted;
		visit->record_start = left.start_unrecorded;
		if (!left.in_order)
		{
			visit->due = after_death(visit, left.launched);
			continue;
		}
		visit->died_young = 0;
		visit->due = Max(left.due, GetCurrentTimestamp());
		if (left.asked)
			ask_for(visit);
		else if (!left.looked && left.due == DT_NOEND)
			forget_visit(visit);
	}
}

/* Forgets the coordinators of which the postmaster says that they have exited. */
static void
reap(void)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = lfirst(lc);
		pid_t		pid;

		if (GetBackgroundWorkerPid(s->handle, &pid) != BGWH_STOPPED)
			continue;
		kwj_shared_coordinator_gone(s->dboid, s->launch);
		pfree(s->handle);
		pfree(s);
		started = foreach_delete_current(started, lc);
	}
}

/*
 * Warns in the log if kwjobs.max_workers is above what kwjobs.worker_slots allows. Called when
 * kwjobs.max_workers has a new value.
 */
static void
report_reserve(void)
{
	int			reserve = kwj_worker_slots - 1;

	if (kwj_max_workers_asked <= reserve)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("kwjobs.max_workers is %d, but only %d jobs can run at the same time",
					kwj_max_workers_asked, reserve),
			 errdetail("The server made room for so many workers when it started."),
			 errhint("Set kwjobs.worker_slots to %d, or leave kwjobs.max_workers as it is, and restart the server.",
					 kwj_max_workers_asked)));
}

/* Returns whether kwjobs.max_workers has changed since the last call, and acts on that. */
static bool
see_max_workers(void)
{
	static int	workers = -1;

	if (workers == kwj_max_workers_asked)
		return false;
	workers = kwj_max_workers_asked;
	report_reserve();
	kwj_shared_count_places();
	return true;
}

/*
 * Returns whether a setting has changed because of which a coordinator has to look at its database:
 * more jobs may have to be deleted, or may start, or the collector begins or ends its work.
 */
static bool
has_setting_changed(void)
{
	static int	time = -1;
	static int	rows = -1;
	static int	size = -1;
	static uint32 type_limits;
	static bool scheduler = true;
	bool		changed = time != kwj_retention_time || rows != kwj_retention_rows ||
		size != kwj_retention_size || type_limits != kwj_type_limit_changes() ||
		scheduler != kwj_scheduler_enabled;

	time = kwj_retention_time;
	rows = kwj_retention_rows;
	size = kwj_retention_size;
	type_limits = kwj_type_limit_changes();
	scheduler = kwj_scheduler_enabled;
	changed |= kwj_collection_settings_changed();
	return see_max_workers() || changed;
}

/*
 * Returns whether the clock was set back since the last call. Coordinators then have to look at all databases:
 * if the clock was wrong by a year, a schedule waits for a time that comes a year too late.
 */
static bool
is_clock_set_back(void)
{
	static TimestampTz last = DT_NOBEGIN;
	TimestampTz now = GetCurrentTimestamp();
	bool		back = kwj_clock_was_set_back(last, now);

	last = now;
	return back;
}

/*
 * Visits all databases with kwjobs, if a setting has changed, or the clock was set back; then also those whose
 * coordinators keep dying, because the time of the next one was computed by the old time.
 */
static void
see_new_limits(void)
{
	bool		back = is_clock_set_back();
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	if (!has_setting_changed() && !back)
		return;
	foreach(lc, visits)
	{
		Visit	   *visit = lfirst(lc);

		if (visit->has_kwjobs || (back && visit->died_young > 0))
			visit->due = Min(visit->due, now);
		visit->died = Min(visit->died, now);
	}
}

/* Notes which databases have recorded the start of the server, and when all have. */
static void
see_who_recorded(void)
{
	ListCell   *lc;

	if (!recording)
		return;
	foreach(lc, visits)
	{
		Visit	   *visit = lfirst(lc);

		visit->record_start = visit->record_start && !kwj_shared_has_recorded_start(visit->dboid);
		if (visit->record_start)
			return;
	}
	recording = false;
	kwj_shared_start_announced();
}

/* ---- starting coordinators ---- */

/* Notes whether the postmaster had a slot. Returns when to try again. */
static TimestampTz
note_room(bool room)
{
	static int	wait_ms = 0;

	wait_ms = room ? 0 : Min(Max(2 * wait_ms, NO_ROOM_FIRST_MS), NO_ROOM_LONGEST_MS);
	if (room || wait_ms >= NO_ROOM_REPORT_MS)
		kwj_report_room(room, "coordinator");
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait_ms);
}

/* Asks the postmaster for a coordinator. Returns false if the postmaster has no slot for it. */
static bool
start(Oid dboid, uint32 launch)
{
	Started    *s = MemoryContextAlloc(TopMemoryContext, sizeof(Started));
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		room;

	s->dboid = dboid;
	s->launch = launch;
	room = kwj_coordinator_start(dboid, &s->handle);
	if (room)
		started = lappend(started, s);
	else
		pfree(s);
	MemoryContextSwitchTo(old);
	return room;
}

/* Returns the visit that is due first, whether or not its time has come; NULL if none is. */
static Visit *
next_visit(void)
{
	Visit	   *next = NULL;
	ListCell   *lc;

	foreach(lc, visits)
	{
		Visit	   *visit = lfirst(lc);

		if (!visit->locked_out && visit->due != DT_NOEND && (next == NULL || visit->due < next->due))
			next = visit;
	}
	return next;
}

static void
report_crowd(void)
{
	static bool reported = false;

	if (!reported)
		ereport(LOG,
				(errmsg("kwjobs has jobs in more databases than coordinators may run: they take turns"),
				 errhint("Increase max_worker_processes, or kwjobs.max_databases if it is less, and restart the server.")));
	reported = true;
}

/*
 * Sends a coordinator to the database. Returns when to try again if none can be started now, else
 * 0.
 */
static TimestampTz
begin_visit(Visit *visit)
{
	uint32		launch;

	switch (kwj_shared_coordinator_starting(visit->dboid, visit->interrupted, visit->record_start, &launch))
	{
		case KWJ_IS_LOCKED_OUT:
			visit->locked_out = true;
			return 0;
		case KWJ_RUNS_ALREADY:
			visit->due = DT_NOEND;
			return 0;
		case KWJ_NO_ENTRY:
			return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NO_ROOM_LONGEST_MS);
		case KWJ_STARTING:
			break;
	}
	if (!start(visit->dboid, launch))
	{
		kwj_shared_coordinator_refused(visit->dboid);
		/* Idle processes of kwjobs make room. */
		kwj_shared_make_room();
		return Min(note_room(false), kwj_shared_make_place());
	}
	(void) note_room(true);
	/*
	 * The entry has these facts from now on. If the coordinator does not act on them, KwjLeft
	 * returns them.
	 */
	visit->due = DT_NOEND;
	visit->interrupted = false;
	return 0;
}

/* Begins the visits that are due. Returns when to look again; DT_NOEND: after an event. */
static TimestampTz
begin_visits(void)
{
	Visit	   *visit;

	while ((visit = next_visit()) != NULL)
	{
		TimestampTz again;
		bool		crowded;

		if (visit->due > GetCurrentTimestamp())
			return visit->due;
		if (!is_connectable(visit->dboid))
		{
			forget_visit(visit);
			continue;
		}
		if (!kwj_shared_has_place(&again, &crowded))
		{
			if (crowded)
				report_crowd();
			return again;
		}
		again = begin_visit(visit);
		if (again != 0)
			return again;
	}
	return DT_NOEND;
}

static void
forget_lockouts(void)
{
	ListCell   *lc;

	foreach(lc, visits)
		((Visit *) lfirst(lc))->locked_out = false;
}

/*
 * Tells the sessions the server's admin role, as their own setting may differ, and says in the log
 * if there is no such role.
 */
static void
note_admin_role(void)
{
	static char *noted = NULL;
	MemoryContext caller = CurrentMemoryContext;
	bool		exists;

	if (noted != NULL && strcmp(noted, kwj_admin_role) == 0)
		return;
	if (noted != NULL)
		pfree(noted);
	noted = MemoryContextStrdup(TopMemoryContext, kwj_admin_role);
	kwj_shared_set_admin_role(noted);
	StartTransactionCommand();
	exists = OidIsValid(get_role_oid(noted, true));
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	if (!exists && noted[0] != '\0')
		ereport(LOG,
				(errmsg("role \"%s\", which kwjobs.admin_role names, does not exist", noted),
				 errdetail("Only superusers see and control everybody's jobs."),
				 errhint("To have others do so, type CREATE ROLE %s and GRANT %s TO them.",
						 quote_identifier(noted), quote_identifier(noted))));
}

/*
 * If autovacuum is off, tells the collectors of the databases in which rows have changed, at the
 * intervals at which autovacuum workers would (doc/developers/collector.md). Returns when to call
 * this again; DT_NOEND: after a reload.
 */
static TimestampTz
see_changes(void)
{
	static TimestampTz next = 0;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz latest = TimestampTzPlusMilliseconds(now, autovacuum_naptime * 1000L);
	ListCell   *lc;

	if (!kwj_collection_enabled || AutoVacuumingActive())
		return DT_NOEND;
	/* A time that is later than this was computed before the clock was set back, or with another naptime. */
	if (now < next && next <= latest)
		return next;
	pgstat_clear_snapshot();
	foreach(lc, visits)
		kwj_collection_tell(((Visit *) lfirst(lc))->dboid);
	next = latest;
	return next;
}

void
kwj_launcher_main(Datum arg)
{
	bool		new_start;
	/* Read first, because sessions may connect by now, and create the extension. */
	FullTransactionId next_xid = ReadNextFullTransactionId();

	kwj_process_set_signals();
	kwj_shared_set_launcher();
	kwj_launcher_sees_workers_out();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	kwj_process_pin_settings();
	pgstat_report_appname("kwjobs launcher");
	kwj_process_reload_at_start();
	new_start = kwj_server_start_ready(next_xid);
	/* With a logging collector, the postmaster said this before there was a log file. */
	if (Logging_collector)
		kwj_statement_log_problem();

	visit_all(new_start);
	for (;;)
	{
		TimestampTz until;
		TimestampTz changes;

		kwj_shared_launcher_looks();
		note_admin_role();
		reap();
		hear_who_left();
		see_who_recorded();
		see_new_limits();
		changes = see_changes();
		hear_who_asks();
		forget_lockouts();
		until = begin_visits();
		until = Min(until, changes);
		kwj_process_wait(kwj_shared_launcher_was_woken() ? GetCurrentTimestamp() : until);
	}
}

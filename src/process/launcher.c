/*
 * src/process/launcher.c
 *	  The launcher: starts a coordinator in every database that wants one.
 *
 * Process: launcher, one for the server, started when recovery has finished; so
 * nothing runs on a standby until it is promoted. It is connected to no
 * database and reads pg_database only. Which databases have kwjobs the shared catalogs
 * do not say: at its start it sends a coordinator to each, which leaves at once where
 * there is nothing to do. Later, sessions name the database.
 *
 * An error ends the process; the postmaster starts it again a second later.
 */
#include "postgres.h"

#include <sys/wait.h>
#include <unistd.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/no_room.h"
#include "process/process.h"
#include "process/server_start.h"
#include "process/shared_state.h"
#include "statement/statement.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Between tries when the postmaster has no room for another worker. */
#define NO_ROOM_RETRY_MS	1000

#define SELF_TEST_PASSED	"passed"

/* A coordinator that was started, until the postmaster says that it is gone. */
typedef struct Started
{
	Oid			dboid;
	BackgroundWorkerHandle *handle;
} Started;

static List *started = NIL;		/* of Started, in TopMemoryContext */

void
kwj_launcher_register(void)
{
	BackgroundWorker worker;

	kwj_process_describe(&worker, "kwj_launcher_main", "kwjobs launcher");
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

/* All databases that one can connect to: not those that DROP DATABASE left halfway. */
static List *
connectable_databases(void)
{
	List	   *oids = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	MemoryContext caller = CurrentMemoryContext;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && database->datconnlimit != DATCONNLIMIT_INVALID_DB)
		{
			MemoryContext old = MemoryContextSwitchTo(caller);

			oids = lappend_oid(oids, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return oids;
}

static bool
is_connectable(Oid dboid)
{
	List	   *oids = connectable_databases();
	bool		found = list_member_oid(oids, dboid);

	list_free(oids);
	return found;
}

/* new_start: the databases have yet to record the start of the server. */
static void
want_all(bool new_start)
{
	List	   *oids = connectable_databases();
	ListCell   *lc;

	foreach(lc, oids)
	{
		kwj_shared_want_coordinator(lfirst_oid(lc));
		if (new_start)
			kwj_shared_start_expected(lfirst_oid(lc));
	}
	list_free(oids);
	kwj_shared_start_announced();
}

/* Forget the coordinators that are gone. */
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
		kwj_shared_coordinator_gone(s->dboid);
		pfree(s->handle);
		pfree(s);
		started = foreach_delete_current(started, lc);
	}
}

/* Start one; false if the postmaster has no room. */
static bool
start(Oid dboid)
{
	Started    *s = MemoryContextAlloc(TopMemoryContext, sizeof(Started));
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		room;

	s->dboid = dboid;
	room = kwj_coordinator_start(dboid, &s->handle);
	kwj_report_room(room, "coordinator");
	if (room)
		started = lappend(started, s);
	else
		pfree(s);
	MemoryContextSwitchTo(old);
	return room;
}

/*
 * Start what is wanted and due. Returns when to look again: DT_NOEND if that takes
 * an event.
 */
static TimestampTz
start_wanted(void)
{
	KwjWanted	wanted;

	while (kwj_shared_next_wanted(&wanted))
	{
		TimestampTz now = GetCurrentTimestamp();

		if (wanted.not_before > now)
			return wanted.not_before;
		if (!is_connectable(wanted.dboid))
		{
			kwj_shared_forget_database(wanted.dboid);
			continue;
		}
		if (!kwj_shared_coordinator_starting(wanted.dboid))
			continue;
		if (!start(wanted.dboid))
		{
			TimestampTz later = TimestampTzPlusMilliseconds(now, NO_ROOM_RETRY_MS);

			kwj_shared_coordinator_refused(wanted.dboid, later);
			return later;
		}
	}
	return DT_NOEND;
}

/* In the child: say what is wrong, if anything, and vanish without a trace. */
static void
report_self_test(int to)
{
	const char *problem = "the self-test raised an error";

	/* nothing of the launcher's is this process's to clean up */
	on_exit_reset();
	/* nor are signals to the launcher's process group for this one, such as those of a shutdown */
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		problem = kwj_statement_self_test();
	}
	PG_CATCH();
	{
		FlushErrorState();
	}
	PG_END_TRY();
	if (problem == NULL)
		problem = SELF_TEST_PASSED;
	_exit(write(to, problem, strlen(problem)) < 0);
}

/*
 * What is wrong with job statements in this server, into answer; an empty answer if
 * the self-test died. It runs in a child of its own, which the postmaster does not
 * know: where it crashes, the server goes on without job statements.
 */
static void
run_self_test(char *answer, size_t size)
{
	int			ends[2];
	ssize_t		length = 0;
	pid_t		child;

	if (pipe(ends) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create a pipe: %m")));
	fflush(NULL);
	child = fork();
	if (child == 0)
		report_self_test(ends[1]);
	close(ends[1]);
	if (child > 0)
	{
		while ((length = read(ends[0], answer, size - 1)) < 0 && errno == EINTR)
			;
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	answer[Max(length, 0)] = '\0';
}

static void
self_test(void)
{
	char		problem[200];

	run_self_test(problem, sizeof(problem));
	if (problem[0] == '\0')
		strlcpy(problem, "the self-test crashed", sizeof(problem));
	if (strcmp(problem, SELF_TEST_PASSED) != 0)
	{
		kwj_shared_turn_statements_off();
		ereport(LOG,
				(errmsg("kwjobs: job statements are off: %s", problem),
				 errhint("Use the functions of schema kwjobs instead.")));
	}
}

/*
 * Tell the sessions what the server's admin role is, as theirs may be another one, and the log if there is
 * no such role.
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

void
kwj_launcher_main(Datum arg)
{
	bool		new_start;

	kwj_process_set_signals();
	kwj_shared_set_launcher();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	kwj_process_pin_settings();
	pgstat_report_appname("kwjobs launcher");
	new_start = kwj_server_start_ready();
	self_test();

	want_all(new_start);
	for (;;)
	{
		TimestampTz until;

		note_admin_role();
		reap();
		until = start_wanted();
		kwj_process_wait(until);
	}
}

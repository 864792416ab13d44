/*
 * src/session/other_sessions.c
 *	  Waits for other sessions to leave a database that a command needs for itself.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "clock.h"
#include "compat.h"
#include "miscadmin.h"
#include "session/other_sessions.h"
#include "storage/latch.h"
#include "utils/backend_status.h"

/* The same as PostgreSQL's CountOtherDBBackends: 50 looks, 100 ms apart. */
#define LOOKS			50
#define LOOK_AGAIN_MS	KWJ_WAIT_MS(100)

/* When Citus connects to its own server or to others, the application_name of its session begins with this. */
#define CITUS_INTERNAL	"citus_internal"

/*
 * Returns whether the command itself may make this process leave the database. It does so with our own
 * processes, which a lockout sends away, and with those of autovacuum. It may do so with background
 * workers of another extension, which may stop its worker in its own ProcessUtility_hook, after ours.
 * Citus does so, and the sessions that its worker has in the same database leave with the worker. If such
 * a worker stays, PostgreSQL refuses the command. Then our jobs were interrupted for nothing, and go on.
 */
static bool
leaves_by_command(const PgBackendStatus *status)
{
	return status->st_backendType == B_AUTOVAC_WORKER || status->st_backendType == B_BG_WORKER ||
		(status->st_backendType == B_BACKEND &&
		 strncmp(status->st_appname, CITUS_INTERNAL, strlen(CITUS_INTERNAL)) == 0);
}

static int
count_others(Oid dboid)
{
	int			n = 0;
	int			n_backends;

	pgstat_clear_backend_activity_snapshot();
	n_backends = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n_backends; i++)
	{
		const PgBackendStatus *status = &kwj_local_backend_status(i)->backendStatus;

		n += status->st_databaseid == dboid && status->st_procpid != MyProcPid &&
			!leaves_by_command(status);
	}
	pgstat_clear_backend_activity_snapshot();
	return n;
}

void
kwj_wait_for_other_sessions(Oid dboid, bool is_source)
{
	int			n;

	for (int look = 1; (n = count_others(dboid)) > 0 && look < LOOKS; look++)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_AGAIN_MS,
						 kwj_wait_event("KwjobsHold"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	if (n == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 is_source ?
			 errmsg("source database \"%s\" is being accessed by other users", get_database_name(dboid)) :
			 errmsg("database \"%s\" is being accessed by other users", get_database_name(dboid)),
			 errdetail_plural("There is %d other session using the database.",
							  "There are %d other sessions using the database.", n, n)));
}

/*
 * src/process/blocked.c
 *	  Who keeps the coordinator of this database from its tables.
 *
 * The coordinator's own log tells it, too (log_lock_waits, see kwj_coordinator_main).
 *
 * Process: sessions. Locks: those of the lock table, for moments.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "process/blocked.h"
#include "process/shared_state.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* Looking stops all who want a lock, so one does not look for each row of SHOW JOBS. */
#define LOOK_AGAIN_MS	1000

/* The first of those that the process waits for, 0: a prepared transaction; -1: it waits for nobody. */
static int
find_blocker(int pid)
{
	Datum	   *pids;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid))),
					  INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, &nulls, &n);
	return n > 0 ? DatumGetInt32(pids[0]) : -1;
}

const char *
kwj_blocked_explain(void)
{
	static char text[100];
	static TimestampTz looked = 0;
	TimestampTz now = GetCurrentTimestamp();
	int			pid;
	int			blocker;

	if (looked != 0 && !TimestampDifferenceExceeds(looked, now, LOOK_AGAIN_MS))
		return text[0] ? text : NULL;
	looked = now;
	pid = kwj_shared_coordinator_pid(MyDatabaseId);
	blocker = pid > 0 ? find_blocker(pid) : -1;
	if (blocker > 0)
		snprintf(text, sizeof(text), "waiting: process %d has locked a table that kwjobs needs", blocker);
	else if (blocker == 0)
		strlcpy(text, "waiting: a prepared transaction has locked a table that kwjobs needs", sizeof(text));
	else
		text[0] = '\0';
	return text[0] ? text : NULL;
}

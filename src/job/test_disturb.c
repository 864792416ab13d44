/*
 * src/job/test_disturb.c
 *	  Makes processes stand still at random, so that tests meet orders of events that are rare otherwise.
 *
 * Process: all that run transactions, those of sessions, too. Only a test build has this file (make
 * KWJ_TEST_BUILD=1). Locks: none, but a process that stands still keeps those that it has.
 *
 *   commit:  ... -> stands still -> commits, is visible -> stands still -> releases its locks -> wakes others
 *
 * PostgreSQL calls first what was registered last. So what other files of kwjobs have it call at a commit, such as
 * the change of holds in wakeup.c, comes before the second of these places.
 *
 *   abort:   ... -> rolls back -> stands still -> releases its locks
 *
 * A machine under load does the same, but seldom at the place where it matters. A background worker, such as
 * the coordinator, stands still at every third of these places, a session at every twelfth, for half as long.
 */
#include "postgres.h"

#include <stdlib.h>

#include "access/xact.h"
#include "job/test_disturb.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/guc.h"

static int	longest_ms;			/* kwjobs.test_disturb; 0: processes do not stand still */

/*
 * Returns a random number in [0, 1). Each process has its own sequence of them: with the same one, all processes
 * would stand still at the same places.
 */
static double
next_random(void)
{
	static int	seeded = 0;		/* the process that has set the seed; a child inherits the values of its parent */
	static unsigned short state[3];

	if (seeded != MyProcPid)
	{
		instr_time	now;

		INSTR_TIME_SET_CURRENT(now);
		state[0] = (unsigned short) MyProcPid;
		state[1] = (unsigned short) INSTR_TIME_GET_MICROSEC(now);
		state[2] = (unsigned short) (INSTR_TIME_GET_MICROSEC(now) >> 16);
		seeded = MyProcPid;
	}
	return erand48(state);
}

static void
stand_still(XactEvent event, void *arg)
{
	bool		in_background = MyBackendType == B_BG_WORKER;

	if (longest_ms == 0 ||
		(event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	if (next_random() < (in_background ? 1.0 / 3 : 1.0 / 12))
		pg_usleep((long) (next_random() * longest_ms * (in_background ? 1000 : 500)));
}

void
kwj_test_disturb_init(void)
{
	const char *asked = getenv("KWJ_DISTURB");

	DefineCustomIntVariable("kwjobs.test_disturb", "For tests: see test_disturb.c.", NULL, &longest_ms,
							asked != NULL ? Max(atoi(asked), 0) : 0, 0, 10000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	RegisterXactCallback(stand_still, NULL);
}

/*
 * src/coordinator/put_off.c
 *	  Jobs and errands that were put off by a clock that was wrong.
 *
 * Process: coordinator; coordinator.c calls this before each pass. Locks: the table of jobs, if the lock is free,
 * and rows of jobs, with SKIP LOCKED, in a transaction of its own; kwj_shared->lock for moments.
 *
 *     the clock is wrong by a year ---> a job fails, and is due again a minute later, in a year
 *     ... is set right ---> this process sees it, or the launcher, which starts a coordinator everywhere
 *                           ---> the job is due in a minute
 *
 * A job may be put off for its next attempt, for a worker, or until its window opens; an errand, until
 * it is sent again. All of these times count from the time at which the row was changed, so where that
 * time is in the future, the clock was wrong. A time that a user has named (run_at) stays. What a
 * session has locked at this moment stays, too. fire.c does the same for schedules.
 *
 * To read all jobs that wait for later takes long, if they are many. So it is done only if the clock
 * shows an earlier time than it did to a coordinator before: shared/looked.c keeps what it has shown.
 * After a start of the server it is done once, as the clock may have been set while the server was down.
 *
 * If this process dies, what it has not committed is as it was, and it has not noted its look: its
 * successor does it all again.
 */
#include "postgres.h"

#include "coordinator/put_off.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "process/process.h"
#include "shared/looked.h"
#include "store/due.h"
#include "store/errands.h"
#include "store/query.h"

/*
 * If the clock is set back by less than this, what was put off waits until the clock has caught up.
 * Schedules do so, too.
 */
#define CORRECTION_US	(3 * USECS_PER_HOUR)

/* This process notes what the clock shows that often. It must be less than CORRECTION_US. */
#define NOTE_US			USECS_PER_HOUR

/* How many jobs a transaction brings forward. */
#define JOBS_STEP		1000

static TimestampTz noted = DT_NOBEGIN;	/* what the clock has shown when this process last noted it */

/* What a transaction does. */
typedef struct Step
{
	TimestampTz now;
	bool		blocked;		/* out: somebody has locked the table of jobs */
	int			n;				/* out: how many jobs were brought forward */
} Step;

static void
bring_forward(void *arg)
{
	Step	   *step = arg;

	if (!kwj_process_lock_extension())
		return;
	kwj_set_locally("synchronous_commit", "off");
	step->blocked = !kwj_store_try_lock_jobs();
	if (step->blocked)
		return;
	step->n = kwj_store_bring_forward(step->now, step->now + CORRECTION_US, JOBS_STEP);
	kwj_store_bring_errands_forward(step->now, step->now + CORRECTION_US);
}

/* Brings forward all that was put off by a later time than now. Returns false if it has to be tried again. */
static bool
bring_all_forward(TimestampTz now, int *n)
{
	Step		step = {.now = now};

	*n = 0;
	do
	{
		step.n = 0;
		/* An error is in the log. Jobs that it concerns wait; trying again could fail for ever. */
		if (kwj_isolate(bring_forward, &step) != NULL)
			break;
		*n += step.n;
	} while (step.n > 0);
	if (*n > 0)
		ereport(LOG,
				(errmsg("kwjobs: the clock was set back; %d jobs that were put off by the old time go by the new one", *n)));
	return !step.blocked;
}

bool
kwj_put_off_see_clock(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz before;
	int			n = 0;

	if (noted != DT_NOBEGIN && noted <= now && now < noted + NOTE_US)
		return false;
	before = kwj_shared_clock_last_look();
	if ((before == 0 || before > now) && !bring_all_forward(now, &n))
		return n > 0;
	kwj_shared_clock_looked(now);
	noted = now;
	return n > 0;
}

TimestampTz
kwj_put_off_next(void)
{
	return noted == DT_NOBEGIN ? DT_NOBEGIN : DT_NOEND;
}

/*
 * src/job/stop.c
 *	  The moment that a stop of the server gives the work to write its checkpoint.
 *
 * Process: worker. Callers: the handler of SIGTERM (process/stop.c); what commits checkpoints
 * (lifecycle, function/checkpoint.c); worker/work.c, when the work is over. Locks: none.
 *
 *     none --expect_checkpoint--> expected --SIGTERM--> put off --at_checkpoint, expect_none--> exit
 *      ^                             |
 *      +--------expect_none----------+
 *
 * SIGTERM from the launcher, or by hand, ends the process at once, whatever it does. If the
 * process dies before its commit, the work since the last checkpoint is rolled back, as if nobody
 * had waited.
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"
#include "job/stop.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"

static volatile sig_atomic_t expected = false;
static volatile sig_atomic_t asked = false;

void
kwj_stop_expect_checkpoint(void)
{
	expected = true;
}

/* expected is reset first: a signal from now on ends the process by itself. */
void
kwj_stop_expect_none(void)
{
	expected = false;
	if (!asked)
		return;
	kwj_die(SIGTERM);
	CHECK_FOR_INTERRUPTS();
}

void
kwj_stop_at_checkpoint(void)
{
	if (asked)
		kwj_stop_expect_none();
	else
		expected = true;
}

bool
kwj_stop_is_asked(void)
{
	return asked;
}

/* Safe in a signal handler. A wait of the work for its latch ends, so that it sees the stop. */
bool
kwj_stop_put_off(void)
{
	if (!expected)
		return false;
	asked = true;
	SetLatch(MyLatch);
	return true;
}

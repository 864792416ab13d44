/*
 * src/clock.h
 *	  The clock by which the processes of kwjobs go, and how long they wait.
 *
 * A build for tests has a clock that tests can set: in all files of kwjobs, GetCurrentTimestamp() is
 * the server's clock plus setting kwjobs.test_clock, in seconds. The setting takes effect with a
 * reload (set_clock in t/lib/KwjTest.pm), so all processes see about the same time, and it outlives
 * a crash of the server. The clock goes on from where it was set.
 *
 * PostgreSQL's own functions, and clock_timestamp() in the queries of src/store, go by the server's
 * clock. So a test sets the clock ahead, and back again no further than to the time of the server:
 * then what a query notes as the present time is never in the future.
 *
 * In a build for tests, setting kwjobs.test_haste also divides the times for which processes wait
 * before they do something, so that a test waits milliseconds for what users wait seconds for.
 *
 * Any other build goes by the server's clock, and waits as long as the code says.
 */
#ifndef KWJ_CLOCK_H
#define KWJ_CLOCK_H

#include "postgres.h"

#ifdef KWJ_TEST_BUILD
/* Its declaration has to come before the macro. */
#include "utils/timestamp.h"

extern int	kwj_test_clock;		/* kwjobs.test_clock, seconds */

static inline TimestampTz
kwj_test_now(void)
{
	return GetCurrentTimestamp() + (int64) kwj_test_clock * USECS_PER_SEC;
}

#define GetCurrentTimestamp()	kwj_test_now()

extern int	kwj_test_haste;		/* kwjobs.test_haste */

#define KWJ_WAIT_MS(ms)		((ms) / kwj_test_haste)
#else
#define KWJ_WAIT_MS(ms)		(ms)
#endif

#endif

/*
 * src/job/test_clock.h
 *	  A build for tests may go ahead of the server's clock.
 *
 * In all files of kwjobs, GetCurrentTimestamp() is the server's clock plus setting kwjobs.test_ahead, in
 * seconds. The setting takes effect with a reload (set_clock in t/lib/KwjTest.pm), so all processes see
 * about the same time, and it outlives a crash of the server. The clock goes on from where it was set.
 * (The clock of schedules can also be stopped: job/clock.h.)
 *
 * PostgreSQL's own functions, and clock_timestamp() in the queries of src/store, go by the server's
 * clock. So a test sets the clock ahead, and back again no further than to the time of the server:
 * then what a query notes as the present time is never in the future.
 *
 * Every other build goes by the server's clock.
 */
#ifndef KWJ_JOB_TEST_CLOCK_H
#define KWJ_JOB_TEST_CLOCK_H

#include "postgres.h"

#ifdef KWJ_TEST_BUILD
/* Its declaration has to come before the macro. */
#include "utils/timestamp.h"

extern int	kwj_test_ahead;		/* kwjobs.test_ahead, seconds */

static inline TimestampTz
kwj_test_now(void)
{
	return GetCurrentTimestamp() + (int64) kwj_test_ahead * USECS_PER_SEC;
}

#define GetCurrentTimestamp()	kwj_test_now()
#endif

#endif

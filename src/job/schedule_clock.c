/*
 * src/job/schedule_clock.c
 *	  The clock by which schedules are due, in a build for tests.
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "job/schedule_clock.h"

#ifdef KWJ_TEST_BUILD
TimestampTz
kwj_clock(void)
{
	if (kwj_test_schedule_clock == 0)
		return GetCurrentTimestamp();
	return (TimestampTz) ((kwj_test_schedule_clock - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (double) SECS_PER_DAY) *
						  USECS_PER_SEC);
}

TimestampTz
kwj_clock_to_wait_for(TimestampTz time)
{
	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	return GetCurrentTimestamp() + (time - kwj_clock());
}
#endif

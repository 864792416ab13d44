/*
 * src/job/schedule_clock.h
 *	  The clock by which schedules are due.
 *
 * It is the clock of all processes (clock.h). In a build for tests, kwjobs.test_schedule_clock may
 * stop it at an instant: then exactly what is due by that instant has been due, and a test need not
 * wait for it.
 */
#ifndef KWJ_JOB_SCHEDULE_CLOCK_H
#define KWJ_JOB_SCHEDULE_CLOCK_H

#include "kwjobs.h"
#include "utils/timestamp.h"

#ifdef KWJ_TEST_BUILD
extern TimestampTz kwj_clock(void);

/* Returns when the server's clock will show that this time of kwj_clock has come. */
extern TimestampTz kwj_clock_to_wait_for(TimestampTz time);
#else
#define kwj_clock()					GetCurrentTimestamp()
#define kwj_clock_to_wait_for(time)	(time)
#endif

#endif

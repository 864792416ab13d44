/*
 * src/job/clock.h
 *	  The clock by which schedules are due.
 *
 * It is the server's clock. In a build for tests, kwjobs.test_clock may stop it at an instant, so that
 * a test need not wait until a schedule is due.
 */
#ifndef KWJ_JOB_CLOCK_H
#define KWJ_JOB_CLOCK_H

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

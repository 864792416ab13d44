/*
 * src/schedule/calendar.h
 *	  Days and times of day of a cron expression, without a time zone.
 *
 * A local second is what a clock on the wall shows, as the number of seconds since it showed
 * 1970-01-01 00:00:00.
 */
#ifndef KWJ_SCHEDULE_CALENDAR_H
#define KWJ_SCHEDULE_CALENDAR_H

#include "postgres.h"

#include "schedule/cron.h"

/* Returns the quotient of two numbers, rounded down also where the first one is negative. */
static inline int64
kwj_divide_down(int64 number, int64 divisor)
{
	return number / divisor - (number % divisor < 0 ? 1 : 0);
}

/* Returns whether a number from 0 to 63 is a member of a set. */
static inline bool
kwj_has_bit(uint64 set, int number)
{
	return (set >> number) & 1;
}

/* Returns the smallest member of a set that is not below "from", or -1. */
extern int	kwj_next_bit(uint64 set, int from);

/* Returns whether an expression has this year, from 1970 to 2099. */
extern bool kwj_cron_has_year(const KwjCron *cron, int year);

/* Returns whether there is a day at all that an expression means. */
extern bool kwj_cron_has_day(const KwjCron *cron);

/*
 * Finds the first local second, not before "from", that an expression means; false: there is none up
 * to the end of 2099.
 */
extern bool kwj_cron_next_local(const KwjCron *cron, int64 from, int64 *found);

#endif

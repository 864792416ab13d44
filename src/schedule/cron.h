/*
 * src/schedule/cron.h
 *	  The arithmetic of schedules: from an expression, a time zone and an instant to the next instant.
 *
 * All of it is pure: there is no clock and no catalog, and nothing but the zone's file is read. The
 * expressions, and the rule for clock changes, are in doc/users/cron.md.
 *
 *	   text --parse.c--> KwjCron --next.c--------> instants
 *						    |	  calendar.c	 (days and times, without a zone)
 *						    |	  zone.c		 (local time <-> instants)
 *						    |	  every.c		 (intervals)
 *						    +------describe.c----> English
 */
#ifndef KWJ_SCHEDULE_CRON_H
#define KWJ_SCHEDULE_CRON_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

/* The years of the specification. Nothing is due after the last one. */
#define KWJ_CRON_FIRST_YEAR	1970
#define KWJ_CRON_LAST_YEAR	2099
#define KWJ_CRON_YEARS		(KWJ_CRON_LAST_YEAR - KWJ_CRON_FIRST_YEAR + 1)

/* An expression may have this many bytes. */
#define KWJ_CRON_LENGTH		1024

/*
 * An expression that was read. It has no pointers, and may be copied. In a set, bit n stands for the
 * value n, except that the set of years begins with bit 0 of the first word for 1970.
 */
typedef struct KwjCron
{
	/* every so often, from an anchor; if so, the rest is not used */
	bool		is_interval;
	Interval	interval;

	uint64		seconds;
	uint64		minutes;
	uint64		hours;
	uint64		months;
	uint64		years[(KWJ_CRON_YEARS + 63) / 64];

	/* day-of-month: any day; else these days, the last day, the last weekday, weekdays nearest to these days */
	bool		any_day;
	uint64		days;
	bool		last_day;
	bool		last_weekday;
	uint64		nearest_weekdays;

	/* day-of-week: any; else these (0: Sunday), the last ones of a month, the k-th ones (bit k) of a month */
	bool		any_weekday;
	uint64		weekdays;
	uint64		last_weekdays;
	uint64		nth_weekdays[7];

	/* the minute or the hour is a wildcard: where clocks change, follow the clock as it stands */
	bool		follows_clock;
} KwjCron;

/* Why a text is no expression: for errmsg, errdetail and errhint. All three are set. */
typedef struct KwjCronProblem
{
	char	   *message;
	char	   *detail;
	char	   *hint;
} KwjCronProblem;

/*
 * Reads an expression. Returns false, and says why, if the text is none, or if it can never be due.
 * The texts are palloc'd and bounded. It raises no error, but for want of memory.
 */
extern bool kwj_cron_parse(const char *text, KwjCron *cron, KwjCronProblem *problem);

/*
 * Finds the first instant after this one at which the expression is due in this zone; false: it is not
 * due any more. An interval is counted from the anchor, which is itself the first due time if it is
 * later than "after". Both instants have to be finite.
 */
extern bool kwj_cron_next(const KwjCron *cron, pg_tz *zone, TimestampTz anchor,
						  TimestampTz after, TimestampTz *next);

/* Returns the expression in English, palloc'd: "at 09:30 on Monday to Friday". */
extern char *kwj_cron_describe(const KwjCron *cron);

/*
 * Returns a time zone by the name that it has in pg_timezone_names, or by a POSIX specification, as
 * SET TIME ZONE takes them. Errors: 22023 if there is no such zone.
 */
extern pg_tz *kwj_cron_zone(const char *name);

/*
 * Returns whether a zone that kwj_cron_zone takes has a name in the database of time zones, which has some hundred,
 * and is not a POSIX specification such as ABC3, of which users can make up any number. A process keeps each zone
 * that it has ever used in its memory. So with specifications users could fill the memory of the coordinator.
 */
extern bool kwj_zone_is_name(const char *name);

#endif

/*
 * src/schedule/every.c
 *	  Schedules that are intervals: every 30 seconds, every month.
 *
 * The n-th due time is the anchor plus n intervals, not the (n - 1)-th due time plus one interval. So
 * every month from 31 January is 28 February and then 31 March, and if a clock skips the hour of one
 * due time, the later ones keep theirs. Months and days are those of the zone's calendar, and the rest
 * is elapsed time, as when PostgreSQL adds an interval to a timestamptz. Where the clock changes, a
 * local time that months and days lead to is due as the fixed time of a cron expression is (next.c).
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include "compat.h"
#include "schedule/calendar.h"
#include "schedule/every.h"
#include "schedule/zone.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* The size of the buffer in which PostgreSQL splits the text of an interval into fields. */
#define WORK_SIZE	256

/* The days of the shortest month. So kwj_every_next() takes no interval for longer than it is. */
#define MIN_DAYS_PER_MONTH	28

/* A user may not ask for a longer interval. */
#define MAX_YEARS			100

bool
kwj_every_read(const char *text, Interval *interval)
{
	KWJ_SPAN	span;
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	char		work[WORK_SIZE];
	int			nf,
				dtype,
				error;

	memset(&span, 0, sizeof(span));
	memset(interval, 0, sizeof(*interval));
	error = ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nf);
	if (error == 0)
		error = kwj_decode_interval(field, ftype, nf, &dtype, &span);
	if (error == DTERR_BAD_FORMAT)
	{
		char	   *copy = pstrdup(text);

		error = kwj_decode_iso_interval(copy, &dtype, &span);
		pfree(copy);
	}
	return error == 0 && dtype == DTK_DELTA && kwj_span_to_interval(&span, interval) == 0;
}

/*
 * Returns whether a text has a minus sign before a number. Such a text is refused, because the setting
 * intervalstyle says which parts of an interval the sign makes negative, and what an expression means
 * must not depend on a setting.
 */
static bool
has_sign(const char *text)
{
	for (const char *at = strchr(text, '-'); at != NULL; at = strchr(at + 1, '-'))
		if (at == text || at[-1] < '0' || at[-1] > '9')
			return true;
	return false;
}

const char *
kwj_every_refusal(const char *text, const Interval *interval)
{
	if (has_sign(text) || interval->month < 0 || interval->day < 0 || interval->time < 0)
		return "No part of the interval may be negative.";
	if (interval->month == 0 && interval->day == 0 && interval->time < USECS_PER_SEC)
		return "The shortest interval is 1 second.";
	if (interval->month > MAX_YEARS * MONTHS_PER_YEAR || interval->day > MAX_YEARS * 366 ||
		interval->time > MAX_YEARS * 366 * USECS_PER_DAY)
		return "The longest interval is 100 years.";
	return NULL;
}

/* Adds months to a day. Where the month is too short, the day is its last one. */
static int64
add_months(int64 day, int64 months)
{
	int			y,
				m,
				d;
	int64		sum;

	j2date((int) (day + UNIX_EPOCH_JDATE), &y, &m, &d);
	sum = (int64) y * MONTHS_PER_YEAR + m - 1 + months;
	y = (int) kwj_divide_down(sum, MONTHS_PER_YEAR);
	m = (int) (sum - y * MONTHS_PER_YEAR) + 1;
	return date2j(y, m, Min(d, day_tab[isleap(y)][m - 1])) - UNIX_EPOCH_JDATE;
}

/* Returns the instant that is n intervals after the anchor. */
static TimestampTz
due(const Interval *interval, pg_tz *zone, TimestampTz anchor, int64 n)
{
	int64		local,
				day,
				fraction;
	pg_time_t	second;

	if (n == 0 || (interval->month == 0 && interval->day == 0))
		return anchor + n * interval->time;
	second = kwj_second_of(anchor);
	fraction = anchor - time_t_to_timestamptz(second);
	local = kwj_zone_local(zone, second);
	day = kwj_divide_down(local, SECS_PER_DAY);
	local -= day * SECS_PER_DAY;
	if (interval->month != 0)
		day = add_months(day, n * interval->month);
	local += (day + n * interval->day) * SECS_PER_DAY;
	second = kwj_zone_first_at(zone, local - KWJ_ZONE_REACH, local);
	return time_t_to_timestamptz(second) + fraction + n * interval->time;
}

bool
kwj_every_next(const KwjCron *cron, pg_tz *zone, TimestampTz anchor,
			   TimestampTz after, TimestampTz *next)
{
	const Interval *interval = &cron->interval;
	TimestampTz end = time_t_to_timestamptz((pg_time_t)
											(date2j(KWJ_CRON_LAST_YEAR + 1, 1, 1) - UNIX_EPOCH_JDATE) * SECS_PER_DAY);
	int64		shortest;
	int64		low = 0,
				high;

	if (after >= end || anchor >= end)
		return false;

	/*
	 * The due times do not decrease with their number, so halving finds the first one that is later
	 * than "after". If each interval had its shortest length, the one with the number (after -
	 * anchor) / shortest + 1 would be later. A change of the clock can make it earlier by
	 * KWJ_ZONE_REACH at most, and only intervals of a day or more depend on the clock. So as many
	 * further numbers as KWJ_ZONE_REACH has days are enough.
	 */
	shortest = ((int64) interval->month * MIN_DAYS_PER_MONTH + interval->day) * USECS_PER_DAY + interval->time;
	high = after < anchor ? 0 : (after - anchor) / shortest + 1 + KWJ_ZONE_REACH / SECS_PER_DAY;
	while (low < high)
	{
		int64		middle = (low + high) / 2;

		if (due(interval, zone, anchor, middle) > after)
			high = middle;
		else
			low = middle + 1;
	}
	*next = due(interval, zone, anchor, low);
	return *next < end;
}

/*
 * src/schedule/every.c
 *	  Schedules that are intervals: every 30 seconds, every month.
 *
 * The n-th due time is the anchor and n intervals, not the one before and one interval: a month after
 * 31 January and 28 February comes 31 March, and an hour that a clock skips moves one due time only.
 * Months and days are those of the zone's calendar, and what is left is elapsed time, as where
 * PostgreSQL adds an interval to a timestamptz. Where the clock changes, the local times that come out
 * are due as the fixed times of cron expressions are.
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

/* What PostgreSQL's reading of an interval may need to split the text into. */
#define WORK_SIZE	256

/* Bounds of what a month and a year can be, for how many intervals to look at. */
#define MIN_DAYS_PER_MONTH	28
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
 * Returns whether a text has a sign that makes a number of it negative. To what such a sign belongs
 * depends on the setting intervalstyle, and an expression must not.
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
	 * The due times do not decrease with their number. The last one of the numbers to look at is
	 * later than "after", by as much as a change of the clock can take from it.
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
	if (*next <= after)
		elog(ERROR, "the next due time " INT64_FORMAT " is not later than " INT64_FORMAT, *next, after);
	return *next < end;
}

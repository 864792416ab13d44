/*
 * src/schedule/calendar.c
 *	  Days and times of day of a cron expression, without a time zone.
 *
 * Looking for a day goes month by month, with a set of the days of each, so that the rarest
 * expression (29 February) costs about a hundred steps.
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "schedule/calendar.h"
#include "utils/datetime.h"

int
kwj_next_bit(uint64 set, int from)
{
	Assert(from >= 0);
	if (from > 63)
		return -1;
	set &= ~UINT64CONST(0) << from;
	return set == 0 ? -1 : pg_rightmost_one_pos64(set);
}

bool
kwj_cron_has_year(const KwjCron *cron, int year)
{
	int			n = year - KWJ_CRON_FIRST_YEAR;

	Assert(n >= 0 && n < KWJ_CRON_YEARS);
	return kwj_has_bit(cron->years[n / 64], n % 64);
}

/* Returns the day of the week (0: Sunday) of a day of a month. first_weekday: that of its first day. */
static int
weekday_of(int first_weekday, int day)
{
	return (first_weekday + day - 1) % 7;
}

static bool
is_workday(int first_weekday, int day)
{
	int			weekday = weekday_of(first_weekday, day);

	return weekday >= 1 && weekday <= 5;
}

/* Returns the weekday (Monday to Friday) that is nearest to a day and in the same month. */
static int
nearest_workday(int first_weekday, int n_days, int day)
{
	if (is_workday(first_weekday, day))
		return day;
	if (weekday_of(first_weekday, day) == 6)
		return day > 1 ? day - 1 : day + 2;
	return day < n_days ? day + 1 : day - 2;
}

/* Returns the set of days that the field day-of-month means in a month. */
static uint64
days_by_number(const KwjCron *cron, int first_weekday, int n_days)
{
	uint64		found = cron->days;

	if (cron->last_day)
		found |= UINT64CONST(1) << n_days;
	if (cron->last_weekday)
		found |= UINT64CONST(1) << nearest_workday(first_weekday, n_days, n_days);
	for (int day = kwj_next_bit(cron->nearest_weekdays, 1); day > 0 && day <= n_days;
		 day = kwj_next_bit(cron->nearest_weekdays, day + 1))
		found |= UINT64CONST(1) << nearest_workday(first_weekday, n_days, day);
	return found;
}

/* Returns the set of days that the field day-of-week means in a month. */
static uint64
days_by_weekday(const KwjCron *cron, int first_weekday, int n_days)
{
	uint64		found = 0;

	for (int day = 1; day <= n_days; day++)
	{
		int			weekday = weekday_of(first_weekday, day);
		int			nth = (day - 1) / 7 + 1;

		if (kwj_has_bit(cron->weekdays, weekday) ||
			(kwj_has_bit(cron->last_weekdays, weekday) && day + 7 > n_days) ||
			kwj_has_bit(cron->nth_weekdays[weekday], nth))
			found |= UINT64CONST(1) << day;
	}
	return found;
}

/*
 * Returns the set of days that an expression means in a month. This function does not look whether
 * the expression means the year and the month; its caller does.
 */
static uint64
days_of_month(const KwjCron *cron, int year, int month)
{
	int			n_days = day_tab[isleap(year)][month - 1];
	int			first_weekday = j2day(date2j(year, month, 1));
	uint64		all = ((UINT64CONST(1) << n_days) - 1) << 1;
	uint64		found = cron->any_day && cron->any_weekday ? all : 0;

	if (!cron->any_day)
		found |= days_by_number(cron, first_weekday, n_days);
	if (!cron->any_weekday)
		found |= days_by_weekday(cron, first_weekday, n_days);
	return found & all;
}

/*
 * Finds the first day, not before this one, that an expression means. Days are counted from
 * 1970-01-01.
 */
static bool
next_day(const KwjCron *cron, int64 from, int64 *found)
{
	int			year,
				month,
				day;

	if (from < 0)
		from = 0;
	if (from > date2j(KWJ_CRON_LAST_YEAR, 12, 31) - UNIX_EPOCH_JDATE)
		return false;
	j2date((int) from + UNIX_EPOCH_JDATE, &year, &month, &day);
	for (; year <= KWJ_CRON_LAST_YEAR; year++, month = 1, day = 1)
	{
		if (!kwj_cron_has_year(cron, year))
			continue;
		for (; month <= 12; month++, day = 1)
		{
			int			first;

			if (!kwj_has_bit(cron->months, month))
				continue;
			first = kwj_next_bit(days_of_month(cron, year, month), day);
			if (first < 0)
				continue;
			*found = date2j(year, month, first) - UNIX_EPOCH_JDATE;
			return true;
		}
	}
	return false;
}

bool
kwj_cron_has_day(const KwjCron *cron)
{
	int64		day;

	return next_day(cron, 0, &day);
}

/* Finds the first second of the day, not before this one, that an expression means. */
static bool
next_time(const KwjCron *cron, int from, int *found)
{
	int			hour = from / SECS_PER_HOUR;
	int			minute = from / SECS_PER_MINUTE % MINS_PER_HOUR;
	int			second = from % SECS_PER_MINUTE;

	if (kwj_has_bit(cron->hours, hour))
	{
		if (kwj_has_bit(cron->minutes, minute))
			second = kwj_next_bit(cron->seconds, second);
		else
			second = -1;
		if (second < 0)
		{
			minute = kwj_next_bit(cron->minutes, minute + 1);
			second = kwj_next_bit(cron->seconds, 0);
		}
	}
	else
		minute = -1;
	if (minute < 0)
	{
		hour = kwj_next_bit(cron->hours, hour + 1);
		minute = kwj_next_bit(cron->minutes, 0);
		second = kwj_next_bit(cron->seconds, 0);
	}
	*found = hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second;
	return hour >= 0;
}

bool
kwj_cron_next_local(const KwjCron *cron, int64 from, int64 *found)
{
	int64		first = kwj_divide_down(from, SECS_PER_DAY);
	int64		day;
	int			second = 0;

	if (!next_day(cron, first, &day))
		return false;
	if (day != first || !next_time(cron, (int) (from - first * SECS_PER_DAY), &second))
	{
		if (day == first && !next_day(cron, first + 1, &day))
			return false;
		(void) next_time(cron, 0, &second);
	}
	*found = day * SECS_PER_DAY + second;
	Assert(*found >= from);
	return true;
}

/*
 * src/schedule/describe.c
 *	  Says in English when an expression is due: the time, the days, the months, the years.
 *
 *	  at 09:30 | on Monday to Friday | in June and July | of 2027
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "schedule/calendar.h"
#include "schedule/cron.h"
#include "schedule/field.h"
#include "utils/datetime.h"

/* At most this many times of day are listed. Of more, the text names the hours and minutes instead. */
#define MOST_TIMES	6

/* For at least this many days at equal distances, the text names the distance instead of the days. */
#define LEAST_STEPS	4

/* The numbers of a set that is described, in ascending order. */
typedef struct Numbers
{
	int			n;
	int			values[KWJ_CRON_YEARS];
} Numbers;

/* Appends one number as a word. */
typedef void (*PutNumber) (StringInfo into, int number);

static void
put_plain(StringInfo into, int number)
{
	appendStringInfo(into, "%d", number);
}

static void
put_ordinal(StringInfo into, int number)
{
	const char *ending = "th";

	if (number / 10 % 10 != 1)
		ending = number % 10 == 1 ? "st" : number % 10 == 2 ? "nd" : number % 10 == 3 ? "rd" : "th";
	appendStringInfo(into, "%d%s", number, ending);
}

static void
put_month(StringInfo into, int number)
{
	appendStringInfoString(into, kwj_month_names[number - 1]);
}

/* 7 is Sunday, too. */
static void
put_weekday(StringInfo into, int number)
{
	appendStringInfoString(into, days[number % 7]);
}

static void
add_number(Numbers *numbers, int number)
{
	numbers->values[numbers->n++] = number;
}

static Numbers
numbers_of(uint64 set)
{
	Numbers		result = {0};

	for (int value = kwj_next_bit(set, 0); value >= 0; value = kwj_next_bit(set, value + 1))
		add_number(&result, value);
	return result;
}

static Numbers
years_of(const KwjCron *cron)
{
	Numbers		result = {0};

	for (int year = KWJ_CRON_FIRST_YEAR; year <= KWJ_CRON_LAST_YEAR; year++)
		if (kwj_cron_has_year(cron, year))
			add_number(&result, year);
	return result;
}

/* Weekdays in the order of a week that ends with Sunday. */
static Numbers
weekdays_of(uint64 set)
{
	return numbers_of((set & ~UINT64CONST(1)) | ((set & 1) << 7));
}

/* Appends the word between item i of n items and the item before it. */
static void
append_separator(StringInfo into, int i, int n)
{
	if (i > 0)
		appendStringInfoString(into, i < n - 1 ? ", " : " and ");
}

/* Appends numbers as a list, three and more in a row as "1 to 3". */
static void
append_list(StringInfo into, const Numbers *numbers, PutNumber put)
{
	int			n_runs = 0;
	int			run_end[KWJ_CRON_YEARS];
	int			start = 0;

	for (int i = 0; i < numbers->n;)
	{
		int			end = i;

		while (end + 1 < numbers->n && numbers->values[end + 1] == numbers->values[end] + 1)
			end++;
		if (end - i < 2)
			end = i;
		run_end[n_runs++] = end;
		i = end + 1;
	}
	for (int run = 0; run < n_runs; run++)
	{
		append_separator(into, run, n_runs);
		put(into, numbers->values[start]);
		if (run_end[run] > start)
		{
			appendStringInfoString(into, " to ");
			put(into, numbers->values[run_end[run]]);
		}
		start = run_end[run] + 1;
	}
}

/*
 * Returns the distance between the numbers, if all are at the same distance and no further one would
 * fit before "last", the largest number of the field. Otherwise returns 0.
 */
static int
step_of(const Numbers *numbers, int last)
{
	int			step;

	if (numbers->n < 2)
		return 0;
	step = numbers->values[1] - numbers->values[0];
	for (int i = 2; i < numbers->n; i++)
		if (numbers->values[i] - numbers->values[i - 1] != step)
			return 0;
	return numbers->values[numbers->n - 1] + step > last ? step : 0;
}

/*
 * As step_of, for a field with the numbers 0 to size - 1. Returns 0 also if the distance from the last
 * number to the first one of the next round is another, as for every 7 of 60 minutes.
 */
static int
even_step(const Numbers *numbers, int size)
{
	int			step = numbers->values[0] == 0 ? step_of(numbers, size - 1) : 0;

	return step > 0 && size % step == 0 ? step : 0;
}

static void
append_every(StringInfo into, int step, const char *unit)
{
	if (step == 1)
		appendStringInfo(into, "every %s", unit);
	else
		appendStringInfo(into, "every %d %ss", step, unit);
}

/* Appends "minute 5" or "minutes 5 and 10". */
static void
append_units(StringInfo into, const Numbers *numbers, const char *unit)
{
	appendStringInfo(into, "%s%s ", unit, numbers->n == 1 ? "" : "s");
	append_list(into, numbers, put_plain);
}

/* Returns whether an expression is due at other seconds than 0, too. */
static bool
has_seconds(const Numbers *seconds)
{
	return seconds->n > 1 || seconds->values[0] != 0;
}

/* Appends the times of day one by one. */
static void
append_times(StringInfo into, const Numbers *hours, const Numbers *minutes, const Numbers *seconds)
{
	int			n = hours->n * minutes->n * seconds->n;

	appendStringInfoString(into, "at ");
	for (int i = 0; i < n; i++)
	{
		append_separator(into, i, n);
		appendStringInfo(into, "%02d:%02d", hours->values[i / seconds->n / minutes->n],
						 minutes->values[i / seconds->n % minutes->n]);
		if (has_seconds(seconds))
			appendStringInfo(into, ":%02d", seconds->values[i % seconds->n]);
	}
}

/* Appends of which hours the minutes are, if not of all. is_list: the minutes are named one by one. */
static void
append_hours(StringInfo into, const Numbers *hours, bool is_list)
{
	if (hours->n < HOURS_PER_DAY)
	{
		appendStringInfoString(into, " of ");
		append_units(into, hours, "hour");
	}
	else if (is_list)
		appendStringInfoString(into, " of every hour");
}

/* Appends the time of day of an expression that is due at other seconds than 0, too. */
static void
append_seconds(StringInfo into, const Numbers *hours, const Numbers *minutes, const Numbers *seconds)
{
	int			step = even_step(seconds, SECS_PER_MINUTE);

	if (step > 0)
		append_every(into, step, "second");
	else
	{
		appendStringInfoString(into, "at ");
		append_units(into, seconds, "second");
	}
	if (minutes->n < MINS_PER_HOUR)
	{
		appendStringInfoString(into, " of ");
		append_units(into, minutes, "minute");
	}
	else if (step == 0)
		appendStringInfoString(into, " of every minute");
	append_hours(into, hours, minutes->n < MINS_PER_HOUR);
}

/* Appends the time of day of an expression that is due at second 0 only. */
static void
append_minutes(StringInfo into, const Numbers *hours, const Numbers *minutes)
{
	int			hour_step = even_step(hours, HOURS_PER_DAY);
	int			minute_step = even_step(minutes, MINS_PER_HOUR);

	if (minute_step > 0)
	{
		append_every(into, minute_step, "minute");
		append_hours(into, hours, false);
	}
	else if (minutes->n == 1 && hour_step > 0)
	{
		append_every(into, hour_step, "hour");
		if (minutes->values[0] != 0)
			appendStringInfo(into, " at minute %d", minutes->values[0]);
	}
	else
	{
		appendStringInfoString(into, "at ");
		append_units(into, minutes, "minute");
		append_hours(into, hours, true);
	}
}

/* Appends the time of day. Returns whether the times of day were listed. */
static bool
append_time(StringInfo into, const KwjCron *cron)
{
	Numbers		hours = numbers_of(cron->hours);
	Numbers		minutes = numbers_of(cron->minutes);
	Numbers		seconds = numbers_of(cron->seconds);

	if (hours.n * minutes.n * seconds.n <= MOST_TIMES)
	{
		append_times(into, &hours, &minutes, &seconds);
		return true;
	}
	if (has_seconds(&seconds))
		append_seconds(into, &hours, &minutes, &seconds);
	else
		append_minutes(into, &hours, &minutes);
	return false;
}

/* Begins a phrase that says on which days. */
static void
begin_days(StringInfo into, bool *begun)
{
	appendStringInfoString(into, *begun ? " and on " : " on ");
	*begun = true;
}

static void
append_days_by_number(StringInfo into, const KwjCron *cron, bool *begun)
{
	Numbers		numbers = numbers_of(cron->days);
	Numbers		nearest = numbers_of(cron->nearest_weekdays);
	int			step = numbers.n >= LEAST_STEPS ? step_of(&numbers, 31) : 0;

	if (numbers.n > 0)
	{
		begin_days(into, begun);
		if (step > 1)
		{
			appendStringInfoString(into, "every ");
			put_ordinal(into, step);
			appendStringInfoString(into, " day of the month from the ");
			put_ordinal(into, numbers.values[0]);
		}
		else
		{
			appendStringInfoString(into, "the ");
			append_list(into, &numbers, put_ordinal);
			appendStringInfoString(into, " of the month");
		}
	}
	if (cron->last_day)
	{
		begin_days(into, begun);
		appendStringInfoString(into, "the last day of the month");
	}
	if (cron->last_weekday)
	{
		begin_days(into, begun);
		appendStringInfoString(into, "the last weekday (Monday to Friday) of the month");
	}
	for (int i = 0; i < nearest.n; i++)
	{
		begin_days(into, begun);
		appendStringInfoString(into, "the weekday (Monday to Friday) nearest to the ");
		put_ordinal(into, nearest.values[i]);
		appendStringInfoString(into, " of the month");
	}
}

static void
append_days_by_weekday(StringInfo into, const KwjCron *cron, bool *begun)
{
	static const char *const nth_names[] = {"first", "second", "third", "fourth", "fifth"};
	Numbers		numbers = weekdays_of(cron->weekdays);
	Numbers		last = weekdays_of(cron->last_weekdays);

	if (numbers.n > 0)
	{
		begin_days(into, begun);
		append_list(into, &numbers, put_weekday);
	}
	for (int nth = 1; nth <= lengthof(nth_names); nth++)
		for (int weekday = 1; weekday <= 7; weekday++)
			if (kwj_has_bit(cron->nth_weekdays[weekday % 7], nth))
			{
				begin_days(into, begun);
				appendStringInfo(into, "the %s %s of the month", nth_names[nth - 1], days[weekday % 7]);
			}
	for (int i = 0; i < last.n; i++)
	{
		begin_days(into, begun);
		appendStringInfo(into, "the last %s of the month", days[last.values[i] % 7]);
	}
}

static void
append_months_and_years(StringInfo into, const KwjCron *cron)
{
	Numbers		months = numbers_of(cron->months);
	Numbers		years = years_of(cron);

	if (months.n < MONTHS_PER_YEAR)
	{
		appendStringInfoString(into, " in ");
		append_list(into, &months, put_month);
	}
	if (years.n < KWJ_CRON_YEARS)
	{
		appendStringInfoString(into, months.n < MONTHS_PER_YEAR ? " of " : " in ");
		append_list(into, &years, put_plain);
	}
}

/* Appends a part of an interval, such as "2 hours". The number 1 is left out if it is the only part. */
static void
append_part(StringInfo into, int64 number, const char *unit, bool is_only)
{
	if (number == 0)
		return;
	if (number == 1 && is_only)
		appendStringInfo(into, " %s", unit);
	else
		appendStringInfo(into, " " INT64_FORMAT " %s%s", number, unit, number == 1 ? "" : "s");
}

static void
append_interval(StringInfo into, const Interval *interval)
{
	int64		numbers[] = {interval->month / MONTHS_PER_YEAR, interval->month % MONTHS_PER_YEAR, interval->day,
		interval->time / USECS_PER_HOUR, interval->time % USECS_PER_HOUR / USECS_PER_MINUTE,
	interval->time % USECS_PER_MINUTE / USECS_PER_SEC};
	static const char *const units[lengthof(numbers)] = {"year", "month", "day", "hour", "minute", "second"};
	int			fraction = interval->time % USECS_PER_SEC;
	int			n = 0;

	for (int i = 0; i < lengthof(numbers); i++)
		n += numbers[i] != 0 ? 1 : 0;
	appendStringInfoString(into, "every");
	for (int i = 0; i < lengthof(numbers); i++)
		if (i < lengthof(numbers) - 1 || fraction == 0)
			append_part(into, numbers[i], units[i], n == 1);
	if (fraction != 0)
	{
		appendStringInfo(into, " " INT64_FORMAT ".%06d", numbers[lengthof(numbers) - 1], fraction);
		while (into->data[into->len - 1] == '0')
			into->data[--into->len] = '\0';
		appendStringInfoString(into, " seconds");
	}
}

char *
kwj_cron_describe(const KwjCron *cron)
{
	StringInfoData text;
	bool		begun = false;
	bool		is_listed;

	initStringInfo(&text);
	if (cron->is_interval)
	{
		append_interval(&text, &cron->interval);
		return text.data;
	}
	is_listed = append_time(&text, cron);
	if (!cron->any_day)
		append_days_by_number(&text, cron, &begun);
	if (!cron->any_weekday)
		append_days_by_weekday(&text, cron, &begun);
	if (!begun && is_listed)
		appendStringInfoString(&text, " every day");
	append_months_and_years(&text, cron);
	return text.data;
}

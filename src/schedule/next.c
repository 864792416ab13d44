/*
 * src/schedule/next.c
 *	  The next instant of a cron expression in a time zone.
 *
 * Where a clock changes there are two rules, and doc/users/cron.md tells users about them:
 *
 * - A fixed time is due at the first instant at which the clock shows it or a later one. So a time
 *	 that is skipped is due when the gap ends, together with all others of the gap, and a time that
 *	 comes twice is due at the first. This order of instants is that of the local times, so it is
 *	 enough to look for the next local time after the latest one that the clock has shown.
 *
 * - An expression with a wildcard for the minute or the hour is due at each instant at which the
 *	 clock shows a time that it means. Such instants are looked for in one span after the other (see
 *	 schedule/zone.h), as the clock may show the same times again after a change.
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include "schedule/calendar.h"
#include "schedule/cron.h"
#include "schedule/every.h"
#include "schedule/zone.h"
#include "utils/timestamp.h"

/* Before this instant no zone's clock shows a year that an expression can have. */
#define FIRST_INSTANT	(-KWJ_ZONE_REACH)

/* Finds the first instant after this one of an expression with fixed times. */
static bool
next_fixed(const KwjCron *cron, pg_tz *zone, pg_time_t after, pg_time_t *next)
{
	int64		local;

	if (!kwj_cron_next_local(cron, kwj_zone_latest_local(zone, after) + 1, &local))
		return false;
	*next = kwj_zone_first_at(zone, Max(after + 1, local - KWJ_ZONE_REACH), local);
	return true;
}

/*
 * Finds the first instant after this one of an expression that follows the clock.
 *
 * If the next local time is far away, this function passes over the spans before it. It does so once
 * the clock cannot show again what it has shown up to "after". From then on until that local time, the
 * clock shows only times that the expression does not mean.
 */
static bool
next_by_clock(const KwjCron *cron, pg_tz *zone, pg_time_t after, pg_time_t *next)
{
	pg_time_t	from = after + 1;

	for (;;)
	{
		KwjZoneSpan span = kwj_zone_span(zone, from);
		int64		local;
		bool		found = kwj_cron_next_local(cron, from + span.offset, &local);

		if (found && local - span.offset < span.end)
		{
			*next = local - span.offset;
			return true;
		}
		if (span.end == PG_INT64_MAX)
			return false;
		from = span.end;
		if (from > after + KWJ_ZONE_REACH)
		{
			if (!found)
				return false;
			from = Max(from, local - KWJ_ZONE_REACH);
		}
	}
}

/* As kwj_cron_next, for an expression that is no interval. */
static bool
next_of_fields(const KwjCron *cron, pg_tz *zone, TimestampTz after, TimestampTz *next)
{
	/* The next second is later than "after" also if "after" is not a whole second. */
	pg_time_t	instant = Max(kwj_second_of(after), FIRST_INSTANT);
	bool		found = cron->follows_clock ? next_by_clock(cron, zone, instant, &instant) :
		next_fixed(cron, zone, instant, &instant);

	if (found)
		*next = time_t_to_timestamptz(instant);
	return found;
}

bool
kwj_cron_next(const KwjCron *cron, pg_tz *zone, TimestampTz anchor,
			  TimestampTz after, TimestampTz *next)
{
	bool		found;

	Assert(!TIMESTAMP_NOT_FINITE(anchor) && !TIMESTAMP_NOT_FINITE(after));
	found = cron->is_interval ? kwj_every_next(cron, zone, anchor, after, next) :
		next_of_fields(cron, zone, after, next);
	if (found && *next <= after)
		elog(ERROR, "the next due time " INT64_FORMAT " is not later than " INT64_FORMAT, *next, after);
	return found;
}

/*
 * src/schedule/zone.c
 *	  Local time and instants, by PostgreSQL's own time zones.
 *
 * A clock that changes, here from UTC+1 to UTC+2 and back:
 *
 *	 instant (UTC)	  ... 00:59:59 | 01:00:00 ...	 00:59:59 | 01:00:00 ...
 *	 clock			  ... 01:59:59 | 03:00:00 ...	 02:59:59 | 02:00:00 ...
 *						  a span   ^ its end		   a span  ^ its end
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include <ctype.h>

#include "job/clip.h"
#include "schedule/calendar.h"
#include "schedule/cron.h"
#include "schedule/zone.h"

/* The name of a zone is quoted in a message with at most this many bytes. */
#define QUOTED	100

pg_time_t
kwj_second_of(TimestampTz instant)
{
	return kwj_divide_down(instant, USECS_PER_SEC) +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

KwjZoneSpan
kwj_zone_span(pg_tz *zone, pg_time_t instant)
{
	KwjZoneSpan span;
	long int	before,
				after;
	int			before_isdst,
				after_isdst;
	int			found = pg_next_dst_boundary(&instant, &before, &before_isdst, &span.end,
											 &after, &after_isdst, zone);

	if (found < 0)
		elog(ERROR, "no clock change can be found in time zone \"%s\"", pg_get_timezone_name(zone));
	if (found == 0)
		span.end = PG_INT64_MAX;
	span.offset = before;
	Assert(span.end > instant);
	return span;
}

int64
kwj_zone_local(pg_tz *zone, pg_time_t instant)
{
	return instant + kwj_zone_span(zone, instant).offset;
}

int64
kwj_zone_latest_local(pg_tz *zone, pg_time_t instant)
{
	KwjZoneSpan span = kwj_zone_span(zone, instant - KWJ_ZONE_REACH);
	int64		latest = PG_INT64_MIN;

	while (span.end <= instant)
	{
		latest = Max(latest, span.end - 1 + span.offset);
		span = kwj_zone_span(zone, span.end);
	}
	return Max(latest, instant + span.offset);
}

pg_time_t
kwj_zone_first_at(pg_tz *zone, pg_time_t from, int64 local)
{
	for (;;)
	{
		KwjZoneSpan span = kwj_zone_span(zone, from);

		if (from + span.offset >= local)
			return from;
		if (local - span.offset < span.end)
			return local - span.offset;
		from = span.end;
	}
}

/*
 * PostgreSQL takes "Europe/Berlin2" for a POSIX specification: a zone called EUROPE/BERLIN, two hours
 * west of UTC. Returns whether PostgreSQL has done so, in which case the user has rather misspelt the
 * name of a zone: a slash is before the offset, where no specification has one, and PostgreSQL calls
 * the zone by capital letters only, as it calls no zone with a slash that it knows by name.
 */
static bool
is_misspelt(pg_tz *zone, const char *name)
{
	const char *canonical = pg_get_timezone_name(zone);

	if (strcspn(name, "/") >= strcspn(name, "0123456789,<"))
		return false;
	for (; *canonical; canonical++)
		if (islower((unsigned char) *canonical))
			return false;
	return true;
}

pg_tz *
kwj_zone_by_name(const char *name)
{
	pg_tz	   *zone = pg_tzset(name);

	return zone == NULL || !pg_tz_acceptable(zone) || is_misspelt(zone, name) ? NULL : zone;
}

bool
kwj_zone_is_name(const char *name)
{
	static const char *const with_digits[] = {
		"GMT0", "GMT+0", "GMT-0", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT"
	};

	if (strpbrk(name, "0123456789") == NULL || pg_strncasecmp(name, "Etc/", 4) == 0)
		return true;
	for (int i = 0; i < lengthof(with_digits); i++)
		if (pg_strcasecmp(name, with_digits[i]) == 0)
			return true;
	return false;
}

pg_tz *
kwj_cron_zone(const char *name)
{
	pg_tz	   *zone = kwj_zone_by_name(name);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", kwj_quoted(name, QUOTED)),
				 errhint("Give a name of pg_timezone_names, such as 'Europe/Berlin' or 'UTC'.")));
	return zone;
}

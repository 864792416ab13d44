/*
 * src/schedule/zone.h
 *	  Local time and instants. A local second is as in schedule/calendar.h, an instant a pg_time_t.
 */
#ifndef KWJ_SCHEDULE_ZONE_H
#define KWJ_SCHEDULE_ZONE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

/*
 * More seconds than any zone is away from UTC, and than any clock is changed by. So the instant of a
 * local second is looked for at most this far from the instant with the same number.
 */
#define KWJ_ZONE_REACH	(2 * SECS_PER_DAY)

/* A span of time in which a zone's clock runs evenly. */
typedef struct KwjZoneSpan
{
	int64		offset;			/* seconds east of UTC */
	pg_time_t	end;			/* the instant of the next change of the clock; PG_INT64_MAX: none */
} KwjZoneSpan;

/* As kwj_cron_zone, but returns NULL if there is no such zone. */
extern pg_tz *kwj_zone_by_name(const char *name);

/* Returns the second that an instant is in: the instant rounded down. It must be finite. */
extern pg_time_t kwj_second_of(TimestampTz instant);

/* Gets the span that an instant is in. */
extern KwjZoneSpan kwj_zone_span(pg_tz *zone, pg_time_t instant);

/* Returns what a zone's clock shows at an instant. */
extern int64 kwj_zone_local(pg_tz *zone, pg_time_t instant);

/*
 * Returns the latest local second that a zone's clock has shown up to an instant. This is not what it
 * shows at this instant if it was set back within the reach (KWJ_ZONE_REACH) before.
 */
extern int64 kwj_zone_latest_local(pg_tz *zone, pg_time_t instant);

/* Returns the first instant, not before "from", at which a zone's clock shows a local second or a later one. */
extern pg_time_t kwj_zone_first_at(pg_tz *zone, pg_time_t from, int64 local);

#endif

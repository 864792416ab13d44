/*
 * src/schedule/every.h
 *	  Schedules that are intervals: every 30 seconds, every month.
 */
#ifndef KWJ_SCHEDULE_EVERY_H
#define KWJ_SCHEDULE_EVERY_H

#include "postgres.h"

#include "schedule/cron.h"

/*
 * Returns whether PostgreSQL takes the text for an interval. It is then in *interval; whether it makes
 * a schedule is another question.
 */
extern bool kwj_every_read(const char *text, Interval *interval);

/*
 * Returns why an interval makes no schedule, for errdetail, or NULL if it makes one. The text is the
 * one that the interval was read from.
 */
extern const char *kwj_every_refusal(const char *text, const Interval *interval);

/* As kwj_cron_next, for an interval. */
extern bool kwj_every_next(const KwjCron *cron, pg_tz *zone, TimestampTz anchor,
						   TimestampTz after, TimestampTz *next);

#endif

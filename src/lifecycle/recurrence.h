/*
 * src/lifecycle/recurrence.h
 *	  When a schedule is due: its expression, zone and bounds, and by how much a run is put off.
 */
#ifndef KWJ_LIFECYCLE_RECURRENCE_H
#define KWJ_LIFECYCLE_RECURRENCE_H

#include "kwjobs.h"
#include "compat.h"
#include "schedule/cron.h"
#include "store/schedules.h"

/* The expression of a schedule, read. */
typedef struct KwjRecurrence
{
	const KwjSchedule *schedule;
	bool		never;
	KwjCron		cron;
	pg_tz	   *zone;
} KwjRecurrence;

/*
 * Raises the error for a text in which kwj_cron_parse() or kwj_window_parse() has found a problem: 22023, with
 * a hint.
 */
pg_noreturn extern void kwj_refuse_times(const KwjCronProblem *problem);

/* Reads an expression. Errors: 22023, with a hint, if it is none. */
extern void kwj_recurrence_parse(const char *text, KwjCron *cron);

/* Reads the expression and the zone of a schedule. Errors: 22023. */
extern void kwj_recurrence_read(const KwjSchedule *schedule, KwjRecurrence *recurrence);

/*
 * Finds the first due time after this instant. Returns false if there is none, because the expression
 * has come to its end, or the schedule to its last time (ends).
 */
extern bool kwj_recurrence_next(const KwjRecurrence *recurrence, TimestampTz after, TimestampTz *due);

/*
 * Returns when the run of this due time begins. How long it is put off (jitter) follows from the
 * schedule and the due time, so that it is the same each time that one asks. The first run that a user has
 * named is not put off.
 */
extern TimestampTz kwj_recurrence_run_time(const KwjSchedule *schedule, TimestampTz due);

/*
 * Sets next_due and next_run to the first due time after this instant; to 0 if there is none. That is first_run
 * if it is still to come; otherwise forgets first_run. Errors: as kwj_recurrence_read.
 */
extern void kwj_recurrence_go_on(KwjSchedule *schedule, TimestampTz after);

/*
 * Returns the instant as the clocks of the zone show it, without blanks and colons, for names of files:
 * 20261201T033000+0100, palloc'd.
 */
extern char *kwj_recurrence_stamp(TimestampTz time, pg_tz *zone);

/* Returns the instant as the clocks of the zone show it, in ISO format, palloc'd. */
extern char *kwj_recurrence_show(TimestampTz time, pg_tz *zone);

#endif

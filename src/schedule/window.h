/*
 * src/schedule/window.h
 *	  Windows: the hours of the week in which a job may run, by a clock on the wall.
 *
 * The arithmetic is pure, as that of schedules (schedule/cron.h). doc/users/windows.md has the syntax
 * and the rules.
 */
#ifndef KWJ_SCHEDULE_WINDOW_H
#define KWJ_SCHEDULE_WINDOW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "schedule/cron.h"

/* The text of a window may have this many bytes. */
#define KWJ_WINDOW_LENGTH		200

#define KWJ_MINUTES_PER_WEEK	(7 * HOURS_PER_DAY * MINS_PER_HOUR)

/* A window that was read. It has no pointers but the zone, which lasts as long as the process. */
typedef struct KwjHours
{
	pg_tz	   *zone;
	bool		has_zone;		/* the text names the zone */
	/* bit n: the window is open while the clock shows the n-th minute of a week, from Monday 00:00 */
	uint64		minutes[(KWJ_MINUTES_PER_WEEK + 63) / 64];
} KwjHours;

/*
 * Reads a window. zone: that of a text that names none. Returns false, and says why, if the text is no
 * window. The texts are palloc'd and bounded. It raises no error, but for want of memory.
 */
extern bool kwj_window_parse(const char *text, pg_tz *zone, KwjHours *hours, KwjCronProblem *problem);

/*
 * Returns the text of a window that was read, on one line, with its zone, palloc'd: what is stored, so
 * that the window means the same to a process with another time zone.
 */
extern char *kwj_window_text(const char *text, const KwjHours *hours);

/*
 * Returns whether the window is open at this instant, which has to be finite. *until: the first instant
 * after it at which that changes; DT_NOEND: it never does, or later than a timestamptz can be.
 */
extern bool kwj_window_is_open(const KwjHours *hours, TimestampTz instant, TimestampTz *until);

/* Returns the first instant, not before this one, at which the window is open; DT_NOEND: there is none. */
extern TimestampTz kwj_window_opens(const KwjHours *hours, TimestampTz from);

/* What a window that is stored with a job says of an instant. */
typedef struct KwjWindowLook
{
	bool		is_open;
	TimestampTz until;			/* when that changes, as kwj_window_is_open says */
	char	   *problem;		/* why the text cannot be used, palloc'd; NULL: it can */
} KwjWindowLook;

/*
 * Looks at the stored text of a window. If it cannot be used, as somebody has changed it by hand or its
 * time zone has left the database of time zones, it counts as closed for some minutes. It raises no
 * error, but for want of memory. The instant has to be finite.
 */
extern KwjWindowLook kwj_window_look(const char *text, TimestampTz instant);

/* As kwj_window_opens, for a stored text. */
extern TimestampTz kwj_window_next(const char *text, TimestampTz from);

#endif

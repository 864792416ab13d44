/*
 * src/schedule/field.h
 *	  Reads one field of a cron expression.
 */
#ifndef KWJ_SCHEDULE_FIELD_H
#define KWJ_SCHEDULE_FIELD_H

#include "postgres.h"

#include "schedule/cron.h"

/* The names of the months, from January on, and NULL. Those of the weekdays are PostgreSQL's days[]. */
extern const char *const kwj_month_names[];

typedef enum KwjFieldKind
{
	KWJ_FIELD_SECOND,
	KWJ_FIELD_MINUTE,
	KWJ_FIELD_HOUR,
	KWJ_FIELD_DAY,
	KWJ_FIELD_MONTH,
	KWJ_FIELD_WEEKDAY,
	KWJ_FIELD_YEAR,
} KwjFieldKind;

/* Sets the problem, detail and hint as copies, and returns false. */
extern bool kwj_cron_refuse(KwjCronProblem *problem, char *message, const char *detail,
							const char *hint);

/*
 * Reads a field, which has no blanks, into the sets of the expression that belong to it. If the text
 * is no such field, returns false and sets the problem; the expression must then not be used.
 */
extern bool kwj_field_read(KwjFieldKind kind, const char *text, KwjCron *cron,
						   KwjCronProblem *problem);

#endif

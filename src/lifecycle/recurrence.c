/*
 * src/lifecycle/recurrence.c
 *	  When a schedule is due: its expression, zone and bounds, and by how much a run is put off.
 *
 * Callers: sessions that create or alter a schedule; the coordinator, when one is due. Locks: none. It
 * looks at no clock, as src/schedule, whose arithmetic this is.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lifecycle/recurrence.h"
#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

void
kwj_refuse_times(const KwjCronProblem *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", problem->message),
			 errdetail_internal("%s", problem->detail),
			 errhint("%s", problem->hint)));
}

void
kwj_recurrence_parse(const char *text, KwjCron *cron)
{
	KwjCronProblem problem;

	if (!kwj_cron_parse(text, cron, &problem))
		kwj_refuse_times(&problem);
}

void
kwj_recurrence_read(const KwjSchedule *schedule, KwjRecurrence *recurrence)
{
	recurrence->schedule = schedule;
	recurrence->never = schedule->cron == NULL;
	if (!recurrence->never)
		kwj_recurrence_parse(schedule->cron, &recurrence->cron);
	recurrence->zone = kwj_cron_zone(schedule->time_zone);
}

bool
kwj_recurrence_next(const KwjRecurrence *recurrence, TimestampTz after, TimestampTz *due)
{
	const KwjSchedule *schedule = recurrence->schedule;

	/* A due time may be the start itself. */
	if (schedule->starts != 0)
		after = Max(after, schedule->starts - 1);
	if (recurrence->never ||
		!kwj_cron_next(&recurrence->cron, recurrence->zone, schedule->anchor, after, due))
		return false;
	return schedule->ends == 0 || *due <= schedule->ends;
}

TimestampTz
kwj_recurrence_run_time(const KwjSchedule *schedule, TimestampTz due)
{
	uint64		random;

	if (schedule->jitter_ms == 0 || due == schedule->first_run)
		return due;
	random = hash_bytes_extended((const unsigned char *) &due, sizeof(due), schedule->schedule_id);
	return due + (int64) (random % (schedule->jitter_ms * 1000));
}

void
kwj_recurrence_go_on(KwjSchedule *schedule, TimestampTz after)
{
	KwjRecurrence recurrence;

	kwj_recurrence_read(schedule, &recurrence);
	schedule->retry_of = 0;
	if (schedule->first_run != 0 && schedule->first_run >= after)
		schedule->next_due = schedule->first_run;
	else
	{
		schedule->first_run = 0;
		/* Otherwise, after the clock was set back, an interval would wait until it shows the anchor again. */
		schedule->anchor = Min(schedule->anchor, after);
		if (!kwj_recurrence_next(&recurrence, after, &schedule->next_due))
			schedule->next_due = 0;
	}
	schedule->next_run = schedule->next_due == 0 ? 0 : kwj_recurrence_run_time(schedule, schedule->next_due);
}

char *
kwj_recurrence_show(TimestampTz time, pg_tz *zone)
{
	char		text[MAXDATELEN + 1];
	struct pg_tm tm;
	const char *abbreviation;
	fsec_t		fsec;
	int			tz;

	if (timestamp2tm(time, &tz, &tm, &fsec, &abbreviation, zone) != 0)
		return pstrdup("?");
	EncodeDateTime(&tm, fsec, true, tz, abbreviation, USE_ISO_DATES, text);
	return pstrdup(text);
}

char *
kwj_recurrence_stamp(TimestampTz time, pg_tz *zone)
{
	struct pg_tm tm;
	const char *abbreviation;
	fsec_t		fsec;
	int			tz;

	if (timestamp2tm(time, &tz, &tm, &fsec, &abbreviation, zone) != 0)
		return pstrdup("?");
	/* tz is what is added to get UTC, in seconds. */
	return psprintf("%04d%02d%02dT%02d%02d%02d%c%02d%02d", tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour,
					tm.tm_min, tm.tm_sec, tz <= 0 ? '+' : '-', abs(tz) / SECS_PER_HOUR,
					abs(tz) / SECS_PER_MINUTE % MINS_PER_HOUR);
}

/*
 * src/lifecycle/schedule_options.h
 *	  WITH SCHEDULE OPTIONS: the options of schedules, and those of all jobs.
 */
#ifndef KWJ_LIFECYCLE_SCHEDULE_OPTIONS_H
#define KWJ_LIFECYCLE_SCHEDULE_OPTIONS_H

#include "kwjobs.h"
#include "store/jobs.h"
#include "store/schedules.h"
#include "utils/jsonb.h"

/* What the options have set. */
typedef struct KwjGivenSchedule
{
	bool		has_first_run;	/* first_run was given */
	TimestampTz first_run;		/* 0: an empty one, which takes away the one that there is */
	bool		changes_times;	/* an option that decides when the schedule is due was given */
	char	   *failure_statement;	/* NULL: not given; "": none */
} KwjGivenSchedule;

/*
 * Sets the options of a schedule. Those that all jobs have are set in *job, unless it is NULL; then they are
 * left out. An empty text takes away what the schedule or the job has. Errors: 22023 for an option that there
 * is not, or for a wrong value, with a hint; those of kwj_set_option_text.
 */
extern void kwj_schedule_set_options(KwjSchedule *schedule, KwjNewJob *job, Jsonb *options,
									 KwjGivenSchedule *given);

/* As kwj_schedule_set_options, but sets those of all jobs only, run_as among them. */
extern void kwj_schedule_set_job_options(KwjNewJob *job, Jsonb *options);

#endif

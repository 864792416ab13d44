/*
 * src/lifecycle/schedule.h
 *	  What users do with schedules: create, alter, pause, resume, drop, run now.
 *
 * Whose schedules a user may see and control is decided as for jobs (lifecycle/control.h): by
 * statements those of everybody with the admin role, and one's own if kwjobs.job_visibility is owner;
 * by functions also one's own in any case. All of it is part of the caller's transaction.
 */
#ifndef KWJ_LIFECYCLE_SCHEDULE_H
#define KWJ_LIFECYCLE_SCHEDULE_H

#include "kwjobs.h"
#include "lifecycle/control.h"
#include "lifecycle/template.h"
#include "store/schedules.h"
#include "utils/jsonb.h"

/* The longest name of a schedule, in bytes. */
#define KWJ_LONGEST_SCHEDULE	200

/* A new schedule, or a change of one. */
typedef struct KwjScheduleChange
{
	const char *name;
	bool		if_exists;		/* ALTER: a schedule that is not there is no error; CREATE: nor one that is */
	bool		has_recurrence; /* CREATE always has one */
	const char *cron;			/* NULL: NEVER */
	const KwjTemplate *template;	/* what each run does; NULL: as before */
	Jsonb	   *options;		/* NULL: none */
	const KwjTemplate *failure; /* the job of the option failure_statement; NULL: not given, or none */
	/* Raises an error if a job of this type cannot have its options together, or warns (type/create.h). */
	void		(*check_job) (const char *job_type, const KwjNewJob *job, bool is_new);
} KwjScheduleChange;

/* Returns a name for a schedule for which the user has given none. */
extern char *kwj_schedule_default_name(void);

/*
 * CREATE SCHEDULE calls this before it checks the job that the schedule is to run, so that its first
 * error is that of the schedule. Returns false, and tells the user, if there is a schedule of this
 * name and if_not_exists is true: then there is nothing to do. Errors: 42501 unless the current user
 * may create schedules in this way; 42710 if there is a schedule of this name and if_not_exists is
 * false; 22023, 22004 if it is no name; 25006.
 */
extern bool kwj_schedule_check_new(KwjBy by, const char *name, bool if_not_exists);

/*
 * ALTER SCHEDULE calls this before it checks the job that the schedule is to run, so that its first error is
 * that of the schedule. Returns false, and tells the user, if there is no schedule of this name that the
 * current user may see, and if_exists is true: then there is nothing to do. Errors: 42501 unless the current
 * user may alter schedules in this way; 42704 if there is no such schedule and if_exists is false; 25006.
 */
extern bool kwj_schedule_check_change(KwjBy by, const char *name, bool if_exists);

/*
 * Applies those of the options that all jobs have to a new job, before its type checks it. Errors: those
 * of kwj_set_option_text; 22023 for an option that neither jobs nor schedules have.
 */
extern void kwj_schedule_job_options(Jsonb *options, KwjNewJob *job);

/*
 * Creates the schedule. has_job_options: those in the options have been applied already. Returns its id;
 * 0 if there is one of this name, and the change says that this is no error. Tells the user when it will
 * run. Errors: 22023 for the expression and the options; 42710; 53400 if the role has too many.
 */
extern int64 kwj_schedule_create(KwjBy by, const KwjScheduleChange *change, bool has_job_options);

/*
 * Has the type make a new job of this owner from the arguments of an old one (job->arguments), and returns it
 * as a template. Errors: those of the type, which checks the arguments as it does for any new job.
 */
typedef KwjTemplate *(*KwjMakeAnew) (const char *job_type, const KwjNewJob *job, Oid owner);

/*
 * The following return false if there is no such schedule and if_exists is true. Errors: 42501 unless the
 * current user may use the statement; 42704 if there is none, or the user may not see it; 25006 on a
 * standby and in a read-only transaction; 22023.
 */
extern bool kwj_schedule_alter(KwjBy by, const KwjScheduleChange *change);
extern bool kwj_schedule_pause(KwjBy by, const char *name, bool if_exists, const char *reason);

/*
 * Lets the schedule run again. If it has come with a dump or a copy of another database, it belongs to this
 * one from now on, and make_anew makes its job anew, because OIDs, files and rights may be others here.
 * Errors: also those of make_anew; 42704 if the owner is no role here; 55000 if the schedule has no arguments
 * from which its job can be made; 42501 if neither the roles by whose right its runs act nor the current user
 * may act as its owner.
 */
extern bool kwj_schedule_resume(KwjBy by, const char *name, bool if_exists, KwjMakeAnew make_anew);
extern bool kwj_schedule_drop(KwjBy by, const char *name, bool if_exists);

/* Runs it now. Returns the id of the job. Errors: 42704, 25006, and those of kwj_due_times_run_now. */
extern int64 kwj_schedule_run(KwjBy by, const char *name);

/*
 * Returns the value of the option failure_statement, palloc'd; NULL if it is not given or empty. Errors:
 * 22023 if the options are no object.
 */
extern char *kwj_schedule_failure_statement(Jsonb *options);

/* Returns whether the schedule is paused, or counts as paused because it has come with a dump or a copy. */
extern bool kwj_schedule_is_paused(const KwjSchedule *schedule);

/* Returns the owner of the schedule, if there is one that the user may see; else InvalidOid. */
extern Oid	kwj_schedule_owner(KwjBy by, const char *name);

/* Checks whether the current user may use SHOW SCHEDULES. Errors: 42501 if not. */
extern void kwj_schedule_check_may_show(void);

/* Returns the schedule's id. Errors: 42704; 42501 if the user may not run such statements. */
extern int64 kwj_schedule_id(KwjBy by, const char *name);

#endif

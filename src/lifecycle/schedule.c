/*
 * src/lifecycle/schedule.c
 *	  What users do with schedules: create, alter, pause, resume, drop, run now.
 *
 * Process: sessions, and workers whose statement does it. Locks: the schedule's row, FOR NO KEY UPDATE,
 * until the end of the transaction; a second session that changes the same schedule waits for it. The
 * coordinator does not wait, but leaves the schedule alone until then.
 *
 *     CREATE --> active --PAUSE, or by itself--> paused --RESUME--> active
 *                  |  the last due time is over
 *                  v
 *                ended --ALTER ... RECURRING, first_run--> active
 *
 * All of it takes effect with the commit, which wakes the coordinator. If the session dies before,
 * nothing has happened.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "compat.h"
#include "job/clip.h"
#include "job/role.h"
#include "job/schedule_clock.h"
#include "lifecycle/authority.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control_log.h"
#include "lifecycle/due_times.h"
#include "lifecycle/recurrence.h"
#include "lifecycle/schedule.h"
#include "lifecycle/schedule_options.h"
#include "lifecycle/submit.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "store/schedules.h"
#include "store/template.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* CREATE and ALTER SCHEDULE tell the user when the next runs are due, at most this many. */
#define SHOWN_RUNS	3

/* ---- which schedule, and may the user ---- */

char *
kwj_schedule_default_name(void)
{
	int64		second = (int64) timestamptz_to_time_t(GetCurrentTimestamp());
	int64		schedule_id;
	Oid			owner;
	char	   *name;

	/* If the second is taken, a later one. */
	do
		name = psprintf("EXEC SQL " INT64_FORMAT, second++);
	while (kwj_store_schedule_find(name, &schedule_id, &owner));
	return name;
}

static void
check_name(const char *name)
{
	bool		is_plain = name != NULL && name[0] != '\0' && strlen(name) <= KWJ_LONGEST_SCHEDULE;

	for (const char *c = name; is_plain && *c != '\0'; c++)
		is_plain = (unsigned char) *c >= ' ' && *c != 0x7f;
	if (!is_plain)
		ereport(ERROR,
				(errcode(name ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("invalid name of a schedule"),
				 errdetail("A name has 1 to %d bytes and no control characters.", KWJ_LONGEST_SCHEDULE),
				 errhint("Type CREATE SCHEDULE nightly FOR SQL 'statement' RECURRING '@daily'.")));
}

/*
 * Raises an error if the current user has typed a statement about schedules, such as PAUSE SCHEDULE, without
 * the right to use these statements. By the functions, such as kwjobs.pause_schedule, all users may manage
 * their own schedules.
 */
static void
check_may(KwjBy by, const char *statement)
{
	if (by == KWJ_BY_STATEMENT && !kwj_is_statement_user())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only users with the admin role are allowed to %s", statement),
				 errhint("Your own schedules are in kwjobs.my_schedules, and their due times in kwjobs.my_due_times; use kwjobs.create_schedule, kwjobs.alter_schedule, kwjobs.pause_schedule, kwjobs.resume_schedule and kwjobs.drop_schedule for them. For the statements, have a superuser set kwjobs.job_visibility = owner.")));
}

static KWJ_NORETURN void
no_such_schedule(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("schedule \"%s\" does not exist", kwj_quoted(name, KWJ_LONGEST_SCHEDULE)),
			 errhint("SHOW SCHEDULES lists the schedules of this database, kwjobs.my_schedules your own.")));
}

/*
 * Finds the schedule. Returns its id; 0 if there is none that the user may see, and if_exists is true.
 */
static int64
find_schedule(KwjBy by, const char *name, bool if_exists)
{
	int64		schedule_id;
	Oid			owner;

	check_name(name);
	if (kwj_store_schedule_find(name, &schedule_id, &owner) && kwj_is_visible_by(by, owner))
		return schedule_id;
	if (!if_exists)
		no_such_schedule(name);
	ereport(NOTICE,
			(errmsg("schedule \"%s\" does not exist, skipping", kwj_quoted(name, KWJ_LONGEST_SCHEDULE))));
	return 0;
}

/* Finds and locks the schedule. Returns false as find_schedule returns 0. */
static bool
lock_schedule(KwjBy by, const char *what, const char *name, bool if_exists, KwjSchedule *schedule)
{
	int64		schedule_id;

	kwj_check_writable(what);
	check_may(by, what);
	schedule_id = find_schedule(by, name, if_exists);
	if (schedule_id == 0)
		return false;
	/* While this process waited for the lock, another may have dropped the schedule or given it away. */
	if (kwj_store_schedule_lock(schedule_id, KWJ_WAIT, schedule) && kwj_is_visible_by(by, schedule->owner))
		return true;
	if (!if_exists)
		no_such_schedule(name);
	return false;
}

void
kwj_schedule_check_may_show(void)
{
	check_may(KWJ_BY_STATEMENT, "SHOW SCHEDULES");
}

int64
kwj_schedule_id(KwjBy by, const char *name)
{
	if (by == KWJ_BY_STATEMENT)
		kwj_check_may("SHOW");
	return find_schedule(by, name, false);
}

Oid
kwj_schedule_owner(KwjBy by, const char *name)
{
	int64		schedule_id;
	Oid			owner;

	check_name(name);
	return kwj_store_schedule_find(name, &schedule_id, &owner) && kwj_is_visible_by(by, owner) ? owner : InvalidOid;
}

bool
kwj_schedule_is_paused(const KwjSchedule *schedule)
{
	return schedule->paused != 0 || !schedule->at_home;
}

static void
log_control(const KwjSchedule *schedule, const char *said, const char *reason)
{
	kwj_control_log(psprintf("schedule \"%s\" %s", schedule->name, said), reason);
}

/* ---- create ---- */

/* There is a schedule of this name already. Says so: with an error, unless the user has typed IF NOT EXISTS. */
static void
say_exists(const char *name, bool if_not_exists)
{
	if (if_not_exists)
		ereport(NOTICE, (errmsg("schedule \"%s\" already exists, skipping", name)));
	else
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("schedule \"%s\" already exists", name),
				 errhint("Choose another name, or type CREATE SCHEDULE IF NOT EXISTS, ALTER SCHEDULE or DROP SCHEDULE.")));
}

bool
kwj_schedule_check_new(KwjBy by, const char *name, bool if_not_exists)
{
	int64		schedule_id;
	Oid			owner;

	kwj_check_writable("CREATE SCHEDULE");
	check_name(name);
	check_may(by, "CREATE SCHEDULE");
	if (!kwj_store_schedule_find(name, &schedule_id, &owner))
		return true;
	say_exists(name, if_not_exists);
	return false;
}

bool
kwj_schedule_check_change(KwjBy by, const char *name, bool if_exists)
{
	kwj_check_writable("ALTER SCHEDULE");
	check_may(by, "ALTER SCHEDULE");
	return find_schedule(by, name, if_exists) != 0;
}

void
kwj_schedule_job_options(Jsonb *options, KwjNewJob *job)
{
	kwj_schedule_set_job_options(job, options);
}

static void
check_number(Oid owner)
{
	if (kwj_max_schedules_per_role > 0 && !superuser_arg(owner) &&
		kwj_store_schedules_of(owner) >= kwj_max_schedules_per_role)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("role \"%s\" has too many schedules", GetUserNameFromId(owner, false)),
				 errdetail("There may be %d in this database.", kwj_max_schedules_per_role),
				 errhint("Drop some of them, or have kwjobs.max_schedules_per_role raised.")));
}

static void
set_template(KwjSchedule *schedule, const KwjTemplate *template)
{
	schedule->owner = template->owner;
	schedule->created_by = template->created_by;
	schedule->created_by_session = template->created_by_session;
	schedule->authority = template->authority;
	schedule->n_authority = template->n_authority;
	schedule->job_type = template->job_type;
	schedule->job = template->job;
}

/*
 * Sets the options, also those of the job unless they have been applied already. Errors: as
 * kwj_schedule_set_options, and check_job.
 */
static void
set_options(KwjSchedule *schedule, const KwjScheduleChange *change, bool has_job_options, KwjGivenSchedule *given)
{
	KwjNewJob	job;
	const char *statement;

	kwj_new_job(&job, schedule->job_type);
	kwj_template_read(schedule->job, &job);
	statement = kwj_template_is_described(&job) ? job.statement : job.description;
	kwj_schedule_set_options(schedule, has_job_options ? NULL : &job, change->options, given);
	/* A job with a description of the user's has its statement beside it. */
	if (kwj_template_is_described(&job))
		job.statement = statement;
	change->check_job(schedule->job_type, &job,
					  schedule->cron != NULL && (change->has_recurrence || change->template != NULL));
	if (!has_job_options)
		schedule->job = kwj_template_write(&job);
}

char *
kwj_schedule_failure_statement(Jsonb *options)
{
	KwjSchedule schedule = {0};
	KwjGivenSchedule given;

	kwj_schedule_set_options(&schedule, NULL, options, &given);
	return given.failure_statement != NULL && given.failure_statement[0] != '\0' ? given.failure_statement : NULL;
}

/*
 * Sets what is run when a run has failed, if that was given. It runs by the right of the role that has
 * said it, so from now on the runs do, too.
 */
static void
set_failure(KwjSchedule *schedule, const KwjGivenSchedule *given, const KwjTemplate *failure)
{
	if (given->failure_statement == NULL)
		return;
	schedule->failure_statement = NULL;
	schedule->failure_job = NULL;
	if (failure == NULL)
		return;
	/* The schedule may have been dropped, and another one of this name created, after the caller's look. */
	if (failure->owner != schedule->owner)
		no_such_schedule(schedule->name);
	schedule->failure_statement = given->failure_statement;
	schedule->failure_job = failure->job;
	schedule->authority = failure->authority;
	schedule->n_authority = failure->n_authority;
}

static void
check_zone(const KwjSchedule *schedule)
{
	if (!kwj_zone_is_name(schedule->time_zone))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" of a schedule has no name", kwj_quoted(schedule->time_zone, 100)),
				 errdetail("Without the option time_zone, a schedule has that of the session."),
				 errhint("Type WITH SCHEDULE OPTIONS time_zone = 'Europe/Berlin', or another name of pg_timezone_names.")));
}

static void
check_bounds(const KwjSchedule *schedule)
{
	if (schedule->starts != 0 && schedule->ends != 0 && schedule->ends < schedule->starts)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the schedule ends before it starts"),
				 errhint("Give an end that is later than the start.")));
}

/* Sets first_run if that was given. One that has passed makes the schedule due now. */
static void
set_first_run(KwjSchedule *schedule, const KwjGivenSchedule *given, TimestampTz now)
{
	if (given->has_first_run)
		schedule->first_run = given->first_run == 0 ? 0 : Max(given->first_run, now);
}

/* Sets the next due time: first_run if that is still to come, else the first one after now. */
static void
set_next(KwjSchedule *schedule, TimestampTz now)
{
	schedule->anchor = Max(schedule->first_run, now);
	kwj_recurrence_go_on(schedule, now);
	if (schedule->cron != NULL && schedule->next_due == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schedule \"%s\" would never be due", schedule->name),
				 errdetail("Its expression '%s' has no time after now and between its start and end.",
						   schedule->cron),
				 errhint("Give another expression or end.")));
	if (schedule->first_run != 0 &&
		(schedule->next_due < schedule->starts || (schedule->ends != 0 && schedule->next_due > schedule->ends)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the first run of schedule \"%s\" is not between its start and its end", schedule->name),
				 errhint("Give another first_run, start or end.")));
}

/* Returns the next runs as a text: "2026-12-01 02:00:00+01, ..."; "" if there are none. */
static char *
list_runs(const KwjSchedule *schedule)
{
	StringInfoData text;
	KwjRecurrence recurrence;
	TimestampTz due = schedule->next_due;

	initStringInfo(&text);
	kwj_recurrence_read(schedule, &recurrence);
	for (int i = 0; i < SHOWN_RUNS && due != 0; i++)
	{
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", kwj_recurrence_show(due, recurrence.zone));
		if (!kwj_recurrence_next(&recurrence, due, &due))
			break;
	}
	return text.data;
}

static void
tell_next_runs(const KwjSchedule *schedule)
{
	KwjCron		cron;
	char	   *runs = list_runs(schedule);

	if (schedule->cron != NULL)
		kwj_recurrence_parse(schedule->cron, &cron);
	ereport(NOTICE,
			(runs[0] != '\0' ? errmsg("schedule \"%s\" is due next at %s", schedule->name, runs) :
			 errmsg("schedule \"%s\" has no due time", schedule->name),
			 schedule->cron != NULL ?
			 errdetail("In words: %s, in time zone %s.", kwj_cron_describe(&cron), schedule->time_zone) :
			 errdetail("It does not recur; SELECT kwjobs.run_schedule(%s) runs it.",
					 quote_literal_cstr(schedule->name))));
}

int64
kwj_schedule_create(KwjBy by, const KwjScheduleChange *change, bool has_job_options)
{
	TimestampTz now = kwj_clock();
	KwjGivenSchedule given;
	KwjSchedule schedule = {
		.name = unconstify(char *, change->name),
		.cron = unconstify(char *, change->cron),
		.time_zone = pstrdup(pg_get_timezone_name(session_timezone)),
		.on_previous_running = KWJ_PREVIOUS_SKIP,
		.on_execution_failure = KWJ_FAILED_RESCHEDULE,
		.catch_up = KWJ_CATCH_UP_ONE,
		.at_home = true,
	};

	/*
	 * The job that became the template need not be the user's: a SECURITY DEFINER function that the user
	 * has called meanwhile may have created it, with the rights of the function's owner.
	 */
	kwj_check_may_own(change->template->owner);
	set_template(&schedule, change->template);
	set_options(&schedule, change, has_job_options, &given);
	set_failure(&schedule, &given, change->failure);
	check_zone(&schedule);
	check_bounds(&schedule);
	set_first_run(&schedule, &given, now);
	set_next(&schedule, now);
	check_number(schedule.owner);
	/* Another session may have created one of this name after the caller's look. */
	if (!kwj_store_schedule_insert(&schedule))
	{
		say_exists(schedule.name, change->if_exists);
		return 0;
	}
	log_control(&schedule, "created", NULL);
	tell_next_runs(&schedule);
	return schedule.schedule_id;
}

/* ---- change ---- */

/*
 * Returns what the schedule is to have as its template from now on: what `template` does, with the options
 * that the statement has named. The other options stay as they are in the schedule.
 */
static Jsonb *
keep_options(const KwjSchedule *schedule, const KwjTemplate *template)
{
	KwjNewJob	job;
	KwjNewJob	new;

	kwj_new_job(&job, schedule->job_type);
	kwj_new_job(&new, template->job_type);
	kwj_template_read(schedule->job, &job);
	kwj_template_read(template->job, &new);
	new.given |= template->given;
	kwj_template_change(&job, &new);
	return kwj_template_write(&job);
}

/* Says how to change the jobs of this role's schedule, for ereport. */
static int
set_role_hint(Oid owner)
{
	const char *name = GetUserNameFromId(owner, true);

	if (name == NULL)
		return errhint("Its owner does not exist any more: create another schedule.");
	return errhint("Type SET ROLE %s before, or WITH run_as = %s in a job statement; or create another schedule.",
				   quote_identifier(name), quote_literal_cstr(name));
}

/*
 * Changes what each run does. Only a role that may create jobs of the schedule's owner may do so, because the
 * runs have the rights of that owner.
 */
static void
change_template(KwjSchedule *schedule, const KwjTemplate *template)
{
	Jsonb	   *job;

	if (template->owner != schedule->owner)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the jobs of schedule \"%s\" belong to another role", schedule->name),
				 set_role_hint(schedule->owner)));
	/* As in kwj_schedule_create, the job need not be the user's. */
	kwj_check_may_own(template->owner);
	job = keep_options(schedule, template);
	set_template(schedule, template);
	schedule->job = job;
}

/*
 * Takes what ALTER SCHEDULE says of the times of a schedule that is paused, and stays so. RESUME SCHEDULE sets
 * when it is due next, at its first_run if that is still to come. A first_run that is not in the future would
 * have no effect, so it is an error.
 */
static void
set_next_of_paused(KwjSchedule *schedule, const KwjGivenSchedule *given, bool changes_times, TimestampTz now)
{
	if (given->first_run != 0 && given->first_run <= now)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" is paused, so its first run cannot be now", schedule->name),
				 errhint("Give a first_run in the future, type RESUME SCHEDULE before, or run it once with SELECT kwjobs.run_schedule(%s).",
						 quote_literal_cstr(schedule->name))));
	set_first_run(schedule, given, now);
	/* This raises an error for what can never be due. RESUME SCHEDULE sets the next due time. */
	if (changes_times)
		set_next(schedule, now);
	schedule->next_due = schedule->next_run = schedule->retry_of = 0;
}

/* Sets when a schedule that is not paused is due. before: a copy that ALTER SCHEDULE has not changed. */
static void
set_next_of_active(KwjSchedule *schedule, KwjSchedule *before, const KwjGivenSchedule *given, bool changes_times,
				   TimestampTz now)
{
	if (changes_times)
	{
		kwj_due_times_leave(before, now, "the schedule was altered");
		schedule->last_due = before->last_due;
		set_first_run(schedule, given, now);
		set_next(schedule, now);
	}
	else if (schedule->retry_of == 0 && schedule->next_due != 0)
		schedule->next_run = kwj_recurrence_run_time(schedule, schedule->next_due);
}

bool
kwj_schedule_alter(KwjBy by, const KwjScheduleChange *change)
{
	TimestampTz now;
	KwjGivenSchedule given;
	KwjSchedule schedule;
	KwjSchedule before;
	bool		paused;
	bool		changes_times;

	if (!lock_schedule(by, "ALTER SCHEDULE", change->name, change->if_exists, &schedule))
		return false;
	now = kwj_clock();
	before = schedule;
	paused = kwj_schedule_is_paused(&schedule);
	if (change->template != NULL)
		change_template(&schedule, change->template);
	if (change->has_recurrence)
		schedule.cron = unconstify(char *, change->cron);
	set_options(&schedule, change, false, &given);
	set_failure(&schedule, &given, change->failure);
	check_zone(&schedule);
	check_bounds(&schedule);
	changes_times = change->has_recurrence || given.changes_times || given.has_first_run;
	if (paused)
		set_next_of_paused(&schedule, &given, changes_times, now);
	else
		set_next_of_active(&schedule, &before, &given, changes_times, now);
	kwj_store_schedule_update(&schedule, KWJ_WRITE_RULES);
	if (change->template != NULL || change->failure != NULL)
		kwj_store_schedule_set_owner(&schedule);
	log_control(&schedule, "altered", NULL);
	if (paused)
		ereport(NOTICE,
				(errmsg("schedule \"%s\" is paused", schedule.name),
				 errhint("Type RESUME SCHEDULE to let it run.")));
	else
		tell_next_runs(&schedule);
	return true;
}

bool
kwj_schedule_pause(KwjBy by, const char *name, bool if_exists, const char *reason)
{
	KwjSchedule schedule;
	TimestampTz now;

	kwj_check_reason(reason);
	if (!lock_schedule(by, "PAUSE SCHEDULE", name, if_exists, &schedule))
		return false;
	if (schedule.paused != 0 && reason == NULL)
	{
		/* Keep who has paused it, and why: perhaps kwjobs itself, after failures. */
		ereport(NOTICE, (errmsg("schedule \"%s\" is paused already", schedule.name)));
		return true;
	}
	now = kwj_clock();
	kwj_due_times_leave(&schedule, now, "the schedule was paused");
	kwj_due_times_pause(&schedule, now, GetUserId(), reason);
	kwj_store_schedule_update(&schedule, KWJ_WRITE_STATE);
	log_control(&schedule, "paused", reason);
	return true;
}

/* An error context callback: tells the user of RESUME SCHEDULE why kwjobs checks a job at all. */
static void
explain_anew(void *arg)
{
	errcontext("checking schedule \"%s\", which has come with a dump or a copy of another database",
			   ((const KwjSchedule *) arg)->name);
}

/* Raises an error if the owner, whose name has come with the dump, is no role of this server. */
static void
check_owner_exists(const KwjSchedule *schedule)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(schedule->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of schedule \"%s\" does not exist on this server", schedule->name),
				 errdetail("The schedule has come with a dump or a copy of another database."),
				 errhint("Drop it, and create it again. To have it come with its owner, create the role before you restore the dump.")));
}

/*
 * Returns whether the schedule has come with a dump or a copy of another database, and RESUME SCHEDULE has
 * yet to have its job made anew. A SQL job is the same in all databases. A job of another type names tables
 * by OIDs, and its type has checked it in the other database.
 */
static bool
needs_new_job(const KwjSchedule *schedule)
{
	return !schedule->at_home && strcmp(schedule->job_type, "SQL") != 0;
}

/*
 * Makes the template of a schedule fit for this database, as the schedule has come with a dump or a copy of
 * another one. If it needs a new job, its type makes one; the owner and the options stay.
 */
static void
come_home(KwjSchedule *schedule, KwjMakeAnew make_anew)
{
	ErrorContextCallback callback = {error_context_stack, explain_anew, schedule};
	KwjNewJob	job;

	check_owner_exists(schedule);
	if (!needs_new_job(schedule))
		return;
	kwj_new_job(&job, schedule->job_type);
	kwj_template_read(schedule->job, &job);
	if (job.arguments == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot go on in this database", schedule->name),
				 errdetail("It has come with a dump or a copy of another database, and it is not known by which arguments its %s jobs were created there.",
						   schedule->job_type),
				 errhint("Type ALTER SCHEDULE name FOR, and what it is to do here, before RESUME SCHEDULE.")));
	error_context_stack = &callback;
	schedule->job = keep_options(schedule, make_anew(schedule->job_type, &job, schedule->owner));
	error_context_stack = callback.previous;
}

/*
 * The runs of the schedule act as its owner by the right of the roles in its chain (lifecycle/authority.h). If
 * REASSIGN OWNED has given the schedule to its owner, or somebody has revoked a right of these roles, then
 * workers would refuse the runs. So the role that resumes the schedule takes the place of the chain. Errors:
 * 42501 if that role may not act as the owner, either.
 */
static void
say_anew(KwjSchedule *schedule)
{
	KwjNewJob	job = {.owner = schedule->owner};

	if (kwj_authority_holds(schedule->authority, schedule->n_authority, schedule->owner))
		return;
	if (!kwj_can_set_role(GetUserId(), schedule->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to resume schedule \"%s\"", schedule->name),
				 errdetail("What it does was said by a role that may not act as its owner, \"%s\".", kwj_role_name(schedule->owner)),
				 errhint("Look at what it does, and type RESUME SCHEDULE as its owner.")));
	kwj_authority_note(&job);
	schedule->created_by = job.created_by;
	schedule->created_by_session = job.created_by_session;
	schedule->authority = unconstify(Oid *, job.authority);
	schedule->n_authority = job.n_authority;
	kwj_store_schedule_set_owner(schedule);
	ereport(NOTICE,
			(errmsg("schedule \"%s\" runs by the right of role \"%s\" from now on", schedule->name,
					kwj_role_name(GetUserId()))));
}

bool
kwj_schedule_resume(KwjBy by, const char *name, bool if_exists, KwjMakeAnew make_anew)
{
	KwjSchedule schedule;

	if (!lock_schedule(by, "RESUME SCHEDULE", name, if_exists, &schedule))
		return false;
	if (!schedule.at_home)
		come_home(&schedule, make_anew);
	say_anew(&schedule);
	if (kwj_schedule_is_paused(&schedule))
	{
		schedule.paused = 0;
		schedule.paused_by = InvalidOid;
		schedule.pause_reason = NULL;
		schedule.state = NULL;
		schedule.failures = schedule.refusals = 0;
		kwj_recurrence_go_on(&schedule, kwj_clock());
		kwj_store_schedule_update(&schedule, KWJ_WRITE_HOME);
		log_control(&schedule, "resumed", NULL);
	}
	tell_next_runs(&schedule);
	return true;
}

bool
kwj_schedule_drop(KwjBy by, const char *name, bool if_exists)
{
	KwjSchedule schedule;

	if (!lock_schedule(by, "DROP SCHEDULE", name, if_exists, &schedule))
		return false;
	kwj_store_schedule_delete(schedule.schedule_id);
	log_control(&schedule, "dropped", NULL);
	return true;
}

static void
check_may_run_here(const KwjSchedule *schedule)
{
	if (needs_new_job(schedule))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot run yet", schedule->name),
				 errdetail("It has come with a dump or a copy of another database."),
				 errhint("Type RESUME SCHEDULE, which checks it for this database; after that it may be paused.")));
}

int64
kwj_schedule_run(KwjBy by, const char *name)
{
	KwjSchedule schedule;
	int64		job_id;

	(void) lock_schedule(by, "kwjobs.run_schedule", name, false, &schedule);
	check_may_run_here(&schedule);
	job_id = kwj_due_times_run_now(&schedule, kwj_clock());
	log_control(&schedule, psprintf("run by hand as job " INT64_FORMAT, job_id), NULL);
	return job_id;
}

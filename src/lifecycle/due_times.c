/*
 * src/lifecycle/due_times.c
 *	  Decides for each due time of a schedule whether it runs, and what the schedule does once a run has ended.
 *
 * Callers: coordinator/fire.c, in the coordinator; lifecycle/schedule.c, in sessions that pause, alter or run
 * a schedule.
 * Locks: the schedule's row, which the caller has locked. If the process dies before the commit, the
 * schedule is due as before, and neither a job nor a row is there.
 *
 *     next_due <= now
 *        |   a later due time has passed, too:   catch_up = all: run it, else missed
 *        |   the last one that has passed:       catch_up = none, and late by a minute: missed, else
 *        |       the run before is not over:     on_previous_running = skip: skipped
 *        |                                       wait: its job gets in line, or skipped if one waits
 *        |       otherwise                       run
 *        v
 *     next_due > now, next_run
 *
 *     a run has failed -> pause_after in a row, or on_execution_failure = pause: paused
 *                      -> retry: again after a minute, unless a due time comes first
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "job/clip.h"
#include "job/isolate.h"
#include "job/json.h"
#include "lifecycle/control_log.h"
#include "lifecycle/due_times.h"
#include "lifecycle/recurrence.h"
#include "lifecycle/submit.h"
#include "miscadmin.h"
#include "shared/start.h"
#include "store/template.h"
#include "utils/builtins.h"
#include "utils/json.h"

/* created_by_type of the jobs of schedules, and of those that run when one has failed */
#define CREATED_BY			"schedule"
#define CREATED_BY_FAILURE	"failure of schedule"

/*
 * If many due times of a schedule have passed, one transaction takes MOST_COUNTED of them at most. It stops
 * earlier when MOST_RUNS of them are runs that it has created or skipped. The next transaction goes on.
 */
#define MOST_COUNTED		5000
#define MOST_RUNS			25
/* Of the due times that were missed together, the first MOST_ROWS have a row each, all others have one row. */
#define MOST_ROWS			1000

/* At one of FORGET_EACH due times of a schedule, the coordinator deletes FORGET_STEP old rows of it at most. */
#define FORGET_EACH			16
#define FORGET_STEP			200

/* With catch_up = none, a run may begin up to this long after its due time, but not later. */
#define LATE_US				(60 * USECS_PER_SEC)

/* With on_execution_failure = retry, a run that has failed is tried again this much later. */
#define RETRY_US			(60 * USECS_PER_SEC)

/* If the coordinator could create no job for this many due times in a row, it pauses the schedule. */
#define MOST_REFUSALS		10

/* What one transaction does for a schedule. */
typedef struct Acting
{
	KwjSchedule *schedule;
	KwjRecurrence recurrence;
	TimestampTz now;
	TimestampTz last_due;		/* the last due time that the schedule had before this transaction */
	const char *why_missed;		/* why due times are missed; NULL: why_missed() finds out */
	const char *refusal;		/* why no job could be created; NULL: this transaction tries to */
	int			runs;			/* how many jobs it has created, and runs it has skipped */
	int			missed;			/* how many due times were missed */
	KwjDueTime	rest;			/* one row for all missed due times that have no row of their own */
	TimestampTz more_of;		/* if the transaction before had such a row: its due time; else 0 */
} Acting;

/* ---- rows ---- */

static KwjDueTime
row_of(const KwjSchedule *schedule, TimestampTz due, const char *kind, const char *outcome, TimestampTz now)
{
	KwjDueTime	row = {
		.schedule_id = schedule->schedule_id, .due = due, .kind = kind, .outcome = outcome, .times = 1,
		.decided = now
	};

	return row;
}

static void
insert_row(const KwjSchedule *schedule, TimestampTz due, const char *kind, const char *outcome,
		   const char *reason, TimestampTz now)
{
	KwjDueTime	row = row_of(schedule, due, kind, outcome, now);

	row.reason = reason;
	kwj_store_due_time_insert(&row);
}

/* ---- pausing ---- */

void
kwj_due_times_pause(KwjSchedule *schedule, TimestampTz now, Oid by, const char *reason)
{
	schedule->next_due = schedule->next_run = schedule->retry_of = 0;
	schedule->paused = now;
	schedule->paused_by = by;
	schedule->pause_reason = reason != NULL ? pstrdup(reason) : NULL;
}

/* Pauses the schedule, for a reason that no user has given, and tells the log. The caller writes the row. */
static void
pause_by_itself(KwjSchedule *schedule, TimestampTz now, const char *why)
{
	kwj_due_times_pause(schedule, now, InvalidOid, why);
	schedule->state = psprintf("schedule paused: %s", why);
	kwj_control_log_itself(psprintf("schedule \"%s\" has been paused", schedule->name), why);
}

/* ---- runs ---- */

/*
 * Returns the template with the due time in the place of each "{due}", as the clocks of the schedule's zone
 * show it: 20261201T033000+0100. By that users give each BACKUP and EXPORT a directory of its own. JSON can
 * have "{due}" only within a string, so what comes out is JSON, too.
 */
static Jsonb *
put_due(const KwjSchedule *schedule, Jsonb *template, TimestampTz due)
{
	char	   *json = JsonbToCString(NULL, &template->root, VARSIZE(template));
	StringInfoData text;
	char	   *found;
	char	   *time;

	if (strstr(json, KWJ_DUE) == NULL)
		return template;
	time = kwj_recurrence_stamp(due, kwj_cron_zone(schedule->time_zone));
	initStringInfo(&text);
	while ((found = strstr(json, KWJ_DUE)) != NULL)
	{
		appendBinaryStringInfo(&text, json, found - json);
		appendStringInfoString(&text, time);
		json = found + strlen(KWJ_DUE);
	}
	appendStringInfoString(&text, json);
	return kwj_json_parse(text.data);
}

/* Makes a job of the schedule from a template. */
static KwjNewJob
make_job(const KwjSchedule *schedule, const char *job_type, Jsonb *template)
{
	KwjNewJob	job;

	kwj_new_job(&job, job_type);
	kwj_template_read(template, &job);
	job.owner = schedule->owner;
	job.created_by = schedule->created_by;
	job.created_by_session = schedule->created_by_session;
	job.authority = schedule->authority;
	job.n_authority = schedule->n_authority;
	job.created_by_id = schedule->schedule_id;
	return job;
}

/* Makes the job of a run. "{due}" in a SQL statement stays as it is, because it may mean something else there. */
static KwjNewJob
job_of(const KwjSchedule *schedule, TimestampTz due)
{
	bool		is_sql = strcmp(schedule->job_type, "SQL") == 0;
	KwjNewJob	job = make_job(schedule, schedule->job_type,
							   is_sql ? schedule->job : put_due(schedule, schedule->job, due));

	job.created_by_type = CREATED_BY;
	/* The jobs of a serial key run one after the other. */
	if (schedule->on_previous_running == KWJ_PREVIOUS_WAIT && job.serial_key == NULL)
		job.serial_key = psprintf("schedule " INT64_FORMAT, schedule->schedule_id);
	return job;
}

/*
 * Creates a run, and its row. Returns the id of its job; if a job with the same key is not over,
 * creates none, and returns 0.
 */
static int64
run(KwjSchedule *schedule, TimestampTz due, const char *kind, TimestampTz now)
{
	KwjNewJob	job = job_of(schedule, due);
	KwjDueTime	row = row_of(schedule, due, kind, KWJ_OUTCOME_RUN, now);

	row.job_id = kwj_submit_run(&job);
	if (!job.is_new)
	{
		char	   *why = psprintf("job " INT64_FORMAT " with key \"%s\" is not over", row.job_id, job.key);

		schedule->state = psprintf("rescheduled: %s", why);
		insert_row(schedule, due, kind, KWJ_OUTCOME_SKIPPED, why, now);
		return 0;
	}
	kwj_store_due_time_insert(&row);
	schedule->runs++;
	schedule->refusals = 0;
	schedule->state = NULL;
	return row.job_id;
}

/*
 * Returns why earlier runs forbid to create one now; NULL if it may be created. Sets *unfinished to how many
 * earlier runs are not over; 0 if on_previous_running does not ask for that. With KWJ_PREVIOUS_WAIT, a run
 * that may be created waits for the one that is not over.
 */
static char *
why_skip(const KwjSchedule *schedule, int *unfinished)
{
	int64		job_id;
	KwjStatus	status;

	*unfinished = 0;
	if (schedule->on_previous_running == KWJ_PREVIOUS_START)
		return NULL;
	*unfinished = kwj_store_unfinished_runs(schedule->schedule_id, &job_id, &status);
	if (*unfinished == 0 || (schedule->on_previous_running == KWJ_PREVIOUS_WAIT && *unfinished == 1))
		return NULL;
	return psprintf(*unfinished == 1 ? "job " INT64_FORMAT " is not over: %s" :
					"job " INT64_FORMAT " already waits for the one before it: %s",
					job_id, kwj_status_name(status));
}

/* Creates a run for the due time, unless a run before it is in the way, or no job can be created. */
static void
run_or_skip(Acting *acting, TimestampTz due)
{
	KwjSchedule *schedule = acting->schedule;
	int			unfinished;
	char	   *why;

	acting->runs++;
	if (acting->refusal != NULL)
	{
		insert_row(schedule, due, KWJ_KIND_DUE, KWJ_OUTCOME_REFUSED, acting->refusal, acting->now);
		return;
	}
	why = why_skip(schedule, &unfinished);
	if (why != NULL)
	{
		insert_row(schedule, due, KWJ_KIND_DUE, KWJ_OUTCOME_SKIPPED, why, acting->now);
		schedule->state = psprintf("rescheduled due to %d already running", unfinished);
		return;
	}
	if (run(schedule, due, KWJ_KIND_DUE, acting->now) != 0 && unfinished > 0)
		schedule->state = psprintf("delayed due to %d already running", unfinished);
}

/* ---- missed due times ---- */

/* Returns why a due time was missed. */
static char *
why_missed(const Acting *acting, TimestampTz due)
{
	TimestampTz down;
	TimestampTz ready;
	pg_tz	   *zone = acting->recurrence.zone;

	if (acting->why_missed != NULL)
		return pstrdup(acting->why_missed);
	kwj_shared_start_times(&down, &ready);
	if (due < ready && down != 0 && due >= down)
		return psprintf("the server was down from %s to %s", kwj_recurrence_show(down, zone),
						kwj_recurrence_show(ready, zone));
	if (due < ready)
		return psprintf("the server was not ready before %s", kwj_recurrence_show(ready, zone));
	return psprintf("nothing was started before %s", kwj_recurrence_show(acting->now, zone));
}

static void
miss(Acting *acting, TimestampTz due)
{
	KwjSchedule *schedule = acting->schedule;

	if (acting->missed == 0)
		acting->more_of = kwj_store_missed_until(schedule->schedule_id, acting->last_due);
	if (acting->missed++ < MOST_ROWS && acting->more_of == 0)
	{
		insert_row(schedule, due, KWJ_KIND_DUE, KWJ_OUTCOME_MISSED, why_missed(acting, due), acting->now);
		return;
	}
	if (acting->rest.times == 0)
	{
		acting->rest = row_of(schedule, due, KWJ_KIND_DUE, KWJ_OUTCOME_MISSED, acting->now);
		acting->rest.reason = why_missed(acting, due);
		acting->rest.times = 0;
	}
	acting->rest.times++;
	acting->rest.until = due;
}

static void
insert_rest(const Acting *acting)
{
	if (acting->more_of != 0)
		kwj_store_due_time_extend(&acting->rest, acting->more_of);
	else if (acting->rest.times > 0)
		kwj_store_due_time_insert(&acting->rest);
}

/* ---- a schedule that is due ---- */

/* Does what catch_up says for the last due time that has passed. */
static void
take_last(Acting *acting, TimestampTz due)
{
	KwjSchedule *schedule = acting->schedule;
	TimestampTz late = acting->now - kwj_recurrence_run_time(schedule, due);

	if (schedule->catch_up == KWJ_CATCH_UP_NONE && late > LATE_US)
	{
		miss(acting, due);
		schedule->state = pstrdup("missed");
		return;
	}
	run_or_skip(acting, due);
}

/* Takes the due times that have passed, and sets the next one. */
static void
take_due_times(Acting *acting)
{
	KwjSchedule *schedule = acting->schedule;
	TimestampTz due = schedule->next_due;
	TimestampTz next = 0;
	bool		more;

	for (int i = 0; i < MOST_COUNTED && acting->runs < MOST_RUNS; i++)
	{
		more = kwj_recurrence_next(&acting->recurrence, due, &next);
		schedule->last_due = due;
		if (!more || kwj_recurrence_run_time(schedule, next) > acting->now)
		{
			take_last(acting, due);
			schedule->next_due = more ? next : 0;
			schedule->next_run = more ? kwj_recurrence_run_time(schedule, next) : 0;
			return;
		}
		if (schedule->catch_up == KWJ_CATCH_UP_ALL)
			run_or_skip(acting, due);
		else
			miss(acting, due);
		due = next;
	}
	/* The next transaction goes on here, behind the schedules that have become due before now. */
	schedule->next_due = due;
	schedule->next_run = acting->now;
}

/* As take_due_times, and writes what it has counted. */
static void
take_all(Acting *acting)
{
	KwjSchedule *schedule = acting->schedule;

	take_due_times(acting);
	insert_rest(acting);
	if (schedule->last_due >= schedule->first_run)
		schedule->first_run = 0;
}

/* The retry was created or refused: the schedule's next run is that of its next due time again. */
static void
end_retry(KwjSchedule *schedule)
{
	schedule->retry_of = 0;
	schedule->next_run = schedule->next_due == 0 ? 0 : kwj_recurrence_run_time(schedule, schedule->next_due);
}

static void
forget_old(const KwjSchedule *schedule, TimestampTz now)
{
	kwj_store_due_times_forget(schedule->schedule_id, now - (int64) kwj_retention_time * USECS_PER_SEC,
							   FORGET_STEP);
}

/*
 * Deletes old rows at about one of FORGET_EACH due times. A hash of the due time and the schedule decides at
 * which, so that schedules with the same due times do not all delete rows at the same one.
 */
static void
forget_old_sometimes(const KwjSchedule *schedule, TimestampTz now)
{
	if (hash_bytes_extended((const unsigned char *) &schedule->last_due, sizeof(TimestampTz),
							schedule->schedule_id) % FORGET_EACH == 0)
		forget_old(schedule, now);
}

void
kwj_due_times_act(KwjSchedule *schedule, TimestampTz now)
{
	Acting		acting = {.schedule = schedule, .now = now, .last_due = schedule->last_due};

	Assert(schedule->next_run != 0 && schedule->next_run <= now);
	if (!schedule->at_home)
	{
		pause_by_itself(schedule, now, "it has come with a dump or a copy of another database");
		kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
		return;
	}
	kwj_recurrence_read(schedule, &acting.recurrence);
	if (schedule->retry_of != 0)
	{
		(void) run(schedule, schedule->retry_of, KWJ_KIND_RETRY, now);
		end_retry(schedule);
	}
	else
		take_all(&acting);
	kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
	forget_old_sometimes(schedule, now);
}

void
kwj_due_times_leave(KwjSchedule *schedule, TimestampTz now, const char *why)
{
	Acting		acting = {.schedule = schedule, .now = now, .last_due = schedule->last_due, .why_missed = why};
	TimestampTz due = schedule->next_due;
	bool		more = due != 0 && schedule->at_home;

	if (!more || due > now)
		return;
	kwj_recurrence_read(schedule, &acting.recurrence);
	while (more && due <= now)
	{
		CHECK_FOR_INTERRUPTS();
		miss(&acting, due);
		schedule->last_due = due;
		more = kwj_recurrence_next(&acting.recurrence, due, &due);
	}
	insert_rest(&acting);
}

void
kwj_due_times_refuse(KwjSchedule *schedule, TimestampTz now, const char *why, bool is_limit)
{
	char	   *short_why = kwj_quoted(why, 1000);
	Acting		acting = {
		.schedule = schedule, .now = now, .last_due = schedule->last_due, .refusal = short_why
	};

	kwj_recurrence_read(schedule, &acting.recurrence);
	if (schedule->retry_of != 0)
	{
		insert_row(schedule, schedule->retry_of, KWJ_KIND_RETRY, KWJ_OUTCOME_REFUSED, short_why, now);
		end_retry(schedule);
	}
	else
		take_all(&acting);
	schedule->state = psprintf("failed to create job for schedule " INT64_FORMAT ": err=%s",
							   schedule->schedule_id, short_why);
	/*
	 * However many due times have passed together, this counts as one refusal. Otherwise a reason that
	 * passes soon could pause the schedule.
	 */
	if (++schedule->refusals >= MOST_REFUSALS && !is_limit)
		pause_by_itself(schedule, now, psprintf("no job could be created %d times in a row: %s",
												schedule->refusals, short_why));
	kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
}

void
kwj_due_times_give_up(KwjSchedule *schedule, TimestampTz now, const char *why)
{
	insert_row(schedule, schedule->next_due != 0 ? schedule->next_due : now, KWJ_KIND_DUE,
			   KWJ_OUTCOME_REFUSED, kwj_quoted(why, 1000), now);
	pause_by_itself(schedule, now, kwj_quoted(why, 1000));
	kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
}

void
kwj_due_times_go_back(KwjSchedule *schedule, TimestampTz now, TimestampTz latest)
{
	if (schedule->last_due > latest)
		schedule->last_due = 0;
	kwj_recurrence_go_on(schedule, Max(now, schedule->last_due));
	kwj_store_schedule_update(schedule, KWJ_WRITE_RULES);
}

/* ---- the end of a run ---- */

/* Has the coordinator try the run of this due time again after RETRY_US, unless the next one begins before. */
static void
plan_retry(KwjSchedule *schedule, TimestampTz due, TimestampTz now)
{
	TimestampTz at = now + RETRY_US;

	if (schedule->paused != 0 || (schedule->next_run != 0 && schedule->next_run <= at))
		return;
	schedule->retry_of = due;
	schedule->next_run = at;
}

/* A step of kwj_isolate_within: creates the job that is run when a run has failed. */
typedef struct Failure
{
	const KwjSchedule *schedule;
	const KwjEndedRun *run;
} Failure;

static void
create_failure_job(void *arg)
{
	const Failure *failure = arg;
	KwjNewJob	job = make_job(failure->schedule, "SQL", failure->schedule->failure_job);
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"schedule\": ");
	escape_json(&json, failure->schedule->name);
	appendStringInfo(&json, ", \"job_id\": " INT64_FORMAT ", \"error\": ", failure->run->job_id);
	escape_json(&json, failure->run->error);
	appendStringInfoChar(&json, '}');
	job.payload = kwj_json_with(job.payload, "arguments", kwj_json_parse(json.data));
	job.created_by_type = CREATED_BY_FAILURE;
	(void) kwj_submit_run(&job);
}

/* Creates a job that runs the schedule's failure_statement. If it cannot be created, the state says why. */
static void
run_failure_statement(KwjSchedule *schedule, const KwjEndedRun *run)
{
	Failure		failure = {schedule, run};
	ErrorData  *error;

	if (schedule->failure_job == NULL)
		return;
	error = kwj_isolate_within(create_failure_job, &failure);
	if (error != NULL)
		schedule->state = psprintf("%s; failure_statement could not be run: %s",
								   schedule->state ? schedule->state : "", kwj_quoted(error->message, 200));
}

static void
run_failed(KwjSchedule *schedule, const KwjEndedRun *run, TimestampTz now)
{
	char	   *what = psprintf("job " INT64_FORMAT " failed: %s", run->job_id, kwj_quoted(run->error, 200));

	schedule->failed++;
	schedule->failures++;
	if (schedule->paused != 0)
		return;
	if (schedule->on_execution_failure == KWJ_FAILED_PAUSE)
		pause_by_itself(schedule, now, what);
	else if (schedule->pause_after > 0 && schedule->failures >= schedule->pause_after)
		pause_by_itself(schedule, now, psprintf("%d runs in a row have failed, the last one: %s",
												schedule->failures, what));
	else if (schedule->on_execution_failure == KWJ_FAILED_RETRY)
	{
		plan_retry(schedule, run->due, now);
		schedule->state = psprintf("retrying: %s", what);
	}
	else
		schedule->state = psprintf("reschedule: %s", what);
}

void
kwj_due_times_end(KwjSchedule *schedule, const KwjEndedRun *run, TimestampTz now)
{
	if (!kwj_store_note_end(run))
		return;
	if (run->status == KWJ_SUCCEEDED)
	{
		schedule->succeeded++;
		schedule->failures = 0;
		/* Runs may overlap, and this process may have been down when the last one ended. */
		schedule->last_success = Max(schedule->last_success, run->finished);
	}
	else if (run->status == KWJ_FAILED || run->status == KWJ_REVERT_FAILED)
	{
		run_failed(schedule, run, now);
		run_failure_statement(schedule, run);
	}
	kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
}

/* ---- run now ---- */

int64
kwj_due_times_run_now(KwjSchedule *schedule, TimestampTz now)
{
	int64		job_id = run(schedule, now, KWJ_KIND_BY_HAND, now);

	if (job_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" cannot run now: a job with its key is not over", schedule->name),
				 errhint("Wait for that job, or cancel it.")));
	kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
	forget_old(schedule, now);
	return job_id;
}

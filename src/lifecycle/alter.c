/*
 * src/lifecycle/alter.c
 *	  kwjobs.run_now, alter and close: what functions do to a job that no statement does.
 *
 * Process: sessions, and workers whose statement calls these functions; the coordinator, which does
 * so for sessions of other databases, and says before what they would do (deeds.c).
 *
 *     is it a job of another database?  --yes--> an errand (errands.h)
 *         |
 *     lock its row --> check its status --> change it, note an event
 *
 * Locks: the job's row (FOR NO KEY UPDATE), until the end of the transaction. If the session dies,
 * its transaction is rolled back, and nothing has changed.
 */
#include "postgres.h"

#include "job/clip.h"
#include "lifecycle/alter.h"
#include "lifecycle/bounds.h"
#include "lifecycle/change.h"
#include "schedule/window.h"
#include "store/events.h"
#include "store/jobs.h"
#include "utils/timestamp.h"

/* Locks the row of a job of this database that the user may control. */
static void
lock_row(int64 job_id, KwjJob *job)
{
	kwj_check_visible_before_lock(KWJ_BY_FUNCTION, job_id);
	if (!kwj_store_lock(job_id, KWJ_WAIT, job) || !kwj_is_visible_by(KWJ_BY_FUNCTION, job->owner))
		kwj_no_such_job(job_id);
}

/* ---- checks ---- */

/*
 * Refuses to run a job now whose window is closed. The user who wants that takes the window away, so
 * that the job does not stop at its next checkpoint.
 */
static void
check_window(const KwjJob *job)
{
	KwjWindowLook look;

	if (job->window == NULL)
		return;
	look = kwj_window_look(job->window, GetCurrentTimestamp());
	if (look.is_open)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job " INT64_FORMAT " is outside its window, %s", job->job_id,
					kwj_quoted(job->window, KWJ_WINDOW_LENGTH)),
			 look.problem ? errdetail_internal("%s", look.problem) :
			 errdetail("The window opens at %s.", timestamptz_to_str(look.until)),
			 errhint("To run it now all the same, take the window away first: SELECT kwjobs.alter(" INT64_FORMAT ", \"window\" => '').",
					 job->job_id)));
}

static void
check_run_now(const KwjJob *job)
{
	if (job->status != KWJ_PENDING || job->active_attempt != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job with status %s cannot be run now", kwj_status_name(job->status)),
				 errhint("Only a pending job waits for its time. To see the job, type %s.",
						 kwj_to_see(job->job_id))));
	check_window(job);
}

static void
refuse_to_run(int64 job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job " INT64_FORMAT " waits for other jobs", job_id),
			 errhint("SELECT running_status, waits_for FROM %s WHERE job_id = " INT64_FORMAT " names them.",
					 kwj_is_statement_user() ? "kwdb_internal.jobs" : "kwjobs.my_jobs", job_id)));
}

static void
check_alter(const KwjJob *job)
{
	if (job->active_attempt != 0 || (job->status != KWJ_PENDING && job->status != KWJ_PAUSED))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job with status %s cannot be altered", kwj_status_name(job->status)),
				 kwj_status_is_terminal(job->status) ?
				 errhint("It is over. To see the job, type %s.", kwj_to_see(job->job_id)) :
				 job->status == KWJ_PAUSED ?
				 errhint("It stands still in the middle of its work. Cancel it, and create it again.") :
				 errhint("Only a job that waits can be: type %s first.",
						 kwj_to_type("PAUSE JOB", "kwjobs.pause", job->job_id))));
}

/* Refuses a change of what happens at the end of a window that the job does not have. */
static void
check_window_end(const KwjJob *job, const KwjChange *change)
{
	bool		has_window = change->is_set[KWJ_OPTION_WINDOW] ? change->values.window != NULL : job->window != NULL;

	if (change->is_set[KWJ_OPTION_WINDOW_END] && !has_window)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("job " INT64_FORMAT " has no window", job->job_id),
				 errhint("Give a window, too, as in \"window\" => '22:00-06:00 Europe/Berlin'.")));
}

static void
check_close(const KwjJob *job)
{
	if (job->status != KWJ_REVERT_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job with status %s cannot be closed", kwj_status_name(job->status)),
				 errhint("Only a job whose revert has failed has to be. To see the job, type %s.",
						 kwj_to_see(job->job_id))));
}

/* Errors: those of kwj_alter. */
static void
alter_would(KwjJob *job, const KwjChange *change)
{
	check_alter(job);
	check_window_end(job, change);
	if (change->is_set[KWJ_OPTION_WINDOW])
		job->window = unconstify(char *, change->values.window);
}

void
kwj_alter_would(KwjDeed deed, int64 job_id, const KwjChange *change, KwjControlledJob *job)
{
	if (!job->has_row)
		kwj_no_such_job(job_id);
	if (deed == KWJ_DEED_RUN_NOW)
	{
		check_run_now(&job->row);
		if (!kwj_store_may_run_now(job_id))
			refuse_to_run(job_id);
	}
	else if (deed == KWJ_DEED_ALTER)
		alter_would(&job->row, change);
	else
	{
		Assert(deed == KWJ_DEED_CLOSE);
		check_close(&job->row);
		job->row.status = KWJ_FAILED;
	}
}

/* ---- what the functions do ---- */

void
kwj_run_now(int64 job_id)
{
	KwjErrand	errand = {.deed = KWJ_DEED_RUN_NOW};
	KwjJob		job;

	kwj_check_writable("kwjobs.run_now()");
	if (kwj_control_elsewhere(&errand, job_id))
		return;
	lock_row(job_id, &job);
	check_run_now(&job);
	if (!kwj_store_run_now(job_id))
		refuse_to_run(job_id);
	kwj_control_note(&job, "run_now", "told to run now", job.status, NULL, NULL);
}

/*
 * Returns what the log says of a job that was altered. changes: the options with their new values; NULL:
 * the job had these values already.
 */
static const char *
said_of_changes(Jsonb *changes)
{
	if (changes == NULL)
		return "altered (no change)";
	return psprintf("altered %s",
					kwj_clip_text(JsonbToCString(NULL, &changes->root, VARSIZE(changes))));
}

void
kwj_alter(int64 job_id, const KwjChange *change)
{
	KwjErrand	errand = {.deed = KWJ_DEED_ALTER};
	KwjJob		job;
	Jsonb	   *changes;

	kwj_check_writable("kwjobs.alter()");
	errand.change = kwj_change_text(change);
	if (kwj_control_elsewhere(&errand, job_id))
		return;
	lock_row(job_id, &job);
	check_alter(&job);
	check_window_end(&job, change);
	changes = kwj_store_alter(job_id, change);
	kwj_control_note(&job, "alter", said_of_changes(changes), job.status, NULL, changes);
}

void
kwj_close(int64 job_id, const char *reason)
{
	KwjErrand	errand = {.deed = KWJ_DEED_CLOSE, .reason = unconstify(char *, reason)};
	KwjJob		job;

	kwj_check_reason(reason);
	kwj_check_writable("kwjobs.close()");
	if (kwj_control_elsewhere(&errand, job_id))
		return;
	lock_row(job_id, &job);
	check_close(&job);
	kwj_store_event_of_end(job_id);
	/* This event must come before kwj_store_close() makes the job failed. */
	kwj_control_note(&job, "close", "closed", KWJ_FAILED, reason, NULL);
	kwj_store_close(job_id, reason);
}

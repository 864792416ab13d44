/*
 * src/function/why.c
 *	  SQL-callable: kwjobs.why, which says in sentences why a job does not run, or does not end, and
 *	  what to type; and the text that running_status has for a paused job.
 *
 * Process: sessions. Locks: AccessShareLock on the tables of kwjobs, until the end of the
 * transaction; kwj_shared->lock, shared, for moments; if a process waits for a lock, also all
 * partitions of the lock table, shared, for a moment.
 */
#include "postgres.h"

#include "fmgr.h"
#include "function/args.h"
#include "function/blocked.h"
#include "function/reason.h"
#include "job/clip.h"
#include "lib/stringinfo.h"
#include "lifecycle/control.h"
#include "lifecycle/elsewhere.h"
#include "miscadmin.h"
#include "shared/aside.h"
#include "shared/live.h"
#include "shared/session_jobs.h"
#include "store/standing.h"
#include "type/type.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_why);
PG_FUNCTION_INFO_V1(kwjobs_paused);

/* No quoted text takes more bytes of what these functions return. */
#define MOST_QUOTED		400

/* Appends who asked for something, when, and with which reason. */
static void
say_request(StringInfo into, const KwjStanding *job)
{
	if (job->request_user)
		appendStringInfo(into, ", as %s asked", job->request_user);
	if (job->request_time != 0)
		appendStringInfo(into, " at %s", timestamptz_to_str(job->request_time));
	if (job->request_reason)
	{
		appendStringInfoString(into, ": ");
		kwj_append_quoted(into, job->request_reason, MOST_QUOTED);
	}
}

/* Begins the next sentence on a line of its own. */
static void
next_line(StringInfo into)
{
	if (into->len > 0)
		appendStringInfoChar(into, '\n');
}

/* Says what the error of the job was, where it was found, and what can be done. */
static void
say_error(StringInfo into, const char *which, const KwjStanding *job)
{
	if (job->error == NULL)
		return;
	next_line(into);
	appendStringInfo(into, "%s: ", which);
	kwj_append_quoted(into, job->error, MOST_QUOTED);
	if (job->error_file)
	{
		next_line(into);
		appendStringInfoString(into, "It was found in ");
		if (job->error_line > 0)
			appendStringInfo(into, "line " INT64_FORMAT " of ", job->error_line);
		kwj_append_quoted(into, job->error_file, MOST_QUOTED);
	}
	if (job->error_hint)
	{
		next_line(into);
		appendStringInfoString(into, "Its hint: ");
		kwj_append_quoted(into, job->error_hint, MOST_QUOTED);
	}
}

/*
 * Says why a job waits that is not the first in the line of its serial key, or whose queue is full
 * or held.
 */
static void
say_in_line(StringInfo into, int64 job_id, const KwjStanding *job)
{
	appendStringInfo(into, "Job " INT64_FORMAT " (%s) is %s, and no worker has it: %s.", job_id,
					 job->job_type, kwj_status_name(job->status), job->in_line);
	next_line(into);
	if (job->first == 0)
		appendStringInfoString(into, "SELECT * FROM kwjobs.queues shows the limits of queues, which an administrator sets with kwjobs.set_queue(), and kwjobs.holds which ones are held.");
	else
		appendStringInfo(into, "It has its turn when all jobs before it are over. To see what the first one waits for, type SELECT kwjobs.why(" INT64_FORMAT ").",
					 job->first);
}

static void
say_pending(StringInfo into, int64 job_id, const KwjStanding *job)
{
	KwjPending	pending = {job->owner, job->job_type, job->due, job->run_at, job->ready, job->noted,
	job->n_depends_on, job->depends_on, job_id, job->status == KWJ_PENDING ? job->window : NULL};
	KwjReason	reason = kwj_reason_of(kwj_reason_look(), &pending);

	appendStringInfo(into, "Job " INT64_FORMAT " (%s) is %s, and no worker has it: %s.", job_id,
					 job->job_type, kwj_status_name(job->status), reason.text);
	if (job->before > 0)
	{
		next_line(into);
		appendStringInfo(into, "%s" INT64_FORMAT " %s of its role and type %s to start before it.",
						 job->before >= KWJ_MOST_BEFORE ? "At least " : "", job->before,
						 job->before == 1 ? "job" : "jobs", job->before == 1 ? "is" : "are");
	}
	if (job->attempts > 0)
		say_error(into, "Its last error", job);
	if (job->in_vain > 1)
	{
		next_line(into);
		appendStringInfo(into, "It was interrupted " INT64_FORMAT " times, by the end of its window or by PAUSE, and begins anew each time.",
						 job->in_vain);
		next_line(into);
		appendStringInfo(into, "To let it go on when its window closes, type SELECT kwjobs.alter(" INT64_FORMAT ", window_end => 'finish').",
						 job_id);
	}
	if (reason.advice)
	{
		next_line(into);
		appendStringInfoString(into, reason.advice);
	}
}

/* Says which process runs the job, and what it waits for. */
static void
say_process(StringInfo into, int pid)
{
	int			blocker = kwj_blocker_of(pid);

	if (blocker == 0)
		return;
	next_line(into);
	appendStringInfo(into, "Process %d waits for a lock that process %d has.", pid, blocker);
	next_line(into);
	appendStringInfo(into, "To see what that one does, type SELECT * FROM pg_stat_activity WHERE pid = %d; %sto end it, SELECT pg_terminate_backend(%d).",
					 blocker, superuser() ? "" : "if you may not, an administrator may; ", blocker);
}

static void
say_active(StringInfo into, int64 job_id, const KwjStanding *job)
{
	bool		asked = job->status == KWJ_PAUSE_REQUESTED || job->status == KWJ_CANCEL_REQUESTED;
	KwjLive		worker;
	bool		has_worker = kwj_shared_live_of(job_id, &worker);

	appendStringInfo(into, "Job " INT64_FORMAT " (%s) ", job_id, job->job_type);
	if (asked)
	{
		appendStringInfo(into, "is to be %s", job->status == KWJ_PAUSE_REQUESTED ? "paused" : "canceled");
		say_request(into, job);
		appendStringInfoString(into, ".");
	}
	else
		appendStringInfo(into, "is %s.", kwj_status_name(job->status));
	next_line(into);
	if (!has_worker)
	{
		appendStringInfoString(into, "Its worker is just beginning, or has just left.");
		return;
	}
	appendStringInfo(into, "Process %d has worked on it since %s", worker.pid, timestamptz_to_str(worker.since));
	if (worker.running_status[0] != '\0')
		appendStringInfo(into, ": %s", worker.running_status);
	appendStringInfoString(into, asked ? "; it stops at its next checkpoint, or when its statement can be interrupted." : ".");
	if (worker.request == KWJ_REQUEST_CLOSE)
	{
		next_line(into);
		appendStringInfo(into, "Its window %s has closed: it stops at its next checkpoint, and goes on in the next one.",
						 job->window ? job->window : "");
	}
	say_process(into, worker.pid);
}

static void
say_paused(StringInfo into, int64 job_id, const KwjStanding *job)
{
	KwjLive		worker;

	appendStringInfo(into, "Job " INT64_FORMAT " (%s) does not run: %s.", job_id, job->job_type,
					 job->noted ? job->noted : job->paused ? job->paused : kwj_status_name(job->status));
	if (job->noted)
		say_error(into, "Its error", job);
	if (job->active && kwj_shared_live_of(job_id, &worker))
	{
		next_line(into);
		appendStringInfo(into, "Process %d stays with it: %s.", worker.pid, worker.running_status);
	}
	next_line(into);
	appendStringInfo(into, "It has been so since %s.", timestamptz_to_str(job->modified));
	next_line(into);
	appendStringInfo(into, "To let it go on, type %s.", kwj_to_type("RESUME JOB", "kwjobs.resume", job_id));
}

static void
say_over(StringInfo into, int64 job_id, const KwjStanding *job)
{
	appendStringInfo(into, "Job " INT64_FORMAT " (%s) is over since %s: %s.", job_id, job->job_type,
					 timestamptz_to_str(job->finished), kwj_status_name(job->status));
	if (job->status == KWJ_SUCCEEDED)
		return;
	say_error(into, "Its error", job);
	/* What a session or autovacuum has done, no worker can do again. */
	if (job->status != KWJ_REVERT_FAILED &&
		(job->of_session || !kwj_type_allows(job->job_type, KWJ_RETRY)))
		return;
	next_line(into);
	if (job->status == KWJ_REVERT_FAILED)
		appendStringInfoString(into, kwj_to_end_revert(job_id));
	else
		appendStringInfo(into, "To run it again, type %s.", kwj_to_type("RETRY JOB", "kwjobs.retry", job_id));
}

/* Says how a job stands that has no row yet, because the session that does it has not ended it. */
static void
say_of_session(StringInfo into, int64 job_id)
{
	KwjSessionJob job;

	if (!kwj_shared_find_session_job(job_id, &job))
		kwj_no_such_job(job_id);
	appendStringInfo(into, "Job " INT64_FORMAT " (%s) is done by the %s with process %d, since %s.",
					 job_id, job.job_type, job.automatic ? "autovacuum worker" : "session", job.pid, timestamptz_to_str(job.started));
	say_process(into, job.pid);
}

static void
say_standing(StringInfo into, int64 job_id, const KwjStanding *job)
{
	char	   *aside = kwj_shared_why_aside(job_id);

	if (aside)
		appendStringInfo(into, "Job " INT64_FORMAT " (%s) is left alone: %s.", job_id, job->job_type, aside);
	else if (job->finished != 0 || kwj_status_is_terminal(job->status))
		say_over(into, job_id, job);
	else if (job->status == KWJ_PAUSED)
		say_paused(into, job_id, job);
	else if (job->active || job->status == KWJ_PAUSE_REQUESTED || job->status == KWJ_CANCEL_REQUESTED)
		say_active(into, job_id, job);
	else if (job->in_line)
		say_in_line(into, job_id, job);
	else
		say_pending(into, job_id, job);
}

/* Takes what another database says of its job. arg: a StringInfo of a longer-lived context. */
static void
take_why(Oid database, const char *name, const char *why, void *arg)
{
	appendStringInfo(arg, "This is a job of database \"%s\".\n%s", name, why);
}

/* Says what the other database says of its job. */
static void
say_elsewhere(StringInfo into, int64 job_id, Oid database)
{
	if (!kwj_read_elsewhere(KWJ_ASK_WHY, job_id, database, take_why, into) || into->len == 0)
		kwj_no_such_job(job_id);
}

Datum
kwjobs_why(PG_FUNCTION_ARGS)
{
	int64		job_id = PG_GETARG_INT64(0);
	Oid			database = kwj_database_to_ask(job_id);
	StringInfoData text;
	KwjStanding job;

	initStringInfo(&text);
	if (OidIsValid(database))
	{
		say_elsewhere(&text, job_id, database);
		PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.len));
	}
	kwj_check_visible_before_lock(KWJ_BY_FUNCTION, job_id);
	/* in this order, see kwj_shared_find_session_job() */
	if (kwj_store_standing(job_id, &job))
		say_standing(&text, job_id, &job);
	else
		say_of_session(&text, job_id);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.len));
}

/*
 * Returns the running_status of a paused job. Arguments: the name of the role that made the last
 * request, and its reason. Returns NULL if there is neither.
 */
Datum
kwjobs_paused(PG_FUNCTION_ARGS)
{
	const char *user = kwj_arg_text(fcinfo, 0);
	const char *reason = kwj_arg_text(fcinfo, 1);
	StringInfoData text;

	if (reason != NULL && reason[0] == '\0')
		reason = NULL;
	if (user == NULL && reason == NULL)
		PG_RETURN_NULL();
	initStringInfo(&text);
	appendStringInfoString(&text, "paused");
	if (user != NULL)
		appendStringInfo(&text, " by %s", user);
	if (reason != NULL)
	{
		appendStringInfoString(&text, ": ");
		kwj_append_quoted(&text, reason, MOST_QUOTED);
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.len));
}

/*
 * src/lifecycle/control.c
 *	  PAUSE, RESUME, CANCEL, RETRY: checks whether the user may control the job and whether its
 *	  status allows it, and records the request.
 *
 * Process: sessions, and workers whose statement controls a job. kwj_verdict (job/status.h) has
 * the table of which verb is legal in which status. This file calls it while it holds the lock of
 * the job's row, and writes the new status.
 *
 * Locks: the job's row (FOR NO KEY UPDATE), until the end of the transaction. The process that
 * ends the job's attempt locks the same row, so that the transaction that commits first decides.
 * If the session dies, its transaction is rolled back, and nothing was requested.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "lifecycle/admin.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control.h"
#include "lifecycle/control_log.h"
#include "lifecycle/elsewhere.h"
#include "lifecycle/errands.h"
#include "lifecycle/many.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "store/again.h"
#include "store/events.h"
#include "store/held.h"
#include "store/jobs.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* Returns what a superuser has to type to make the current user a member of the admin role. */
static const char *
grant_statements(void)
{
	const char *role = quote_identifier(kwj_admin_role);
	bool		exists = OidIsValid(get_role_oid(kwj_admin_role, true));

	return psprintf("%s%sGRANT %s TO %s", exists ? "" : psprintf("CREATE ROLE %s", role),
					exists ? "" : " and ", role,
					quote_identifier(GetUserNameFromId(GetUserId(), false)));
}

bool
kwj_is_statement_user(void)
{
	return kwj_job_visibility == KWJ_VISIBLE_TO_OWNER || kwj_is_admin();
}

/*
 * The hint first says what this user can do now, because most users only want their own jobs. Then
 * it names the right for the statements, the lesser one first.
 */
void
kwj_check_may(const char *what)
{
	if (!kwj_is_statement_user())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only users with the admin role are allowed to %s JOBS", what),
				 errhint("Your own jobs are in kwjobs.my_jobs; use kwjobs.pause, kwjobs.resume, kwjobs.cancel and kwjobs.wait for them."
						 " For the statements, have a superuser run ALTER ROLE %s SET kwjobs.job_visibility = owner, for your own jobs from the next connection on, or %s, for those of everybody.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)),
						 grant_statements())));
}

void
kwj_check_admin(const char *statement)
{
	if (!kwj_is_admin())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only users with the admin role are allowed to %s", statement),
				 errhint("Have a superuser run %s.", grant_statements())));
}

bool
kwj_is_visible(Oid owner)
{
	return kwj_is_admin() ||
		(kwj_job_visibility == KWJ_VISIBLE_TO_OWNER &&
		 has_privs_of_role(GetUserId(), owner));
}

bool
kwj_is_own(Oid owner)
{
	return has_privs_of_role(GetUserId(), owner);
}

bool
kwj_is_visible_by(KwjBy by, Oid owner)
{
	return kwj_is_visible(owner) || (by == KWJ_BY_FUNCTION && kwj_is_own(owner));
}

static void
refuse_elsewhere(int64 job_id, const char *database)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("job with ID " INT64_FORMAT " is a job of database \"%s\"", job_id, database),
			 errhint("Connect to database \"%s\" and type the statement there.", database)));
}

/* There is no such job, in this database or, if they were asked, in the others. */
static KWJ_NORETURN void
report_no_job(int64 job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("job with ID " INT64_FORMAT " does not exist", job_id),
			 !kwj_is_statement_user() ?
			 errhint("SELECT * FROM kwjobs.my_jobs lists your own jobs.") :
			 errhint("SHOW JOBS lists the jobs of this database, SELECT * FROM kwdb_internal.jobs older ones too.")));
	pg_unreachable();
}

void
kwj_no_such_job(int64 job_id)
{
	const char *database = kwj_database_of(job_id);

	if (database != NULL)
		refuse_elsewhere(job_id, database);
	report_no_job(job_id);
}

const char *
kwj_to_type(const char *statement, const char *function, int64 job_id)
{
	if (kwj_is_statement_user())
		return psprintf("%s " INT64_FORMAT, statement, job_id);
	return psprintf("SELECT %s(" INT64_FORMAT ")", function, job_id);
}

const char *
kwj_to_see(int64 job_id)
{
	if (kwj_is_statement_user())
		return psprintf("SHOW JOB " INT64_FORMAT, job_id);
	return psprintf("SELECT * FROM kwjobs.my_jobs WHERE job_id = " INT64_FORMAT, job_id);
}

static void
refuse_type(KwjVerb verb, const KwjJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 verb == KWJ_CANCEL ?
			 errmsg("job " INT64_FORMAT ": not cancelable", job->job_id) :
			 errmsg("%s jobs cannot be %s", job->job_type, verb == KWJ_RETRY ? "retried" : "paused"),
			 job->of_session ?
			 errdetail("Job " INT64_FORMAT " was a statement of a session.", job->job_id) :
			 errdetail("Job " INT64_FORMAT " is of type %s.", job->job_id, job->job_type),
			 kwj_status_is_terminal(job->status) ?
			 errhint("To see the job, type %s.", kwj_to_see(job->job_id)) :
			 verb == KWJ_CANCEL ?
			 errhint("Wait for it: %s.",
					 kwj_to_type("SHOW JOB WHEN COMPLETE", "kwjobs.wait", job->job_id)) :
			 errhint("To stop it, type %s.",
					 kwj_to_type("CANCEL JOB", "kwjobs.cancel", job->job_id))));
}

char *
kwj_to_end_revert(int64 job_id)
{
	return psprintf("To go on with reverting, type %s; if you have undone its changes, SELECT kwjobs.close(" INT64_FORMAT ", 'reason').",
					kwj_to_type("RESUME JOB", "kwjobs.resume", job_id), job_id);
}

/*
 * RETRY is only possible for a job that has failed or was canceled. The hint says what the user can
 * do with a job in the status that this job has.
 */
static void
refuse_retry(const KwjJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job with status %s cannot be retried", kwj_status_name(job->status)),
			 job->status == KWJ_SUCCEEDED ?
			 errhint("To do the same once more, create the job again.") :
			 job->status == KWJ_REVERT_FAILED ?
			 errhint("%s", kwj_to_end_revert(job->job_id)) :
			 job->status == KWJ_PAUSED || job->status == KWJ_PAUSE_REQUESTED ?
			 errhint("Type %s.", kwj_to_type("RESUME JOB", "kwjobs.resume", job->job_id)) :
			 job->status == KWJ_PENDING ?
			 errhint("To run it before its time, type SELECT kwjobs.run_now(" INT64_FORMAT ").", job->job_id) :
			 errhint("Wait for it: %s.",
					 kwj_to_type("SHOW JOB WHEN COMPLETE", "kwjobs.wait", job->job_id))));
}

/* Returns what the user can do instead of this, where the status of the job does not admit it. */
static const char *
hint_for_status(KwjVerb verb, const KwjJob *job)
{
	if (verb == KWJ_RESUME && job->status == KWJ_PENDING)
		return psprintf("It is not paused. SELECT kwjobs.why(" INT64_FORMAT ") says why it does not run.", job->job_id);
	if (verb == KWJ_CANCEL && job->status == KWJ_PAUSE_REQUESTED && !job->reverting)
		return psprintf("Wait until it is paused, or take the PAUSE back first: %s.",
						kwj_to_type("RESUME JOB", "kwjobs.resume", job->job_id));
	return psprintf("To see the job, type %s.", kwj_to_see(job->job_id));
}

static void
refuse_status(KwjVerb verb, const KwjJob *job)
{
	const char *status = kwj_status_name(job->status);

	if (job->status == KWJ_PAUSED && job->reverting)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job with status %s cannot be requested to be canceled", status),
				 errdetail("Its changes were being reverted already when it was paused."),
				 errhint("To go on with reverting, type %s.",
						 kwj_to_type("RESUME JOB", "kwjobs.resume", job->job_id))));
	if (verb == KWJ_RETRY)
		refuse_retry(job);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 verb == KWJ_PAUSE ?
			 errmsg("job with status %s cannot be requested to be paused", status) :
			 verb == KWJ_RESUME ?
			 errmsg("job with status %s cannot be resumed", status) :
			 errmsg("job with status %s cannot be requested to be canceled", status),
			 errhint("%s", hint_for_status(verb, job))));
}

void
kwj_check_primary(const char *statement)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", statement),
				 errhint("Connect to the primary server.")));
}

void
kwj_check_writable(const char *what)
{
	kwj_check_primary(what);
	PreventCommandIfReadOnly(what);
	PreventCommandIfParallelMode(what);
}

/*
 * Somebody has changed the status in the job's row to one that kwjobs does not know. The statement
 * goes by the status that the job probably had before, so that a user can get rid of the job.
 */
static KwjStatus
plausible_status(KwjVerb verb, const KwjJob *job)
{
	if (job->active_attempt != 0)
		return job->reverting ? KWJ_REVERTING : KWJ_RUNNING;
	return verb == KWJ_RESUME ? KWJ_PAUSED : KWJ_PENDING;
}

bool
kwj_find_owner(int64 job_id, Oid *owner)
{
	KwjSessionJob *job;
	bool		found = kwj_store_owner(job_id, owner);

	if (found)
		return true;
	job = palloc(sizeof(KwjSessionJob));
	found = kwj_shared_find_session_job(job_id, job);
	if (found)
		*owner = job->owner;
	pfree(job);
	return found;
}

void
kwj_check_visible(KwjBy by, int64 job_id)
{
	Oid			owner;

	if (!kwj_find_owner(job_id, &owner) || !kwj_is_visible_by(by, owner))
		kwj_no_such_job(job_id);
}

void
kwj_check_visible_before_lock(KwjBy by, int64 job_id)
{
	if (kwj_is_admin())
		return;
	/* The current statement may have created the job: make its row visible. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	kwj_check_visible(by, job_id);
	PopActiveSnapshot();
}

/*
 * Raises an error if no job can be controlled here (standby, read-only transaction), or the user
 * may not run this statement.
 */
static void
check_statement(KwjBy by, KwjVerb verb, const char *what)
{
	const char *statement = psprintf("%s %s", kwj_verb_name(verb), what);

	kwj_check_writable(statement);
	if (by == KWJ_BY_STATEMENT)
		kwj_check_may(kwj_verb_name(verb));
}

static void
log_request(int64 job_id, const char *job_type, const char *said, const char *reason)
{
	kwj_control_log(psprintf("job " INT64_FORMAT " (%s) %s", job_id, job_type, said), reason);
}

void
kwj_control_note(const KwjJob *job, const char *event, const char *said, KwjStatus status,
				 const char *reason, Jsonb *detail)
{
	KwjEvent	what = {
		.job_id = job->job_id,
		.event = event,
		.actor = kwj_store_actor(),
		.status = status,
		.reason = reason,
		.detail = detail,
	};

	kwj_store_event(&what);
	log_request(job->job_id, job->job_type, said, reason);
}

/* How events and the log name what a verb asks for. */
static const struct
{
	const char *event;
	const char *said;
}			words[KWJ_VERB_COUNT] =
{
	[KWJ_PAUSE] = {"pause", "pause requested"},
	[KWJ_RESUME] = {"resume", "resumed"},
	[KWJ_CANCEL] = {"cancel", "cancel requested"},
	[KWJ_RETRY] = {"retry", "retried"},
};

/* Makes the job pending again, and also the jobs that have failed only because it failed. */
static void
retry(const KwjJob *job, const char *reason)
{
	int			dependents;

	kwj_store_retry(job->job_id, reason, &dependents);
	if (dependents > 0)
		ereport(NOTICE,
				(errmsg_plural("%d job that failed because of job " INT64_FORMAT " is pending again, too",
							   "%d jobs that failed because of job " INT64_FORMAT " are pending again, too",
							   dependents, dependents, job->job_id)));
}

/*
 * Returns whether the verb is possible for such a job. The statement of a session cannot be run
 * again, even if workers run other jobs of its type: the job has no payload.
 */
static bool
is_possible(KwjVerb verb, const KwjJob *job, KwjTypeAllows allows)
{
	return allows(job->job_type, verb) && !(verb == KWJ_RETRY && job->of_session);
}

/*
 * Decides what the verb does to the job, or raises the error that tells why the job cannot be
 * controlled. *next becomes its status, for KWJ_CHANGE.
 */
static KwjVerdict
decide(KwjVerb verb, const KwjJob *job, KwjTypeAllows allows, KwjStatus *next)
{
	KwjControlled controlled = {
		.status = job->status == KWJ_UNKNOWN_STATUS && !job->over ?
		plausible_status(verb, job) : job->status,
		.reverting = job->reverting,
		.started = job->started,
		.active = job->active_attempt != 0,
	};
	KwjVerdict	verdict;

	if (!is_possible(verb, job, allows))
		refuse_type(verb, job);
	verdict = kwj_verdict(verb, &controlled, next);
	if (verdict == KWJ_REFUSE)
		refuse_status(verb, job);
	return verdict;
}

/*
 * Records the request, or raises the error that tells why the job cannot be controlled. The caller
 * has locked the job's row.
 */
static void
control_locked(KwjVerb verb, const KwjJob *job, const char *reason, KwjTypeAllows allows)
{
	KwjStatus	next;

	switch (decide(verb, job, allows, &next))
	{
		case KWJ_NO_CHANGE:
			/* a user who pauses what a hold has paused does not want its release to resume it */
			if (verb == KWJ_PAUSE && kwj_store_is_paused_by_hold(job->job_id))
			{
				kwj_store_request(job->job_id, job->status, reason, false);
				kwj_control_note(job, words[verb].event, words[verb].said, job->status, reason, NULL);
			}
			break;
		case KWJ_REFUSE:
			break;
		case KWJ_CHANGE:
			if (job->over)
				kwj_store_event_of_end(job->job_id);
			if (verb == KWJ_RETRY)
				retry(job, reason);
			else
				kwj_store_request(job->job_id, next, reason,
								  job->status == KWJ_PAUSE_REQUESTED || job->active_attempt != 0);
			kwj_control_note(job, words[verb].event, words[verb].said, next, reason, NULL);
			break;
	}
}

/*
 * Locks the job's row and reads it into *job. Returns false if the job has no row: then a session
 * does the job, and *of_session is a copy of its place in shared memory. Errors: 42704 if there is
 * no such job, or the user may not see it.
 */
static bool
lock_or_find(KwjBy by, int64 job_id, KwjJob *job, KwjSessionJob *of_session)
{
	bool		locked = kwj_store_lock(job_id, KWJ_WAIT, job);

	if (!locked)
	{
		if (!kwj_shared_find_session_job(job_id, of_session))
			kwj_no_such_job(job_id);
		/* The row was committed after kwj_store_lock had looked for it. */
		if (of_session->state == KWJ_SESSION_WRITTEN)
			locked = kwj_store_lock(job_id, KWJ_WAIT, job);
	}
	if (!kwj_is_visible_by(by, locked ? job->owner : of_session->owner))
		kwj_no_such_job(job_id);
	return locked;
}

/*
 * Refuses PAUSE, RESUME and RETRY of a job that a session does: nobody can stop the session's
 * statement and let it go on later.
 */
static void
refuse_to_pause(KwjVerb verb, const KwjSessionJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s jobs cannot be %s", job->job_type,
					verb == KWJ_PAUSE ? "paused" : verb == KWJ_RETRY ? "retried" : "resumed"),
			 job->automatic ?
			 errdetail("Job " INT64_FORMAT " is the work of an autovacuum worker.", job->job_id) :
			 errdetail("Job " INT64_FORMAT " is a statement of a session.", job->job_id),
			 job->state == KWJ_SESSION_RUNNING ?
			 errhint("To stop it, type %s.",
					 kwj_to_type("CANCEL JOB", "kwjobs.cancel", job->job_id)) :
			 errhint("To see the job, type %s.", kwj_to_see(job->job_id))));
}

/*
 * Refuses CANCEL of a job whose statement has ended: the signal would cancel whatever statement the
 * session runs now.
 */
static void
refuse_to_cancel_done(const KwjSessionJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job " INT64_FORMAT " cannot be canceled any more", job->job_id),
			 errdetail("Its statement has ended; the job is over when its transaction is."),
			 job->state == KWJ_SESSION_PREPARED ?
			 errhint("Type ROLLBACK PREPARED; pg_prepared_xacts has the name of transaction %u.",
					 XidFromFullTransactionId(job->xid)) :
			 errhint("To roll its transaction back, end its session: SELECT pg_terminate_backend(%d).",
					 job->pid)));
}

/* Refuses CANCEL of VACUUM that prevents wraparound, which PostgreSQL does not cancel either. */
static void
refuse_to_cancel_wraparound(const KwjSessionJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job " INT64_FORMAT " cannot be canceled", job->job_id),
			 errdetail("It prevents transaction ids from wrapping around: without it, the server would take no commands in the end."),
			 errhint("Let it go on. To see how far it is, type SELECT * FROM kwjobs.progress WHERE id = " INT64_FORMAT ".",
					 job->job_id)));
}

/* Raises the error that tells why the verb is not possible for a job that a session does. */
static void
check_of_session(KwjVerb verb, const KwjSessionJob *of_session, KwjTypeAllows allows)
{
	KwjJob		job = {
		.job_id = of_session->job_id,
		.job_type = pstrdup(of_session->job_type),
		.status = kwj_session_job_status(of_session),
	};

	if (verb != KWJ_CANCEL)
		refuse_to_pause(verb, of_session);
	if (!allows(of_session->job_type, verb))
		refuse_type(verb, &job);
	if (kwj_status_is_terminal(job.status))
		refuse_status(verb, &job);
	if (of_session->state != KWJ_SESSION_RUNNING)
		refuse_to_cancel_done(of_session);
	if (of_session->prevents_wraparound)
		refuse_to_cancel_wraparound(of_session);
}

static void
control_of_session(KwjVerb verb, const KwjSessionJob *of_session, const char *reason,
				   KwjTypeAllows allows)
{
	check_of_session(verb, of_session, allows);
	kwj_session_job_cancel_at_commit(of_session->job_id, reason);
	log_request(of_session->job_id, pstrdup(of_session->job_type), words[verb].said, reason);
}

/* ---- jobs of other databases ---- */

/* Returns whether this database has the job, also one that the current statement has created. */
static bool
is_here(int64 job_id)
{
	Oid			owner;
	bool		here;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	here = kwj_find_owner(job_id, &owner);
	PopActiveSnapshot();
	return here;
}

int
kwj_part_elsewhere(int64 *job_ids, int n, Oid **databases)
{
	int64	   *missing;
	Oid		   *found;
	int			n_missing = 0;
	int			n_here = 0;
	int			n_there = 0;

	*databases = NULL;
	if (n == 0 || !kwj_may_ask())
		return n;
	missing = palloc(sizeof(int64) * n);
	for (int i = 0; i < n; i++)
		if (is_here(job_ids[i]))
			job_ids[n_here++] = job_ids[i];
		else
			missing[n_missing++] = job_ids[i];
	if (n_missing == 0)
		return n;
	found = palloc(sizeof(Oid) * n_missing);
	kwj_errands_find(missing, n_missing, found);
	for (int i = 0; i < n_missing; i++)
		if (!OidIsValid(found[i]))
			job_ids[n_here++] = missing[i];
	for (int i = 0; i < n_missing; i++)
		if (OidIsValid(found[i]))
		{
			job_ids[n_here + n_there] = missing[i];
			found[n_there++] = found[i];
		}
	*databases = found;
	return n_here;
}

void
kwj_check_controllable(KwjBy by, const int64 *job_ids, int n)
{
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	Oid		   *databases;
	int			n_here;

	memcpy(ids, job_ids, sizeof(int64) * n);
	n_here = kwj_part_elsewhere(ids, n, &databases);
	for (int i = 0; i < n_here; i++)
	{
		Oid			owner;

		CHECK_FOR_INTERRUPTS();
		if (kwj_find_owner(ids[i], &owner) && kwj_is_visible_by(by, owner))
			continue;
		/* The other databases have not been asked, or do not have the job. */
		report_no_job(ids[i]);
	}
	pfree(ids);
}

bool
kwj_control_elsewhere(const KwjErrand *what, int64 job_id)
{
	KwjChecked	result = {KWJ_ERRAND_NOT_DONE};
	Oid		   *databases;
	bool		elsewhere = kwj_part_elsewhere(&job_id, 1, &databases) == 0;

	if (!elsewhere)
		return false;
	kwj_errands_control(what, &job_id, databases, 1, &result);
	if (result.outcome == KWJ_ERRAND_NO_JOB)
		report_no_job(job_id);
	return true;
}

Oid
kwj_database_to_ask(int64 job_id)
{
	Oid			owner;
	Oid			database;

	if (!kwj_may_ask() || kwj_find_owner(job_id, &owner))
		return InvalidOid;
	kwj_errands_find(&job_id, 1, &database);
	return database;
}

void
kwj_control(KwjBy by, KwjVerb verb, int64 job_id, const char *reason, KwjTypeAllows allows)
{
	KwjErrand	errand = {.deed = (KwjDeed) verb, .reason = unconstify(char *, reason)};
	KwjSessionJob *of_session;
	KwjJob		job;

	check_statement(by, verb, "JOB");
	kwj_check_reason(reason);
	if (kwj_control_elsewhere(&errand, job_id))
		return;
	kwj_check_visible_before_lock(by, job_id);
	of_session = palloc(sizeof(KwjSessionJob));
	if (lock_or_find(by, job_id, &job, of_session))
		control_locked(verb, &job, reason, allows);
	else
		control_of_session(verb, of_session, reason, allows);
	pfree(of_session);
}

/* Returns whether and why a statement on many jobs leaves out this job, which has a row. */
static KwjLeftOut
left_out_of_row(KwjVerb verb, const KwjJob *job, bool all, KwjTypeAllows allows)
{
	if (job->status == KWJ_UNKNOWN_STATUS && job->over)
		return KWJ_LEFT_OVER;
	if (all && !is_possible(verb, job, allows))
		return KWJ_LEFT_IMPOSSIBLE;
	return kwj_left_out(verb, job->status, all);
}

/*
 * Returns whether and why a statement on many jobs leaves out this job, which has no row, because a
 * session does it.
 */
static KwjLeftOut
left_out_of_session(KwjVerb verb, const KwjSessionJob *job, bool all)
{
	/* The job's row was committed, and has been deleted since. */
	if (job->state == KWJ_SESSION_WRITTEN)
		return KWJ_LEFT_OVER;
	if (verb == KWJ_CANCEL && (job->state == KWJ_SESSION_DONE || job->state == KWJ_SESSION_PREPARED))
		return KWJ_LEFT_COMMITTING;
	if (all && (verb != KWJ_CANCEL || job->prevents_wraparound))
		return KWJ_LEFT_IMPOSSIBLE;
	return kwj_left_out(verb, kwj_session_job_status(job), all);
}

static KwjLeftOut
control_session_job_of_many(KwjBy by, KwjVerb verb, int64 job_id, bool all,
							const char *reason, KwjTypeAllows allows)
{
	KwjSessionJob *job = palloc(sizeof(KwjSessionJob));
	KwjLeftOut	left_out;

	if (!kwj_shared_find_session_job(job_id, job))
		return KWJ_LEFT_OVER;
	if (!kwj_is_visible_by(by, job->owner))
		kwj_no_such_job(job_id);
	left_out = left_out_of_session(verb, job, all);
	if (left_out == KWJ_NOT_LEFT_OUT)
		control_of_session(verb, job, reason, allows);
	pfree(job);
	return left_out;
}

/*
 * Controls the job unless there is nothing to do for it. If neither a row nor a session has the
 * job, it has ended since the statement began, and was deleted: it counts as over.
 */
static KwjLeftOut
control_one_of_many(KwjBy by, KwjVerb verb, int64 job_id, bool all, const char *reason,
					KwjTypeAllows allows)
{
	KwjJob		job;
	KwjLeftOut	left_out;

	kwj_check_visible_before_lock(by, job_id);
	if (!kwj_store_lock(job_id, KWJ_WAIT, &job))
		return control_session_job_of_many(by, verb, job_id, all, reason, allows);
	if (!kwj_is_visible_by(by, job.owner))
		kwj_no_such_job(job_id);
	left_out = left_out_of_row(verb, &job, all, allows);
	if (left_out == KWJ_NOT_LEFT_OUT)
		control_locked(verb, &job, reason, allows);
	return left_out;
}

static const char *const reasons[KWJ_LEFT_OUT_COUNT] = {
	[KWJ_LEFT_OVER] = "over",
	[KWJ_LEFT_CANCELING] = "being canceled",
	[KWJ_LEFT_REVERTING] = "being reverted already",
	[KWJ_LEFT_PAUSING] = "being paused, and can be canceled when that is done",
	[KWJ_LEFT_GOING] = "not paused",
	[KWJ_LEFT_NOT_FAILED] = "neither failed nor canceled",
	[KWJ_LEFT_IMPOSSIBLE] = "of a kind for which that is not possible",
	[KWJ_LEFT_COMMITTING] = "waiting for the end of a transaction",
};

int
kwj_control_many_elsewhere(const KwjErrand *what, int64 *job_ids, const Oid *databases, int n,
						   int *counts, int n_counts, int gone)
{
	KwjChecked *results;
	int			n_controlled = 0;

	if (n == 0)
		return 0;
	results = palloc0(sizeof(KwjChecked) * n);
	kwj_errands_control(what, job_ids, databases, n, results);
	for (int i = 0; i < n; i++)
	{
		if (results[i].outcome == KWJ_ERRAND_DONE)
			job_ids[n_controlled++] = job_ids[i];
		else if (results[i].outcome == KWJ_ERRAND_LEFT_OUT &&
				 results[i].left_out > 0 && results[i].left_out < n_counts)
			counts[results[i].left_out]++;
		else
			counts[gone]++;
	}
	pfree(results);
	return n_controlled;
}

int
kwj_control_many(KwjBy by, KwjVerb verb, int64 *job_ids, int n, bool all, const char *reason,
				 KwjTypeAllows allows)
{
	KwjErrand	errand = {
		.deed = (KwjDeed) verb,
		.many = true,
		.all = all,
		.reason = unconstify(char *, reason),
	};
	int			counts[KWJ_LEFT_OUT_COUNT] = {0};
	int			n_controlled = 0;
	int			n_here;
	int			n_there;
	Oid		   *databases;

	check_statement(by, verb, "JOBS");
	kwj_check_reason(reason);
	n = kwj_sort_ids(job_ids, n);
	n_here = kwj_part_elsewhere(job_ids, n, &databases);
	/* First, because it may fail, and before any row is locked. */
	n_there = kwj_control_many_elsewhere(&errand, job_ids + n_here, databases, n - n_here,
										 counts, KWJ_LEFT_OUT_COUNT, KWJ_LEFT_OVER);
	for (int i = 0; i < n_here; i++)
	{
		int64		job_id = job_ids[i];
		KwjLeftOut	left_out;

		CHECK_FOR_INTERRUPTS();
		left_out = control_one_of_many(by, verb, job_id, all, reason, allows);
		counts[left_out]++;
		if (left_out == KWJ_NOT_LEFT_OUT)
			job_ids[n_controlled++] = job_id;
	}
	memmove(job_ids + n_controlled, job_ids + n_here, sizeof(int64) * n_there);
	kwj_report_left_out(counts, reasons, KWJ_LEFT_OUT_COUNT);
	return n_controlled + n_there;
}

/* ---- what a statement of another database's session would do ---- */

bool
kwj_control_look(int64 job_id, KwjControlledJob *state)
{
	state->has_row = kwj_store_job(job_id, &state->row);
	if (state->has_row)
		return true;
	if (!kwj_shared_find_session_job(job_id, &state->of_session))
		return false;
	/* The row was committed after kwj_store_job had looked for it. */
	if (state->of_session.state == KWJ_SESSION_WRITTEN)
		state->has_row = kwj_store_job(job_id, &state->row);
	return true;
}

KwjLeftOut
kwj_control_would(const KwjErrand *errand, KwjControlledJob *state, KwjTypeAllows allows)
{
	KwjVerb		verb = (KwjVerb) errand->deed;
	KwjLeftOut	left_out = KWJ_NOT_LEFT_OUT;
	KwjStatus	next;

	Assert(kwj_is_verb(errand->deed));
	if (errand->many)
		left_out = state->has_row ? left_out_of_row(verb, &state->row, errand->all, allows) :
			left_out_of_session(verb, &state->of_session, errand->all);
	if (left_out != KWJ_NOT_LEFT_OUT)
		return left_out;
	if (!state->has_row)
		check_of_session(verb, &state->of_session, allows);
	else if (decide(verb, &state->row, allows, &next) == KWJ_CHANGE)
	{
		state->row.status = next;
		state->row.over = false;
	}
	return KWJ_NOT_LEFT_OUT;
}

/*
 * src/job/control.c
 *	  PAUSE, RESUME, CANCEL: permission and legal transition.
 *
 * Process: sessions. Locks: the job's row until the end of the transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "job/control.h"
#include "job/store.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"

/* A member of the admin role; superusers always are. */
static bool
is_admin(void)
{
	Oid			role;

	if (superuser())
		return true;
	role = get_role_oid(kwj_admin_role, true);
	return OidIsValid(role) && is_member_of_role(GetUserId(), role);
}

static void
refuse_user(const char *statement)
{
	const char *role = quote_identifier(kwj_admin_role);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("only users with the admin role are allowed to %s", statement),
			 errhint("Have a superuser run CREATE ROLE %s if there is no such role, and GRANT %s TO %s.",
					 role, role,
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

void
kwj_check_may(const char *what)
{
	if (kwj_job_visibility != KWJ_VISIBLE_TO_OWNER && !is_admin())
		refuse_user(psprintf("%s JOBS", what));
}

void
kwj_check_admin(const char *statement)
{
	if (!is_admin())
		refuse_user(statement);
}

bool
kwj_is_visible(Oid owner)
{
	return is_admin() ||
		(kwj_job_visibility == KWJ_VISIBLE_TO_OWNER &&
		 has_privs_of_role(GetUserId(), owner));
}

void
kwj_no_such_job(int64 job_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("job with ID " INT64_FORMAT " does not exist", job_id),
			 errhint("SHOW JOBS lists the jobs of this database, SELECT * FROM kwdb_internal.jobs older ones too.")));
	pg_unreachable();
}

static void
refuse_type(KwjVerb verb, const KwjJob *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 verb == KWJ_CANCEL ?
			 errmsg("job " INT64_FORMAT ": not cancelable", job->job_id) :
			 errmsg("%s jobs cannot be paused", job->job_type),
			 errdetail("Job " INT64_FORMAT " is of type %s.", job->job_id, job->job_type),
			 kwj_status_is_terminal(job->status) ?
			 errhint("To see the job, type SHOW JOB " INT64_FORMAT ".", job->job_id) :
			 verb == KWJ_CANCEL ?
			 errhint("Wait for it: SHOW JOB WHEN COMPLETE " INT64_FORMAT ".", job->job_id) :
			 errhint("To stop it, type CANCEL JOB " INT64_FORMAT ".", job->job_id)));
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
				 errhint("To go on with reverting, type RESUME JOB " INT64_FORMAT ".", job->job_id)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 verb == KWJ_PAUSE ?
			 errmsg("job with status %s cannot be requested to be paused", status) :
			 verb == KWJ_RESUME ?
			 errmsg("job with status %s cannot be resumed", status) :
			 errmsg("job with status %s cannot be requested to be canceled", status),
			 errhint("To see the job, type SHOW JOB " INT64_FORMAT ".", job->job_id)));
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
kwj_control(KwjVerb verb, int64 job_id, const char *reason, KwjTypeAllows allows)
{
	KwjJob		job = {0};
	KwjStatus	next;

	kwj_check_primary(psprintf("%s JOB", kwj_verb_name(verb)));
	if (XactReadOnly)
		PreventCommandIfReadOnly(psprintf("%s JOB", kwj_verb_name(verb)));
	kwj_check_may(kwj_verb_name(verb));
	if (!kwj_store_lock(job_id, KWJ_WAIT, &job) || !kwj_is_visible(job.owner))
		kwj_no_such_job(job_id);
	if (!allows(job.job_type, verb))
		refuse_type(verb, &job);

	switch (kwj_verdict(verb, job.status, job.reverting, job.started, &next))
	{
		case KWJ_NO_CHANGE:
			break;
		case KWJ_REFUSE:
			refuse_status(verb, &job);
			break;
		case KWJ_CHANGE:
			kwj_store_request(job_id, next, reason);
			break;
	}
}

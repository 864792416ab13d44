/*
 * src/lifecycle/submit.c
 *	  Creating a job.
 *
 * Process: sessions, and workers whose statement creates a job. Locks: FOR KEY SHARE on the rows
 * of the jobs that the new job depends on (store/jobs.c), and FOR NO KEY UPDATE on the row of a job
 * that is replaced, until the end of the transaction. If the session dies before its commit, there
 * is no job. After the commit, the coordinator finds the job in the table, even if the session dies
 * before it has woken the coordinator.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "compat.h"
#include "lifecycle/authority.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control.h"
#include "lifecycle/held.h"
#include "lifecycle/submit.h"
#include "lifecycle/template.h"
#include "miscadmin.h"
#include "shared/init.h"
#include "shared/room.h"
#include "shared/session_jobs.h"
#include "shared/wakeup.h"
#include "store/events.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

void
kwj_new_job(KwjNewJob *job, const char *job_type)
{
	memset(job, 0, sizeof(*job));
	job->job_type = job_type;
	job->owner = GetUserId();
	job->max_attempts = KWJ_DEFAULT_MAX_ATTEMPTS;
	job->retry_delay_ms = KWJ_DEFAULT_RETRY_DELAY_MS;
	job->on_failure = "fail";
}

/*
 * The worker connects as the owner of the job. So an owner that cannot log in is refused now, and
 * not only when the job is to start.
 */
static void
check_owner(Oid owner, bool by_right_of_user)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	bool		can_log_in;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", owner),
				 errhint("Name an existing role.")));
	can_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	name = GetUserNameFromId(owner, false);

	if (by_right_of_user && owner != GetUserId() && !kwj_can_set_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create a job of role \"%s\"", name),
				 errhint("Have GRANT %s TO %s run, or leave the job to yourself.",
						 quote_identifier(name),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	if (!can_log_in)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot own a job: it is not permitted to log in", name),
				 errdetail("A job runs in a session of its owner."),
				 owner == GetUserId() ?
				 errhint("Type RESET ROLE, or have ALTER ROLE %s LOGIN run.",
						 quote_identifier(name)) :
				 errhint("Name another role, or have ALTER ROLE %s LOGIN run.",
						 quote_identifier(name))));
}

void
kwj_check_may_own(Oid owner)
{
	check_owner(owner, true);
}

void
kwj_check_as_owner(Oid owner, void (*check) (void *arg), void *arg)
{
	Oid			user;
	int			security_context;

	GetUserIdAndSecContext(&user, &security_context);
	if (owner != user)
	{
		kwj_check_may_own(owner);
		SetUserIdAndSecContext(owner, security_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
	}
	check(arg);
	SetUserIdAndSecContext(user, security_context);
}

/*
 * Raises the error for a job in depends_on that has no row, so that no row of kwjobs.dependency can
 * name it. Either a session does the job, or it does not exist.
 */
static void
refuse_without_row(int64 job_id)
{
	KwjSessionJob *job = palloc(sizeof(KwjSessionJob));

	if (!kwj_shared_find_session_job(job_id, job) ||
		!kwj_is_visible_by(KWJ_BY_FUNCTION, job->owner))
		kwj_no_such_job(job_id);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("no job can depend on job " INT64_FORMAT " yet", job_id),
			 errdetail("It is a statement of a session, whose transaction has not ended."),
			 errhint("Wait for it: %s.",
					 kwj_to_type("SHOW JOB WHEN COMPLETE", "kwjobs.wait", job_id))));
}

/*
 * Raises an error unless the job's creator may see all jobs that it depends on, by a statement or
 * by a function (KWJ_BY_FUNCTION).
 */
static void
check_dependencies(const KwjNewJob *job)
{
	if (job->n_depends_on == 0)
		return;
	/* The current statement may have created the other jobs: make their rows visible. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < job->n_depends_on; i++)
	{
		Oid			owner;

		if (!kwj_store_owner(job->depends_on[i], &owner))
			refuse_without_row(job->depends_on[i]);
		if (!kwj_is_visible_by(KWJ_BY_FUNCTION, owner))
			kwj_no_such_job(job->depends_on[i]);
	}
	PopActiveSnapshot();
}

/*
 * The owner has an unfinished job with the same key, and kwj_submit returns its id. Tells the user
 * if that job differs from the one that was to be created, because the user might not notice.
 */
static void
report_existing(const KwjNewJob *job, const KwjExisting *existing)
{
	if (existing->differences[0] == '\0')
		return;
	ereport(NOTICE,
			(errmsg("no job was created, as another one with key \"%s\" is not over", job->key),
			 errdetail("That one, whose ID is returned, differs from what was asked for in: %s.",
					   existing->differences),
			 errhint("To replace it before it starts, give on_conflict => 'replace'; later, use CANCEL JOB, or kwjobs.cancel for a job of your own, and create this job again when it is over.")));
}

static void
refuse_second(const KwjNewJob *job, int64 existing)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("job " INT64_FORMAT " with key \"%s\" is not over", existing, job->key),
			 errhint("Wait for it, or give on_conflict => 'keep' to get its ID, or 'replace' to change what it will do.")));
}

/* The attempts of a job belong to what it did at that time, so only a new job is replaced. */
static void
check_replaceable(const KwjNewJob *job, const KwjJob *existing)
{
	bool		waits = existing->status == KWJ_PENDING || existing->status == KWJ_PAUSED ||
		existing->status == KWJ_PAUSE_REQUESTED;

	if (!waits || existing->active_attempt != 0 || existing->started || existing->revertible ||
		existing->reverting)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job " INT64_FORMAT " with key \"%s\" cannot be replaced any more",
						existing->job_id, job->key),
				 errdetail("It has started already, or is being canceled: its status is %s.",
						   kwj_status_name(existing->status)),
				 errhint("%s, and create this job again when it is over.",
						 existing->status == KWJ_PAUSED ? "Resume or cancel it" :
						 "Wait for it, or cancel it")));

	/* Each job depends on older ones only, so that no jobs can wait for each other in a circle. */
	if (job->n_depends_on > 0 && job->depends_on[job->n_depends_on - 1] >= existing->job_id)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job " INT64_FORMAT " with key \"%s\" cannot be replaced by one that depends on job " INT64_FORMAT,
						existing->job_id, job->key, job->depends_on[job->n_depends_on - 1]),
				 errdetail("A job can depend only on jobs that are older than itself."),
				 errhint("Cancel that job, and create this job again.")));
}

/*
 * Lets the job that has the key do what the new one was to do. Returns false if it has ended
 * meanwhile.
 */
static bool
replace(const KwjNewJob *job, int64 job_id)
{
	KwjJob		existing;
	KwjEvent	event = {.job_id = job_id, .event = "replace", .actor = kwj_store_actor()};

	if (!kwj_store_lock(job_id, KWJ_WAIT, &existing) || existing.over)
		return false;
	check_replaceable(job, &existing);
	event.status = existing.status;
	event.detail = kwj_store_before_replacement(job_id);
	kwj_store_replace(job_id, job);
	kwj_store_event(&event);
	if (existing.status != KWJ_PENDING)
		ereport(NOTICE,
				(errmsg("job " INT64_FORMAT " with key \"%s\" was replaced, and is paused", job_id,
						job->key),
				 errhint("Type %s.", kwj_to_type("RESUME JOB", "kwjobs.resume", job_id))));
	return true;
}

/*
 * Another job has the key. Returns false if that job has ended meanwhile, so that the new one can
 * be created after all.
 */
static bool
meet_existing(const KwjNewJob *job, const KwjExisting *existing)
{
	switch (job->on_conflict)
	{
		case KWJ_CONFLICT_KEEP:
			report_existing(job, existing);
			break;
		case KWJ_CONFLICT_REPLACE:
			return replace(job, existing->job_id);
		case KWJ_CONFLICT_ERROR:
			refuse_second(job, existing->job_id);
			break;
	}
	return true;
}

/* The launcher has this long after the start of the server to begin. */
#define LAUNCHER_BEGINS_MS	10000

/*
 * Warns the user if no process can start jobs of this database. Called once for a transaction, so
 * that many jobs do not bring many warnings.
 */
static void
warn_if_nothing_starts(void)
{
	KwjCoordinatorState state = kwj_shared_ready() ? kwj_shared_coordinator() : KWJ_COORDINATOR_RUNS;

	if (state == KWJ_NO_SLOT ||
		(state == KWJ_NO_LAUNCHER &&
		 TimestampDifferenceExceeds(PgStartTime, GetCurrentTimestamp(), LAUNCHER_BEGINS_MS)))
		ereport(WARNING,
				(errmsg("the job does not start now: %s",
						state == KWJ_NO_SLOT ? "no background worker slot is free for a coordinator of kwjobs" :
						"the launcher of kwjobs does not run"),
				 errhint("Raise max_worker_processes, which is %d, and restart the server: the job starts then.",
						 max_worker_processes)));
}

int64
kwj_submit(KwjNewJob *job)
{
	KwjExisting existing;
	int64		job_id;
	bool		is_first = kwj_wakeup_is_unarmed();

	kwj_check_size("what the job is to do", VARSIZE(job->payload), KWJ_PAYLOAD_BOUND,
				   "Create several jobs instead, each for a part.");
	kwj_check_size("the description of the job", strlen(job->description), KWJ_PAYLOAD_BOUND,
				   "Create several jobs instead, each for a part.");
	kwj_check_may_own(job->owner);
	check_dependencies(job);
	kwj_authority_note(job);
	if (kwj_template_catch(job))
		return 0;
	do
	{
		CHECK_FOR_INTERRUPTS();
		job_id = kwj_store_insert(job, &existing);
		job->is_new = existing.job_id == 0;
	} while (!job->is_new && !meet_existing(job, &existing));
	if (job->is_new || job->on_conflict == KWJ_CONFLICT_REPLACE)
	{
		kwj_check_quota(job->owner, VARSIZE(job->payload) + strlen(job->description),
						job->n_depends_on);
		kwj_hold_tell(job_id, job->owner, job->job_type, job->queue);
	}
	if (is_first)
		warn_if_nothing_starts();
	return job_id;
}

int64
kwj_submit_run(KwjNewJob *job)
{
	KwjExisting existing;
	int64		job_id;

	check_owner(job->owner, false);
	job_id = kwj_store_insert(job, &existing);
	job->is_new = existing.job_id == 0;
	if (job->is_new)
		kwj_check_quota(job->owner, VARSIZE(job->payload) + strlen(job->description), 0);
	return job_id;
}

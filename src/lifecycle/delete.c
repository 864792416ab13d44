/*
 * src/lifecycle/delete.c
 *	  Deleting jobs that are over, before retention does.
 *
 * Process: sessions, and workers whose statement deletes jobs.
 *
 *     may the user see the job?  --no--> error: no such job, even if there is one
 *         |
 *     is it over?  --no--> error, without a lock: a lock would hold up the job's attempt
 *         |
 *     lock its row, look again: is it over, and does no job depend on it?
 *         |
 *     delete it and add it to the history (store/history.c)
 *
 * Locks: the rows of the jobs (FOR UPDATE), in the order of the ids, until the end of the
 * transaction. A session that submits a job which depends on one of these jobs locks its row, too:
 * if it comes second, it waits, and then finds the job gone; if it came first, the deleting session
 * waits for it. Retention skips the locked jobs. A session that waits for one of these jobs to end
 * is woken at the end of the transaction, and finds the job over or gone. If the deleting session
 * dies, its transaction is rolled back, and nothing was deleted.
 *
 * A job of another database is deleted there, by an errand (errands.h), if kwjobs.scope is server and
 * the user has the admin role.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lifecycle/control.h"
#include "lifecycle/control_log.h"
#include "lifecycle/delete.h"
#include "lifecycle/many.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "store/dependency.h"
#include "store/history.h"
#include "store/jobs.h"

static const char *const reasons[KWJ_DELETABLE_COUNT] = {
	[KWJ_NOT_OVER] = "not over",
	[KWJ_OF_SESSION] = "not recorded yet",
	[KWJ_NOT_REVERTED] = "revert-failed",
	[KWJ_NEEDED] = "needed by others",
	[KWJ_GONE] = "deleted already",
};

static KwjDeletable
judge_status(KwjStatus status, bool over)
{
	if (!over)
		return KWJ_NOT_OVER;
	return status == KWJ_REVERT_FAILED ? KWJ_NOT_REVERTED : KWJ_DELETABLE;
}

/*
 * Returns whether the job can be deleted; locks and reads its row if so. If another session has
 * just deleted the job, it counts as KWJ_GONE.
 */
static KwjDeletable
lock_if_deletable(int64 job_id, KwjJob *job)
{
	KwjOutcome	outcome;
	KwjDeletable found;

	kwj_check_visible_before_lock(KWJ_BY_FUNCTION, job_id);
	/* The current statement may have created the job: make its row visible. */
	CommandCounterIncrement();
	if (!kwj_store_outcome(job_id, false, &outcome))
		return kwj_session_job_outcome(job_id, &outcome) ? KWJ_OF_SESSION : KWJ_GONE;
	found = judge_status(outcome.status, outcome.over);
	if (found != KWJ_DELETABLE)
		return found;
	if (!kwj_store_lock(job_id, KWJ_WAIT_TO_DELETE, job) ||
		!kwj_is_visible_by(KWJ_BY_FUNCTION, job->owner))
		return KWJ_GONE;
	found = judge_status(job->status, job->over);
	if (found == KWJ_DELETABLE && kwj_store_has_dependents(job_id))
		return KWJ_NEEDED;
	return found;
}

/* Raises the error that tells why the job cannot be deleted. */
static void
refuse(int64 job_id, KwjDeletable why)
{
	if (why == KWJ_GONE)
		kwj_no_such_job(job_id);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 why == KWJ_NOT_OVER || why == KWJ_OF_SESSION ?
			 errmsg("job " INT64_FORMAT " cannot be deleted: it is not over", job_id) :
			 why == KWJ_NOT_REVERTED ?
			 errmsg("job " INT64_FORMAT " cannot be deleted: it is revert-failed", job_id) :
			 errmsg("job " INT64_FORMAT " cannot be deleted: other jobs depend on it", job_id),
			 why == KWJ_NOT_REVERTED ?
			 errdetail("Some of its changes are still there, and nothing but the job knows them.") :
			 why == KWJ_OF_SESSION ?
			 errdetail("It is a statement of a session, and has no row yet.") : 0,
			 why == KWJ_NOT_OVER ?
			 errhint("To end it, type SELECT kwjobs.cancel(" INT64_FORMAT "), and SELECT * FROM kwjobs.wait(" INT64_FORMAT ").",
					 job_id, job_id) :
			 why == KWJ_OF_SESSION ?
			 errhint("Wait for it: SELECT * FROM kwjobs.wait(" INT64_FORMAT ").", job_id) :
			 why == KWJ_NOT_REVERTED ?
			 errhint("Remove what keeps them, then type SELECT kwjobs.resume(" INT64_FORMAT ").", job_id) :
			 errhint("Try again in a moment, when those jobs have been told that this one is over.")));
}

static void
log_deleted(int64 job_id, const char *job_type)
{
	kwj_control_log(psprintf("job " INT64_FORMAT " (%s) deleted", job_id, job_type), NULL);
}

KwjDeletable
kwj_delete_would(int64 job_id, bool many, KwjControlledJob *job)
{
	KwjDeletable found = !job->has_row ? KWJ_OF_SESSION : judge_status(job->row.status, job->row.over);

	if (found == KWJ_DELETABLE && kwj_store_has_dependents(job_id))
		found = KWJ_NEEDED;
	if (found != KWJ_DELETABLE && !many)
		refuse(job_id, found);
	job->is_deleted = found == KWJ_DELETABLE;
	return found;
}

void
kwj_delete(int64 job_id)
{
	KwjErrand	errand = {.deed = KWJ_DEED_DELETE};
	KwjJob		job;
	KwjDeletable found;

	kwj_check_writable("kwjobs.delete");
	if (kwj_control_elsewhere(&errand, job_id))
		return;
	kwj_store_prepare_delete();
	found = lock_if_deletable(job_id, &job);
	/*
	 * kwj_store_delete deletes nothing if its snapshot shows a job that depends on this one. Under
	 * REPEATABLE READ that snapshot may be older than the end of the dependency.
	 */
	if (found == KWJ_DELETABLE && kwj_store_delete(&job_id, 1) == 0)
		found = KWJ_NEEDED;
	if (found != KWJ_DELETABLE)
		refuse(job_id, found);
	log_deleted(job_id, job.job_type);
}

/* Logs which of the jobs are gone. all: they all are. */
static void
log_all_deleted(const int64 *job_ids, char **job_types, int n, bool all)
{
	Oid			owner;

	for (int i = 0; i < n; i++)
		if (all || !kwj_store_owner(job_ids[i], &owner))
			log_deleted(job_ids[i], job_types[i]);
}

int64
kwj_delete_many(int64 *job_ids, int n)
{
	KwjErrand	errand = {.deed = KWJ_DEED_DELETE, .many = true};
	int			counts[KWJ_DELETABLE_COUNT] = {0};
	int			n_locked = 0;
	int			n_there;
	int64		deleted = 0;
	char	  **job_types = palloc(sizeof(char *) * Max(n, 1));
	Oid		   *databases;
	int			n_all;

	kwj_check_writable("kwjobs.delete_jobs");
	n_all = kwj_sort_ids(job_ids, n);
	n = kwj_part_elsewhere(job_ids, n_all, &databases);
	/* First, because it may fail, and before any row is locked. */
	n_there = kwj_control_many_elsewhere(&errand, job_ids + n, databases, n_all - n, counts,
										 KWJ_DELETABLE_COUNT, KWJ_GONE);
	kwj_store_prepare_delete();
	/* Check all ids before the first row is locked, because one that is not visible is an error. */
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		kwj_check_visible(KWJ_BY_FUNCTION, job_ids[i]);
	}
	for (int i = 0; i < n; i++)
	{
		int64		job_id = job_ids[i];
		KwjJob		job;
		KwjDeletable found;

		CHECK_FOR_INTERRUPTS();
		found = lock_if_deletable(job_id, &job);
		counts[found]++;
		if (found != KWJ_DELETABLE)
			continue;
		job_ids[n_locked] = job_id;
		job_types[n_locked++] = job.job_type;
	}
	if (n_locked > 0)
	{
		deleted = kwj_store_delete(job_ids, n_locked);
		log_all_deleted(job_ids, job_types, n_locked, deleted == n_locked);
	}
	counts[KWJ_NEEDED] += n_locked - (int) deleted;
	kwj_report_left_out(counts, reasons, KWJ_DELETABLE_COUNT);
	return deleted + n_there;
}

/*
 * src/lifecycle/control.h
 *	  PAUSE, RESUME, CANCEL, RETRY: whether the user may, and whether the job's status allows it. A
 *	  request is part of the caller's transaction: if that is rolled back, nothing was
 *	  requested.
 *
 * Whose jobs a user may see and control depends on how:
 *
 *     by a statement, or in kwdb_internal.jobs     all jobs, if the user has the admin role; own
 *                                                  ones, if kwjobs.job_visibility is owner
 *     by a function, as kwjobs.pause               these, and own ones in any case
 *
 * A job is a user's own if the user is its owner, or has the privileges of the owner.
 */
#ifndef KWJ_LIFECYCLE_CONTROL_H
#define KWJ_LIFECYCLE_CONTROL_H

#include "compat.h"
#include "job/status.h"
#include "store/again.h"

/* How a job is named, which decides whether the user may see it; see above. */
typedef enum KwjBy
{
	KWJ_BY_STATEMENT,
	KWJ_BY_FUNCTION
} KwjBy;

/* Returns whether the verb is possible at all for jobs of this type. */
typedef bool (*KwjTypeAllows) (const char *job_type, KwjVerb verb);

/*
 * Controls the job. When this returns, the request is recorded in the caller's transaction.
 *
 * Errors: 42501 if the user may not run such statements (KWJ_BY_STATEMENT); 42704 if there is no
 * such job, or the user may not see it; 0A000 if jobs of this type cannot be controlled so; 55000
 * if the status does not allow it; 25006 on a standby and in a read-only transaction; 54000 if the
 * reason is too long.
 */
extern void kwj_control(KwjBy by, KwjVerb verb, int64 job_id, const char *reason,
						KwjTypeAllows allows);

/*
 * The same for the n jobs in job_ids, which the caller has checked with kwj_check_visible. Jobs
 * for which there is nothing left to ask for (kwj_left_out) are left out, and one NOTICE counts
 * them. Sorts job_ids; the ids of the jobs that were controlled come first then. Returns their
 * number. all: they are all the jobs there are (CANCEL ALL JOBS).
 */
extern int	kwj_control_many(KwjBy by, KwjVerb verb, int64 *job_ids, int n, bool all,
							 const char *reason, KwjTypeAllows allows);

/*
 * Lets a pending job start now, whatever its run_at. Errors: as above; 55000 if it is not
 * pending, or waits for other jobs.
 */
extern void kwj_run_now(int64 job_id);

/*
 * Changes a job that waits: one that is pending, and that no worker has, or paused. A new
 * priority or run_at gives a pending job another place in the order. Errors: as above; 55000 if
 * the job runs or is over.
 */
extern void kwj_alter(int64 job_id, const KwjChange *change);

/*
 * The changes of a revert-failed job have been undone by hand: it becomes failed, with the error
 * that it failed with. reason: may be NULL. Errors: as above; 55000 if it is not revert-failed.
 */
extern void kwj_close(int64 job_id, const char *reason);

/* Errors: 42704 unless there is such a job and the current user may see it. */
extern void kwj_check_visible(KwjBy by, int64 job_id);

/*
 * The same, before the caller locks the job's row: a user who may not see the job would otherwise
 * learn from the wait for the lock that there is such a job. The caller checks again under the
 * lock. It sees jobs that this very statement has created.
 */
extern void kwj_check_visible_before_lock(KwjBy by, int64 job_id);

/*
 * Errors: 42501 unless the current user may run such a statement at all. what: "SHOW", "PAUSE"
 * etc.
 */
extern void kwj_check_may(const char *what);

/* Errors: 42501 unless the current user is a member of the admin role, or a superuser. */
extern void kwj_check_admin(const char *statement);

/* Returns whether the current user may see the jobs of this owner by statements. */
extern bool kwj_is_visible(Oid owner);

/* Returns whether the jobs of this owner are the current user's own. */
extern bool kwj_is_own(Oid owner);

/* Returns whether the current user may see and control the jobs of this owner. */
extern bool kwj_is_visible_by(KwjBy by, Oid owner);

/*
 * Gets the owner of a job that has a row, or that a session does itself. Returns false if there is
 * no such job.
 */
extern bool kwj_find_owner(int64 job_id, Oid *owner);

/*
 * Returns what a hint tells the current user to type: the statement, or, without the right for
 * statements, the function that does the same for one's own jobs.
 */
extern const char *kwj_to_type(const char *statement, const char *function, int64 job_id);

/* Errors: 25006 during recovery. statement: "PAUSE JOB" etc. */
extern void kwj_check_primary(const char *statement);

/* Raises 42704: there is no such job. */
extern KWJ_NORETURN void kwj_no_such_job(int64 job_id);

#endif

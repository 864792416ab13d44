/*
 * src/lifecycle/control.h
 *	  PAUSE, RESUME, CANCEL: whether the user may, and whether the job's status allows it. A
 *	  request is part of the caller's transaction: if that is rolled back, nothing was
 *	  requested.
 */
#ifndef KWJ_LIFECYCLE_CONTROL_H
#define KWJ_LIFECYCLE_CONTROL_H

#include "compat.h"
#include "job/status.h"

/* Returns whether the verb is possible at all for jobs of this type. */
typedef bool (*KwjTypeAllows) (const char *job_type, KwjVerb verb);

/*
 * Controls the job. When this returns, the request is recorded in the caller's transaction.
 *
 * Errors: 42501 if the user may not run such statements; 42704 if there is no such job, or the
 * user may not see it; 0A000 if jobs of this type cannot be controlled so; 55000 if the status
 * does not allow it; 25006 on a standby and in a read-only transaction; 54000 if the reason is too
 * long.
 */
extern void kwj_control(KwjVerb verb, int64 job_id, const char *reason,
						KwjTypeAllows allows);

/*
 * The same for the n jobs in job_ids, which the caller has checked with kwj_check_visible. Jobs
 * for which there is nothing left to ask for (kwj_left_out) are left out, and one NOTICE counts
 * them. Sorts job_ids; the ids of the jobs that were controlled come first then. Returns their
 * number. all: they are all the jobs there are (CANCEL ALL JOBS).
 */
extern int	kwj_control_many(KwjVerb verb, int64 *job_ids, int n, bool all, const char *reason,
							 KwjTypeAllows allows);

/*
 * Lets a pending job start now, whatever its run_at. Errors: as above; 55000 if it is not pending, or
 * waits for other jobs.
 */
extern void kwj_run_now(int64 job_id);

/*
 * The changes of a revert-failed job have been undone by hand: it becomes failed, with the error that it
 * failed with. reason: may be NULL. Errors: as above; 55000 if it is not revert-failed.
 */
extern void kwj_close(int64 job_id, const char *reason);

/* Errors: 42704 unless there is such a job and the current user may see it. */
extern void kwj_check_visible(int64 job_id);

/*
 * Errors: 42501 unless the current user may run such a statement at all. what: "SHOW", "PAUSE"
 * etc.
 */
extern void kwj_check_may(const char *what);

/* Errors: 42501 unless the current user is a member of the admin role, or a superuser. */
extern void kwj_check_admin(const char *statement);

/* Returns whether the current user may see and control the jobs of this owner. */
extern bool kwj_is_visible(Oid owner);

/* Errors: 25006 during recovery. statement: "PAUSE JOB" etc. */
extern void kwj_check_primary(const char *statement);

/* Raises 42704: there is no such job. */
extern KWJ_NORETURN void kwj_no_such_job(int64 job_id);

#endif

/*
 * src/lifecycle/control.h
 *	  PAUSE, RESUME, CANCEL, RETRY: checks whether the user may control the job and whether its
 *	  status allows it, and records the request. The request is part of the caller's transaction:
 *	  if the transaction is rolled back, nothing was requested.
 *
 * Which jobs a user may see and control depends on the way in which the user does it:
 *
 *     by a statement, or in kwdb_internal.jobs     all jobs, if the user has the admin role; own
 *                                                  jobs, if kwjobs.job_visibility is owner
 *     by a function such as kwjobs.pause           the same jobs, and own jobs in any case
 *
 * A job is a user's own if the user is its owner, or has the privileges of the owner.
 */
#ifndef KWJ_LIFECYCLE_CONTROL_H
#define KWJ_LIFECYCLE_CONTROL_H

#include "compat.h"
#include "job/errand.h"
#include "job/status.h"
#include "shared/session_jobs.h"
#include "store/jobs.h"
#include "utils/jsonb.h"

/* Whether a statement or a function names the job: the table above says what that decides. */
typedef enum KwjBy
{
	KWJ_BY_STATEMENT,
	KWJ_BY_FUNCTION
} KwjBy;

/* Returns whether jobs of this type can ever be controlled with the verb, in whatever status. */
typedef bool (*KwjTypeAllows) (const char *job_type, KwjVerb verb);

/*
 * Controls the job. When this returns, the request is recorded in the caller's transaction. A job
 * that is not in this database is looked for in the others, if kwjobs.scope is server and the user
 * has the admin role; then the request is an errand (errands.h).
 *
 * Errors: 42501 if the user may not run such statements (KWJ_BY_STATEMENT); 42704 if there is no
 * such job, or the user may not see it; 0A000 if the verb is not possible for jobs of this type;
 * 55000 if the status does not allow it; 25006 on a standby and in a read-only transaction; 54000
 * if the reason is too long.
 */
extern void kwj_control(KwjBy by, KwjVerb verb, int64 job_id, const char *reason,
						KwjTypeAllows allows);

/*
 * Controls the n jobs in job_ids, which the caller has checked with kwj_check_controllable. Jobs for
 * which there is nothing to do (kwj_left_out) are left out, and one NOTICE counts them. Sorts
 * job_ids and moves the ids of the controlled jobs to the front. Returns the number of controlled
 * jobs. all: the statement names no jobs, but means all there are (CANCEL ALL JOBS). Errors: as
 * kwj_control.
 */
extern int	kwj_control_many(KwjBy by, KwjVerb verb, int64 *job_ids, int n, bool all,
							 const char *reason, KwjTypeAllows allows);

/*
 * Raises 42704 unless each of these is a job that the current user may see or, if kwjobs.scope is
 * server and the user has the admin role, a job of another database.
 */
extern void kwj_check_controllable(KwjBy by, const int64 *job_ids, int n);

/*
 * Moves the ids of jobs of other databases to the end of job_ids, in their order; *databases becomes
 * where they are. Returns how many there are before them: those of this database, and those that no
 * database has. Asks the other databases, if this session may. The session has locked nothing yet,
 * because it may have to wait for the answers. Errors: those of kwj_errands_find().
 */
extern int	kwj_part_elsewhere(int64 *job_ids, int n, Oid **databases);

/*
 * Notes an errand if another database has the job, which this one does not have. what: the deed, and
 * its reason or change. Returns false if no other database has the job. Errors: as kwj_control.
 */
extern bool kwj_control_elsewhere(const KwjErrand *what, int64 job_id);

/*
 * Notes errands for the jobs of a statement on many jobs that kwj_part_elsewhere() has found in
 * other databases. The other databases may leave out some of them: counts[] gets how many for each
 * reason below n_counts, and counts[gone] those that are not there any more. Moves the ids of the
 * others to the front, and returns how many these are. Errors: as kwj_control.
 */
extern int	kwj_control_many_elsewhere(const KwjErrand *what, int64 *job_ids, const Oid *databases, int n,
									   int *counts, int n_counts, int gone);

/*
 * Returns the other database that has this job, which a function only reads; InvalidOid if this
 * database has it, if none has it, or if this session may not ask. Errors: those of
 * kwj_errands_find().
 */
extern Oid	kwj_database_to_ask(int64 job_id);

/*
 * Notes what is asked of a job, whose row is locked: as an event, and for the log. said: how the log
 * says it. status: what the job has then.
 */
extern void kwj_control_note(const KwjJob *job, const char *event, const char *said, KwjStatus status,
							 const char *reason, Jsonb *detail);

/* A job as control statements see it, without a lock. */
typedef struct KwjControlledJob
{
	bool		has_row;
	bool		is_deleted;		/* by an errand that was checked before */
	KwjJob		row;			/* if has_row; else: */
	KwjSessionJob of_session;
} KwjControlledJob;

/* Looks at the job. Returns false if there is no such job. Takes no lock of a row. */
extern bool kwj_control_look(int64 job_id, KwjControlledJob *job);

/*
 * Does what kwj_control would do for a member of the admin role (kwj_control_many, if the errand is
 * one of many), only to *job, which gets its new status. The deed must be a verb. Returns whether
 * and why a statement on many jobs leaves the job out. Errors: those of kwj_control.
 */
extern KwjLeftOut kwj_control_would(const KwjErrand *errand, KwjControlledJob *job,
									KwjTypeAllows allows);

/* Errors: 42704 unless there is such a job and the current user may see it. */
extern void kwj_check_visible(KwjBy by, int64 job_id);

/*
 * As kwj_check_visible, for a caller that is about to lock the job's row. Without this check, a
 * user who may not see the job would learn from the wait for the lock that the job exists. The
 * caller checks again when it has the lock. Also finds jobs that the current statement has created.
 */
extern void kwj_check_visible_before_lock(KwjBy by, int64 job_id);

/*
 * Errors: 42501 unless the current user may run job statements at all. `what` is the verb of the
 * statement, such as "SHOW" or "PAUSE".
 */
extern void kwj_check_may(const char *what);

/* Returns whether the current user may run job statements at all. */
extern bool kwj_is_statement_user(void);

/* Errors: 42501 unless the current user is a member of the admin role, or a superuser. */
extern void kwj_check_admin(const char *statement);

/* Returns whether the current user may see the jobs of this owner by statements. */
extern bool kwj_is_visible(Oid owner);

/* Returns whether the jobs of this owner are the current user's own. */
extern bool kwj_is_own(Oid owner);

/* Returns whether the current user may see and control the jobs of this owner. */
extern bool kwj_is_visible_by(KwjBy by, Oid owner);

/*
 * Gets the owner of the job, from its row or, for a job that a session does itself, from shared
 * memory. Returns false if there is no such job.
 */
extern bool kwj_find_owner(int64 job_id, Oid *owner);

/*
 * Returns what a hint tells the current user to type: the statement, or, if the user may not run
 * job statements, a call of the function that does the same for the user's own jobs.
 */
extern const char *kwj_to_type(const char *statement, const char *function, int64 job_id);

/* Returns what a hint tells the current user to type to see the job, palloc'd. */
extern const char *kwj_to_see(int64 job_id);

/*
 * Returns a sentence, palloc'd, that tells the current user what to type so that a revert-failed
 * job ends.
 */
extern char *kwj_to_end_revert(int64 job_id);

/* Errors: 25006 during recovery. statement: "PAUSE JOB" etc. */
extern void kwj_check_primary(const char *statement);

/*
 * Errors: 25006 during recovery and in a read-only transaction; 25000 while a query runs in
 * parallel. what: the statement or function, such as "PAUSE JOB".
 */
extern void kwj_check_writable(const char *what);

/* Raises 42704: there is no such job. */
extern KWJ_NORETURN void kwj_no_such_job(int64 job_id);

#endif

/*
 * src/lifecycle/submit.h
 *	  Creating a job.
 */
#ifndef KWJ_LIFECYCLE_SUBMIT_H
#define KWJ_LIFECYCLE_SUBMIT_H

#include "store/jobs.h"

#define KWJ_DEFAULT_MAX_ATTEMPTS 5
#define KWJ_DEFAULT_RETRY_DELAY_MS 1000

/*
 * Fills in a new job of the current user with the defaults of all options. The caller then sets
 * the options that the user has given (lifecycle/options.h), the payload, and a description if the
 * user has given none.
 */
extern void kwj_new_job(KwjNewJob *job, const char *job_type);

/*
 * Creates the job, as pending, in the caller's transaction; a worker may start it when that has committed. If
 * a template is wanted (lifecycle/template.h), creates no job, and returns 0. Fills in created_by,
 * created_by_session, authority and is_new of *job. Returns its job_id, or the id of an unfinished job of the
 * owner with the same key: job->on_conflict says what becomes of that one.
 *
 * Errors: 28000 if the owner may not log in, as the job's worker must; 42501 if the current user
 * may not SET ROLE to the owner; 42704 if there is no such role, or if a job in depends_on does not
 * exist; 0A000 if a session does a job in depends_on; 53400, 54000: see lifecycle/bounds.h; 55000
 * if the extension is not installed. Because of a job with the same key: 23505 for
 * KWJ_CONFLICT_ERROR; 55000 for KWJ_CONFLICT_REPLACE, if that job has started, or is older than a
 * job on which the new one depends.
 */
extern int64 kwj_submit(KwjNewJob *job);

/*
 * Creates a job of a schedule, which was checked when the schedule was created: its creator and
 * authority are set. Sets is_new of *job. Returns its job_id, or the id of an unfinished job of the
 * owner with the same key, without waiting for the transaction that creates or changes that one.
 * Process: coordinator, and the session of kwjobs.run_schedule. By whose right
 * the job runs as its owner, its worker checks. Errors: 28000 and 42704 for the owner, as kwj_submit;
 * 53400.
 */
extern int64 kwj_submit_run(KwjNewJob *job);

/*
 * Checks whether the current user may create jobs of this owner. kwj_submit checks that, too; a
 * caller that acts as the owner before it calls kwj_submit has to check it first. Errors: 28000,
 * 42501 and 42704 as kwj_submit.
 */
extern void kwj_check_may_own(Oid owner);

/*
 * Calls check(arg) as the owner of a job, in a restricted operation, as the job will run as its owner.
 * After an error, the end of the transaction or subtransaction resets the user. Errors: those of
 * kwj_check_may_own and of check.
 */
extern void kwj_check_as_owner(Oid owner, void (*check) (void *arg), void *arg);

#endif

/*
 * src/lifecycle/alter.h
 *	  kwjobs.run_now, alter and close: what functions do to a job that no statement does.
 *
 * A job that is not in this database is looked for in the others, if kwjobs.scope is server and the
 * user has the admin role; then the request is an errand (errands.h).
 */
#ifndef KWJ_LIFECYCLE_ALTER_H
#define KWJ_LIFECYCLE_ALTER_H

#include "kwjobs.h"
#include "job/errand.h"
#include "lifecycle/control.h"
#include "store/again.h"

/*
 * Lets a pending job start now, whatever its run_at. Errors: 42704 and 25006 as kwj_control; 55000
 * if the job is not pending, or waits for other jobs.
 */
extern void kwj_run_now(int64 job_id);

/*
 * Changes a job that does not run: it must be paused, or pending without an active attempt. A new
 * priority or run_at gives a pending job another place in the order. Errors: 42704 and 25006 as
 * kwj_control; 55000 if the job runs or is over.
 */
extern void kwj_alter(int64 job_id, const KwjChange *change);

/*
 * Makes a revert-failed job failed, with the error that it had failed with, because the user has
 * undone its changes by hand. reason may be NULL. Errors: 42704, 25006 and 54000 as kwj_control;
 * 55000 if the job is not revert-failed.
 */
extern void kwj_close(int64 job_id, const char *reason);

/*
 * Does what one of these functions would do for a member of the admin role, only to *job, which gets
 * its new status and its new window. deed: KWJ_DEED_RUN_NOW, ALTER or CLOSE. change: of KWJ_DEED_ALTER,
 * as far as kwj_change_to_check() has it; *job keeps pointers into it. Errors: those of the function.
 */
extern void kwj_alter_would(KwjDeed deed, int64 job_id, const KwjChange *change, KwjControlledJob *job);

#endif

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
 * A job of the current user with the defaults of all options. The caller sets those that differ (lifecycle/options.h),
 * the payload and, unless the user has given one, the description.
 */
extern void kwj_new_job(KwjNewJob *job, const char *job_type);

/*
 * Create it, pending, in the caller's transaction; it starts when that commits. Notes in *job who
 * creates it.
 * Returns its job_id, or that of the owner's job with the same key that is not over yet.
 *
 * Errors: 28000 if the owner is a role that may not log in, as its workers
 * have to; 42501 if the current user may not SET ROLE to the owner; 42704 if there is no such
 * role, or no such job to depend on; 53400, 54000: see lifecycle/bounds.h; 55000 without the extension.
 */
extern int64 kwj_submit(KwjNewJob *job);

/* The rights that kwj_submit checks, for a caller that needs them earlier. */
extern void kwj_check_may_own(Oid owner);

#endif

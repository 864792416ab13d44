/*
 * src/job/submit.h
 *	  Creating a job.
 */
#ifndef KWJ_JOB_SUBMIT_H
#define KWJ_JOB_SUBMIT_H

#include "job/store.h"

#define KWJ_DEFAULT_MAX_ATTEMPTS 5
#define KWJ_DEFAULT_RETRY_DELAY_MS 1000

/*
 * Create a pending job owned by the current user, in the caller's transaction;
 * it starts when that commits. Returns its job_id.
 *
 * Errors: 28000 if the current user is a role that may not log in, as its workers
 * have to; 55000 without the extension.
 */
extern int64 kwj_submit(const char *job_type, const char *description, Jsonb *payload);

#endif

/*
 * src/lifecycle/bounds.h
 *	  What one job may bring along, and what one role may have of jobs that are not over.
 *
 * So that nobody makes a row that cannot be sent, or fills the disk with jobs for a year to come.
 */
#ifndef KWJ_LIFECYCLE_BOUNDS_H
#define KWJ_LIFECYCLE_BOUNDS_H

#include "kwjobs.h"

/* Of each text that is given with a job or about it, and of the state of a checkpoint. */
#define KWJ_TEXT_BOUND		(1024 * 1024)
/* Of all that a job is to do: its payload. */
#define KWJ_PAYLOAD_BOUND	(4 * 1024 * 1024)
/* Of the jobs that one job depends on. */
#define KWJ_DEPENDENCIES_BOUND	10000
/* What SHOW JOBS shows of a text. */
#define KWJ_SHOWN_BOUND		1000

/* 54000 if it has more bytes than the bound. what: a subject; hint: a sentence. */
extern void kwj_check_size(const char *what, Size size, Size bound, const char *hint);

/* The same for a text that may be NULL. */
extern void kwj_check_reason(const char *reason);

/* 54000 if a job depends on more than KWJ_DEPENDENCIES_BOUND others. */
extern void kwj_check_dependencies(int n);

/*
 * 53400 if the owner has more jobs that are not over, or more bytes of them, than
 * kwjobs.max_jobs_per_role and kwjobs.max_bytes_per_role allow, one of which has just been inserted:
 * with so many bytes and dependencies. Superusers may have any number.
 *
 * Counted is rarely, so the limits are exceeded by some thousand jobs, and by more where many sessions
 * submit; small limits are exact.
 *
 * Process: session, in the transaction that has inserted the job.
 */
extern void kwj_check_quota(Oid owner, Size size, int n_depends_on);

#endif

/*
 * src/lifecycle/bounds.h
 *	  How large one job may be, and how many unfinished jobs a role may have.
 *
 * With these bounds, nobody can make a row that is too large to be sent to a client, or fill the
 * disk with jobs for a year to come.
 */
#ifndef KWJ_LIFECYCLE_BOUNDS_H
#define KWJ_LIFECYCLE_BOUNDS_H

#include "kwjobs.h"

/*
 * The bound of each text that is given with a job or about it, and of the state of a checkpoint.
 */
#define KWJ_TEXT_BOUND		(1024 * 1024)
/* The bound of the payload: all that a job is to do. */
#define KWJ_PAYLOAD_BOUND	(4 * 1024 * 1024)
/* How many jobs one job may depend on. */
#define KWJ_DEPENDENCIES_BOUND	10000
/* How many bytes SHOW JOBS shows of a text. */
#define KWJ_SHOWN_BOUND		1000

/*
 * Checks a size. what: the subject of the error; hint: a sentence. Errors: 54000 if it is above
 * the bound.
 */
extern void kwj_check_size(const char *what, Size size, Size bound, const char *hint);

/* The same for the reason of a control statement, which may be NULL. */
extern void kwj_check_reason(const char *reason);

/* Errors: 54000 if a job depends on more than KWJ_DEPENDENCIES_BOUND others. */
extern void kwj_check_dependencies(int n);

/*
 * Checks the unfinished jobs of the owner, among them the one that this transaction has just
 * inserted, with so many bytes and dependencies. Errors: 53400 if there are more jobs than
 * kwjobs.max_jobs_per_role, or more bytes than kwjobs.max_bytes_per_role allows. Superusers may
 * have any number.
 *
 * The session counts rarely. So a role may exceed the limits by up to a sixteenth, which is at
 * most some thousand jobs, and by more if many sessions submit at the same time. A small limit is
 * checked exactly.
 *
 * Process: session, in the transaction that has inserted the job.
 */
extern void kwj_check_quota(Oid owner, Size size, int n_depends_on);

#endif

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
 * The bound of each text that a user gives for a job or its control, and of a checkpoint's state.
 */
#define KWJ_TEXT_BOUND		(1024 * 1024)
/* The bound of the payload, which is the stored form of all that a job has to do. */
#define KWJ_PAYLOAD_BOUND	(4 * 1024 * 1024)
/* How many jobs one job may depend on. */
#define KWJ_DEPENDENCIES_BOUND	10000
/* How many bytes SHOW JOBS shows of a text. */
#define KWJ_SHOWN_BOUND		1000

/*
 * Checks a size. Errors: 54000 if it is above the bound; `what` is the subject of the message, and
 * hint is a sentence.
 */
extern void kwj_check_size(const char *what, Size size, Size bound, const char *hint);

/* Errors: 54000 if the reason of a control statement is too long. reason may be NULL. */
extern void kwj_check_reason(const char *reason);

/* Errors: 54000 if a job depends on more than KWJ_DEPENDENCIES_BOUND others. */
extern void kwj_check_dependencies(int n);

/*
 * Checks how many unfinished jobs the owner has, and how large they are. The job that this
 * transaction has just inserted counts, too; it has `size` bytes and n_depends_on dependencies.
 * Errors: 53400 if there are more jobs than kwjobs.max_jobs_per_role, or more bytes than
 * kwjobs.max_bytes_per_role allows. Superusers may have any number.
 *
 * A session does not count at every submission: after it has counted, it may insert up to a
 * sixteenth of what the limits leave, and at most 10000 jobs, without counting again. So several
 * sessions that submit at the same time can together exceed a limit. If little is left, the
 * session counts each time.
 *
 * Process: session, in the transaction that has inserted the job.
 */
extern void kwj_check_quota(Oid owner, Size size, int n_depends_on);

#endif

/*
 * src/lifecycle/held.h
 *	  Holds: an administrator, or a role for its own jobs, keeps jobs from starting.
 *
 * A hold is part of the caller's transaction: jobs are held once that is committed.
 */
#ifndef KWJ_LIFECYCLE_HELD_H
#define KWJ_LIFECYCLE_HELD_H

#include "kwjobs.h"
#include "lifecycle/control.h"
#include "store/held.h"

/*
 * Keeps the jobs of this type and owner in this database from starting. job_type: NULL for any
 * type; owner: InvalidOid for any owner. If queue is not NULL, the jobs of this queue are held
 * instead, and the other two must not be given. pauses: also pauses the jobs that run now; jobs
 * that start before the commit go on. allows: as for kwj_control_many. If the same hold is there
 * already, it stays, with a NOTICE; with pauses, it pauses what runs now.
 *
 * Errors: 0A000 if a queue is given with a type or an owner; 42501 if the user does not have the
 * admin role, and names a queue, or no owner, or an owner whose jobs are not the user's own; 54000
 * if the reason is too long, or the user has too many holds; 25006 on a standby and in a read-only
 * transaction; 40001 if others hold and release the same meanwhile.
 */
extern void kwj_hold(const char *job_type, Oid owner, const char *queue, const char *reason,
					 bool pauses, KwjTypeAllows allows);

/*
 * Removes the hold with exactly this type, owner and queue, and resumes the jobs that are still
 * paused by it. reason: of these RESUMEs. If another transaction has locked a role's own hold, an
 * administrator does not wait for it: there is a NOTICE, or error 55P03 if nothing else was
 * released.
 *
 * Errors: 0A000, 25006 and 42501 as kwj_hold, 54000 if the reason is too long; 42704 if there is no
 * such hold; 42501 if an administrator has made it and the user does not have the admin role.
 */
extern void kwj_release(const char *job_type, Oid owner, const char *queue, const char *reason,
						KwjTypeAllows allows);

/*
 * Releases all holds of this database that the user may release, as kwj_release does. A hold that
 * another transaction is changing is left, and one NOTICE counts these. Returns how many were
 * released. Errors: 25006 as kwj_hold; 54000 if the reason is too long.
 */
extern int	kwj_release_all(const char *reason, KwjTypeAllows allows);

/*
 * Keeps the jobs of all databases from starting. If that hold is there already, it stays, with a
 * NOTICE. Errors: 42501 without the admin role; 54000 if the reason is longer than
 * KWJ_SERVER_REASON_BOUND; 25006 as kwj_hold.
 */
extern void kwj_hold_server(const char *reason);

/*
 * Removes the hold on the server. Errors: 42501 and 25006 as kwj_hold_server; 42704 if there is
 * none.
 */
extern void kwj_release_server(void);

/*
 * Called when a session has submitted this job. If a hold keeps the job from starting, a NOTICE
 * tells the client who holds it and why; another one tells that kwjobs.max_workers is 0. There is
 * at most one of them in a transaction. If no hold is about the job, this costs one look at shared
 * memory, and once after each change of holds the reading of all holds.
 */
extern void kwj_hold_tell(int64 job_id, Oid owner, const char *job_type, const char *queue);

/*
 * Returns who holds since when, and why, palloc'd: "held by a since ...: reason". Of the reason it
 * has the beginning of the first line.
 */
extern char *kwj_hold_explain(const KwjHold *hold);

/* Returns the statement that releases the hold, palloc'd. */
extern char *kwj_hold_to_release(const KwjHold *hold);

#endif

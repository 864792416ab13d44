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
 * Lets no job of this type and owner start any more. job_type: NULL for any; owner: InvalidOid for
 * any. queue: if not NULL, the jobs of this queue instead; the other two are not given then. pauses: also pauses those that run now; jobs that start before the commit go on. allows: as
 * for kwj_control_many. A hold that is there already stays as it is, with a NOTICE, and with pauses
 * pauses what runs now.
 *
 * Errors: 0A000 if a queue is given with a type or an owner; 42501 unless the user has the admin
 * role, or the owner's jobs are the user's own, also for a queue without the admin role; 54000
 * if the reason is too long, or the user has too many holds; 25006 on a standby and in a read-only
 * transaction; 40001 if others hold and release the same meanwhile.
 */
extern void kwj_hold(const char *job_type, Oid owner, const char *queue, const char *reason,
					 bool pauses, KwjTypeAllows allows);

/*
 * Removes the hold of exactly this type, owner and queue, and resumes the jobs that it has paused, as far
 * as they are still paused by it. reason: of the resume. An administrator does not wait for a role
 * that changes its own hold: NOTICE, or 55P03 if nothing else is released. Errors: as above; 42704
 * if there is no such hold; 42501 if an administrator has put it, and the user is none.
 */
extern void kwj_release(const char *job_type, Oid owner, const char *queue, const char *reason,
						KwjTypeAllows allows);

/*
 * The same for all holds of this database that the user may release, and that no other transaction
 * changes: for those there is a NOTICE. Returns how many were released.
 */
extern int	kwj_release_all(const char *reason, KwjTypeAllows allows);

/*
 * Lets no job of any database start any more; NOTICE if that is so already. Errors: 42501 without
 * the admin role; 54000 if the reason is longer than KWJ_SERVER_REASON_BOUND; 25006 as above.
 */
extern void kwj_hold_server(const char *reason);

/* Takes that away. Errors: as above; 42704 if there is no such hold. */
extern void kwj_release_server(void);

/*
 * A session has submitted a job: tells it if the job is held, by whom and why. It does so once in a
 * transaction. Costs one look at shared memory while there is no hold.
 */
extern void kwj_hold_tell(int64 job_id, Oid owner, const char *job_type, const char *queue);

/* Returns who holds since when, and why, palloc'd: "held by a since ...: reason". */
extern char *kwj_hold_explain(const KwjHold *hold);

/* Returns the statement that releases the hold, palloc'd. */
extern char *kwj_hold_to_release(const KwjHold *hold);

#endif

/*
 * src/lifecycle/delete.h
 *	  Deleting jobs that are over, before retention does.
 */
#ifndef KWJ_LIFECYCLE_DELETE_H
#define KWJ_LIFECYCLE_DELETE_H

#include "kwjobs.h"
#include "lifecycle/control.h"

/*
 * Whether a job can be deleted, or why not. KWJ_OF_SESSION: a session does the job, which has no row
 * yet. KWJ_NEEDED: other jobs depend on it.
 */
typedef enum KwjDeletable
{
	KWJ_DELETABLE,
	KWJ_NOT_OVER,
	KWJ_OF_SESSION,
	KWJ_NOT_REVERTED,
	KWJ_NEEDED,
	KWJ_GONE,
} KwjDeletable;

#define KWJ_DELETABLE_COUNT (KWJ_GONE + 1)

/*
 * Deletes the job, and adds it to the history as retention does. Members of the admin role may
 * delete any job, other roles their own (lifecycle/control.h, KWJ_BY_FUNCTION).
 *
 * Errors: 42704 if there is no such job, or the user may not see it; 55000 if it is not over, if it
 * is revert-failed, or if another job depends on it; 25006 on a standby and in a read-only
 * transaction. A job of another database is deleted by an errand (lifecycle/errands.h), as it would
 * be controlled.
 */
extern void kwj_delete(int64 job_id);

/*
 * Deletes n jobs. Jobs that cannot be deleted are left out, and one NOTICE counts them. Sorts
 * job_ids. Returns how many jobs were deleted. Errors: 42704 if the user may not see one of the
 * jobs, or it does not exist; 25006 as kwj_delete.
 */
extern int64 kwj_delete_many(int64 *job_ids, int n);

/*
 * Does what kwj_delete would do for a member of the admin role (kwj_delete_many, if many is true),
 * only to *job. Returns whether or why not kwj_delete_many leaves the job out. Errors: those of
 * kwj_delete.
 */
extern KwjDeletable kwj_delete_would(int64 job_id, bool many, KwjControlledJob *job);

#endif

/*
 * src/shared/wakeup.h
 *	  Telling other processes that a job has changed, when the transaction that has changed it ends.
 *
 * Process: any that changes jobs. The functions only note what to do when the transaction ends;
 * they take no lock and raise no error.
 */
#ifndef KWJ_SHARED_WAKEUP_H
#define KWJ_SHARED_WAKEUP_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * When the current transaction ends, wakes the coordinator of this database and all processes that
 * wait for this job. This also happens on abort, because then the row lock is released, and a
 * coordinator that has skipped the row has to look again.
 */
extern void kwj_wakeup_at_end(int64 job_id);

/*
 * As kwj_wakeup_at_end, for a job that this transaction creates and that may start at once. rank is
 * its rank: the coordinator need not look at jobs with a lower one.
 */
extern void kwj_wakeup_at_end_of_creation(int64 job_id, TimestampTz rank);

/*
 * The current transaction ends another job, and so lets this one start: at its commit, offers it to
 * the workers (kwj_offer_job).
 */
extern void kwj_wakeup_offer_at_end(int64 job_id, Oid owner, const char *job_type,
									TimestampTz rank);

/*
 * When the current transaction ends, wakes all processes that wait for this job, but not the
 * coordinator, which has nothing to do then. kwj_wakeup_is_armed() does not count the job.
 */
extern void kwj_wakeup_waiters_at_end(int64 job_id);

/*
 * The job is over, but that could not be marked in the jobs that depend on it: when the current
 * transaction ends, tells the coordinator to find these jobs (kwj_note_overlooked).
 */
extern void kwj_wakeup_overlooked_at_end(int64 job_id);

/* Returns whether the current transaction has not called kwj_wakeup_at_end for any job so far. */
extern bool kwj_wakeup_is_unarmed(void);

/*
 * The current transaction changes holds of this database, or, everywhere, the hold on the server:
 * if it commits, all that depends on them is looked at again (shared/held.h), and the
 * coordinators are woken. Such a transaction cannot be prepared.
 */
extern void kwj_wakeup_holds_at_end(bool everywhere);

/*
 * Returns whether the current transaction may have changed this job, or have a lock on its row: one
 * of the functions above was called for the job, and not in a subtransaction that was rolled back.
 */
extern bool kwj_wakeup_is_armed(int64 job_id);

#endif

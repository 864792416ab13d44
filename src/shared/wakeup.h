/*
 * src/shared/wakeup.h
 *	  Telling other processes that a job has changed: armed inside a transaction, fired when the
 *	  transaction ends.
 *
 * Process: any that changes jobs. The functions take no lock and raise no error.
 */
#ifndef KWJ_SHARED_WAKEUP_H
#define KWJ_SHARED_WAKEUP_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * When the current transaction ends, wakes the coordinator of this database and all who wait for
 * this job. Also on abort: the row lock is released, and a coordinator that skipped the row has to
 * look again.
 */
extern void kwj_wakeup_at_end(int64 job_id);

/*
 * The same for a job that this transaction creates and that may start at once. rank: its rank; the
 * coordinator need not look at jobs with a lower one.
 */
extern void kwj_wakeup_at_end_of_creation(int64 job_id, TimestampTz rank);

/*
 * When the current transaction ends, wakes all who wait for this job, but not the coordinator,
 * which has nothing to do for it. kwj_wakeup_is_armed() does not count the job.
 */
extern void kwj_wakeup_waiters_at_end(int64 job_id);

/*
 * The job is over, and jobs that depend on it could not be told: when the current transaction ends,
 * has the coordinator find them.
 */
extern void kwj_wakeup_overlooked_at_end(int64 job_id);

/*
 * Returns whether the current transaction may have changed this job, or hold a lock on it: it has
 * armed a wake-up for it, and not in a subtransaction that was rolled back.
 */
extern bool kwj_wakeup_is_armed(int64 job_id);

/* From _PG_init in the postmaster: registers the callbacks. */
extern void kwj_wakeup_init(void);

#endif

/*
 * src/shared/wakeup.h
 *	  Telling others that a job changed: armed inside a transaction, fired when
 *	  it ends.
 */
#ifndef KWJ_SHARED_WAKEUP_H
#define KWJ_SHARED_WAKEUP_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * When the current transaction ends, either way, wake the coordinator of this
 * database, and everyone who waits for this job. Either way, because a row lock that goes
 * away is news as well.
 */
extern void kwj_wakeup_at_end(int64 job_id);

/*
 * The same for a job that this transaction creates and that may start at once, with its rank: the
 * coordinator need not look at any other.
 */
extern void kwj_wakeup_at_end_of_creation(int64 job_id, TimestampTz rank);

/*
 * When it commits, wake everyone who waits for this job, but not the coordinator, which has
 * nothing to do for it. The job is not taken for one that this transaction holds up
 * (kwj_wakeup_is_armed).
 */
extern void kwj_wakeup_waiters_at_end(int64 job_id);

/*
 * The job is over, but those that depend on it could not be told: have the coordinator find them
 * when the current transaction ends.
 */
extern void kwj_wakeup_overlooked_at_end(int64 job_id);

/*
 * Whether the current transaction may hold a lock on this job, or have changed it: it
 * has armed a wake-up for it, not in a subtransaction that was rolled back.
 */
extern bool kwj_wakeup_is_armed(int64 job_id);

/* From _PG_init in the postmaster. */
extern void kwj_wakeup_init(void);

#endif

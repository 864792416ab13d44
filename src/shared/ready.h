/*
 * src/shared/ready.h
 *	  Which jobs of a database wait for a worker, and what is new for its coordinator.
 *
 * This is not a queue of users (kwjobs.set_queue, store/queue.c). It is the list of ready jobs that
 * the coordinator sets out for workers that claim by themselves.
 *
 * Process: coordinator of MyDatabaseId. Each function takes kwj_shared->lock for a moment; none
 * raises an error.
 */
#ifndef KWJ_SHARED_READY_H
#define KWJ_SHARED_READY_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* A coordinator lists at most KWJ_READY_LEN jobs for its workers, and at least KWJ_READY_MIN. */
#define KWJ_READY_LEN		512
#define KWJ_READY_MIN		16

/*
 * Which jobs of this database wait for a worker. With KWJ_ONE_WAITS, workers of this owner and type
 * may claim their next jobs themselves. Otherwise the coordinator assigns jobs to them, because
 * jobs of other owners or types may come first.
 */
typedef struct KwjReady
{
	enum
	{
		KWJ_NOBODY_WAITS,
		KWJ_ONE_WAITS,			/* only jobs of one owner and type wait */
		KWJ_SEVERAL_WAIT,
	}			who;
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];

	/* With KWJ_ONE_WAITS: the most urgent waiting jobs, for workers that claim jobs themselves. */
	int			n;
	int			taken;			/* how many of the n jobs workers have taken */
	int64		job_ids[KWJ_READY_LEN];

	uint32		holds_noted;	/* the holds by which these jobs may start, see shared/held.h */
	bool		refused;		/* some jobs wait because their roles may not connect now */

	/*
	 * A role whose jobs here all wait, because its jobs in other databases use up its limit
	 * (kwjobs.max_workers_per_role). InvalidOid: there is none.
	 */
	Oid			limited;
} KwjReady;

/*
 * Publishes which jobs wait in this database, at the end of a pass. If the database has no worker
 * at all, the next free worker of the server is kept for it. If holds have changed since the pass
 * noted them (ready->holds_noted), workers get nothing to claim, and another pass follows.
 */
extern void kwj_shared_set_ready(const KwjReady *ready);

/*
 * Returns how many jobs the coordinator should list next: 4 times as many as workers have taken
 * from the present list, because it is no use to read jobs that no worker takes; but at least half
 * as many as in the present list.
 */
extern int	kwj_shared_ready_length(void);

/*
 * A pass that has begun at this time may have found that a worker, or the next job of a role, is
 * kept for another database. Returns when that ends, so that this database may have it then.
 * DT_NOEND: nothing was kept; or what is kept is not free yet, and then this coordinator is woken
 * when it becomes free.
 */
extern TimestampTz kwj_shared_kept_until(TimestampTz pass_began);

/*
 * Returns the lowest rank of the jobs that were created in this database since the last call.
 * DT_NOEND: there was no change; DT_NOBEGIN: any job may have changed.
 */
extern TimestampTz kwj_shared_take_lowest_rank(void);

/*
 * Returns whether a process has woken this coordinator since the last call of kwj_shared_take_lowest_rank().
 * The coordinator asks before it sleeps, because its latch need not be set any more: where it has waited for
 * a lock, PostgreSQL has reset the latch.
 */
extern bool kwj_shared_coordinator_was_woken(void);

/*
 * Returns whether a transaction has ended since the last call that may have locked rows of jobs, or
 * has created jobs that depend on others.
 */
extern bool kwj_shared_take_released(void);

/*
 * Returns whether jobs may have been overlooked since the last call. A job is overlooked if it
 * depends on a job that is over, and the end of that job could not be marked in the row of the
 * dependency (kwj_note_overlooked). The first call of each coordinator returns true.
 */
extern bool kwj_shared_take_overlooked(void);

#endif

/*
 * src/shared/queue.h
 *	  Which jobs of a database wait for a worker, and what is new for its coordinator.
 *
 * Process: coordinator of MyDatabaseId. Each function takes kwj_shared->lock for a moment; none
 * raises an error.
 */
#ifndef KWJ_SHARED_QUEUE_H
#define KWJ_SHARED_QUEUE_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* The most and the fewest jobs that a coordinator lists for its workers at once. */
#define KWJ_QUEUE_LEN		512
#define KWJ_QUEUE_MIN		16

/*
 * Which jobs of this database wait for a worker. With KWJ_ONE_WAITS, workers of that owner and type
 * may claim further jobs by themselves; else they ask the coordinator, because others may come
 * first.
 */
typedef struct KwjQueue
{
	enum
	{
		KWJ_NOBODY_WAITS,
		KWJ_ONE_WAITS,			/* only jobs of one owner and type wait */
		KWJ_SEVERAL_WAIT,
	}			who;
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];

	/* With KWJ_ONE_WAITS: the most urgent of these jobs, for workers that claim by themselves. */
	int			n;
	int			taken;			/* how many of them workers have taken */
	int64		job_ids[KWJ_QUEUE_LEN];

	bool		refused;		/* jobs wait whose roles may not connect now */

	/*
	 * A role of which no job runs in this database, and whose jobs wait because as many of its jobs
	 * as may run do so in other databases. InvalidOid: there is none.
	 */
	Oid			limited;
} KwjQueue;

/*
 * Publishes which jobs wait in this database, at the end of a pass. If the database has no worker
 * at all, the next free worker of the server is kept for it.
 */
extern void kwj_shared_set_queue(const KwjQueue *queue);

/*
 * How many jobs to list next: a few times as many as workers have taken of the present list, since
 * reading jobs that no worker takes is work for nothing.
 */
extern int	kwj_shared_queue_length(void);

/*
 * Returns what is new among the jobs of this database since the last call: the lowest rank of the
 * jobs that were created; DT_NOEND: nothing; DT_NOBEGIN: anything may have changed.
 */
extern TimestampTz kwj_shared_take_lowest_rank(void);

/*
 * Whether, since the last call, a transaction has ended that may have locked rows of jobs, or that
 * has created jobs that depend on others.
 */
extern bool kwj_shared_take_released(void);

/*
 * kwj_shared_take_overlooked: whether there may be jobs that depend on a job which is over, where
 * nobody could note that it is. It returns true once, unless this process exits before it has
 * called kwj_shared_overlooked_found.
 */
extern bool kwj_shared_take_overlooked(void);
extern void kwj_shared_overlooked_found(void);

/*
 * Returns whether the coordinator is to be woken when a worker of this database has committed and
 * begins its next job by itself. Mostly it is not, as it has nothing to do then.
 */
extern void kwj_shared_watch(bool watch);

#endif

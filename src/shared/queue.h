/*
 * src/shared/queue.h
 *	  Who waits for a worker in a database, and what is new for its coordinator.
 */
#ifndef KWJ_SHARED_QUEUE_H
#define KWJ_SHARED_QUEUE_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* How many jobs a coordinator sets out for its workers at once: the most, the least. */
#define KWJ_QUEUE_LEN		512
#define KWJ_QUEUE_MIN		16

/* Who waits for a worker in this database, so that none is given to others. */
typedef struct KwjQueue
{
	enum
	{
		KWJ_NOBODY_WAITS,
		KWJ_ONE_WAITS,			/* jobs of that owner and type only */
		KWJ_SEVERAL_WAIT,
	}			who;
	Oid			owner;
	char		job_type[KWJ_JOB_TYPE_LEN];

	/* with KWJ_ONE_WAITS: the most urgent of them, for workers that go on by themselves */
	int			n;
	int			taken;			/* so many of them */
	int64		job_ids[KWJ_QUEUE_LEN];

	bool		refused;		/* besides: jobs of roles that cannot have a worker now */

	/*
	 * Besides: a role of which no job runs in this database, and whose jobs wait because the role has as many in other
	 * databases as it may. InvalidOid: there is none.
	 */
	Oid			limited;
} KwjQueue;

/*
 * Who waits in this database. If it has no worker at all, workers of other databases make way
 * for it when their jobs end.
 */
extern void kwj_shared_set_queue(const KwjQueue *queue);

/*
 * How many jobs to set out next: a few times as many as workers have taken of those that are set out
 * now, since reading more of them than they take is work for nothing.
 */
extern int	kwj_shared_queue_length(void);

/*
 * What is new among the jobs of this database since the last call: the lowest rank of those that
 * were created, DT_NOEND if there are none; DT_NOBEGIN: anything may have changed.
 */
extern TimestampTz kwj_shared_take_lowest_rank(void);

/*
 * Whether a transaction has ended since the last call that may have had rows of jobs locked, or has
 * created jobs that depend on others.
 */
extern bool kwj_shared_take_released(void);

/*
 * Whether there may be jobs of which nobody could note that what they depend on is over; once, unless this process exits
 * before it has said that it has found them all.
 */
extern bool kwj_shared_take_overlooked(void);
extern void kwj_shared_overlooked_found(void);

/*
 * Whether to be woken when a worker of this database has committed and goes on by itself; else it
 * is not, as it mostly has nothing to do then.
 */
extern void kwj_shared_watch(bool watch);

#endif

/*
 * src/store/queue.h
 *	  Queues with a limit: how many of their jobs may run at the same time.
 *
 * queue.c has the rules.
 */
#ifndef KWJ_STORE_QUEUE_H
#define KWJ_STORE_QUEUE_H

#include "kwjobs.h"
#include "store/due.h"

/* SQL: whether the job in table alias j waits for a place in its queue. */
#define KWJ_QUEUED(j) \
	j ".queued IS NOT NULL AND " j ".rank IS NULL AND " j ".active_attempt IS NULL AND " \
	j ".status IN ('pending', 'reverting') AND " j ".due = 'infinity'"

/* SQL: whether the job in table alias j has a place in its queue. */
#define KWJ_HAS_PLACE(j) "(" j ".rank IS NOT NULL OR " j ".active_attempt IS NOT NULL)"

/* SQL: why a job that waits for a place does so. kwdb_internal.jobs has the same expression. */
#define KWJ_WAITS_IN_QUEUE(j) \
	"(SELECT coalesce(kwdb_internal.queue_held(" j ".queue), 'waiting for queue ' || " j ".queue || ' ('" \
	" || (SELECT count(*) FROM kwjobs.job AS r WHERE r.queue = " j ".queue AND " KWJ_HAS_PLACE("r") ")" \
	" || coalesce(' of ' || (SELECT q.max_running FROM kwjobs.queue AS q WHERE q.name = " j ".queue), '')" \
	" || ' run)'))"

/* SQL: whether there is a hold on the queue with this name. */
#define KWJ_QUEUE_IS_HELD(name) "EXISTS (SELECT FROM kwjobs.hold AS qh WHERE qh.queue = " name ")"

/* SQL: whether jobs of the queue with this name need a place before they may start. */
#define KWJ_QUEUE_HAS_LIMIT(name) \
	"(EXISTS (SELECT FROM kwjobs.queue AS q WHERE q.name = " name " AND q.max_running IS NOT NULL)" \
	" OR " KWJ_QUEUE_IS_HELD(name) ")"

/*
 * Add a row for the queue to kwjobs.queue, if it has none, because a hold is about to be put on it:
 * the coordinator looks only at queues that have a row. Process: session. Locks: the new row, until
 * the end of the transaction. Errors: 54000 if there would be more than KWJ_MOST_QUEUES rows.
 */
extern void kwj_store_note_queue(const char *name);

/*
 * Set the limit of a queue. max_running: how many of its jobs may run at the same time, 0 or more;
 * -1: any number. Jobs of it that could start lose their place in the order until the coordinator
 * has given them a place in the queue; jobs that run go on. Wakes the coordinator at the end of the
 * transaction. Process: session. Locks: the queue's row, for which it waits, and rows of jobs,
 * leaving out those that other transactions have locked, until the end of the transaction. Errors:
 * 54000 if there are KWJ_MOST_QUEUES already.
 */
extern void kwj_store_set_queue(const char *name, int max_running);

/* At most this many queues can have a limit; the coordinator looks at all of them in each full pass. */
#define KWJ_MOST_QUEUES		1000

/* What kwj_store_fill_queues has done. */
typedef struct KwjFilled
{
	bool		any;			/* jobs have got places, and may start */
	bool		more;			/* more jobs may get places: call it again at once */
	bool		taken_back;		/* jobs have lost their rank; those that are due enter anew */
} KwjFilled;

/*
 * Let jobs that wait for a place in their queues have the places that are free, and take back the
 * rank of those that are ready without having one. Process: coordinator.
 */
extern KwjFilled kwj_store_fill_queues(void);

#endif

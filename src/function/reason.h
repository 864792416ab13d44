/*
 * src/function/reason.h
 *	  Why a job that could run, or is to run later, does not run now.
 */
#ifndef KWJ_FUNCTION_REASON_H
#define KWJ_FUNCTION_REASON_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* A job that is pending, or that is reverting without an attempt. */
typedef struct KwjPending
{
	Oid			owner;
	const char *job_type;
	TimestampTz due;
	TimestampTz run_at;			/* 0: at once */
	bool		ready;			/* it has a rank */
	/* why its last claim was taken back, or NULL */
	const char *noted;
	int			n_depends_on;	/* how many jobs it waits for; there may be more if it is 2 */
	int64		depends_on;		/* one of them */
	int64		job_id;			/* for the advice; 0: no advice is wanted */
	const char *window;			/* the hours in which it may start; NULL: always */
} KwjPending;

typedef struct KwjReason
{
	char	   *text;			/* as running_status shows it */
	char	   *advice;			/* what to type, as sentences; NULL: nothing, or none was wanted */
} KwjReason;

/* A copy of the state of the server, for all jobs that one query shows. */
typedef struct KwjRoom KwjRoom;

/*
 * Makes the copy, palloc'd in CurrentMemoryContext. Process: sessions. Locks: kwj_shared->lock,
 * shared, for a moment.
 */
extern KwjRoom *kwj_reason_look(void);

/*
 * Returns why the job does not run; both texts are palloc'd. Process: sessions, in a transaction.
 */
extern KwjReason kwj_reason_of(KwjRoom *room, const KwjPending *job);

/*
 * Returns by whom and why the queue is held, palloc'd; NULL if it is not held. Process: sessions,
 * in a transaction.
 */
extern char *kwj_reason_of_queue(const KwjRoom *room, const char *queue);

#endif

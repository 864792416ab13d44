/*
 * src/shared/wait_counts.h
 *	  What looks at the workers of an attempt have found them waiting for.
 *
 * A look reads the wait event of each worker once, as pg_stat_activity shows it. So this counts looks, and no
 * time; the more often somebody looks, the nearer is its share to that of the time.
 */
#ifndef KWJ_SHARED_WAIT_COUNTS_H
#define KWJ_SHARED_WAIT_COUNTS_H

#include "kwjobs.h"

/* So many events are told apart. */
#define KWJ_WAIT_KINDS	6

typedef struct KwjWaitCounts
{
	uint32		looks;			/* at a worker */
	uint32		others;			/* of these found it waiting for an event that is not in the list */
	struct
	{
		uint32		event;		/* as in PGPROC; 0: the rest of the list is empty */
		uint32		times;
	}			found[KWJ_WAIT_KINDS];
} KwjWaitCounts;

/* Counts that so many looks have found a worker waiting for this event; 0: for none. */
static inline void
kwj_wait_counts_note(KwjWaitCounts *counts, uint32 event, uint32 times)
{
	counts->looks += times;
	if (event == 0)
		return;
	for (int i = 0; i < KWJ_WAIT_KINDS; i++)
	{
		if (counts->found[i].event != 0 && counts->found[i].event != event)
			continue;
		counts->found[i].event = event;
		counts->found[i].times += times;
		return;
	}
	counts->others += times;
}

/* Adds other counts. */
static inline void
kwj_wait_counts_add(KwjWaitCounts *counts, const KwjWaitCounts *more)
{
	uint32		looks = counts->looks + more->looks;

	for (int i = 0; i < KWJ_WAIT_KINDS && more->found[i].event != 0; i++)
		kwj_wait_counts_note(counts, more->found[i].event, more->found[i].times);
	counts->others += more->others;
	counts->looks = looks;
}

#endif

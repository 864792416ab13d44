/*
 * src/shared/wait_counts.h
 *	  What the workers of an attempt were waiting for whenever a session looked at them.
 *
 * A look reads the wait event of each worker once, as pg_stat_activity shows it. So the counts are of looks,
 * not of time. The more often sessions look, the nearer the share of an event among the looks comes to the
 * share of the time in which workers wait for it.
 */
#ifndef KWJ_SHARED_WAIT_COUNTS_H
#define KWJ_SHARED_WAIT_COUNTS_H

#include "kwjobs.h"

/* The counts tell this many events apart. */
#define KWJ_WAIT_KINDS	6

typedef struct KwjWaitCounts
{
	uint32		looks;			/* how often a session has looked at a worker */
	uint32		others;			/* how many looks found it waiting for an event that is not in the list */
	struct
	{
		uint32		event;		/* as in PGPROC; 0: the rest of the list is empty */
		uint32		times;
	}			found[KWJ_WAIT_KINDS];
} KwjWaitCounts;

/* Adds that `times` looks, which are counted already, have found a worker waiting for this event. */
static inline void
kwj_wait_counts_add_event(KwjWaitCounts *counts, uint32 event, uint32 times)
{
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

/* Counts one look, which has found a worker waiting for this event; 0: for none. */
static inline void
kwj_wait_counts_note(KwjWaitCounts *counts, uint32 event)
{
	counts->looks++;
	if (event != 0)
		kwj_wait_counts_add_event(counts, event, 1);
}

/* Adds the looks of *more, and what they have found. */
static inline void
kwj_wait_counts_add(KwjWaitCounts *counts, const KwjWaitCounts *more)
{
	counts->looks += more->looks;
	counts->others += more->others;
	for (int i = 0; i < KWJ_WAIT_KINDS && more->found[i].event != 0; i++)
		kwj_wait_counts_add_event(counts, more->found[i].event, more->found[i].times);
}

#endif

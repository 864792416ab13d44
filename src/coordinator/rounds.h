/*
 * src/coordinator/rounds.h
 *	  Looks at lists that one role can make very long: a window of them in each pass.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_ROUNDS_H
#define KWJ_COORDINATOR_ROUNDS_H

#include "store/due.h"

/* Look at a window of the list, and do what there is to do. */
typedef void (*KwjLook) (KwjWindow *window);

/* A round through such a list. All but look is rounds.c's. */
typedef struct KwjRound
{
	KwjLook		look;

	int			limit;			/* entries of a window; 0: the places are not set yet */
	bool		wanted;			/* the round is not over */
	bool		wrapped;		/* it has come to the end of the list, and goes on at its head */
	bool		to_end;			/* it is over when it comes to the end of the list */
	bool		whole;			/* it goes through all of the list */
	int64		first;			/* the next window begins behind this place */
	int64		second;
	int64		stop_first;		/* where the round began */
	int64		stop_second;
	bool		fruitful;		/* something was done in this round */
	bool		in_vain;		/* nothing was done in the last one, as rows were locked */
	int64		spent_us;		/* on this one */
	TimestampTz ended;			/* the last one that was whole */
	TimestampTz not_before;		/* no whole round begins before this */
} KwjRound;

/* What is new for a round. */
typedef enum KwjNews
{
	KWJ_NO_NEWS,				/* it goes on */
	KWJ_SOME_NEWS,				/* there may be new entries */
	KWJ_ALL_NEWS,				/* and others may not be locked any more */
} KwjNews;

/*
 * Take a window, if one is due. With news, all of the list is looked at once from here on. *more: another
 * window is due at once. *next becomes the time of the next window, if that is earlier. Returns whether
 * something was done.
 */
extern bool kwj_round_step(KwjRound *round, KwjNews news, bool *more, TimestampTz *next);

#endif

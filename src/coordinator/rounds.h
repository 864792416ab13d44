/*
 * src/coordinator/rounds.h
 *	  Rounds through lists that one role can make very long: a window of the list in each pass.
 *
 * Process: coordinator, in the transaction of a pass.
 */
#ifndef KWJ_COORDINATOR_ROUNDS_H
#define KWJ_COORDINATOR_ROUNDS_H

#include "store/due.h"

/*
 * Looks at a window of the list and does what there is to do. Sets n_read, fruitful and the place
 * where it ended.
 */
typedef void (*KwjLook) (KwjWindow *window);

/* A round through such a list. The caller sets `look`; all else belongs to rounds.c. */
typedef struct KwjRound
{
	KwjLook		look;

	int			limit;			/* entries of a window; 0: no round has begun yet */
	bool		wanted;			/* a round is under way */
	bool		wrapped;		/* it has come to the end of the list and goes on at its head */
	bool		to_end;			/* it ends at the end of the list */
	bool		whole;			/* it goes through all of the list */
	int64		first;			/* the next window begins behind (first, second) */
	int64		second;
	int64		stop_first;		/* where the round began */
	int64		stop_second;
	bool		fruitful;		/* something was done in this round */
	bool		in_vain;		/* nothing was done in the last one, because rows were locked */
	bool		unfinished;		/* some entries must wait until others are handled */
	int64		spent_us;		/* time spent on this round */
	TimestampTz ended;			/* when the last whole round ended */
	TimestampTz not_before;		/* no whole round goes on before this */
} KwjRound;

/* What is new for a list. */
typedef enum KwjNews
{
	KWJ_NO_NEWS,				/* nothing: the round goes on */
	KWJ_SOME_NEWS,				/* there may be new entries */
	KWJ_ALL_NEWS,				/* also, old entries may not be locked any more */
} KwjNews;

/*
 * Looks at the next window, if one is due. With news, a round begins. *more becomes true if another
 * window is due at once. *next becomes the time of the next window, if that is earlier. Returns
 * whether something was done.
 */
extern bool kwj_round_step(KwjRound *round, KwjNews news, bool *more, TimestampTz *next);

#endif

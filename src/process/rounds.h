/*
 * src/process/rounds.h
 *	  Looks at lists that one role can make very long: a window of them in each pass.
 *
 * Process: coordinator.
 */
#ifndef KWJ_PROCESS_ROUNDS_H
#define KWJ_PROCESS_ROUNDS_H

#include "job/store.h"

/* Look at a window of the list, and do what there is to do. */
typedef void (*KwjLook) (KwjWindow *window);

/* A round through such a list. All but limit and look is rounds.c's. */
typedef struct KwjRound
{
	int			limit;			/* entries of a window */
	KwjLook		look;

	bool		begun;			/* the places are set */
	bool		wanted;			/* the round is not over */
	bool		wrapped;		/* it has come to the end of the list, and goes on at its head */
	int64		first;			/* the next window begins behind this place */
	int64		second;
	int64		stop_first;		/* where the round began */
	int64		stop_second;
	bool		fruitful;		/* something was done in this round */
	int64		spent_us;		/* on it */
	TimestampTz not_before;		/* no window before this */
} KwjRound;

/*
 * Take a window, if one is due. news: anything in the list may be new, so from here on all of it is looked
 * at once. *more: another window is due at once. *next becomes the time of the next window, if that is
 * earlier. Returns whether something was done.
 */
extern bool kwj_round_step(KwjRound *round, bool news, bool *more, TimestampTz *next);

#endif

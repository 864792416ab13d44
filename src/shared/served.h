/*
 * src/shared/served.h
 *	  The places for sessions of private servers (src/serve) on the server.
 */
#ifndef KWJ_SHARED_SERVED_H
#define KWJ_SHARED_SERVED_H

#include "kwjobs.h"

/* How many sessions there may be, and are. */
typedef struct KwjSessionPlaces
{
	int			most;			/* in all; below 0 if even workers lack places */
	int			per_role;		/* of one role */
	int			taken;			/* in all */
	int			of_role;		/* of the role of this worker; 0 in other processes */
} KwjSessionPlaces;

/* Returns how many of `most` places one role may have. */
extern int	kwj_places_of_role(int most);

/* Counts the places and who has them. Process: any. Takes kwj_shared->lock, shared. */
extern void kwj_shared_session_places(KwjSessionPlaces *places);

/*
 * Takes n places for this worker, which has none yet. Takes none, and returns false, if fewer than n are free
 * for its role. Sets *places to how many there were before. Process: worker. Takes kwj_shared->lock,
 * exclusively.
 */
extern bool kwj_shared_take_sessions(int n, KwjSessionPlaces *places);

/*
 * Gives all places of this worker back; its sessions have exited. Process and lock: as
 * kwj_shared_take_sessions.
 */
extern void kwj_shared_give_sessions_back(void);

#endif

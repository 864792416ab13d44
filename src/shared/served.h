/*
 * src/shared/served.h
 *	  How many sessions of private servers (src/serve) there are on the server.
 */
#ifndef KWJ_SHARED_SERVED_H
#define KWJ_SHARED_SERVED_H

#include "kwjobs.h"

/*
 * Returns whether one more session may start; if so, it counts until it is given back. Process:
 * worker. Takes kwj_shared->lock, exclusively.
 */
extern bool kwj_shared_take_session(void);

/* Gives a session back, which has exited or was not started. Process and lock: the same. */
extern void kwj_shared_give_session_back(void);

#endif

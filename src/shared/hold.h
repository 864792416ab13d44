/*
 * src/shared/hold.h
 *	  Holds: a session needs a database without anything of kwjobs in it.
 */
#ifndef KWJ_SHARED_HOLD_H
#define KWJ_SHARED_HOLD_H

#include "kwjobs.h"

/*
 * Hold: have the coordinator and the workers of a database leave, wait until they have,
 * and keep new ones from starting until the hold is released. A hold goes with
 * the session at the latest. Interruptible. end_waits: sessions that wait for a job
 * there get an error.
 */
extern void kwj_shared_hold(Oid dboid, bool end_waits);

/* Release all holds of this session. gone: this database no longer exists. */
extern void kwj_shared_release_holds(Oid gone);

/* Whether a hold ends the waits of this database. */
extern bool kwj_waits_must_end(void);

#endif

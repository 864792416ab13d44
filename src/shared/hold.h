/*
 * src/shared/hold.h
 *	  Holds: a session's command needs a database in which nothing of kwjobs runs.
 *
 * Process: sessions (src/session/utility_hook.c), except kwj_waits_must_end().
 */
#ifndef KWJ_SHARED_HOLD_H
#define KWJ_SHARED_HOLD_H

#include "kwjobs.h"

/*
 * Puts a hold on the database: sends the coordinator and the workers there away, waits until they
 * have exited, and keeps new ones from starting until the hold is released, at the latest when the
 * session exits. end_waits: sessions that wait for a job there get an error.
 *
 * The wait is interruptible; then the hold stays, and the caller releases it. Takes
 * kwj_shared->lock exclusively for a moment.
 */
extern void kwj_shared_hold(Oid dboid, bool end_waits);

/*
 * Releases all holds of this session. gone: a database that no longer exists (InvalidOid: none).
 * Wakes the launcher. Raises no error.
 */
extern void kwj_shared_release_holds(Oid gone);

/* Process: any. Whether a hold makes the sessions of this database give up their waits for jobs. */
extern bool kwj_waits_must_end(void);

#endif

/*
 * src/shared/lockout.h
 *	  Lockouts: a session puts one on a database if its command needs the database without coordinator
 *	  and workers.
 *
 * Process: sessions (src/session/utility_hook.c), except kwj_waits_must_end().
 */
#ifndef KWJ_SHARED_LOCKOUT_H
#define KWJ_SHARED_LOCKOUT_H

#include "kwjobs.h"

/*
 * Puts a lockout on the database: tells the coordinator and the workers there to exit, and waits
 * until they have exited. No others start until the lockout is released. end_waits: sessions that
 * wait for a job in the database get an error.
 *
 * The caller is in a transaction, and releases the lockout at its end. A query cancel can interrupt
 * the wait. Takes kwj_shared->lock exclusively for a moment.
 */
extern void kwj_shared_lock_out(Oid dboid, bool end_waits);

/*
 * Releases all lockouts of this session, and wakes the launcher. gone is the database that the
 * command has dropped, or InvalidOid. Raises no error.
 */
extern void kwj_shared_end_lockouts(Oid gone);

/* Process: any. Returns whether a lockout ends the waits for jobs in this database. */
extern bool kwj_waits_must_end(void);

#endif

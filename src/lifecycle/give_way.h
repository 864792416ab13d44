/*
 * src/lifecycle/give_way.h
 *	  A session that waits for a job lets processes go on that wait for the session's transaction.
 */
#ifndef KWJ_LIFECYCLE_GIVE_WAY_H
#define KWJ_LIFECYCLE_GIVE_WAY_H

#include "kwjobs.h"

/*
 * Returns whether kwj_give_way() is safe in this transaction: the process holds no locks except
 * AccessShareLock on kwjobs's tables and on catalogs, advisory locks, and the lock on its own
 * virtual transaction id. A wait calls this once, because the wait itself takes no other locks.
 */
extern bool kwj_may_give_way(void);

/*
 * Lets processes go on that wait for this transaction because it had a snapshot. Does nothing if
 * the transaction has a snapshot now, or a transaction id. The caller has asked kwj_may_give_way(),
 * which has returned true. Afterwards, this process's caches of the catalogs are up to date.
 */
extern void kwj_give_way(void);

#endif

/*
 * src/lifecycle/give_way.h
 *	  How a session that waits for a job lets others go on that wait for its transaction.
 */
#ifndef KWJ_LIFECYCLE_GIVE_WAY_H
#define KWJ_LIFECYCLE_GIVE_WAY_H

#include "kwjobs.h"

/*
 * Returns whether kwj_give_way() is safe in this transaction: it holds no lock for which others
 * may wait, except those with which kwjobs reads its tables. A wait asks this once, because it
 * takes no other locks itself.
 */
extern bool kwj_may_give_way(void);

/*
 * Lets processes go on that wait for this transaction because it had a snapshot. Does nothing if
 * it has one now, or a transaction id. Only to be called where kwj_may_give_way() returned true.
 * When this returns, what this process knows of our tables is up to date.
 */
extern void kwj_give_way(void);

#endif

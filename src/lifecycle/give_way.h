/*
 * src/lifecycle/give_way.h
 *	  A session that waits for a job lets those go on that wait for its transaction.
 */
#ifndef KWJ_LIFECYCLE_GIVE_WAY_H
#define KWJ_LIFECYCLE_GIVE_WAY_H

#include "kwjobs.h"

/*
 * Returns whether this transaction holds nothing that others may wait for but what kwjobs has locked for reading. In a
 * transaction; a wait asks this once, as it locks nothing else itself.
 */
extern bool kwj_may_give_way(void);

/*
 * Let those go on that wait for this transaction because it had a snapshot, if it has none now. Only where
 * kwj_may_give_way returned true. What this process knows of our tables is up to date on return.
 */
extern void kwj_give_way(void);

#endif

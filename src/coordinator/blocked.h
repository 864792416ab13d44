/*
 * src/coordinator/blocked.h
 *	  The coordinator waits until it may write to kwjobs.job.
 */
#ifndef KWJ_COORDINATOR_BLOCKED_H
#define KWJ_COORDINATOR_BLOCKED_H

#include "kwjobs.h"

/*
 * Returns when this process could have the lock on kwjobs.job that a pass needs, so that the pass may
 * be made. Meanwhile it answers sessions of other databases. To be called outside a transaction.
 * Errors: those of the interrupts.
 */
extern void kwj_blocked_wait(void);

#endif

/*
 * src/coordinator/blocked.h
 *	  The coordinator waits until it may write to kwjobs.job.
 */
#ifndef KWJ_COORDINATOR_BLOCKED_H
#define KWJ_COORDINATOR_BLOCKED_H

#include "kwjobs.h"

/*
 * Waits until this process could have the lock on kwjobs.job that a pass needs. Meanwhile it answers
 * sessions of other databases. Call it outside a transaction, and make the pass afterwards.
 * Errors: those of the interrupts.
 */
extern void kwj_blocked_wait(void);

#endif

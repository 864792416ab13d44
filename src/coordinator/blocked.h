/*
 * src/coordinator/blocked.h
 *	  The coordinator waits until it may write to kwjobs.job.
 */
#ifndef KWJ_COORDINATOR_BLOCKED_H
#define KWJ_COORDINATOR_BLOCKED_H

#include "kwjobs.h"

/*
 * Waits until this process could have the lock on kwjobs.job that a pass needs. Meanwhile this process
 * answers sessions of other databases. The caller is outside a transaction, and makes the pass afterwards.
 * Errors: those of the interrupts.
 */
extern void kwj_blocked_wait(void);

#endif

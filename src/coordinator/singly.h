/*
 * src/coordinator/singly.h
 *	  Passes of the coordinator in which each job has transactions of its own.
 *
 * Process: coordinator, outside a transaction.
 */
#ifndef KWJ_COORDINATOR_SINGLY_H
#define KWJ_COORDINATOR_SINGLY_H

#include "coordinator/pass.h"

/* Whether the coordinator goes job by job now. */
extern bool kwj_singly_is_due(const KwjCoordinator *coordinator);

/* A pass that looks at everything. What was found out in this pass before, if it was rolled back, is forgotten. */
extern void kwj_singly_pass(KwjPass *pass);

/*
 * Jobs whose dependencies nobody could mark when the other job ended, if there may be any. Returns whether
 * there may be more.
 */
extern bool kwj_singly_find_overlooked(KwjCoordinator *coordinator);

/* The jobs that were copied with their database are paused, and that is committed. */
extern void kwj_singly_came_home(KwjPass *pass);

#endif

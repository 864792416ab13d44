/*
 * src/coordinator/singly.h
 *	  Passes of the coordinator in which each job has transactions of its own.
 *
 * Process: coordinator, outside a transaction. Errors that concern a single job end that job
 * (careful.h); others are raised.
 */
#ifndef KWJ_COORDINATOR_SINGLY_H
#define KWJ_COORDINATOR_SINGLY_H

#include "coordinator/pass.h"

/*
 * Returns whether the coordinator goes job by job now, after an error or because a job is set
 * aside.
 */
extern bool kwj_singly_is_due(const KwjCoordinator *coordinator);

/* A full pass, job by job. Resets what a pass that was rolled back has found. */
extern void kwj_singly_pass(KwjPass *pass);

/*
 * Finds jobs that depend on a job which is over, but were not told of its end, and has their
 * dependencies looked at again. Searches only if there may be such jobs. Returns whether there may
 * be more of them.
 */
extern bool kwj_singly_find_overlooked(KwjCoordinator *coordinator);

/*
 * If this pass has paused the copied jobs, remembers that, and says so in the log. The coordinator
 * calls this after the commit of the pass.
 */
extern void kwj_singly_came_home(KwjPass *pass);

#endif

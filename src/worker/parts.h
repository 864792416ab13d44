/*
 * src/worker/parts.h
 *	  How a worker carries one part of an attempt, together with other workers.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_PARTS_H
#define KWJ_WORKER_PARTS_H

#include "job/current.h"

/* Returns whether several workers may carry this attempt. */
extern bool kwj_has_parts(const KwjAttempt *attempt);

/*
 * Does pieces of the work until this part has nothing more to do. If it is the last part then, it
 * ends the attempt. context is the memory of the attempt. To be called outside a transaction.
 */
extern void kwj_part_run(KwjAttempt *attempt, MemoryContext context);

#endif

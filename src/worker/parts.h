/*
 * src/worker/parts.h
 *	  A worker that carries an attempt together with others.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_PARTS_H
#define KWJ_WORKER_PARTS_H

#include "job/current.h"

/* Returns whether this attempt is one that several workers may carry. */
extern bool kwj_has_parts(const KwjAttempt *attempt);

/*
 * Does what this part of the attempt can do, and, if it is the last one, ends the attempt.
 * context: of the attempt. Outside a transaction.
 */
extern void kwj_part_run(KwjAttempt *attempt, MemoryContext context);

#endif

/*
 * src/worker/parts.h
 *	  How a worker carries one part of an attempt, together with other workers.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_PARTS_H
#define KWJ_WORKER_PARTS_H

#include "job/current.h"

/*
 * Returns whether the attempt's work is divided into pieces: the job's type does so (KwjType.parts),
 * and the attempt does not revert. Then the coordinator may give the attempt more workers than one,
 * and each of them calls kwj_part_run.
 */
extern bool kwj_has_parts(const KwjAttempt *attempt);

/*
 * Does pieces of the work until this part has nothing more to do. If it is the last part then, it
 * ends the attempt. context is the memory of the attempt. The caller is outside a transaction.
 */
extern void kwj_part_run(KwjAttempt *attempt, MemoryContext context);

#endif

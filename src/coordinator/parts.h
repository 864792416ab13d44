/*
 * src/coordinator/parts.h
 *	  More workers for attempts that several may carry.
 *
 * Process: coordinator, in the transaction of a pass.
 */
#ifndef KWJ_COORDINATOR_PARTS_H
#define KWJ_COORDINATOR_PARTS_H

#include "coordinator/pass.h"

/*
 * A step of a pass, after jobs were claimed: assigns workers to attempts that want more. If a job
 * waits for a worker, asks a part to leave instead.
 */
extern void kwj_parts_assign(KwjPass *pass);

#endif

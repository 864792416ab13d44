/*
 * src/coordinator/dispatch.h
 *	  What the coordinator does to workers: starts them, delivers requests, notices those that
 *	  never came to life.
 *
 * Process: coordinator, outside a transaction. Locks: kwj_shared->lock for moments.
 */
#ifndef KWJ_COORDINATOR_DISPATCH_H
#define KWJ_COORDINATOR_DISPATCH_H

#include "shared/slots.h"
#include "store/claim.h"
#include "store/due.h"

/* Makes the memory of this file. The coordinator calls this once, before its first pass. */
extern void kwj_dispatch_init(void);

/*
 * Asks the postmaster for the worker of a claim whose slot has none yet. Returns false if the
 * postmaster had no slot; then the claim's slot is free again, and the caller has to take the claim
 * back.
 */
extern bool kwj_dispatch_start(const KwjClaim *claim);

/*
 * Tells a worker what is requested of its job, and sees that it obeys: an attempt that does not end
 * by itself is interrupted, then terminated. A request that was taken back is taken back from the
 * worker, too. active: the attempt as this pass has read it; NULL: it was not read. Returns when to
 * call this again; DT_NOEND: not.
 */
extern TimestampTz kwj_dispatch_deliver(const KwjWorkerInfo *worker, const KwjActive *active);

/* Returns whether this process has terminated the attempt's worker because of a request. */
extern bool kwj_dispatch_has_terminated(int64 job_id, int32 attempt);

/*
 * Frees the slots of workers that the postmaster never started. Their attempts are lost, and
 * adopt.c takes them back.
 */
extern void kwj_dispatch_reap(void);

#endif

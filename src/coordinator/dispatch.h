/*
 * src/coordinator/dispatch.h
 *	  What the coordinator does to workers: starts them, tells them what is asked of
 *	  their jobs, notices those that never came to life.
 *
 * Process: coordinator, outside a transaction. Locks: that of shared memory, for moments.
 */
#ifndef KWJ_COORDINATOR_DISPATCH_H
#define KWJ_COORDINATOR_DISPATCH_H

#include "shared/slots.h"
#include "store/claim.h"
#include "store/due.h"

extern void kwj_dispatch_init(void);

/*
 * Start the worker of a claim whose slot has none yet. False: there is no room; its slot
 * is free again.
 */
extern bool kwj_dispatch_start(const KwjClaim *claim);

/*
 * Tell a worker what is asked of its job, and see that it obeys: work that does not end by
 * itself is interrupted, then terminated. If nothing is asked any more, it may go on. active: the
 * attempt as the tables have it; NULL: this pass has not read them. Returns when to come back;
 * DT_NOEND: not.
 */
extern TimestampTz kwj_dispatch_deliver(const KwjWorkerInfo *worker, const KwjActive *active);

/* Whether this process has terminated the attempt's worker because of a request. */
extern bool kwj_dispatch_has_terminated(int64 job_id, int32 attempt);

/* Free the slots of workers that never came to life: their attempts are lost. */
extern void kwj_dispatch_reap(void);

#endif

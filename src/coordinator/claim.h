/*
 * src/coordinator/claim.h
 *	  Which jobs a pass of the coordinator claims.
 *
 * Process: coordinator, in the transaction of a pass.
 */
#ifndef KWJ_COORDINATOR_CLAIM_H
#define KWJ_COORDINATOR_CLAIM_H

#include "coordinator/pass.h"

/*
 * Finds workers for jobs that may start. Fills pass->claims, which are not in the tables yet, and
 * pass->queue. workers, n: those of this database; set_aside: jobs that get no worker. Errors:
 * those of the store.
 */
extern void kwj_claim_assign(KwjPass *pass, const KwjWorkerInfo *workers, int n, KwjJobs set_aside);

/* The same for the workers of the pass, and writes the claims into the tables. */
extern void kwj_claim_begin(KwjPass *pass);

/*
 * Returns whether some of the claims have no worker, since the job's role is gone. The next pass settles
 * their attempts.
 */
extern bool kwj_claim_lacks_worker(const List *claims);

#endif

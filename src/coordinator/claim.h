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
 * Find workers for jobs that may start: pass->claims, which are not in the tables yet, and pass->queue.
 * set_aside: jobs that get none.
 */
extern void kwj_claim_assign(KwjPass *pass, const KwjWorkerInfo *workers, int n, KwjJobs set_aside);

/* Find workers for jobs that may start, and begin their attempts. */
extern void kwj_claim_begin(KwjPass *pass);

/* Whether nobody runs some of the claims: the next pass finds them, and settles that. */
extern bool kwj_claim_lacks_worker(const List *claims);

#endif

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
 * pass->ready. workers, n: those of this database; set_aside: jobs that get no worker. Errors: any
 * that reading and locking the jobs' rows raises.
 */
extern void kwj_claim_assign(KwjPass *pass, const KwjWorkerInfo *workers, int n, KwjJobs set_aside);

/* As kwj_claim_assign() for the workers of the pass. Also writes the claims into the tables. */
extern void kwj_claim_begin(KwjPass *pass);

/*
 * Returns whether some of the claims have no worker, because the job's owner was dropped. The next
 * pass ends these attempts.
 */
extern bool kwj_claim_lacks_worker(const List *claims);

#endif

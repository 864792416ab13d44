/*
 * src/coordinator/assign.h
 *	  Which of the jobs that may start get a worker now.
 */
#ifndef KWJ_COORDINATOR_ASSIGN_H
#define KWJ_COORDINATOR_ASSIGN_H

#include "nodes/pg_list.h"
#include "shared/ready.h"
#include "shared/slots.h"

/*
 * Assigns workers to candidates (a list of KwjCandidate), in the transaction that has read them.
 * The next worker goes to the role with the fewest running jobs, among equals to the job with the
 * lowest rank; no role, type or database gets more than its limits allow. Returns a list of
 * KwjClaim. *ready becomes the jobs that still wait, and for what. *jobs_wait becomes true if one
 * of them would be within all limits once no attempt has more than its first worker (part 0).
 *
 * workers, n: those of this database. may_start: whether workers may be started; else only idle
 * ones get jobs. Jobs whose owner was dropped get a claim without a worker (the next pass fails
 * them). Jobs whose owner cannot connect (refusal.h) are skipped, and do not count as waiting.
 *
 * Process: coordinator. Locks: kwj_shared->lock for moments.
 */
extern List *kwj_assign(List *candidates, const KwjWorkerInfo *workers, int n, bool may_start,
						KwjReady *ready, bool *jobs_wait);

#endif

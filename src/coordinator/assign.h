/*
 * src/coordinator/assign.h
 *	  Which of the jobs that may start get a worker now.
 */
#ifndef KWJ_COORDINATOR_ASSIGN_H
#define KWJ_COORDINATOR_ASSIGN_H

#include "nodes/pg_list.h"
#include "shared/queue.h"
#include "shared/slots.h"

/*
 * Assign workers to candidates (list of KwjCandidate), in the transaction that has read them.
 * What belongs to a role that is gone gets none and waits for none, nor does what belongs to one
 * that cannot have a worker now (refusal.h).
 * workers, n: those of this database. The next worker goes to the role with the fewest running jobs,
 * among equals to the most urgent job; nobody gets more than the limits allow. may_start:
 * whether workers may be started for them, else they go to idle ones only. Returns a
 * list of KwjClaim, and in *queue who still waits.
 *
 * Process: coordinator. Locks: that of shared memory, for moments.
 */
extern List *kwj_assign(List *candidates, const KwjWorkerInfo *workers, int n, bool may_start,
						KwjQueue *queue);

#endif

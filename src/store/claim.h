/*
 * src/store/claim.h
 *	  The claim of a job for a worker, by the coordinator (kwj_store_begin) or by the worker itself
 *	  (kwj_store_claim). kwj_store_unclaim in due.h takes a claim back.
 */
#ifndef KWJ_STORE_CLAIM_H
#define KWJ_STORE_CLAIM_H

#include "kwjobs.h"
#include "job/current.h"
#include "nodes/pg_list.h"
#include "store/job_tables.h"


/* An attempt, and the worker that is to run it. */
typedef struct KwjClaim
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	int			pid;			/* of the worker; 0: it has not been started yet */
	int			slot;			/* in shared memory; -1: none, as the owner was dropped */
	uint32		generation;		/* of the slot: tells its present worker from later ones */
} KwjClaim;

/*
 * Write the claims: the jobs' rows and new rows of attempts. claims: a list of KwjClaim, whose jobs
 * this transaction has locked (kwj_store_candidates, kwj_store_lock_ready). Needs an active
 * snapshot. Errors: 22003 if a job has used up its attempt numbers; XX000 if a job's row is gone.
 */
extern void kwj_store_begin(const List *claims);


/*
 * Claim a job for this worker in the transaction that ends another job (`done`), and fill in its
 * attempt, palloc'd in context. The job must have the owner and the type of `done`. fits: tells
 * whether this session can run a job with this payload.
 *
 * Returns false, and claims nothing, if the job may not start any more; if another transaction has
 * locked or changed its row; if `fits` says no; or if reading its rows raises an error. That error
 * is written to the log and the transaction goes on; at its end it wakes the coordinator, which
 * handles the job.
 *
 * Before it calls kwj_store_claim in the transaction of `done`, the worker asks
 * kwj_store_may_claim_within. That returns false if a user has created triggers or constraints on
 * our tables: if one of these refused the next job, its error would roll back the work of `done`,
 * too. In that case the worker commits `done` first, and claims the next job in a second
 * transaction.
 */
typedef bool (*KwjFits) (Jsonb *payload);
extern bool kwj_store_may_claim_within(KwjJobTables *tables);
extern bool kwj_store_claim(KwjJobTables *tables, int64 job_id, const KwjAttempt *done,
							KwjFits fits, KwjAttempt *into, MemoryContext context);

#endif

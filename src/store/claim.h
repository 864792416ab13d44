/*
 * src/store/claim.h
 *	  The claim of a job for a worker: the one way for coordinator and worker.
 */
#ifndef KWJ_STORE_CLAIM_H
#define KWJ_STORE_CLAIM_H

#include "kwjobs.h"
#include "job/current.h"
#include "nodes/pg_list.h"
#include "store/job_tables.h"

/* ---- the coordinator ---- */

/* An attempt that has a worker. */
typedef struct KwjClaim
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	int			pid;			/* 0: the worker is still to be started */
	int			slot;			/* -1: none, as the owner does not exist any more */
	uint32		generation;
} KwjClaim;

/*
 * Begin the attempts of candidates (store/due.h) of this transaction: a list of KwjClaim. With an active snapshot.
 */
extern void kwj_store_begin(const List *claims);

/* ---- a worker ---- */

/*
 * Claim this job, which is of the same owner and type as the one that is done, for this
 * process, and fill in its attempt (palloc'd in context). False if it may not start any more, or
 * another transaction has its row locked, or this process does not fit what it is to do; or if its
 * rows raise an error, which goes into the log, while the transaction goes on: then the coordinator is
 * woken at the end of the transaction, and finds out what is to be done with the job.
 *
 * kwj_store_may_claim_within: false if somebody has made triggers or constraints on our tables, whose
 * errors would undo the work of the job that is done, too.
 */
typedef bool (*KwjFits) (Jsonb *payload);
extern bool kwj_store_may_claim_within(KwjJobTables *tables);
extern bool kwj_store_claim(KwjJobTables *tables, int64 job_id, const KwjAttempt *done,
							KwjFits fits, KwjAttempt *into, MemoryContext context);

#endif

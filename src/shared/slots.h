/*
 * src/shared/slots.h
 *	  The workers, as the coordinator of their database sees them in shared memory.
 */
#ifndef KWJ_SHARED_SLOTS_H
#define KWJ_SHARED_SLOTS_H

#include "kwjobs.h"
#include "job/progress.h"
#include "shared/wait.h"
#include "utils/timestamp.h"

/* A worker of this database, copied. */
typedef struct KwjWorkerInfo
{
	int			slot;
	uint32		generation;
	int64		job_id;			/* 0: idle */
	int32		attempt;
	int64		next_job_id;	/* 0: none */
	int32		next_attempt;
	int64		waits_for;		/* the job for which the attempt waits; 0: none */
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* it has the job, or is idle */
	int			pid;			/* 0: not attached yet */
} KwjWorkerInfo;

/*
 * The workers of this database; returns their number (array of kwj_worker_slots).
 * *elsewhere: how many other databases have at that moment.
 */
extern int	kwj_shared_workers(KwjWorkerInfo *workers, int *elsewhere);

/* Whether one of these workers has the attempt. */
extern bool kwj_has_worker(const KwjWorkerInfo *workers, int n, int64 job_id, int32 attempt);

/* Whether the attempt's worker has left before the work began. */
extern bool kwj_shared_was_unbegun(int64 job_id, int32 attempt);

/* How many workers could get a job: slots that are free, workers that are idle anywhere. */
extern int	kwj_shared_capacity(void);

/* Whether all workers but the one that is kept for a role without any are busy. */
extern bool kwj_shared_has_reserve_only(void);

/* The roles of the jobs that run in other databases, one for each job (array of kwj_worker_slots). */
extern int	kwj_shared_roles_elsewhere(Oid *roles);

/*
 * Assign an attempt to an idle worker of the role in this database, or, if may_start, take a
 * free slot for it; returns the slot, and in *pid the worker's (0: it is still to be started). -1 if there
 * is neither, or a hold: then the worker that has been idle longest, whosever it is, is told
 * to leave, and a coordinator woken when it has. others_first: a slot is free, or about to be, for
 * another role, so that this one gets an idle worker only. What is assigned and not handed over
 * goes back when this process exits. *limited: the role has as many jobs in all databases as it may.
 */
extern int	kwj_shared_assign(int64 job_id, int32 attempt, const char *job_type, Oid role,
							  bool may_start, bool others_first, uint32 *generation, int *pid,
							  bool *limited);

/* The postmaster has no room for a worker: an idle one leaves. */
extern void kwj_shared_make_room(void);

/* This role cannot have a worker: those of it that are idle in this database leave. */
extern void kwj_shared_dismiss_idle(Oid role);

/* The claims are committed: the workers to which they are assigned may begin. */
extern void kwj_shared_hand_over(void);

/* The claim of one of them is; -1: it has no worker. */
extern void kwj_shared_hand_over_one(int slot, uint32 generation);

/*
 * The claims were rolled back: what was assigned in this pass goes back, all of it or that of one
 * slot.
 */
extern void kwj_shared_take_back(void);
extern void kwj_shared_take_back_one(int slot, uint32 generation);

/* Give a slot back whose worker never came to life. */
extern void kwj_shared_free_slot(int slot, uint32 generation);

typedef enum KwjForce
{
	KWJ_TELL,					/* it looks by itself */
	KWJ_INTERRUPT,				/* and its statement is canceled */
	KWJ_TERMINATE,				/* and its process ends */
} KwjForce;

/* Tell the attempt about a request. False if the slot holds it no more. */
extern bool kwj_shared_deliver(const KwjWorkerInfo *worker, KwjRequest request, KwjForce force);

/* The worker's wait for a job ends with an error, if it still waits for that. */
extern void kwj_shared_end_wait(const KwjWorkerInfo *worker, KwjWaitVerdict verdict);

/*
 * Something is asked of the job that a worker has announced: watch. False if it has begun
 * it meanwhile.
 */
extern bool kwj_shared_watch_announced(const KwjWorkerInfo *worker);

#endif

/*
 * src/shared/slots.h
 *	  The workers, as the coordinator of their database sees them in shared memory.
 *
 * Process: coordinator of MyDatabaseId; the launcher calls kwj_shared_make_room(), too. Each
 * function takes kwj_shared->lock for a moment; none raises an error. slot and generation
 * together name one worker: a function does nothing, or returns false, if the slot has got
 * another worker since.
 */
#ifndef KWJ_SHARED_SLOTS_H
#define KWJ_SHARED_SLOTS_H

#include "kwjobs.h"
#include "job/progress.h"
#include "shared/wait.h"
#include "utils/timestamp.h"

/* A copy of what shared memory says of a worker. */
typedef struct KwjWorkerInfo
{
	int			slot;
	uint32		generation;
	int64		job_id;			/* 0: idle */
	int32		attempt;
	int			part;			/* of the attempt; 0: its first worker */
	int64		next_job_id;	/* the job that it has announced; 0: none */
	int32		next_attempt;
	int64		waits_for;		/* the job that its attempt waits for; 0: none */
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* when it got the job, or became idle */
	int			pid;			/* 0: not attached yet */
} KwjWorkerInfo;

/*
 * Copies the workers of this database into an array of kwj_worker_slots, and returns their number.
 * *elsewhere: how many workers all other databases together have at that moment.
 */
extern int	kwj_shared_workers(KwjWorkerInfo *workers, int *elsewhere);

/* Returns whether one of these workers runs the attempt, or has announced it. */
extern bool kwj_has_worker(const KwjWorkerInfo *workers, int n, int64 job_id, int32 attempt);

/* Returns whether the attempt's worker exited, in order, before it began the work. */
extern bool kwj_shared_was_unbegun(int64 job_id, int32 attempt);

/* How many more jobs could get a worker, counting free slots and idle workers of any database. */
extern int	kwj_shared_capacity(void);

/* Returns whether only the last slot is left, which is for a role of which no job runs. */
extern bool kwj_shared_has_reserve_only(void);

/*
 * The roles of the jobs that run in other databases, one entry for each job. Fills an array of
 * kwj_worker_slots, and returns how many there are.
 */
extern int	kwj_shared_roles_elsewhere(Oid *roles);

/*
 * Assigns an attempt to an idle worker of the role in this database or, if may_start, reserves a
 * free slot for it. Returns the slot, its *generation, and in *pid the worker's process (0: the
 * caller has to start it, once its claim is committed). If this process exits before it has handed
 * the attempt over, the assignment is taken back.
 *
 * Returns -1 if the role has no idle worker and no slot is free, or if there is a hold on the
 * database. Then, unless there is a hold, the longest-idle worker of any role and database is told
 * to exit, and its exit wakes the coordinators. *limited: the reason is
 * kwjobs.max_workers_per_role, counted in all databases.
 *
 * others_first: another role was refused a worker earlier in this pass, and is to get the next free
 * slot, so that this role gets a worker only if that is idle already.
 */
extern int	kwj_shared_assign(int64 job_id, int32 attempt, const char *job_type, Oid role,
							  bool may_start, bool others_first, uint32 *generation, int *pid,
							  bool *limited);

/* The postmaster has no slot for a worker: tells the longest-idle worker to exit. */
extern void kwj_shared_make_room(void);

/* The role may not connect now: tells its idle workers in this database to exit. */
extern void kwj_shared_dismiss_idle(Oid role);

/*
 * The claims of the pass are committed: the workers may begin all jobs that this coordinator has
 * assigned.
 */
extern void kwj_shared_hand_over(void);

/* The same for the claim of one slot. Slot -1, a claim without a worker, is ignored. */
extern void kwj_shared_hand_over_one(int slot, uint32 generation);

/*
 * The claims were rolled back: takes back all that was assigned and not handed over, or what was
 * assigned to one slot.
 */
extern void kwj_shared_take_back(void);
extern void kwj_shared_take_back_one(int slot, uint32 generation);

/* Frees a slot whose worker was never started. Does nothing once a worker has attached to it. */
extern void kwj_shared_free_slot(int slot, uint32 generation);

typedef enum KwjForce
{
	KWJ_TELL,					/* the worker sees the request when it looks by itself */
	KWJ_INTERRUPT,				/* also cancel its statement (SIGINT) */
	KWJ_TERMINATE,				/* also end its process (SIGTERM) */
} KwjForce;

/*
 * Tells the attempt about a request (KWJ_REQUEST_NONE: it was taken back). Sends no signal to an
 * attempt that is committing. Returns false if the worker does not run that attempt any more.
 */
extern bool kwj_shared_deliver(const KwjWorkerInfo *worker, KwjRequest request, KwjForce force);

/*
 * Ends the worker's wait for a job with an error that the verdict names, if the worker still waits
 * for that job.
 */
extern void kwj_shared_end_wait(const KwjWorkerInfo *worker, KwjWaitVerdict verdict);

/*
 * A job that a worker has announced is to be paused or canceled: have the worker wake this
 * coordinator when it has begun the job (kwj_shared_watch). Returns false if it has begun already.
 */
extern bool kwj_shared_watch_announced(const KwjWorkerInfo *worker);

#endif

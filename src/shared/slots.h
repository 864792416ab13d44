/*
 * src/shared/slots.h
 *	  The workers, as the coordinator of their database sees them in shared memory.
 *
 * Process: coordinator of MyDatabaseId; the launcher also calls kwj_shared_make_room(). Each
 * function takes kwj_shared->lock for a moment; none raises an error. A worker is named by slot and
 * generation: if the slot has another worker by now, a function does nothing, or returns false.
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
	bool		stands;			/* its attempt stands still for the PAUSE that was delivered */
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

/* Returns whether one of these workers runs the attempt, and stands still for a PAUSE. */
extern bool kwj_stands(const KwjWorkerInfo *workers, int n, int64 job_id, int32 attempt);

/* Returns whether the attempt's worker exited, in order, before it began the work. */
extern bool kwj_shared_was_unbegun(int64 job_id, int32 attempt);

/*
 * Returns how many more jobs could get a worker: a free slot, the reserve included, or an idle
 * worker of any database.
 */
extern int	kwj_shared_capacity(void);

/* Returns whether only the last slot is left, which only a role without running jobs may use. */
extern bool kwj_shared_has_reserve_only(void);

/*
 * Copies the roles of the jobs that run in other databases into an array of kwj_worker_slots, with
 * one entry for each job. Returns the number of entries.
 */
extern int	kwj_shared_roles_elsewhere(Oid *roles);

/*
 * Assigns an attempt to an idle worker of the role in this database or, if may_start, reserves a
 * free slot for it. Returns the slot, and gets its *generation and the *pid of the worker. If *pid
 * is 0, the caller has to start a worker when its claim is committed. If this process exits before
 * it has handed the attempt over, the assignment is taken back.
 *
 * Returns -1 if there is a lockout on the database, if the role is at its limit
 * (kwjobs.max_workers_per_role, counted in all databases; then *limited becomes true), if as many
 * jobs run as may, or if the role has no idle worker and may have no free slot. Only in the last
 * case, or to make room for the other role (others_first), the longest-idle worker of any role and
 * database is told to exit, unless one is about to exit already. Its exit wakes the coordinators.
 *
 * others_first: another role was refused a worker earlier in this pass, and will get the next free
 * slot. So this role may only get a worker that is idle already.
 */
extern int	kwj_shared_assign(int64 job_id, int32 attempt, const char *job_type, Oid role,
							  bool may_start, bool others_first, uint32 *generation, int *pid,
							  bool *limited);

/*
 * Tells the longest-idle worker to exit, because the postmaster has no slot for another background
 * worker.
 */
extern void kwj_shared_make_room(void);

/* Tells the idle workers of the role in this database to exit, because the role may not connect. */
extern void kwj_shared_dismiss_idle(Oid role);

/*
 * Hands over all jobs that this coordinator has assigned: their claims are committed, so the
 * workers may begin them.
 */
extern void kwj_shared_hand_over(void);

/* Hands over the job of one slot. Does nothing for slot -1, which stands for no worker. */
extern void kwj_shared_hand_over_one(int slot, uint32 generation);

/*
 * These functions take back all jobs that this coordinator has assigned and not handed over, or the job of one
 * slot, because their claims were rolled back.
 */
extern void kwj_shared_take_back(void);
extern void kwj_shared_take_back_one(int slot, uint32 generation);

/* Frees a slot whose worker was never started. Does nothing once a worker has attached to it. */
extern void kwj_shared_free_slot(int slot, uint32 generation);

typedef enum KwjForce
{
	KWJ_TELL,					/* no signal: the worker sees the request when it checks for one */
	KWJ_INTERRUPT,				/* also cancel the worker's statement (SIGINT) */
	KWJ_TERMINATE,				/* also end the worker's process (SIGTERM) */
} KwjForce;

/*
 * Tells the attempt about a request (KWJ_REQUEST_NONE: it was taken back). Sends no signal to an
 * attempt that is committing. Sends none either for a PAUSE to an attempt that stands still for it, or
 * that will (lifecycle/stand.h), and returns false. Also returns false if the worker does not run that
 * attempt any more.
 */
extern bool kwj_shared_deliver(const KwjWorkerInfo *worker, KwjRequest request, KwjForce force);

/*
 * If the worker still waits for the job waits_for, ends that wait with the error that the verdict
 * names.
 */
extern void kwj_shared_end_wait(const KwjWorkerInfo *worker, KwjWaitVerdict verdict);

/*
 * The job that the worker has announced has to be paused or canceled: makes the worker wake this
 * coordinator when it has begun the job. Returns false if the worker has begun the job already, or
 * has given it up.
 */
extern bool kwj_shared_watch_announced(const KwjWorkerInfo *worker);

/*
 * The coordinator could not look at the rows of these jobs (ascending ids), because other
 * transactions have locked them. Makes each worker of this database that has one of the jobs, or
 * has announced it, wake the coordinator for a full pass when its attempt is over: when it begins
 * the job that it has announced, becomes idle or exits. Then the caller looks once more, because a
 * worker may have committed, and begun another job, before. A session that has locked a row wakes
 * the coordinator in any case.
 */
extern void kwj_shared_watch_jobs(const int64 *job_ids, int n);

#endif

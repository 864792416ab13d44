/*
 * src/shared/worker.h
 *	  A worker and its own slot in shared memory.
 */
#ifndef KWJ_SHARED_WORKER_H
#define KWJ_SHARED_WORKER_H

#include "kwjobs.h"
#include "shared/wait.h"

typedef struct KwjAssignment
{
	Oid			dboid;
	Oid			role;
	int64		job_id;
	int32		attempt;
} KwjAssignment;

/*
 * This process is the worker of that slot from now on, until it exits: then the
 * slot is free. Call it before connecting to the database, so that the slot is freed after
 * the session is gone. False if the slot was given to another.
 */
extern bool kwj_shared_attach_worker(int slot, uint32 generation, KwjAssignment *assignment);

/* What was handed over to this worker; false if there is nothing. */
extern bool kwj_shared_assignment(KwjAssignment *assignment);

/*
 * The next job of this type that this worker may claim itself, as no other role or type waits;
 * false if there is none. Who takes one of the last wakes the coordinator. The job may be
 * claimed, or gone, by now.
 */
extern bool kwj_shared_take_job(const char *job_type, int64 *job_id);

/* This worker is about to commit a claim. */
extern void kwj_shared_announce(int64 job_id, int32 attempt);

/* It is committed (true), or was rolled back. */
extern void kwj_shared_begin_announced(bool committed);

/* The work of the attempt begins: if the process ends from now on, it counts. */
extern void kwj_shared_begin_work(void);

/*
 * The work is over and about to be committed, or to be settled: the coordinator does not interrupt it
 * any more, which would end its wait for a synchronous standby. A signal that was sent before has
 * arrived.
 */
extern void kwj_shared_begin_commit(void);

/* This worker has no job any more. Wakes the coordinator. */
extern void kwj_shared_worker_idle(void);

/*
 * This worker leaves, and has given its job back in the tables: who leaves with a job that it has
 * not begun is taken for one that has not.
 */
extern void kwj_shared_worker_gives_back(void);

/*
 * Whether an idle worker is to leave: it was told to, or it wants to. It gets no
 * job after that.
 */
extern bool kwj_shared_worker_leaves(bool wants_to);

/* See KwjWaitHooks; of other processes than workers nothing is noted. */
extern void kwj_set_wait(int64 job_id);
extern KwjWaitVerdict kwj_my_wait_verdict(void);

/* Whether this process is the worker in that slot. */
extern bool kwj_is_my_slot(int slot);

/* Whether this process is a worker that a command on its database has sent away. */
extern bool kwj_is_dismissed_worker(void);

#endif

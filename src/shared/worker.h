/*
 * src/shared/worker.h
 *	  A worker and its own slot in shared memory.
 *
 * Process: worker, unless a function says otherwise. Each takes kwj_shared->lock for a moment; none
 * raises an error. The life of a slot is at the top of shared/memory.h.
 */
#ifndef KWJ_SHARED_WORKER_H
#define KWJ_SHARED_WORKER_H

#include "kwjobs.h"
#include "shared/wait.h"

/* The attempt that a worker is to run, and as whom. */
typedef struct KwjAssignment
{
	Oid			dboid;
	Oid			role;
	int64		job_id;
	int32		attempt;
	int			part;			/* 0: the attempt's first worker */
} KwjAssignment;

/*
 * Makes this process the worker of the slot until it exits; its exit callback frees the slot. To be
 * called before connecting to the database: exit callbacks run in reverse order, so the slot is
 * freed after the session is gone. Returns false if the slot was freed, or given to another worker,
 * meanwhile.
 */
extern bool kwj_shared_attach_worker(int slot, uint32 generation, KwjAssignment *assignment);

/* Gets the attempt that was handed over to this worker; false if there is none. */
extern bool kwj_shared_assignment(KwjAssignment *assignment);

/*
 * Takes the next job of this type that this worker may try to claim by itself, because no other
 * role or type waits for a worker; false if there is none. The worker that takes the job in the
 * middle of the list wakes the coordinator, which lists more. The job may be claimed, or gone, by
 * now.
 */
extern bool kwj_shared_take_job(const char *job_type, int64 *job_id);

/*
 * This worker is about to commit its claim of the attempt. The slot has to say so before the
 * commit, so that every committed claim has a slot.
 */
extern void kwj_shared_announce(int64 job_id, int32 attempt);

/* The announced claim was committed (true), or was rolled back. */
extern void kwj_shared_begin_announced(bool committed);

/* The work of the attempt begins. If the process exits from now on, the attempt counts. */
extern void kwj_shared_begin_work(void);

/*
 * Forgets that the attempt was interrupted: it goes on. An interrupt that was sent before has
 * arrived when this returns.
 */
extern void kwj_shared_forget_interrupt(void);

/*
 * The work is over, and the end of the attempt is about to be committed. From now on the
 * coordinator sends no signal, which would end the commit's wait for a synchronous standby; one
 * that it sent before has arrived when this returns.
 */
extern void kwj_shared_begin_commit(void);

/* This worker has no job any more. Wakes the coordinators that may use it. */
extern void kwj_shared_worker_idle(void);

/*
 * This worker is about to exit and has taken its claim back in the tables. Clears the job from the
 * slot, so that worker_exits() does not report the attempt as never begun, which would have it
 * taken back a second time.
 */
extern void kwj_shared_worker_gives_back(void);

/*
 * Returns whether this worker is to exit: it has no job, and was told to exit or wants_to. It is
 * assigned no more jobs then.
 */
extern bool kwj_shared_worker_leaves(bool wants_to);

/*
 * Process: any, but only a worker's wait is noted; in other processes the functions do nothing and
 * return KWJ_WAIT_GOES_ON. kwj_set_wait: the attempt waits for this job; 0: for none any more.
 * kwj_my_wait_verdict: whether the coordinator lets the wait go on.
 */
extern void kwj_set_wait(int64 job_id);
extern KwjWaitVerdict kwj_my_wait_verdict(void);

/* Process: any. Whether this process is the worker in that slot. */
extern bool kwj_is_my_slot(int slot);

/* Process: any. Whether this process is a worker that a command on its database has sent away. */
extern bool kwj_is_dismissed_worker(void);

#endif

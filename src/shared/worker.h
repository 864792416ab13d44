/*
 * src/shared/worker.h
 *	  A worker and its own slot in shared memory.
 *
 * Process: worker, unless the comment of a function says otherwise. Each function takes
 * kwj_shared->lock for a moment, except kwj_shared_begin_work() and kwj_is_my_slot(), which take no
 * lock. None raises an error. The life of a slot is at the top of shared/memory.h.
 */
#ifndef KWJ_SHARED_WORKER_H
#define KWJ_SHARED_WORKER_H

#include "kwjobs.h"
#include "shared/wait.h"

/* The attempt that a worker has to run, in which database and as which role. */
typedef struct KwjAssignment
{
	Oid			dboid;
	Oid			role;
	int64		job_id;
	int32		attempt;
	int			part;			/* 0: the attempt's first worker */
} KwjAssignment;

/*
 * Makes this process the worker of the slot until it exits; its exit callback frees the slot. The
 * worker calls this before it connects to the database: exit callbacks run in reverse order, so its
 * slot is freed after its session has ended. Returns false if the slot was freed, or given to
 * another worker, meanwhile.
 */
extern bool kwj_shared_attach_worker(int slot, uint32 generation, KwjAssignment *assignment);

/* Gets the attempt that was handed over to this worker. Returns false if there is none. */
extern bool kwj_shared_assignment(KwjAssignment *assignment);

/*
 * Takes the next job of this type from the coordinator's list, for this worker to claim it itself.
 * Returns false if there is none, or if jobs of other roles or types wait for a worker. The worker
 * that takes the job in the middle of the list wakes the coordinator, which lists more. Another
 * process may have claimed or deleted the job by now.
 */
extern bool kwj_shared_take_job(const char *job_type, int64 *job_id);

/*
 * Notes in the slot that this worker has claimed the attempt. The worker calls this before it
 * commits the claim, so that every committed claim has a slot.
 */
extern void kwj_shared_announce(int64 job_id, int32 attempt);

/*
 * committed: the announced claim is committed, so its job becomes the job of the slot. Otherwise
 * the claim was rolled back, and the slot forgets it.
 */
extern void kwj_shared_begin_announced(bool committed);

/* The work of the attempt begins. If the process exits from now on, the attempt counts. */
extern void kwj_shared_begin_work(void);

/*
 * Forgets that the attempt was interrupted, because it goes on. A signal that was sent before has
 * arrived when this returns.
 */
extern void kwj_shared_forget_interrupt(void);

/*
 * The work is over, and the end of the attempt is about to be committed. From now on the
 * coordinator sends no signal, because a signal would end the commit's wait for a synchronous
 * standby. A signal that it has sent before has arrived when this returns.
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
 * Returns whether this worker has to exit: it has no job, and was told to exit or wants to. Then no
 * more jobs are assigned to it.
 */
extern bool kwj_shared_worker_leaves(bool wants_to);

/*
 * kwj_set_wait notes that this worker's attempt waits for the job; 0: it does not wait any more.
 * kwj_my_wait_verdict returns whether the coordinator lets the wait go on. Process: any; but in a
 * process that is no worker, the functions do nothing, and return KWJ_WAIT_GOES_ON.
 */
extern void kwj_set_wait(int64 job_id);
extern KwjWaitVerdict kwj_my_wait_verdict(void);

/* Process: any. Returns whether this process is the worker in this slot. */
extern bool kwj_is_my_slot(int slot);

/*
 * Process: any. Returns whether this is a worker that a lockout on its database has told to exit.
 */
extern bool kwj_is_dismissed_worker(void);

#endif

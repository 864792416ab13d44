/*
 * src/worker/held.h
 *	  Whether the job that a worker was given may begin, as of the holds of now.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_HELD_H
#define KWJ_WORKER_HELD_H

#include "job/current.h"

/*
 * The worker calls this in a transaction, before the attempt begins. Returns whether the job is
 * held. Then this takes the claim back, and the job keeps its place in the order. If that is not
 * possible, the worker exits, because a session has locked the job's row.
 */
extern bool kwj_worker_gives_to_hold(const KwjAttempt *attempt);

/* As kwj_worker_gives_to_hold, outside a transaction. The worker also exits if there is an error. */
extern bool kwj_worker_gives_to_hold_apart(KwjAttempt *attempt);

#endif

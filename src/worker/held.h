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
 * To be called in a transaction, before the attempt begins. Returns whether the job is held. Then
 * its claim is taken back, and the job keeps its place in the order. The worker exits if that is
 * not possible, because a session has locked the job's row.
 */
extern bool kwj_worker_gives_to_hold(const KwjAttempt *attempt);

/* The same outside a transaction. The worker also exits if there is an error. */
extern bool kwj_worker_gives_to_hold_apart(KwjAttempt *attempt);

#endif

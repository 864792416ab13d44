/*
 * src/job/stop.h
 *	  The moment that a stop of the server gives the work to write its checkpoint.
 *
 * Process: worker. The postmaster's SIGTERM ends a process of kwjobs at once. If the work is
 * expected to write a checkpoint, it ends a moment later: when that is committed, or when the
 * launcher's patience is over (process/stop.h).
 */
#ifndef KWJ_JOB_STOP_H
#define KWJ_JOB_STOP_H

#include "postgres.h"

/*
 * The work writes checkpoints from now on, so a stop of the server waits a moment for the next one.
 * Lasts until kwj_stop_expect_none.
 */
extern void kwj_stop_expect_checkpoint(void);

/* The work is over: no stop waits for it any more. If one does, this process exits here. */
extern void kwj_stop_expect_none(void);

/*
 * The worker calls this right after the commit of a checkpoint, before any other work. If a stop of
 * the server waits for this checkpoint, the process exits here. Otherwise a stop that comes later
 * waits for the next checkpoint.
 */
extern void kwj_stop_at_checkpoint(void);

/* Returns whether a stop waits: the work is to write its checkpoint as soon as it can. */
extern bool kwj_stop_is_asked(void);

/*
 * Called by the handler of SIGTERM: returns whether the work is expected to write a checkpoint, so
 * that the process need not exit yet.
 */
extern bool kwj_stop_put_off(void);

#endif

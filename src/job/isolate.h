/*
 * src/job/isolate.h
 *	  Steps of the bookkeeping whose errors concern one job only.
 *
 * Whatever is wrong with the rows of a job (a trigger on our tables that raises, a number that
 * overflows, a lost TOAST page) must not keep the coordinator or a worker from its other jobs. They
 * do what concerns a single job by these functions, which give the error back.
 */
#ifndef KWJ_JOB_ISOLATE_H
#define KWJ_JOB_ISOLATE_H

#include "kwjobs.h"

typedef void (*KwjStep) (void *arg);

/*
 * Run the step in a transaction of its own, with an active snapshot. Returns NULL when it is
 * committed; else the error, which is in the server's log already, palloc'd in CurrentMemoryContext,
 * with the transaction rolled back. Outside a transaction.
 *
 * Cancels are kept back until the step is over: one that is meant for the work of a job does not
 * end this.
 */
extern ErrorData *kwj_isolate(KwjStep step, void *arg);

/* The same without a line in the log. */
extern ErrorData *kwj_isolate_quietly(KwjStep step, void *arg);

/*
 * The same, quietly or not; `committed` follows upon the commit, and no interrupt, such as the one to end this process, comes in between: what it does
 * outside the tables happens if and only if the step is committed. It must not raise an error.
 */
extern ErrorData *kwj_isolate_then(KwjStep step, KwjStep committed, void *arg, bool quietly);

/*
 * Run the step in a subtransaction of the current transaction, which goes on after an error, too.
 * Results: as above.
 */
extern ErrorData *kwj_isolate_within(KwjStep step, void *arg);
extern ErrorData *kwj_isolate_within_quietly(KwjStep step, void *arg);

#endif

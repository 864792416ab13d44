/*
 * src/job/isolate.h
 *	  Steps of the bookkeeping whose errors concern one job only.
 *
 * Whatever is wrong with the rows of one job (a trigger on our tables that raises an error, a
 * number that overflows, a lost TOAST page) must not keep the coordinator or a worker from its
 * other jobs. Both do what concerns a single job by these functions, which return the error.
 */
#ifndef KWJ_JOB_ISOLATE_H
#define KWJ_JOB_ISOLATE_H

#include "kwjobs.h"

typedef void (*KwjStep) (void *arg);

/*
 * Run the step in a transaction of its own, with an active snapshot. Returns NULL if it was
 * committed. Otherwise the transaction was rolled back, and the result is the error, palloc'd in
 * CurrentMemoryContext; it is in the server's log already. Not to be called inside a transaction.
 *
 * Query cancels are held back until the step is over: a cancel that is meant for a job's work must
 * not end its bookkeeping. Errors: none but FATAL and PANIC, which are not caught.
 */
extern ErrorData *kwj_isolate(KwjStep step, void *arg);

/* The same, but the error is not written to the log. */
extern ErrorData *kwj_isolate_quietly(KwjStep step, void *arg);

/*
 * The same; quietly: write no error to the log. `committed` is called right after the commit, and
 * no interrupt, such as the one to terminate this process, can come in between. So what it does
 * outside the tables happens if and only if the step is committed. It must not raise an error.
 */
extern ErrorData *kwj_isolate_then(KwjStep step, KwjStep committed, void *arg, bool quietly);

/*
 * Run the step in a subtransaction of the current transaction, which can go on after an error.
 * Results as above.
 */
extern ErrorData *kwj_isolate_within(KwjStep step, void *arg);
extern ErrorData *kwj_isolate_within_quietly(KwjStep step, void *arg);

#endif

/*
 * src/job/isolate.h
 *	  Steps of the bookkeeping whose errors concern one job only.
 *
 * If the rows of one job cannot be used (a trigger on our tables raises an error, a number
 * overflows, a TOAST page is lost), the coordinator and the workers must still handle all other
 * jobs. So they run each step for a single job by these functions, which return its error.
 */
#ifndef KWJ_JOB_ISOLATE_H
#define KWJ_JOB_ISOLATE_H

#include "kwjobs.h"

typedef void (*KwjStep) (void *arg);

/*
 * Run the step in a transaction of its own, with an active snapshot. Returns NULL if it was
 * committed. Otherwise the transaction was rolled back, and the result is the error, palloc'd in
 * CurrentMemoryContext; it is in the server's log already. The caller is not in a transaction.
 *
 * Query cancels are held back until the step is over: a cancel that is meant for a job's work must
 * not end its bookkeeping. Errors: none but FATAL and PANIC, which are not caught.
 */
extern ErrorData *kwj_isolate(KwjStep step, void *arg);

/* As kwj_isolate, but the error is not written to the log. */
extern ErrorData *kwj_isolate_quietly(KwjStep step, void *arg);

/*
 * As kwj_isolate; quietly: write no error to the log. `committed` is called right after the commit,
 * and no interrupt, such as a request to terminate this process, can come in between. So its
 * changes in shared memory happen if and only if the step is committed. It must not raise an error.
 */
extern ErrorData *kwj_isolate_then(KwjStep step, KwjStep committed, void *arg, bool quietly);

/*
 * Run the step in a subtransaction of the current transaction, which can go on after an error.
 * Returns NULL, or the error as kwj_isolate does. quietly: the error is not written to the log.
 */
extern ErrorData *kwj_isolate_within(KwjStep step, void *arg);
extern ErrorData *kwj_isolate_within_quietly(KwjStep step, void *arg);

/*
 * Runs the step in a subtransaction of the current transaction, and rolls the subtransaction back, whether or
 * not the step raises an error. Returns NULL, or the error, palloc'd in CurrentMemoryContext. The error is not
 * written to the log, and a cancel is an error of the step.
 */
extern ErrorData *kwj_isolate_and_undo(KwjStep step, void *arg);

/* Returns whether the error tells only that something could not be had now, such as a lock or memory. */
extern bool kwj_error_is_passing(const ErrorData *error);

#endif

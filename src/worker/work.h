/*
 * src/worker/work.h
 *	  The work of an attempt: what may be interrupted, and takes no longer than it may.
 *
 * Process: worker.
 */
#ifndef KWJ_WORKER_WORK_H
#define KWJ_WORKER_WORK_H

#include "job/current.h"
#include "store/store.h"
#include "type/type.h"

typedef void (*KwjWork) (KwjAttempt *attempt, void *arg);

extern void kwj_work_init(void);

/*
 * Does a piece of work, which may be interrupted by a request and by the attempt's timeout. Returns
 * NULL, or the error that it has raised, palloc'd in the context: its transaction is aborted then,
 * and the error is in the log unless it is one of a request. To be called outside a transaction.
 */
extern ErrorData *kwj_work_try(KwjAttempt *attempt, MemoryContext context, KwjWork work, void *arg);

/*
 * Returns whether this error of the work came because of a request, which may have been taken back
 * since, or because another part has failed (shared/team.h).
 */
extern bool kwj_work_was_interrupted(const KwjAttempt *attempt, const ErrorData *edata);

/* Returns whether it came because the attempt's time was over; then *error says so. */
extern bool kwj_work_took_too_long(const KwjAttempt *attempt, const ErrorData *edata,
								   KwjError *error);

/*
 * Returns the type that the attempt reverts; NULL if it does not revert, or its type is unknown.
 */
extern const KwjType *kwj_work_reverted_type(const KwjAttempt *attempt);

#endif

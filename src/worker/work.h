/*
 * src/worker/work.h
 *	  Running the work of an attempt, which requests and the attempt's timeout may interrupt.
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
 * Calls `work`, which a request and the attempt's timeout may interrupt. Returns NULL, or the error
 * that it has raised, palloc'd in the context. After an error, the transaction is aborted, and the
 * error is in the log unless it was the interrupt of a request. The caller is outside a
 * transaction.
 */
extern ErrorData *kwj_work_try(KwjAttempt *attempt, MemoryContext context, KwjWork work, void *arg);

/*
 * Returns whether this error of the work is an interrupt because of a request, which may be taken
 * back by now, or because another part has failed (shared/team.h).
 */
extern bool kwj_work_was_interrupted(const KwjAttempt *attempt, const ErrorData *edata);

/* Returns whether this error is the interrupt of the attempt's timeout; then *error says so. */
extern bool kwj_work_took_too_long(const KwjAttempt *attempt, const ErrorData *edata,
								   KwjError *error);

/*
 * Returns the type that the attempt reverts; NULL if it does not revert, or its type is unknown.
 */
extern const KwjType *kwj_work_reverted_type(const KwjAttempt *attempt);

#endif

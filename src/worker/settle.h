/*
 * src/worker/settle.h
 *	  How the worker settles an attempt, if the job type has not ended it.
 *
 * Process: worker, outside a transaction.
 */
#ifndef KWJ_WORKER_SETTLE_H
#define KWJ_WORKER_SETTLE_H

#include "job/current.h"
#include "lifecycle/settle.h"

/* Settles an attempt that has stopped because of this request. */
extern void kwj_worker_settle_request(const KwjAttempt *attempt, KwjRequest request);

/* Settles an attempt whose work has raised this error, which kwj_work_try() has returned. */
extern void kwj_worker_settle_work_error(KwjAttempt *attempt, const ErrorData *edata);

/*
 * Settles an attempt after any other error. If done is not NULL, it is this attempt, and the worker
 * may claim its next job in the same transaction.
 */
extern void kwj_worker_settle_error(int64 job_id, int32 attempt, KwjEndKind kind,
									const KwjError *error, const KwjAttempt *done);

/* Returns the kind of an error that the work has raised, and fills in what is stored of it. */
extern KwjEndKind kwj_worker_explain(const KwjAttempt *attempt, const ErrorData *edata,
									 KwjError *error);

#endif

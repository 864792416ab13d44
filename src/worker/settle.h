/*
 * src/worker/settle.h
 *	  How the worker ends an attempt that has not ended itself.
 *
 * Process: worker, outside a transaction.
 */
#ifndef KWJ_WORKER_SETTLE_H
#define KWJ_WORKER_SETTLE_H

#include "job/current.h"
#include "lifecycle/settle.h"

/* It has stopped because of this request. */
extern void kwj_worker_settle_request(const KwjAttempt *attempt, KwjRequest request);

/* The error of the work, as kwj_work_try has returned it. */
extern void kwj_worker_settle_work_error(KwjAttempt *attempt, const ErrorData *edata);

/* Any other error. done: the attempt after which the next job may be claimed, or NULL. */
extern void kwj_worker_settle_error(int64 job_id, int32 attempt, KwjEndKind kind,
									const KwjError *error, const KwjAttempt *done);

/* The kind of that error of the work, and what is to be stored of it. */
extern KwjEndKind kwj_worker_explain(const KwjAttempt *attempt, const ErrorData *edata,
									 KwjError *error);

#endif

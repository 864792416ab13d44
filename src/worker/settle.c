/*
 * src/worker/settle.c
 *	  How the worker settles an attempt, if the job type has not ended it.
 *
 * Process: worker; worker.c and parts.c call this. lifecycle/settle.c decides what becomes of the
 * job. Locks: the job's row, for which the worker waits, until the end of the transaction.
 *
 *     settle in a transaction  --error-->  once more  --error-->  the job ends with that error
 *                                                                 (lifecycle/broken.c)
 *
 * If the worker dies, or all of this fails, the coordinator finds an attempt without a worker.
 */
#include "postgres.h"

#include "job/isolate.h"
#include "lifecycle/broken.h"
#include "miscadmin.h"
#include "shared/worker.h"
#include "shared/wakeup.h"
#include "store/due.h"
#include "store/job_tables.h"
#include "worker/claim.h"
#include "worker/settle.h"
#include "worker/work.h"

/* How an attempt has ended. */
typedef struct Settling
{
	int64		job_id;
	int32		attempt;
	/* the request for which it has stopped; if there is none, kind and error say how it ended */
	KwjRequest	request;
	KwjEndKind	kind;
	KwjError	error;
	const KwjAttempt *done;		/* the attempt, if the next job may be claimed with it; or NULL */
	const char *lacks;			/* what it needs to begin, so the claim is taken back; NULL: nothing */
} Settling;

/* An attempt that lacks something is tried again after 1 s, 2 s, 4 s ..., and this at the latest. */
#define LONGEST_LACK_MS		10000

/*
 * Takes the claim back. If that cannot be done, because a session has locked the row, the attempt counts as
 * interrupted, and there is another one when the session has ended its transaction.
 */
static void
take_back(const Settling *settling)
{
	kwj_wakeup_at_end(settling->job_id);
	if (!kwj_store_unclaim(settling->job_id, settling->attempt, settling->lacks, LONGEST_LACK_MS))
		kwj_settle_error(settling->job_id, settling->attempt, KWJ_END_INTERRUPTED, &settling->error, KWJ_WAIT);
}

static void
settle_step(void *arg)
{
	Settling   *settling = arg;
	KwjJobTables *tables;

	if (settling->lacks != NULL)
		take_back(settling);
	else if (settling->request != KWJ_REQUEST_NONE)
		kwj_settle_request(settling->job_id, settling->attempt, settling->request);
	else
		kwj_settle_error(settling->job_id, settling->attempt, settling->kind, &settling->error,
						 KWJ_WAIT);
	if (settling->done != NULL)
	{
		tables = kwj_open_job_tables(KWJ_WORKED);
		kwj_worker_claim_within(settling->done, tables);
		kwj_close_job_tables(tables);
	}
}

/*
 * Settles the attempt in a transaction that no query cancel interrupts. If that raises an error
 * twice, the job ends with the error. But if a later try may succeed (kwj_error_may_pass), or the
 * job cannot even be ended, the attempt is left to the coordinator, which finds it without a
 * worker.
 */
static void
settle(Settling *settling)
{
	ErrorData  *edata;

	/* A signal that came too late for the work must not end the commit's wait for a standby. */
	kwj_shared_begin_commit();
	QueryCancelPending = false;
	edata = kwj_isolate(settle_step, settling);
	kwj_worker_begin_claimed(edata == NULL);
	if (edata == NULL)
		return;
	/* Try once more: an error that comes only once must not end the job. */
	edata = kwj_isolate_quietly(settle_step, settling);
	kwj_worker_begin_claimed(edata == NULL);
	if (edata != NULL && !kwj_error_may_pass(edata))
		(void) kwj_break_job(settling->job_id, "the attempt could not be ended", edata);
}

void
kwj_worker_settle_request(const KwjAttempt *attempt, KwjRequest request)
{
	Settling	settling = {
		.job_id = attempt->job_id, .attempt = attempt->attempt, .request = request
	};

	settle(&settling);
}

void
kwj_worker_settle_error(int64 job_id, int32 attempt, KwjEndKind kind, const KwjError *error,
						const KwjAttempt *done)
{
	Settling	settling = {
		.job_id = job_id, .attempt = attempt, .kind = kind, .error = *error, .done = done
	};

	settle(&settling);
}

KwjEndKind
kwj_worker_explain(const KwjAttempt *attempt, const ErrorData *edata, KwjError *error)
{
	*error = (KwjError) {
		.code = edata->sqlerrcode,
		.message = edata->message,
		.detail = edata->detail,
		.hint = edata->hint,
		.context = edata->context,
		.file = attempt->error_file,
		.line = attempt->error_line,
		.column = attempt->error_column,
	};
	if (kwj_work_took_too_long(attempt, edata, error))
		return KWJ_END_TIMEOUT;
	return kwj_work_was_interrupted(attempt, edata) ? KWJ_END_REQUESTED : KWJ_END_ERROR;
}

void
kwj_worker_settle_work_error(KwjAttempt *attempt, const ErrorData *edata)
{
	KwjError	error;
	KwjEndKind	kind = kwj_worker_explain(attempt, edata, &error);
	Settling	settling = {
		.job_id = attempt->job_id, .attempt = attempt->attempt,
		.request = attempt->canceled ? KWJ_REQUEST_CANCEL : KWJ_REQUEST_NONE,
		.kind = kind, .error = error, .done = attempt, .lacks = attempt->lacks
	};

	settle(&settling);
}

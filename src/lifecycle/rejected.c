/*
 * src/lifecycle/rejected.c
 *	  Records that an IMPORT has left out, kept until the job ends.
 *
 * Caller: src/type/import/reject_file.c. Process: worker. store/rejected.c says why each record is there
 * exactly once, and what becomes of it if the worker dies.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lifecycle/rejected.h"
#include "store/query.h"
#include "utils/snapmgr.h"

/* What kwj_rejected_read hands on. */
typedef struct Reading
{
	const char *query;
	KwjRejectedReader reader;
	void	   *arg;
} Reading;

bool
kwj_rejected_keep(const KwjRejected *rejected)
{
	return kwj_store_rejected_add(rejected);
}

static void
call_reader(void *arg)
{
	const Reading *reading = arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	reading->reader(reading->query, reading->arg);
	PopActiveSnapshot();
}

void
kwj_rejected_read(const KwjAttempt *attempt, int64 most, KwjRejectedReader reader, void *arg)
{
	Reading		reading = {
		.query = kwj_store_rejected_query(attempt->job_id, most),
		.reader = reader,
		.arg = arg,
	};

	CommandCounterIncrement();
	kwj_store_together(call_reader, &reading);
}

void
kwj_rejected_forget(const KwjAttempt *attempt)
{
	kwj_store_rejected_forget(attempt->job_id);
}

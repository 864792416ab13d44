/*
 * src/store/messages.c
 *	  The messages of a job's attempts that are written already.
 *
 * Callers: sessions, for kwjobs.messages. Locks: none but AccessShareLock on the tables.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/messages.h"
#include "store/query.h"
#include "utils/snapmgr.h"

static KwjQuery messages_query = {
	"SELECT attempt, finished IS NULL AS running, messages, message_times FROM kwjobs.attempt"
	" WHERE job_id = $1 ORDER BY attempt",
	1, {INT8OID}
};

static ArrayType *
copy_array(uint64 row, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);
	MemoryContext old = MemoryContextSwitchTo(context);
	ArrayType  *copy = isnull ? NULL : DatumGetArrayTypePCopy(value);

	MemoryContextSwitchTo(old);
	return copy;
}

KwjAttemptMessages *
kwj_store_messages(int64 job_id, int *n)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	KwjAttemptMessages *attempts;

	PushActiveSnapshot(GetLatestSnapshot());
	kwj_store_enter(&scope);
	*n = (int) kwj_query_run(&messages_query, values, NULL, true);
	attempts = MemoryContextAllocHuge(scope.caller, sizeof(KwjAttemptMessages) * (Size) Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		attempts[i].attempt = kwj_row_int32(i, "attempt");
		attempts[i].running = kwj_row_bool(i, "running");
		attempts[i].messages = copy_array(i, "messages", scope.caller);
		attempts[i].times = copy_array(i, "message_times", scope.caller);
	}
	kwj_store_leave(&scope);
	PopActiveSnapshot();
	return attempts;
}

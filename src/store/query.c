/*
 * src/store/query.c
 *	  How the store runs its queries: by SPI, as the owner of the extension, with a pinned
 *	  search_path.
 *
 * Caller: all of src/store, in any process, in a transaction.
 *
 *     kwj_store_enter   lock our tables, check and become their owner, set settings, SPI_connect
 *         kwj_query_run, kwj_row_...        as often as needed
 *     kwj_store_leave   SPI_finish, restore the settings and the role
 *
 * Why the tables' owner has to be a superuser: a role that can write to kwjobs.job decides which
 * statements the workers run, and as which role. Why the tables are locked before anything else:
 * while AccessShareLock is held, the extension cannot be dropped and its tables cannot change their
 * owner, so the names in our queries mean the extension's objects.
 *
 * Locks: AccessShareLock on our tables (kwj_store_lock_tables) and the locks of the queries, all
 * until the end of the transaction.
 *
 * After an error the caller's (sub)transaction is aborted, which restores the role, the settings,
 * and SPI; open_in then names a transaction that is over, so the next kwj_store_enter starts anew.
 *
 * Known hole: a role with pg_write_all_data may LOCK TABLE kwjobs.job, and then every process that
 * calls kwj_store_enter waits.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "jit/jit.h"
#include "job/clip.h"
#include "job/current.h"
#include "job/extension.h"
#include "job/ids.h"
#include "job/json.h"
#include "job/status.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "store/query.h"
#include "store/relation.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/*
 * Lock a table, and return the role that owns it. The lock is kept until the end of the
 * transaction, so that the table keeps this owner as long as the transaction uses its contents.
 * While the table is locked, the extension cannot be dropped, and all objects that our queries find
 * by name belong to it.
 */
static Oid
owner_of(const char *name)
{
	Oid			table = kwj_store_relation(name);
	HeapTuple	tuple;
	Oid			owner;

	LockRelationOid(table, AccessShareLock);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	/*
	 * while we waited for the lock, the extension may have been dropped, and another user may have
	 * created a table of the same name
	 */
	if (!HeapTupleIsValid(tuple) || !kwj_extension_exists())
		kwj_extension_missing();
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
kwj_store_check_owner(Oid owner)
{
	/* the owner's rows decide which statements the workers run, and as which role */
	if (!superuser_arg(owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", which owns the tables of extension \"%s\", is not a superuser",
						GetUserNameFromId(owner, false), KWJ_EXTENSION),
				 errdetail("It could have jobs run as anybody, so none runs."),
				 errhint("As a superuser, make it one, or type ALTER TABLE ... OWNER TO for all tables and views in schemas kwjobs and kwdb_internal.")));
}

/*
 * Returns false if a table is not there: the extension is not installed, or somebody has dropped it while this
 * process has waited for a lock.
 */
static bool
lock_tables(bool history)
{
	/*
	 * In the order of their names. kwjobs.job_transaction, home and untold come later in this order
	 * and are rarely used, so they are left out.
	 */
	static const char *const tables[] = {"attempt", "checkpoint", "dependency", "history", "job"};

	for (int i = 0; i < lengthof(tables); i++)
	{
		Oid			table;

		if (!history && strcmp(tables[i], "history") == 0)
			continue;
		table = kwj_store_find_relation(tables[i]);
		if (!OidIsValid(table))
			return false;
		LockRelationOid(table, AccessShareLock);
	}
	return true;
}

void
kwj_store_lock_tables(bool history)
{
	if (!lock_tables(history))
		kwj_extension_missing();
}

void
kwj_store_lock_jobs(void)
{
	Assert(IsTransactionState());
	kwj_store_lock_tables(false);
	LockRelationOid(kwj_store_relation("job"), RowExclusiveLock);
}

bool
kwj_store_try_lock_jobs(void)
{
	Assert(IsTransactionState());
	kwj_store_lock_tables(false);
	return ConditionalLockRelationOid(kwj_store_relation("job"), RowExclusiveLock);
}

/* Lock our tables, and return the role that does the bookkeeping: the owner of kwjobs.job. */
static Oid
bookkeeping_owner(void)
{
	Oid			owner;

	kwj_store_lock_tables(false);
	kwj_store_check_owner(owner_of("checkpoint"));
	owner = owner_of("job");
	kwj_store_check_owner(owner);
	return owner;
}

bool
kwj_store_is_usable(void)
{
	/* Look again once this process has the locks, because now nobody can drop the extension any more. */
	if (!kwj_extension_exists() || !lock_tables(false) || !kwj_extension_exists())
		return false;
	return superuser_arg(owner_of("checkpoint")) && superuser_arg(owner_of("job"));
}

/*
 * Plans are kept for the life of the session. A plan that was made while the tables are small must
 * still be good when they are large, so allow index scans only; each query has an index for what it
 * looks up.
 *
 * jit is off for these plans. Some queries cannot do without a step of a disabled kind, such as
 * reading a small table as a whole. Before version 18, PostgreSQL adds a huge cost for such a step:
 * it would take the query for an expensive one and compile it, which takes longer than to run it.
 */
static void
want_index_scans(void)
{
	static const struct
	{
		bool	   *setting;
		const char *name;
		bool		wanted;
	}			settings[] = {
		{&enable_seqscan, "enable_seqscan", false},
		{&enable_bitmapscan, "enable_bitmapscan", false},
		{&enable_sort, "enable_sort", false},
		{&enable_hashjoin, "enable_hashjoin", false},
		{&enable_mergejoin, "enable_mergejoin", false},
		{&jit_enabled, "jit", false},
		{&enable_indexscan, "enable_indexscan", true},
		{&enable_indexonlyscan, "enable_indexonlyscan", true},
	};

	for (int i = 0; i < lengthof(settings); i++)
		if (*settings[i].setting != settings[i].wanted)
			kwj_set_in_level(settings[i].name, settings[i].wanted ? "on" : "off");
}

/*
 * The transaction and subtransaction in which the outermost scope was opened. After an error they
 * name a transaction that is over, and so match no other.
 */
static LocalTransactionId open_in = InvalidLocalTransactionId;
static SubTransactionId open_in_sub;

/* kwj_store_never_wait() */
static bool never_wait = false;

void
kwj_store_never_wait(bool never)
{
	never_wait = never;
}

bool
kwj_store_never_waits(void)
{
	return never_wait;
}

/*
 * In a session, lock_timeout ends the waits of the store, because these belong to the session's own
 * statement, such as PAUSE JOB. In a worker it must not, because the job has set it for its own statements.
 * It must not in a session that holds cancels back (job/isolate.c) either: the wait would go on, and the
 * timeout would end the statement afterwards.
 */
bool
kwj_store_ignores_lock_timeout(void)
{
	return LockTimeout != 0 && !never_wait &&
		(MyBackendType != B_BACKEND || QueryCancelHoldoffCount > 0);
}

void
kwj_store_enter(KwjStoreScope *scope)
{
	Oid			owner;

	scope->caller = CurrentMemoryContext;
	scope->nested = open_in == kwj_local_transaction_id() &&
		open_in_sub == GetCurrentSubTransactionId();
	if (scope->nested)
		return;
	scope->guc_level = NewGUCNestLevel();
	if (kwj_store_ignores_lock_timeout())
		kwj_set_in_level("lock_timeout", "0");
	owner = bookkeeping_owner();
	GetUserIdAndSecContext(&scope->user, &scope->security_context);
	/*
	 * a restricted operation: code of triggers cannot leave work behind that runs later with the
	 * caller's rights
	 */
	SetUserIdAndSecContext(owner,
						   scope->security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	/*
	 * a statement of the job may have made the transaction read-only; the bookkeeping writes
	 * nevertheless
	 */
	scope->read_only = XactReadOnly;
	if (kwj_attempt_current() != NULL)
		XactReadOnly = false;
	kwj_set_in_level("search_path", "pg_catalog, pg_temp");
	want_index_scans();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	open_in = kwj_local_transaction_id();
	open_in_sub = GetCurrentSubTransactionId();
}

void
kwj_store_leave(KwjStoreScope *scope)
{
	if (scope->nested)
	{
		MemoryContextSwitchTo(scope->caller);
		return;
	}
	open_in = InvalidLocalTransactionId;
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	AtEOXact_GUC(true, scope->guc_level);
	XactReadOnly = scope->read_only;
	SetUserIdAndSecContext(scope->user, scope->security_context);
	MemoryContextSwitchTo(scope->caller);
}

void
kwj_store_together(void (*run) (void *arg), void *arg)
{
	KwjStoreScope scope;

	kwj_store_enter(&scope);
	MemoryContextSwitchTo(scope.caller);
	run(arg);
	kwj_store_leave(&scope);
}

static SPIPlanPtr
prepare(KwjQuery *query)
{
	/* a plan that is kept must not depend on the values of the first call */
	SPIPlanPtr	plan = SPI_prepare_cursor(query->sql, query->nargs, query->argtypes,
										  query->fresh ? CURSOR_OPT_CUSTOM_PLAN :
										  CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare a query of the job store: %s",
			 SPI_result_code_string(SPI_result));
	if (query->fresh)
		return plan;
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep a plan of the job store");
	query->plan = plan;
	return plan;
}

uint64
kwj_query_run(KwjQuery *query, Datum *values, const char *nulls, bool read_only)
{
	SPIPlanPtr	plan = query->plan ? query->plan : prepare(query);
	int			rc = !query->latest ? SPI_execute_plan(plan, values, nulls, read_only, 0) :
		SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, read_only, true, 0);

	if (rc < 0)
		elog(ERROR, "could not run a query of the job store: %s",
			 SPI_result_code_string(rc));
	if (query->fresh)
		SPI_freeplan(plan);
	return SPI_processed;
}

uint64
kwj_query_run_for(KwjQuery *query, int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	uint64		n;

	kwj_store_enter(&scope);
	n = kwj_query_run(query, values, NULL, false);
	kwj_store_leave(&scope);
	return n;
}

Datum
kwj_row_datum(uint64 row, const char *column, bool *isnull)
{
	int			number = SPI_fnumber(SPI_tuptable->tupdesc, column);

	if (number <= 0)
		elog(ERROR, "the job store's query has no column \"%s\"", column);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, isnull);
}

int64
kwj_row_int64(uint64 row, const char *column)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
kwj_row_int32(uint64 row, const char *column)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
kwj_row_bool(uint64 row, const char *column)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}

Oid
kwj_row_oid(uint64 row, const char *column)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

TimestampTz
kwj_row_time(uint64 row, const char *column)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

ItemPointerData
kwj_row_place(uint64 row, const char *column)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);
	ItemPointerData nowhere;

	ItemPointerSetInvalid(&nowhere);
	return isnull ? nowhere : *(ItemPointer) DatumGetPointer(value);
}

char *
kwj_row_text(uint64 row, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return kwj_copy_text(value, isnull, context);
}

Jsonb *
kwj_row_jsonb(uint64 row, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);

	return kwj_json_copy(value, isnull, context);
}

KwjJobs
kwj_row_jobs(uint64 row, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_row_datum(row, column, &isnull);
	KwjJobs		jobs = {NULL, 0};
	Datum	   *elements;
	int64	   *ids;

	if (isnull)
		return jobs;
	deconstruct_array(DatumGetArrayTypeP(value), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, NULL, &jobs.n);
	ids = MemoryContextAlloc(context, sizeof(int64) * Max(jobs.n, 1));
	for (int i = 0; i < jobs.n; i++)
		ids[i] = DatumGetInt64(elements[i]);
	jobs.ids = ids;
	return jobs;
}

KwjJobs
kwj_rows_ids(uint64 n, const char *column, MemoryContext context)
{
	int64	   *ids = MemoryContextAllocHuge(context, sizeof(int64) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
		ids[i] = kwj_row_int64(i, column);
	return (KwjJobs) {ids, (int) n};
}

char *
kwj_copy_text(Datum value, bool isnull, MemoryContext context)
{
	MemoryContext caller;
	char	   *copy;

	if (isnull)
		return NULL;
	caller = MemoryContextSwitchTo(context);
	copy = TextDatumGetCString(value);
	MemoryContextSwitchTo(caller);
	return copy;
}

Oid *
kwj_copy_oids(Datum value, bool isnull, int *n, MemoryContext context)
{
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	Oid		   *copy;

	*n = 0;
	if (!isnull)
	{
		ArrayType  *array = DatumGetArrayTypeP(value);

		deconstruct_array(array, ARR_ELEMTYPE(array), sizeof(Oid), true, TYPALIGN_INT,
						  &elements, &nulls, n);
	}
	if (*n == 0)
		return NULL;
	copy = MemoryContextAlloc(context, sizeof(Oid) * *n);
	for (int i = 0; i < *n; i++)
		copy[i] = nulls[i] ? InvalidOid : DatumGetObjectId(elements[i]);
	return copy;
}

char *
kwj_row_clipped(uint64 row, const char *column, MemoryContext context)
{
	const char *text = kwj_clip_text(kwj_row_text(row, column, CurrentMemoryContext));

	return text != NULL ? MemoryContextStrdup(context, text) : NULL;
}

char *
kwj_row_text_or_empty(uint64 row, const char *column, MemoryContext context)
{
	char	   *text = kwj_row_text(row, column, context);

	return text != NULL ? text : MemoryContextStrdup(context, "");
}

int32
kwj_next_attempt(int32 attempts)
{
	return attempts < 0 || attempts == PG_INT32_MAX ? 0 : attempts + 1;
}

void
kwj_check_attempt(int32 attempt)
{
	if (attempt == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the job's number of attempts is out of range"),
				 errhint("Create the job again.")));
}

void
kwj_check_payload(const Jsonb *payload)
{
	if (payload == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the job has no payload any more"),
				 errdetail("Somebody has changed the job's row in table kwjobs.job."),
				 errhint("Create the job again.")));
}

KwjRequest
kwj_row_request(uint64 row, const char *column)
{
	char	   *name = kwj_row_text(row, column, CurrentMemoryContext);

	switch (kwj_status_from_name(name))
	{
		case KWJ_PAUSE_REQUESTED:
		case KWJ_PAUSED:		/* the attempt stands still */
			return KWJ_REQUEST_PAUSE;
		case KWJ_CANCEL_REQUESTED:
			return KWJ_REQUEST_CANCEL;
		default:
			return KWJ_REQUEST_NONE;
	}
}

void
kwj_report_unknown_status(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 name == NULL ? errmsg("the job has no status any more") :
			 errmsg("the job's status \"%s\" is none that kwjobs knows", name),
			 errdetail("Somebody has changed the job's row in table kwjobs.job."),
			 errhint("Use PAUSE JOB, RESUME JOB and CANCEL JOB to control jobs.")));
}

void
kwj_row_check_status(uint64 row, const char *column)
{
	char	   *name = kwj_row_text(row, column, CurrentMemoryContext);

	if (kwj_status_from_name(name) == KWJ_UNKNOWN_STATUS)
		kwj_report_unknown_status(name);
}

void
kwj_text_arg(Datum *value, char *null, const char *string)
{
	*value = string ? CStringGetTextDatum(string) : (Datum) 0;
	*null = string ? ' ' : 'n';
}

void
kwj_time_arg(Datum *value, char *null, TimestampTz time)
{
	*value = TimestampTzGetDatum(time);
	*null = time == 0 ? 'n' : ' ';
}

void
kwj_clipped_arg(Datum *value, char *null, const char *string)
{
	kwj_text_arg(value, null, kwj_clip_text(string));
}

Datum
kwj_jobs_arg(const int64 *job_ids, int n)
{
	return PointerGetDatum(kwj_array_of_ids(job_ids, n));
}

Datum
kwj_oids_arg(const Oid *oids, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

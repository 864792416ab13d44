/*
 * src/function/show.c
 *	  SQL-callable: what SHOW JOBS reads, and SHOW JOB WHEN COMPLETE.
 *
 * Process: sessions. Locks: kwj_shared->lock, shared, and the spinlocks of the slots, for moments;
 * AccessShareLock on the tables of kwjobs where rows are read, until the end of the transaction.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "function/args.h"
#include "function/reason.h"
#include "function/rows.h"
#include "function/waits.h"
#include "function/watch.h"
#include "job/extension.h"
#include "job/isolate.h"
#include "job/messages.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control.h"
#include "lifecycle/elsewhere.h"
#include "lifecycle/schedule.h"
#include "lifecycle/wait.h"
#include "mb/pg_wchar.h"
#include "shared/aside.h"
#include "shared/init.h"
#include "shared/live.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_installed);
PG_FUNCTION_INFO_V1(kwjobs_may_show);
PG_FUNCTION_INFO_V1(kwjobs_may_show_schedules);
PG_FUNCTION_INFO_V1(kwjobs_may_show_all);
PG_FUNCTION_INFO_V1(kwjobs_is_visible);
PG_FUNCTION_INFO_V1(kwjobs_show_window);
PG_FUNCTION_INFO_V1(kwjobs_left_alone);
PG_FUNCTION_INFO_V1(kwjobs_readable);
PG_FUNCTION_INFO_V1(kwjobs_shown);
PG_FUNCTION_INFO_V1(kwjobs_waiting);
PG_FUNCTION_INFO_V1(kwjobs_queue_held);
PG_FUNCTION_INFO_V1(kwjobs_live);
PG_FUNCTION_INFO_V1(kwjobs_when_complete);

/*
 * Job statements and the library's own queries call this function. It does nothing: where the
 * extension is not installed, there is no such function, and the call raises the error.
 */
Datum
kwjobs_installed(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_may_show(PG_FUNCTION_ARGS)
{
	kwj_check_may("SHOW");
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_may_show_schedules(PG_FUNCTION_ARGS)
{
	kwj_schedule_check_may_show();
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_may_show_all(PG_FUNCTION_ARGS)
{
	kwj_check_admin("SHOW the history of all JOBS");
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_is_visible(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kwj_is_visible(PG_GETARG_OID(0)));
}

Datum
kwjobs_show_window(PG_FUNCTION_ARGS)
{
	Interval   *window = palloc0(sizeof(Interval));

	window->time = kwj_show_window * USECS_PER_SEC;
	PG_RETURN_INTERVAL_P(window);
}

/* A job, and whether the caller may see it. */
typedef struct Sight
{
	int64		job_id;
	bool		visible;
} Sight;

static void
look_up_owner(void *arg)
{
	Sight	   *sight = arg;
	Oid			owner;

	sight->visible = kwj_store_owner(sight->job_id, &owner) &&
		kwj_is_visible_by(KWJ_BY_FUNCTION, owner);
}

/*
 * Returns whether the caller may see a job with which something is wrong. A caller who may see the
 * jobs of all roles may see it without a look at its row. For others, a job whose row cannot be
 * read does not exist.
 */
static bool
may_see(int64 job_id)
{
	Sight		sight = {job_id, kwj_is_visible(InvalidOid)};

	if (sight.visible)
		return true;
	/* A parallel query can have no subtransactions. */
	if (IsInParallelMode())
		look_up_owner(&sight);
	else if (kwj_isolate_within_quietly(look_up_owner, &sight) != NULL)
		return false;
	return sight.visible;
}

/*
 * kwdb_internal.jobs calls this for each of its rows. Mostly no job is left alone, so that nothing
 * has to be looked up.
 */
Datum
kwjobs_left_alone(PG_FUNCTION_ARGS)
{
	int64		job_id = PG_GETARG_INT64(0);
	char	   *why = kwj_shared_ready() ? kwj_shared_why_aside(job_id) : NULL;

	if (why == NULL || !may_see(job_id))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(why));
}

static void
detoast(void *arg)
{
	Datum	   *value = arg;

	*value = PointerGetDatum(PG_DETOAST_DATUM_COPY(*value));
}

/*
 * Returns the text, or why it cannot be read. A text that is stored in the TOAST table may be lost,
 * after a crash of a disk for instance, and that must not keep all other jobs from being shown.
 */
Datum
kwjobs_readable(PG_FUNCTION_ARGS)
{
	Datum		value = PG_GETARG_DATUM(0);
	ErrorData  *edata;

	if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)) || IsInParallelMode())
		PG_RETURN_DATUM(value);
	edata = kwj_isolate_within_quietly(detoast, &value);
	if (edata != NULL)
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("(cannot be read: %s)", edata->message)));
	PG_RETURN_DATUM(value);
}

/*
 * Returns the text, shortened if it is long. Reads only its beginning, so that any row can be
 * shown.
 */
Datum
kwjobs_shown(PG_FUNCTION_ARGS)
{
	Datum		value = PG_GETARG_DATUM(0);
	Size		size = toast_raw_datum_size(value) - VARHDRSZ;
	text	   *beginning;
	int			kept;

	if (size <= KWJ_SHOWN_BOUND)
		PG_RETURN_DATUM(value);
	beginning = PG_GETARG_TEXT_P_SLICE(0, 0, KWJ_SHOWN_BOUND);
	kept = pg_mbcliplen(VARDATA_ANY(beginning), VARSIZE_ANY_EXHDR(beginning), KWJ_SHOWN_BOUND - 1);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%.*s ... (%zu more bytes)", kept,
											  VARDATA_ANY(beginning), size - kept)));
}

static TimestampTz
time_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? 0 : PG_GETARG_TIMESTAMPTZ(n);
}

/* Returns how many jobs the array names; *first becomes the first of them. */
static int
jobs_arg(FunctionCallInfo fcinfo, int n, int64 *first)
{
	Datum	   *ids;
	int			n_ids;

	if (PG_ARGISNULL(n))
		return 0;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &ids, NULL, &n_ids);
	if (n_ids > 0)
		*first = DatumGetInt64(ids[0]);
	return n_ids;
}

/* Returns the state of the server, which a query copies once, however many jobs it shows. */
static KwjRoom *
room_of_query(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = kwj_reason_look();
		MemoryContextSwitchTo(old);
	}
	return fcinfo->flinfo->fn_extra;
}

Datum
kwjobs_waiting(PG_FUNCTION_ARGS)
{
	KwjPending	job = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(4) ||
		!kwj_is_visible_by(KWJ_BY_FUNCTION, PG_GETARG_OID(0)))
		PG_RETURN_NULL();
	job.owner = PG_GETARG_OID(0);
	job.job_type = kwj_arg_text(fcinfo, 1);
	job.due = time_arg(fcinfo, 2);
	job.run_at = time_arg(fcinfo, 3);
	job.ready = PG_GETARG_BOOL(4);
	job.noted = kwj_arg_text(fcinfo, 5);
	job.n_depends_on = jobs_arg(fcinfo, 6, &job.depends_on);
	job.window = kwj_arg_text(fcinfo, 7);
	PG_RETURN_TEXT_P(cstring_to_text(kwj_reason_of(room_of_query(fcinfo), &job).text));
}

/* Returns why the jobs of the queue are held, as running_status shows it; NULL: they are not. */
Datum
kwjobs_queue_held(PG_FUNCTION_ARGS)
{
	char	   *why = NULL;

	if (!PG_ARGISNULL(0))
		why = kwj_reason_of_queue(room_of_query(fcinfo), kwj_arg_text(fcinfo, 0));
	if (why == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(why));
}

/* Returns when the attempt reported its last message; 0: it has reported none. */
static TimestampTz
last_message(const KwjLive *live)
{
	TimestampTz last = 0;
	ListCell   *lc;

	foreach(lc, kwj_shared_messages(live->job_id))
	{
		KwjMessages *messages = lfirst(lc);
		TimestampTz time;
		const char *text;
		int			position = 0;

		while (messages->attempt == live->attempt &&
			   kwj_messages_next(messages, &position, &time, &text))
			last = Max(last, time);
		pfree(messages);
	}
	return last;
}

static KwjShown
watch(const KwjLive *live)
{
	KwjWatched	job = {
		.job_id = live->job_id,
		.attempt = live->attempt,
		.pid = live->pid,
		.own_words = kwj_words_with_waits(live),
		.own_fraction = live->total > 0 ? kwj_live_fraction(live) : -1,
		.own_counters = hash_combine64(hash_combine64(live->done, live->rows),
									   hash_bytes((const unsigned char *) live->running_status,
												  strlen(live->running_status))),
		.statement = live->statement.number,
		.statements = live->statement.count,
		.counts = live->statement.counts,
		.file = &live->file,
		.scan_block = live->scan_block,
		.scan_blocks = live->scan_blocks,
		.began = live->since,
		.began_at_0 = live->attempt == 1,
		.noted = last_message(live),
		.sight = kwj_sight_of_slot(live->slot),
	};

	return kwj_watch(&job);
}

/* The columns of kwdb_internal.live(). */
enum
{
	LIVE_JOB_ID,
	LIVE_ATTEMPT,
	LIVE_PID,
	LIVE_RUNNING_STATUS,
	LIVE_FRACTION,
	LIVE_ROWS,
	LIVE_BYTES_DONE,
	LIVE_BYTES_TOTAL,
	LIVE_MOVED,
	LIVE_ETA,
	N_LIVE_COLUMNS
};

static void
put_live(const KwjLive *live, Tuplestorestate *store, TupleDesc desc)
{
	KwjShown	shown = watch(live);
	Datum		values[N_LIVE_COLUMNS] = {0};
	bool		nulls[N_LIVE_COLUMNS] = {0};

	values[LIVE_JOB_ID] = Int64GetDatum(live->job_id);
	values[LIVE_ATTEMPT] = Int32GetDatum(live->attempt);
	values[LIVE_PID] = Int32GetDatum(live->pid);
	nulls[LIVE_PID] = live->pid == 0;
	nulls[LIVE_RUNNING_STATUS] = shown.running_status == NULL;
	if (shown.running_status != NULL)
		values[LIVE_RUNNING_STATUS] = CStringGetTextDatum(shown.running_status);
	values[LIVE_FRACTION] = Float8GetDatum(shown.fraction);
	nulls[LIVE_FRACTION] = shown.fraction < 0;
	values[LIVE_ROWS] = Int64GetDatum((int64) live->rows);
	nulls[LIVE_ROWS] = live->total == 0;
	values[LIVE_BYTES_DONE] = Int64GetDatum((int64) live->done);
	values[LIVE_BYTES_TOTAL] = Int64GetDatum((int64) live->total);
	values[LIVE_MOVED] = TimestampTzGetDatum(shown.moved);
	nulls[LIVE_MOVED] = shown.moved == 0;
	values[LIVE_ETA] = TimestampTzGetDatum(shown.eta);
	nulls[LIVE_ETA] = shown.eta == 0;
	tuplestore_putvalues(store, desc, values, nulls);
}

Datum
kwjobs_live(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store = kwj_materialize(fcinfo, &desc);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look;
	KwjLive    *live;
	int			n;

	if (!kwj_shared_ready())
		return (Datum) 0;
	live = palloc(sizeof(KwjLive) * kwj_worker_slots);
	n = kwj_shared_live_attempts(live);
	look = kwj_watch_context();
	for (int i = 0; i < n; i++)
	{
		if (!kwj_is_visible_by(KWJ_BY_FUNCTION, live[i].owner))
			continue;
		MemoryContextSwitchTo(look);
		put_live(&live[i], store, desc);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(look);
	}
	MemoryContextDelete(look);
	return (Datum) 0;
}

static void
return_jobs(ArrayType *job_ids, Tuplestorestate *store)
{
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {PointerGetDatum(job_ids)};

	/* The transaction's own snapshot may be older than the end of the jobs. */
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute_with_args(kwj_may_ask() ?
							  "SELECT * FROM pg_catalog.kwjobs_server_jobs(false, $1) WHERE " KWJ_EXTENSION_EXISTS :
							  "SELECT * FROM kwdb_internal.jobs"
							  " WHERE " KWJ_EXTENSION_EXISTS " AND job_id OPERATOR(pg_catalog.=) ANY ($1)",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read kwdb_internal.jobs");
	PopActiveSnapshot();
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(store, SPI_tuptable->vals[i]);
}

Datum
kwjobs_when_complete(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store = kwj_materialize(fcinfo, &desc);
	ArrayType  *job_ids = kwj_visible_jobs(PG_GETARG_ARRAYTYPE_P(0));

	kwj_wait_for_all(job_ids, DT_NOEND);
	SPI_connect();
	return_jobs(job_ids, store);
	SPI_finish();
	return (Datum) 0;
}

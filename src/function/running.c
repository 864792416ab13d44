/*
 * src/function/running.c
 *	  SQL-callable: what the workers of all databases do now.
 *
 * Process: sessions. Locks: kwj_shared->lock, shared, and the spinlocks of the slots, for a
 * moment.
 */
#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "function/rows.h"
#include "job/encoding.h"
#include "job/progress.h"
#include "job/status.h"
#include "lifecycle/control.h"
#include "miscadmin.h"
#include "shared/init.h"
#include "shared/live.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kwjobs_running_attempts);

/*
 * A request shows as soon as the coordinator has delivered it to the worker, which is a moment
 * after it was committed.
 */
static KwjStatus
status_of(const KwjLive *live)
{
	switch (live->request)
	{
		case KWJ_REQUEST_PAUSE:
			return live->stands ? KWJ_PAUSED : KWJ_PAUSE_REQUESTED;
		case KWJ_REQUEST_CANCEL:
			return KWJ_CANCEL_REQUESTED;
		default:
			return live->reverting ? KWJ_REVERTING : KWJ_RUNNING;
	}
}

static Datum
name_or_null(const char *name, bool *isnull)
{
	*isnull = name == NULL;
	return name ? DirectFunctionCall1(namein, CStringGetDatum(name)) : (Datum) 0;
}

static void
put_attempt(const KwjLive *live, TupleDesc desc, Tuplestorestate *store)
{
	Datum		values[12] = {0};
	bool		nulls[12] = {0};

	/* The database or the role may have been dropped just now. */
	values[0] = name_or_null(get_database_name(live->dboid), &nulls[0]);
	values[1] = Int64GetDatum(live->job_id);
	values[2] = Int32GetDatum(live->attempt);
	values[3] = CStringGetTextDatum(live->job_type);
	values[4] = name_or_null(GetUserNameFromId(live->owner, true), &nulls[4]);
	values[5] = Int32GetDatum(live->pid);
	nulls[5] = live->pid == 0;
	values[6] = CStringGetTextDatum(kwj_status_name(status_of(live)));
	nulls[7] = live->running_status[0] == '\0';
	if (!nulls[7])
		values[7] = CStringGetTextDatum(kwj_text_from_encoding(live->running_status,
																	 live->encoding));
	values[8] = Float8GetDatum(kwj_live_fraction(live));
	nulls[8] = live->total == 0;
	values[9] = Int64GetDatum((int64) live->rows);
	values[10] = TimestampTzGetDatum(live->since);
	values[11] = Int32GetDatum(live->part);
	tuplestore_putvalues(store, desc, values, nulls);
}

Datum
kwjobs_running_attempts(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Tuplestorestate *store;
	KwjLive    *live;
	int			n;

	kwj_check_may("SHOW");
	store = kwj_materialize(fcinfo, &desc);
	if (!kwj_shared_ready())
		return (Datum) 0;
	live = palloc(sizeof(KwjLive) * kwj_worker_slots);
	n = kwj_shared_live(live, true);
	for (int i = 0; i < n; i++)
		if (kwj_is_visible(live[i].owner))
			put_attempt(&live[i], desc, store);
	return (Datum) 0;
}

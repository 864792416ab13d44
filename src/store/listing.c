/*
 * src/store/listing.c
 *	  The jobs of this database, for sessions of other databases.
 *
 * Caller: the coordinator (coordinator/answer.c), which has checked that the session may see them.
 * Locks: AccessShareLock on the tables of kwjobs, until the end of the transaction.
 *
 * A job is sent as a JSON object, because the other database may have kwjobs in another version: a
 * column that only one of them knows is left out there, or NULL.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/listing.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/*
 * Shortens the long texts of a job, as SHOW JOBS does with those that it shows. Leaves out five
 * columns that may be long, too, and that SHOW JOBS does not show.
 */
#define AS_JSON(jobs) \
	"SELECT (to_jsonb(j) - '{payload,result,cause,tags,notify}'::text[] || jsonb_build_object(" \
	" 'description', kwjobs_shown(j.description), 'statement', kwjobs_shown(j.statement)," \
	" 'error', kwjobs_shown(j.error), 'error_detail', kwjobs_shown(j.error_detail)," \
	" 'error_context', kwjobs_shown(j.error_context), 'error_hint', kwjobs_shown(j.error_hint)," \
	" 'request_reason', kwjobs_shown(j.request_reason)))::text AS job FROM (" jobs ") AS j"

#define IN_WINDOW \
	" AND (finished IS NULL OR finished > now() - kwjobs_show_window())"

#define IN_ORDER \
	" ORDER BY coalesce(finished, now()) DESC, started DESC LIMIT $1"

/* kwjobs_first() finds the first jobs of SHOW JOBS without reading all of them. */
static KwjQuery window_query = {
	AS_JSON("SELECT * FROM kwdb_internal.jobs WHERE job_id = ANY (ARRAY(SELECT kwjobs_first($1, 0)))"
			IN_WINDOW IN_ORDER),
	1, {INT8OID}, true
};

static KwjQuery automatic_query = {
	AS_JSON("SELECT * FROM kwdb_internal.jobs WHERE job_type = 'AUTO_CREATE_STATS'"
			IN_WINDOW IN_ORDER),
	1, {INT8OID}, true
};

static KwjQuery ids_query = {
	AS_JSON("SELECT * FROM kwdb_internal.jobs WHERE job_id = ANY ($2)" IN_ORDER),
	2, {INT8OID, INT8ARRAYOID}, true
};

/* Until the end of the transaction, kwjobs_show_window() returns this. */
static void
set_window(int window)
{
	(void) set_config_option("kwjobs.show_window", psprintf("%ds", window),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

void
kwj_store_list_jobs(bool automatic, int window, const int64 *ids, int n_ids, int most,
					KwjListing *listing)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(most + 1)};
	KwjQuery   *query = automatic ? &automatic_query : &window_query;
	MemoryContext old;
	int			n;

	set_window(window);
	kwj_store_enter(&scope);
	if (n_ids >= 0)
	{
		query = &ids_query;
		values[1] = kwj_jobs_arg(ids, n_ids);
	}
	n = (int) kwj_query_run(query, values, NULL, true);
	listing->jobs = NIL;
	listing->more = n > most;
	old = MemoryContextSwitchTo(scope.caller);
	for (int i = 0; i < Min(n, most); i++)
		listing->jobs = lappend(listing->jobs, kwj_row_text(i, "job", scope.caller));
	MemoryContextSwitchTo(old);
	kwj_store_leave(&scope);
}

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
#include "miscadmin.h"
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
	1, {INT8OID}
};

static KwjQuery automatic_query = {
	AS_JSON("SELECT * FROM kwdb_internal.jobs WHERE job_type = 'AUTO_CREATE_STATS'"
			IN_WINDOW IN_ORDER),
	1, {INT8OID}
};

static KwjQuery ids_query = {
	AS_JSON("SELECT * FROM kwdb_internal.jobs WHERE job_id = ANY ($2)" IN_ORDER),
	2, {INT8OID, INT8ARRAYOID}
};

/*
 * What a session that waits needs to know: a JSON object without NULLs, save in the result, which
 * may be any JSON.
 */
static KwjQuery outcome_query = {
	"SELECT (jsonb_strip_nulls(jsonb_build_object('status', j.status, 'over', j.finished IS NOT NULL,"
	" 'rows', j.rows, 'fraction', j.fraction_completed::text,"
	" 'running_status', kwjobs_shown(j.running_status),"
	" 'error', kwjobs_shown(j.error), 'error_code', j.error_code,"
	" 'error_detail', kwjobs_shown(j.error_detail), 'error_hint', kwjobs_shown(j.error_hint),"
	" 'error_context', kwjobs_shown(j.error_context),"
	" 'tags', (SELECT a.tags FROM kwdb_internal.job_attempts AS a"
	"  WHERE a.job_id = j.job_id AND a.status = 'succeeded' AND NOT a.reverting"
	"  ORDER BY a.attempt DESC LIMIT 1)))"
	" || CASE WHEN j.result IS NULL THEN '{}' ELSE jsonb_build_object('result', j.result) END)::text AS job"
	" FROM kwdb_internal.jobs AS j WHERE j.job_id = ANY ($2) LIMIT $1",
	2, {INT8OID, INT8ARRAYOID}
};

/* NULL: some job is not over. */
static KwjQuery newest_query = {
	"SELECT CASE WHEN NOT EXISTS (SELECT FROM kwjobs.job AS u WHERE u.finished IS NULL)"
	" THEN coalesce((SELECT j.finished FROM kwjobs.job AS j WHERE j.finished IS NOT NULL"
	"  ORDER BY j.finished DESC LIMIT 1), '-infinity') END AS newest",
	0, {0}
};

/* Until the end of the transaction, kwjobs_show_window() returns this. */
static void
set_window(int window)
{
	(void) set_config_option("kwjobs.show_window", psprintf("%ds", window),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Runs one of the queries; ids: NULL for those without ids. It runs as the role that asks, so that
 * the role sees of other sessions what it would see in this database: not what needs
 * pg_read_all_stats, if it does not have that.
 */
static void
list(Oid role, KwjQuery *query, const int64 *ids, int n_ids, int most, KwjListing *listing)
{
	KwjStoreScope scope;
	Datum		values[2] = {Int64GetDatum(most + 1)};
	MemoryContext old;
	Oid			user;
	int			security;
	int			n;

	kwj_store_enter(&scope);
	if (ids != NULL)
		values[1] = kwj_jobs_arg(ids, n_ids);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(role, security);
	n = (int) kwj_query_run(query, values, NULL, true);
	SetUserIdAndSecContext(user, security);
	listing->jobs = NIL;
	listing->more = n > most;
	old = MemoryContextSwitchTo(scope.caller);
	for (int i = 0; i < Min(n, most); i++)
		listing->jobs = lappend(listing->jobs, kwj_row_text(i, "job", scope.caller));
	MemoryContextSwitchTo(old);
	kwj_store_leave(&scope);
}

void
kwj_store_list_jobs(Oid role, bool automatic, int window, const int64 *ids, int n_ids,
					int most, KwjListing *listing)
{
	set_window(window);
	if (n_ids >= 0)
		list(role, &ids_query, ids, n_ids, most, listing);
	else
		list(role, automatic ? &automatic_query : &window_query, NULL, 0, most, listing);
}

void
kwj_store_list_outcomes(Oid role, const int64 *ids, int n_ids, KwjListing *listing)
{
	list(role, &outcome_query, ids, n_ids, n_ids, listing);
}

TimestampTz
kwj_store_newest_end(void)
{
	KwjStoreScope scope;
	Datum		newest;
	bool		isnull;

	kwj_store_enter(&scope);
	kwj_query_run(&newest_query, NULL, NULL, false);
	newest = kwj_row_datum(0, "newest", &isnull);
	kwj_store_leave(&scope);
	return isnull ? DT_NOEND : DatumGetTimestampTz(newest);
}

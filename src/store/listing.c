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
#include "job/transaction.h"
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

static KwjQuery all_query = {
	"SELECT i::text AS job FROM kwjobs_all_jobs($2, $3) AS i LIMIT $1", 3, {INT8OID, TEXTOID, TEXTOID}
};

/*
 * Queries of functions that read our tables by queries of their own: $1 is the job. Times are sent as
 * numbers, which no setting changes; 946684800 s: from 1970 to 2000.
 */
static const char *const messages_query =
	"SELECT jsonb_strip_nulls(jsonb_build_object('attempt', m.attempt,"
	" 'at', ((extract(epoch FROM m.at) - 946684800) * 1000000)::bigint,"
	" 'severity', m.severity, 'message', m.message))::text AS job"
	" FROM (SELECT j.job_id FROM kwdb_internal.jobs AS j WHERE j.job_id = $1) AS j, kwjobs.messages(j.job_id) AS m";

static const char *const why_query =
	"SELECT kwjobs.why(j.job_id) AS job FROM kwdb_internal.jobs AS j WHERE j.job_id = $1";

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
	kwj_set_locally("kwjobs.show_window", psprintf("%ds", window));
}

/*
 * Runs one of the queries. values: its arguments, the first of which this function sets. It runs as
 * the role that asks, so that the role sees of other sessions what it would see in this database: not
 * what needs pg_read_all_stats, if it does not have that.
 */
static void
run_as(Oid role, KwjQuery *query, Datum *values, const char *nulls, int most, KwjListing *listing)
{
	KwjStoreScope scope;
	MemoryContext old;
	Oid			user;
	int			security;
	int			n;

	values[0] = Int64GetDatum(most + 1);
	kwj_store_enter(&scope);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(role, security);
	n = (int) kwj_query_run(query, values, nulls, true);
	SetUserIdAndSecContext(user, security);
	listing->jobs = NIL;
	listing->more = n > most;
	old = MemoryContextSwitchTo(scope.caller);
	for (int i = 0; i < Min(n, most); i++)
		listing->jobs = lappend(listing->jobs, kwj_row_text(i, "job", scope.caller));
	MemoryContextSwitchTo(old);
	kwj_store_leave(&scope);
}

/* Runs one of the queries for jobs; ids: NULL for those without ids. */
static void
list(Oid role, KwjQuery *query, const int64 *ids, int n_ids, int most, KwjListing *listing)
{
	Datum		values[2] = {0};

	if (ids != NULL)
		values[1] = kwj_jobs_arg(ids, n_ids);
	run_as(role, query, values, NULL, most, listing);
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

void
kwj_store_list_all(Oid role, KwjVerb verb, const char *job_type, int most, KwjListing *listing)
{
	Datum		values[3] = {0};
	char		nulls[3] = {' ', ' ', ' '};
	char	   *name = pstrdup(kwj_verb_name(verb));

	/* kwjobs_all_jobs() has verbs in lower case. */
	for (char *c = name; *c != '\0'; c++)
		*c = pg_tolower((unsigned char) *c);
	values[1] = CStringGetTextDatum(name);
	kwj_text_arg(&values[2], &nulls[2], job_type[0] != '\0' ? job_type : NULL);
	run_as(role, &all_query, values, nulls, most, listing);
}

/*
 * Runs one of the queries of functions, as this role. It must not stand between kwj_store_enter() and
 * kwj_store_leave(), because the functions use these themselves.
 */
static void
run_functions(Oid role, const char *query, int64 job_id, int most, KwjListing *listing)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(job_id)};
	int			guc_level = NewGUCNestLevel();
	Oid			user;
	int			security;
	int			n;

	kwj_set_in_level("search_path", "pg_catalog, pg_temp");
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(role, security | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(query, 1, types, values, NULL, true, most + 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read what a job says");
	n = (int) SPI_processed;
	listing->jobs = NIL;
	listing->more = n > most;
	MemoryContextSwitchTo(caller);
	for (int i = 0; i < Min(n, most); i++)
		listing->jobs = lappend(listing->jobs, kwj_row_text(i, "job", caller));
	SPI_finish();
	SetUserIdAndSecContext(user, security);
	AtEOXact_GUC(true, guc_level);
}

void
kwj_store_list_messages(Oid role, int64 job_id, int most, KwjListing *listing)
{
	run_functions(role, messages_query, job_id, most, listing);
}

void
kwj_store_list_why(Oid role, int64 job_id, KwjListing *listing)
{
	run_functions(role, why_query, job_id, 1, listing);
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

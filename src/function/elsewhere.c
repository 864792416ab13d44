/*
 * src/function/elsewhere.c
 *	  SQL-callable: jobs of the other databases of this server.
 *
 * Process: sessions. Locks: those of lifecycle/elsewhere.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "function/args.h"
#include "function/rows.h"
#include "job/json.h"
#include "lifecycle/elsewhere.h"
#include "lifecycle/errands.h"
#include "lifecycle/withdraw.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_elsewhere);
PG_FUNCTION_INFO_V1(kwjobs_all_elsewhere);
PG_FUNCTION_INFO_V1(kwjobs_found_elsewhere);
PG_FUNCTION_INFO_V1(kwjobs_withdraw_errand);

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

static void
put_job(Oid database, const char *name, const char *job, void *arg)
{
	Rows	   *rows = arg;
	Datum		values[2] = {CStringGetTextDatum(name), JsonbPGetDatum(kwj_json_parse(job))};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
}

Datum
kwjobs_elsewhere(PG_FUNCTION_ARGS)
{
	Rows		rows;
	KwjTake		take = {.job = put_job, .arg = &rows};
	bool		automatic = kwj_arg_flag(fcinfo, 0);
	int			n;
	int64	   *ids = kwj_arg_ids(fcinfo, 1, &n);

	kwj_errands_wait();
	rows.store = kwj_materialize(fcinfo, &rows.desc);
	kwj_jobs_elsewhere(automatic, ids, PG_ARGISNULL(1) ? -1 : n, &take);
	return (Datum) 0;
}

/* Puts a job into the tuplestore of a Rows. */
static void
put_found(const KwjFoundJob *job, void *arg)
{
	Rows	   *rows = arg;
	Datum		values[2] = {Int64GetDatum(job->job_id), ObjectIdGetDatum(job->database)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
}

/*
 * Returns the jobs of other databases that PAUSE ALL JOBS and its like control, besides those of this one.
 * The arguments are the verb and the type of the jobs, which is NULL for all types.
 */
Datum
kwjobs_all_elsewhere(PG_FUNCTION_ARGS)
{
	char	   *name = kwj_arg_text(fcinfo, 0);
	char	   *type = kwj_arg_text(fcinfo, 1);
	Rows		rows;
	KwjVerb		verb;
	KwjFoundJob *jobs;
	int			n;

	rows.store = kwj_materialize(fcinfo, &rows.desc);
	if (name == NULL || !kwj_verb_from_name(name, &verb))
		return (Datum) 0;
	jobs = kwj_errands_find_all(verb, type, &n);
	for (int i = 0; i < n; i++)
		put_found(&jobs[i], &rows);
	return (Datum) 0;
}

/*
 * Returns the jobs of other databases that kwjobs_job_id() or kwjobs_job_ids() has found earlier in the same
 * statement. The view kwjobs.job_control has them beside the jobs of this database, so that PAUSE JOB and its
 * like find and count them.
 */
Datum
kwjobs_found_elsewhere(PG_FUNCTION_ARGS)
{
	Rows		rows;

	rows.store = kwj_materialize(fcinfo, &rows.desc);
	kwj_errands_found(put_found, &rows);
	return (Datum) 0;
}

Datum
kwjobs_withdraw_errand(PG_FUNCTION_ARGS)
{
	kwj_withdraw_errand(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

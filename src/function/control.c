/*
 * src/function/control.c
 *	  SQL-callable: PAUSE, RESUME, CANCEL JOB.
 *
 * This file only converts arguments and results; lifecycle/control.c does the work. Process:
 * sessions. Locks: the rows of the jobs that are controlled, until the end of the transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "function/args.h"
#include "job/ids.h"
#include "lifecycle/alter.h"
#include "lifecycle/control.h"
#include "type/type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(kwjobs_may_control);
PG_FUNCTION_INFO_V1(kwjobs_job_id);
PG_FUNCTION_INFO_V1(kwjobs_job_ids);
PG_FUNCTION_INFO_V1(kwjobs_job_type);
PG_FUNCTION_INFO_V1(kwjobs_control);
PG_FUNCTION_INFO_V1(kwjobs_control_trigger);
PG_FUNCTION_INFO_V1(kwjobs_pause);
PG_FUNCTION_INFO_V1(kwjobs_resume);
PG_FUNCTION_INFO_V1(kwjobs_cancel);
PG_FUNCTION_INFO_V1(kwjobs_retry);
PG_FUNCTION_INFO_V1(kwjobs_retry_jobs);
PG_FUNCTION_INFO_V1(kwjobs_run_now);
PG_FUNCTION_INFO_V1(kwjobs_close);
PG_FUNCTION_INFO_V1(kwjobs_control_jobs);
PG_FUNCTION_INFO_V1(kwjobs_control_all);
PG_FUNCTION_INFO_V1(kwjobs_pause_jobs);
PG_FUNCTION_INFO_V1(kwjobs_resume_jobs);
PG_FUNCTION_INFO_V1(kwjobs_cancel_jobs);

static KwjVerb
verb_from_text(const text *value)
{
	char	   *name = value ? text_to_cstring(value) : "";
	KwjVerb		verb;

	if (!kwj_verb_from_name(name, &verb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown control verb \"%s\"", name),
				 errhint("Valid verbs are \"pause\", \"resume\", \"cancel\" and \"retry\".")));
	return verb;
}

Datum
kwjobs_may_control(PG_FUNCTION_ARGS)
{
	kwj_check_may(kwj_verb_name(verb_from_text(PG_GETARG_TEXT_PP(0))));
	PG_RETURN_BOOL(true);
}

Datum
kwjobs_job_id(PG_FUNCTION_ARGS)
{
	int64		job_id = PG_GETARG_INT64(0);

	kwj_check_controllable(KWJ_BY_STATEMENT, &job_id, 1);
	PG_RETURN_INT64(job_id);
}

/* Checks all ids at once, so that other databases are asked once for all that are not here. */
Datum
kwjobs_job_ids(PG_FUNCTION_ARGS)
{
	int			n;
	int64	   *ids = kwj_arg_ids(fcinfo, 0, &n);

	kwj_check_controllable(KWJ_BY_STATEMENT, ids, n);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

Datum
kwjobs_job_type(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(kwj_arg_type(fcinfo, 0)));
}

/* Does what kwjobs.pause(job_id, reason) and its like do. Does nothing if the id is NULL. */
static void
control(FunctionCallInfo fcinfo, KwjVerb verb)
{
	char	   *reason = kwj_arg_text(fcinfo, 1);

	if (!PG_ARGISNULL(0))
		kwj_control(KWJ_BY_FUNCTION, verb, PG_GETARG_INT64(0), reason, kwj_type_allows);
}

Datum
kwjobs_pause(PG_FUNCTION_ARGS)
{
	control(fcinfo, KWJ_PAUSE);
	PG_RETURN_VOID();
}

Datum
kwjobs_resume(PG_FUNCTION_ARGS)
{
	control(fcinfo, KWJ_RESUME);
	PG_RETURN_VOID();
}

Datum
kwjobs_cancel(PG_FUNCTION_ARGS)
{
	control(fcinfo, KWJ_CANCEL);
	PG_RETURN_VOID();
}

Datum
kwjobs_retry(PG_FUNCTION_ARGS)
{
	control(fcinfo, KWJ_RETRY);
	PG_RETURN_VOID();
}

Datum
kwjobs_run_now(PG_FUNCTION_ARGS)
{
	kwj_run_now(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

Datum
kwjobs_close(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		kwj_close(PG_GETARG_INT64(0), kwj_arg_text(fcinfo, 1));
	PG_RETURN_VOID();
}

/*
 * PAUSE JOB and its like call this in SET verb = ... of their UPDATE of kwjobs.job_control. It
 * returns NULL, so that the trigger of the view has nothing left to do.
 */
Datum
kwjobs_control(PG_FUNCTION_ARGS)
{
	KwjVerb		verb = verb_from_text(PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	char	   *reason = kwj_arg_text(fcinfo, 2);

	kwj_check_may(kwj_verb_name(verb));
	if (!PG_ARGISNULL(0))
		kwj_control(KWJ_BY_STATEMENT, verb, PG_GETARG_INT64(0), reason, kwj_type_allows);
	PG_RETURN_NULL();
}

/*
 * The ids in the first argument have been checked by kwjobs_job_ids. Returns the ids of the jobs
 * that were controlled; the statement counts them for its command tag.
 */
static Datum
control_checked(FunctionCallInfo fcinfo, bool all)
{
	KwjVerb		verb = verb_from_text(PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	char	   *reason = kwj_arg_text(fcinfo, 2);
	int			n;
	int64	   *ids = kwj_arg_ids(fcinfo, 0, &n);

	n = kwj_control_many(KWJ_BY_STATEMENT, verb, ids, n, all, reason, kwj_type_allows);
	PG_RETURN_ARRAYTYPE_P(kwj_array_of_ids(ids, n));
}

/* PAUSE JOBS and its like call this. */
Datum
kwjobs_control_jobs(PG_FUNCTION_ARGS)
{
	return control_checked(fcinfo, false);
}

/* PAUSE ALL JOBS and its like call this. */
Datum
kwjobs_control_all(PG_FUNCTION_ARGS)
{
	return control_checked(fcinfo, true);
}

/*
 * Does what kwjobs.pause_jobs(job_ids, reason) and its like do. Returns how many jobs were
 * controlled.
 */
static Datum
control_jobs(FunctionCallInfo fcinfo, KwjVerb verb)
{
	char	   *reason = kwj_arg_text(fcinfo, 1);
	int			n;
	int64	   *ids = kwj_arg_ids(fcinfo, 0, &n);

	kwj_check_controllable(KWJ_BY_FUNCTION, ids, n);
	PG_RETURN_INT64(kwj_control_many(KWJ_BY_FUNCTION, verb, ids, n, false, reason, kwj_type_allows));
}

Datum
kwjobs_pause_jobs(PG_FUNCTION_ARGS)
{
	return control_jobs(fcinfo, KWJ_PAUSE);
}

Datum
kwjobs_resume_jobs(PG_FUNCTION_ARGS)
{
	return control_jobs(fcinfo, KWJ_RESUME);
}

Datum
kwjobs_cancel_jobs(PG_FUNCTION_ARGS)
{
	return control_jobs(fcinfo, KWJ_CANCEL);
}

Datum
kwjobs_retry_jobs(PG_FUNCTION_ARGS)
{
	return control_jobs(fcinfo, KWJ_RETRY);
}

/*
 * Returns a column of the trigger's row; (Datum) 0 for NULL. Its type is checked because anybody
 * may give a view of theirs this trigger.
 */
static Datum
column_of(HeapTuple tuple, TupleDesc desc, const char *name, Oid type)
{
	bool		isnull;
	int			number = SPI_fnumber(desc, name);
	Datum		value;

	if (number <= 0 || SPI_gettypeid(desc, number) != type)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("kwdb_internal.control_trigger() must be the trigger of view kwjobs.job_control"),
				 errhint("Use PAUSE JOB, RESUME JOB or CANCEL JOB.")));
	value = heap_getattr(tuple, number, desc, &isnull);
	return isnull ? (Datum) 0 : value;
}

/*
 * The trigger INSTEAD OF UPDATE of kwjobs.job_control. It acts if a user updates the view by hand;
 * in the UPDATE that a job statement becomes, verb is NULL, and there is nothing to do.
 */
Datum
kwjobs_control_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	Datum		verb,
				reason;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("kwdb_internal.control_trigger() must be called as an INSTEAD OF UPDATE trigger"),
				 errhint("Use PAUSE JOB, RESUME JOB or CANCEL JOB.")));

	desc = RelationGetDescr(trigger->tg_relation);
	verb = column_of(trigger->tg_newtuple, desc, "verb", TEXTOID);
	reason = column_of(trigger->tg_newtuple, desc, "reason", TEXTOID);
	if (verb == (Datum) 0)
		return PointerGetDatum(trigger->tg_newtuple);
	kwj_control(KWJ_BY_STATEMENT, verb_from_text(DatumGetTextPP(verb)),
				DatumGetInt64(column_of(trigger->tg_trigtuple, desc, "job_id", INT8OID)),
				reason ? TextDatumGetCString(reason) : NULL,
				kwj_type_allows);
	return PointerGetDatum(trigger->tg_newtuple);
}

/*
 * src/function/schedule.c
 *	  SQL-callable: CREATE, ALTER, PAUSE, RESUME and DROP SCHEDULE, and their function twins.
 *
 * This file only converts arguments and results; lifecycle/schedule.c does the work. Process: sessions,
 * and workers whose statement does it. Locks: those of lifecycle/schedule.c; when a schedule is
 * created, also those that the type of its job takes when it checks the job.
 *
 * The statements call kwjobs_<name> in pg_catalog, users kwjobs.<name>. Both are the same C function, which
 * checks other rights for a statement than for a user (lifecycle/schedule.h). It sees in fcinfo which of the
 * two was called.
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "function/args.h"
#include "job/ids.h"
#include "job/json.h"
#include "job/schedule_clock.h"
#include "job/transaction.h"
#include "lifecycle/bounds.h"
#include "lifecycle/due_times.h"
#include "lifecycle/schedule.h"
#include "shared/init.h"
#include "shared/looked.h"
#include "shared/room.h"
#include "store/due_times.h"
#include "type/create.h"
#include "type/import/settings.h"
#include "type/sql/sql.h"
#include "type/type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(kwjobs_for_schedule);
PG_FUNCTION_INFO_V1(kwjobs_for_altered_schedule);
PG_FUNCTION_INFO_V1(kwjobs_wants_job);
PG_FUNCTION_INFO_V1(kwjobs_create_schedule_of_job);
PG_FUNCTION_INFO_V1(kwjobs_alter_schedule_of_job);
PG_FUNCTION_INFO_V1(kwjobs_create_schedule);
PG_FUNCTION_INFO_V1(kwjobs_alter_schedule);
PG_FUNCTION_INFO_V1(kwjobs_pause_schedule);
PG_FUNCTION_INFO_V1(kwjobs_resume_schedule);
PG_FUNCTION_INFO_V1(kwjobs_drop_schedule);
PG_FUNCTION_INFO_V1(kwjobs_drop_schedules);
PG_FUNCTION_INFO_V1(kwjobs_drop_trigger);
PG_FUNCTION_INFO_V1(kwjobs_run_schedule);
PG_FUNCTION_INFO_V1(kwjobs_schedule_jobs);
PG_FUNCTION_INFO_V1(kwjobs_clock);
PG_FUNCTION_INFO_V1(kwjobs_coordinator_state);
PG_FUNCTION_INFO_V1(kwjobs_last_tick);

/* Returns who has called the function: a statement, if it is the one in pg_catalog, otherwise a user. */
static KwjBy
called_by(FunctionCallInfo fcinfo)
{
	return get_func_namespace(fcinfo->flinfo->fn_oid) == PG_CATALOG_NAMESPACE ? KWJ_BY_STATEMENT : KWJ_BY_FUNCTION;
}

static const char *
name_or_default(FunctionCallInfo fcinfo, int number)
{
	char	   *name = kwj_arg_text(fcinfo, number);

	return name != NULL ? name : kwj_schedule_default_name();
}

/*
 * Has the job that the next argument creates become a template (lifecycle/template.c). If the statement has
 * nothing to do, none is wanted, and the job is not even checked.
 */
static void
want_template(bool wanted)
{
	if (wanted)
		kwj_template_want();
	else
		kwj_template_skip();
}

/*
 * CREATE SCHEDULE ... FOR a job statement becomes a CALL whose first argument is a call of this function. Its
 * own arguments are the name, and whether a schedule of this name may exist. It checks them, decides what
 * becomes of the job in the second argument (want_template), and returns the name.
 */
Datum
kwjobs_for_schedule(PG_FUNCTION_ARGS)
{
	const char *name = name_or_default(fcinfo, 0);

	want_template(kwj_schedule_check_new(KWJ_BY_STATEMENT, name, kwj_arg_flag(fcinfo, 1)));
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * Does the same for ALTER SCHEDULE ... FOR a job statement. Its own arguments are the name, and whether it is
 * no error if there is no such schedule.
 */
Datum
kwjobs_for_altered_schedule(PG_FUNCTION_ARGS)
{
	char	   *name = kwj_arg_text(fcinfo, 0);

	want_template(kwj_schedule_check_change(KWJ_BY_STATEMENT, name, kwj_arg_flag(fcinfo, 1)));
	PG_RETURN_TEXT_P(cstring_to_text(name ? name : ""));
}

/*
 * The second argument of these procedures asks this: returns whether the job is to be checked and become a
 * template.
 */
Datum
kwjobs_wants_job(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kwj_template_is_wanted());
}

/* Makes a template of a job of this type. */
static KwjTemplate *
template_of(const KwjType *type, Jsonb *arguments, Jsonb *options)
{
	KwjNewJob	job;

	kwj_new_job(&job, type->name);
	kwj_schedule_job_options(options, &job);
	kwj_template_want();
	(void) kwj_create_job(type, arguments, &job);
	return kwj_template_take();
}

/* Makes a template of a SQL job with this statement. */
static KwjTemplate *
template_of_sql(const char *statement, Jsonb *options)
{
	KwjNewSql	sql = {.statement = statement, .settings = kwj_json_empty(), .names_exist = true};
	KwjNewJob	job;

	kwj_check_size("argument \"statement\" of a job", strlen(statement), KWJ_TEXT_BOUND, KWJ_LONG_STATEMENT_HINT);
	kwj_new_job(&job, kwj_type_sql.name);
	kwj_schedule_job_options(options, &job);
	kwj_sql_validate(&sql, &job);
	kwj_template_want();
	(void) kwj_create_checked(&kwj_type_sql, &job);
	return kwj_template_take();
}

/*
 * Makes a template of the SQL job that runs the option failure_statement as this owner; NULL if the option
 * is not given, or empty. Its arguments have no values yet. When a run has failed, the coordinator sets them.
 */
static KwjTemplate *
template_of_failure(Jsonb *options, Oid owner)
{
	char	   *statement = kwj_schedule_failure_statement(options);
	KwjNewSql	sql = {.statement = statement, .settings = kwj_json_empty(), .spare_arguments = true};
	KwjNewJob	job;

	if (statement == NULL)
		return NULL;
	kwj_check_size("option \"failure_statement\" of a schedule", strlen(statement), KWJ_TEXT_BOUND,
				   KWJ_LONG_STATEMENT_HINT);
	kwj_new_job(&job, kwj_type_sql.name);
	job.owner = owner;
	sql.arguments = kwj_json_parse(KWJ_FAILURE_ARGUMENTS);
	kwj_sql_validate(&sql, &job);
	kwj_template_want();
	(void) kwj_submit(&job);
	return kwj_template_take();
}

/*
 * CREATE SCHEDULE name FOR a job statement. Arguments: the name, by kwjobs_for_schedule; the job, which
 * has become a template, unless there is such a schedule already; the expression (NULL: NEVER); the options;
 * IF NOT EXISTS.
 */
Datum
kwjobs_create_schedule_of_job(PG_FUNCTION_ARGS)
{
	KwjScheduleChange change = {
		.name = kwj_arg_text(fcinfo, 0),
		.has_recurrence = true,
		.cron = kwj_arg_text(fcinfo, 2),
		.options = kwj_arg_jsonb(fcinfo, 3),
		.check_job = kwj_create_check_runs,
		.if_exists = kwj_arg_flag(fcinfo, 4),
		.template = kwj_template_take(),
	};

	if (change.template == NULL)
		PG_RETURN_VOID();
	change.failure = template_of_failure(change.options, change.template->owner);
	(void) kwj_schedule_create(KWJ_BY_STATEMENT, &change, false);
	PG_RETURN_VOID();
}

/* The arguments of kwjobs.create_schedule and kwjobs.alter_schedule, in their order. */
enum
{
	ARG_NAME,
	ARG_RECURRING,
	ARG_STATEMENT,
	ARG_JOB_TYPE,
	ARG_ARGUMENTS,
	ARG_OPTIONS,
	ARG_IF,
};

/* Returns the expression; NULL for NULL and 'never'. */
static const char *
cron_of(const char *recurring)
{
	return recurring != NULL && pg_strcasecmp(recurring, "never") == 0 ? NULL : recurring;
}

/* Returns what each run does; NULL if the arguments do not say it. */
static KwjTemplate *
template_arg(FunctionCallInfo fcinfo, Jsonb *options)
{
	char	   *statement = kwj_arg_text(fcinfo, ARG_STATEMENT);
	char	   *type = kwj_arg_text(fcinfo, ARG_JOB_TYPE);
	Jsonb	   *arguments = kwj_arg_jsonb(fcinfo, ARG_ARGUMENTS);

	if (statement != NULL && type == NULL && arguments == NULL)
		return template_of_sql(statement, options);
	if (statement != NULL || (type == NULL && arguments != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a schedule has either a statement, or a job type and arguments"),
				 errhint("Give statement => 'DELETE ...', or job_type => 'IMPORT', arguments => '{...}'.")));
	return type == NULL ? NULL :
		template_of(kwj_type_by_name(type), arguments ? arguments : kwj_json_empty(), options);
}

/* Returns the id of the new schedule; NULL if there is one of this name, and that is no error. */
Datum
kwjobs_create_schedule(PG_FUNCTION_ARGS)
{
	KwjBy		by = called_by(fcinfo);
	KwjScheduleChange change = {
		.name = name_or_default(fcinfo, ARG_NAME),
		.has_recurrence = true,
		.cron = cron_of(kwj_arg_text(fcinfo, ARG_RECURRING)),
		.options = kwj_arg_jsonb(fcinfo, ARG_OPTIONS),
		.check_job = kwj_create_check_runs,
		.if_exists = kwj_arg_flag(fcinfo, ARG_IF),
	};
	int64		schedule_id;

	if (!kwj_schedule_check_new(by, change.name, change.if_exists))
		PG_RETURN_NULL();
	change.template = template_arg(fcinfo, change.options);
	if (change.template == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("there is no job for the schedule to run"),
				 errhint("Give statement => 'DELETE ...', or job_type => 'IMPORT', arguments => '{...}'.")));
	change.failure = template_of_failure(change.options, change.template->owner);
	schedule_id = kwj_schedule_create(by, &change, true);
	if (schedule_id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(schedule_id);
}

/*
 * Alters the schedule. recurring: NULL leaves the recurrence as it is. The word 'never', in capital or small
 * letters, stands for NEVER. template: NULL leaves what each run does as it is.
 */
static bool
alter(KwjBy by, KwjScheduleChange *change, const char *recurring, const KwjTemplate *template)
{
	Oid			owner = kwj_schedule_owner(by, change->name);

	change->has_recurrence = recurring != NULL;
	change->cron = cron_of(recurring);
	change->check_job = kwj_create_check_runs;
	change->template = template;
	if (OidIsValid(owner))
		change->failure = template_of_failure(change->options, owner);
	return kwj_schedule_alter(by, change);
}

/*
 * ALTER SCHEDULE name FOR a job statement. Arguments: the name, by kwjobs_for_altered_schedule; the job,
 * which has become a template, unless there is no such schedule; the expression; the options; IF EXISTS.
 */
Datum
kwjobs_alter_schedule_of_job(PG_FUNCTION_ARGS)
{
	KwjScheduleChange change = {
		.name = kwj_arg_text(fcinfo, 0),
		.options = kwj_arg_jsonb(fcinfo, 3),
		.if_exists = kwj_arg_flag(fcinfo, 4),
	};
	KwjTemplate *template = kwj_template_take();

	if (template != NULL)
		(void) alter(KWJ_BY_STATEMENT, &change, kwj_arg_text(fcinfo, 2), template);
	PG_RETURN_VOID();
}

Datum
kwjobs_alter_schedule(PG_FUNCTION_ARGS)
{
	KwjBy		by = called_by(fcinfo);
	KwjScheduleChange change = {
		.name = kwj_arg_text(fcinfo, ARG_NAME),
		.options = kwj_arg_jsonb(fcinfo, ARG_OPTIONS),
		.if_exists = kwj_arg_flag(fcinfo, ARG_IF),
	};

	if (!kwj_schedule_check_change(by, change.name, change.if_exists))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(alter(by, &change, kwj_arg_text(fcinfo, ARG_RECURRING), template_arg(fcinfo, NULL)));
}

Datum
kwjobs_pause_schedule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kwj_schedule_pause(called_by(fcinfo), kwj_arg_text(fcinfo, 0), kwj_arg_flag(fcinfo, 1),
									  kwj_arg_text(fcinfo, 2)));
}

/*
 * The KwjMakeAnew of RESUME SCHEDULE. While the type makes the new job, this session has the settings that the
 * old job has kept of the session that has created it, so that the new job keeps the same ones. It also has
 * standard_conforming_strings = on, with which the type has written the texts in the arguments.
 */
static KwjTemplate *
make_anew(const char *job_type, const KwjNewJob *old, Oid owner)
{
	const KwjType *type = kwj_type_by_name(job_type);
	int			level = NewGUCNestLevel();
	KwjNewJob	job;

	kwj_new_job(&job, type->name);
	job.owner = owner;
	kwj_set_in_level("standard_conforming_strings", "on");
	if (kwj_json_object_or_null(old->payload, "settings") != NULL)
		(void) kwj_import_apply_settings(old->payload);
	kwj_template_want();
	(void) kwj_create_job(type, old->arguments, &job);
	AtEOXact_GUC(false, level);
	return kwj_template_take();
}

Datum
kwjobs_resume_schedule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kwj_schedule_resume(called_by(fcinfo), kwj_arg_text(fcinfo, 0), kwj_arg_flag(fcinfo, 1), make_anew));
}

Datum
kwjobs_drop_schedule(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kwj_schedule_drop(called_by(fcinfo), kwj_arg_text(fcinfo, 0), kwj_arg_flag(fcinfo, 1)));
}

/*
 * Arguments: names of schedules, and whether it is no error if there is none of a name. Returns the names of
 * those that it has dropped.
 */
Datum
kwjobs_drop_schedules(PG_FUNCTION_ARGS)
{
	KwjBy		by = called_by(fcinfo);
	ArrayBuildState *dropped = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	Datum	   *names;
	bool	   *nulls;
	int			n = 0;

	if (!PG_ARGISNULL(0))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i] && kwj_schedule_drop(by, TextDatumGetCString(names[i]), kwj_arg_flag(fcinfo, 1)))
			accumArrayResult(dropped, names[i], false, TEXTOID, CurrentMemoryContext);
	PG_RETURN_DATUM(makeArrayResult(dropped, CurrentMemoryContext));
}

/*
 * Trigger: INSTEAD OF DELETE on kwjobs.schedule_control. Does nothing, so that the DELETE that DROP
 * SCHEDULES has become counts what kwjobs_drop_schedules has dropped.
 */
Datum
kwjobs_drop_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("kwdb_internal.drop_trigger() must be called as an INSTEAD OF DELETE trigger"),
				 errhint("Use DROP SCHEDULE.")));
	return PointerGetDatum(trigger->tg_trigtuple);
}

Datum
kwjobs_run_schedule(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(kwj_schedule_run(called_by(fcinfo), kwj_arg_text(fcinfo, 0)));
}

/* Returns the ids of the jobs of a schedule, a bigint[]. Errors: 42704 if there is no such schedule. */
Datum
kwjobs_schedule_jobs(PG_FUNCTION_ARGS)
{
	KwjJobs		jobs = kwj_store_jobs_of_schedule(kwj_schedule_id(called_by(fcinfo), kwj_arg_text(fcinfo, 0)));

	PG_RETURN_ARRAYTYPE_P(kwj_array_of_ids(jobs.ids, jobs.n));
}

/* Returns the clock by which schedules are due, for the views. */
Datum
kwjobs_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(kwj_clock());
}

/* The view kwjobs.health calls this. Returns what the coordinator of this database does, or why there is none. */
Datum
kwjobs_coordinator_state(PG_FUNCTION_ARGS)
{
	static const char *const texts[] = {
		[KWJ_COORDINATOR_RUNS] = "runs",
		[KWJ_COORDINATOR_BLOCKED] = "waits for a lock",
		[KWJ_COORDINATOR_STARTS] = "starts when something is due",
		[KWJ_NO_SLOT] = "no background worker slot is free",
		[KWJ_NO_PLACE] = "waits for its turn",
		[KWJ_NO_LAUNCHER] = "the launcher does not run",
	};

	PG_RETURN_TEXT_P(cstring_to_text(kwj_shared_ready() ? texts[kwj_shared_coordinator()] : texts[KWJ_NO_LAUNCHER]));
}

/*
 * The view kwjobs.health calls this. Returns the time at which the coordinator of this database last looked for
 * schedules that are due; NULL if no coordinator has done so here since the server's start.
 */
Datum
kwjobs_last_tick(PG_FUNCTION_ARGS)
{
	TimestampTz last = kwj_shared_ready() ? kwj_shared_schedules_last_look() : 0;

	if (last == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(last);
}

/*
 * src/function/create_job.c
 *	  SQL-callable: kwjobs.create_job, which creates a job of any type.
 *
 * Process: sessions. Locks, until the end of the transaction: what the type locks when it checks
 * the arguments (IMPORT: the target, in RowExclusiveLock), and the rows of jobs on which the new
 * one depends (FOR KEY SHARE).
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "function/options.h"
#include "lifecycle/bounds.h"
#include "lifecycle/control.h"
#include "lifecycle/submit.h"
#include "miscadmin.h"
#include "type/create.h"
#include "type/type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(kwjobs_create_job);

enum
{
	ARG_JOB_TYPE,
	ARG_ARGUMENTS,
	ARG_FIRST_OPTION,
	ARG_RUN_AS = ARG_FIRST_OPTION + KWJ_OPTION_RUN_AS,
	ARG_TAGS,
};

Datum
kwjobs_create_job(PG_FUNCTION_ARGS)
{
	const char *function = "kwjobs.create_job";
	const KwjType *type;
	KwjNewJob	job;

	kwj_check_writable(function);
	if (PG_ARGISNULL(ARG_JOB_TYPE) || PG_ARGISNULL(ARG_ARGUMENTS))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the type and the arguments of a job must not be null"),
				 errhint("For instance: SELECT kwjobs.create_job('SQL', '{\"statement\": \"VACUUM my_table\"}').")));
	/* The size is checked first, so that no huge value is read. */
	kwj_check_size("the arguments of a job", toast_raw_datum_size(PG_GETARG_DATUM(ARG_ARGUMENTS)),
				   KWJ_PAYLOAD_BOUND, "Create several jobs instead, each for a part.");
	type = kwj_type_by_name(kwj_bounded_text("job_type", PG_GETARG_DATUM(ARG_JOB_TYPE), "Give the name of a type."));
	kwj_new_job(&job, type->name);
	kwj_read_options(fcinfo, ARG_FIRST_OPTION, ARG_RUN_AS, ARG_TAGS, &job);
	PG_RETURN_INT64(kwj_create_job(type, PG_GETARG_JSONB_P(ARG_ARGUMENTS), &job));
}

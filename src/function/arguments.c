/*
 * src/function/arguments.c
 *	  SQL-callable: the types of arguments of kwjobs.submit and kwjobs.run that take several kinds
 *	  of values. kwjobs.owner is stored as a regrole, kwjobs.job_ids as a bigint[].
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(kwjobs_owner_in);
PG_FUNCTION_INFO_V1(kwjobs_owner_out);
PG_FUNCTION_INFO_V1(kwjobs_owner_from_name);
PG_FUNCTION_INFO_V1(kwjobs_owner_from_text);
PG_FUNCTION_INFO_V1(kwjobs_job_ids_in);
PG_FUNCTION_INFO_V1(kwjobs_job_ids_out);
PG_FUNCTION_INFO_V1(kwjobs_job_ids_from_id);
PG_FUNCTION_INFO_V1(kwjobs_job_ids_from_ids);
PG_FUNCTION_INFO_V1(kwjobs_job_ids_from_integer);
PG_FUNCTION_INFO_V1(kwjobs_job_ids_from_integers);

/* PostgreSQL's functions give no hint. */
static void
explain_owner(void *arg)
{
	errhint("Name a role that exists, as in run_as => current_user; one with capital letters or blanks in a literal as '\"My Role\"'.");
}

static void
explain_job_ids(void *arg)
{
	errhint("Give the id of a job, or an array of ids, as in depends_on => ARRAY[id, other_id].");
}

Datum
kwjobs_owner_in(PG_FUNCTION_ARGS)
{
	ErrorContextCallback callback = {error_context_stack, explain_owner, NULL};
	Datum		role;

	error_context_stack = &callback;
	role = OidInputFunctionCall(F_REGROLEIN, PG_GETARG_CSTRING(0), InvalidOid, -1);
	error_context_stack = callback.previous;
	PG_RETURN_DATUM(role);
}

/*
 * The output functions are those of regrole and of arrays, under names of ours: a function of
 * PostgreSQL itself that has several argument types fails its own tests.
 */
Datum
kwjobs_owner_out(PG_FUNCTION_ARGS)
{
	return regroleout(fcinfo);
}

static Oid
owner_from_name(const char *name)
{
	ErrorContextCallback callback = {error_context_stack, explain_owner, NULL};
	Oid			role;

	error_context_stack = &callback;
	role = get_role_oid(name, false);
	error_context_stack = callback.previous;
	return role;
}

Datum
kwjobs_owner_from_name(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(owner_from_name(NameStr(*PG_GETARG_NAME(0))));
}

Datum
kwjobs_owner_from_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(owner_from_name(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}

static ArrayType *
array_of_one(Datum job_id)
{
	return construct_array(&job_id, 1, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* A number, or an array as PostgreSQL writes it, possibly with bounds. */
Datum
kwjobs_job_ids_in(PG_FUNCTION_ARGS)
{
	char	   *string = PG_GETARG_CSTRING(0);
	ErrorContextCallback callback = {error_context_stack, explain_job_ids, NULL};
	Datum		ids;

	error_context_stack = &callback;
	if (strchr(string, '{') != NULL)
		ids = OidInputFunctionCall(F_ARRAY_IN, string, INT8OID, -1);
	else
		ids = PointerGetDatum(array_of_one(DirectFunctionCall1(int8in, CStringGetDatum(string))));
	error_context_stack = callback.previous;
	PG_RETURN_DATUM(ids);
}

Datum
kwjobs_job_ids_out(PG_FUNCTION_ARGS)
{
	return array_out(fcinfo);
}

Datum
kwjobs_job_ids_from_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(array_of_one(Int64GetDatum(PG_GETARG_INT64(0))));
}

Datum
kwjobs_job_ids_from_ids(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

Datum
kwjobs_job_ids_from_integer(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(array_of_one(Int64GetDatum(PG_GETARG_INT32(0))));
}

Datum
kwjobs_job_ids_from_integers(PG_FUNCTION_ARGS)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			lower_bound = 1;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(nulls[i] ? 0 : DatumGetInt32(elements[i]));
	PG_RETURN_ARRAYTYPE_P(construct_md_array(elements, nulls, n > 0 ? 1 : 0, &n, &lower_bound,
											 INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
											 TYPALIGN_DOUBLE));
}

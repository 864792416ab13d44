/*
 * src/function/arguments.c
 *	  SQL-callable: the types of those arguments of kwjobs.submit and kwjobs.run that take
 *	  several kinds of values. A kwjobs.owner is stored as a regrole, a kwjobs.job_ids as a
 *	  bigint[].
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "job/ids.h"
#include "miscadmin.h"
#include "lifecycle/options.h"
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

Datum
kwjobs_owner_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(kwj_parse_role(PG_GETARG_CSTRING(0)));
}

/*
 * The output functions call those of regrole and of arrays, instead of being declared as these:
 * PostgreSQL's own regression tests complain if one of its built-in functions is declared with
 * several argument types.
 */
Datum
kwjobs_owner_out(PG_FUNCTION_ARGS)
{
	return regroleout(fcinfo);
}

static Oid
owner_from_name(const char *name)
{
	Oid			role = get_role_oid(name, true);

	/* If there is no such role, kwj_parse_role raises the error, with a hint. */
	return OidIsValid(role) ? role : kwj_parse_role(quote_identifier(name));
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

/* Reads a number, or an array as PostgreSQL writes it, which may begin with its bounds. */
Datum
kwjobs_job_ids_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(kwj_parse_job_ids(PG_GETARG_CSTRING(0)));
}

Datum
kwjobs_job_ids_out(PG_FUNCTION_ARGS)
{
	return array_out(fcinfo);
}

Datum
kwjobs_job_ids_from_id(PG_FUNCTION_ARGS)
{
	int64		job_id = PG_GETARG_INT64(0);

	PG_RETURN_ARRAYTYPE_P(kwj_array_of_ids(&job_id, 1));
}

Datum
kwjobs_job_ids_from_ids(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

Datum
kwjobs_job_ids_from_integer(PG_FUNCTION_ARGS)
{
	int64		job_id = PG_GETARG_INT32(0);

	PG_RETURN_ARRAYTYPE_P(kwj_array_of_ids(&job_id, 1));
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

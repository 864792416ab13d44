/*
 * src/function/args.c
 *	  Arguments of SQL functions: those that may be NULL, and those that have bounds.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "function/args.h"
#include "job/ids.h"
#include "type/type.h"
#include "utils/builtins.h"

/* kwj_arg_count accepts numbers up to this. */
#define MOST_ROWS	10000

char *
kwj_arg_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

int64 *
kwj_arg_ids(FunctionCallInfo fcinfo, int number, int *n)
{
	*n = 0;
	return PG_ARGISNULL(number) ? NULL : kwj_ids_of_array(PG_GETARG_ARRAYTYPE_P(number), n);
}

Jsonb *
kwj_arg_jsonb(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_JSONB_P(number);
}

ArrayType *
kwj_arg_array(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_ARRAYTYPE_P(number);
}

bool
kwj_arg_flag(FunctionCallInfo fcinfo, int number)
{
	return !PG_ARGISNULL(number) && PG_GETARG_BOOL(number);
}

const char *
kwj_arg_type(FunctionCallInfo fcinfo, int number)
{
	char	   *name = kwj_arg_text(fcinfo, number);

	for (char *c = name; c != NULL && *c != '\0'; c++)
		*c = pg_toupper((unsigned char) *c);
	return name != NULL ? kwj_type_by_name(name)->name : NULL;
}

int
kwj_arg_count(FunctionCallInfo fcinfo, int number, const char *rows)
{
	int			n = PG_GETARG_INT32(number);

	if (n < 0 || n > MOST_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of %s is out of range: %d", rows, n),
				 errhint("Give a number from 0 to %d.", MOST_ROWS)));
	return n;
}

TimestampTz
kwj_arg_instant(FunctionCallInfo fcinfo, int number, const char *which)
{
	TimestampTz instant = PG_GETARG_TIMESTAMPTZ(number);

	if (TIMESTAMP_NOT_FINITE(instant))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the instant %s must be finite", which),
				 errhint("Give a point in time, such as now().")));
	return instant;
}

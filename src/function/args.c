/*
 * src/function/args.c
 *	  Arguments of SQL functions that may be NULL.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "function/args.h"
#include "job/ids.h"
#include "utils/builtins.h"

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

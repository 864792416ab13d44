/*
 * src/function/args.c
 *	  Arguments of SQL functions that may be NULL.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "function/args.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

char *
kwj_arg_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

int64 *
kwj_arg_ids(FunctionCallInfo fcinfo, int number, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	int			length;
	int64	   *ids;

	*n = 0;
	if (PG_ARGISNULL(number))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, &nulls, &length);
	ids = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * (Size) Max(length, 1));
	for (int i = 0; i < length; i++)
		if (!nulls[i])
			ids[(*n)++] = DatumGetInt64(elements[i]);
	return ids;
}

/*
 * src/function/ids.c
 *	  Ids of jobs as an argument of a SQL function.
 *
 * Process: sessions. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "function/ids.h"
#include "utils/memutils.h"

int64 *
kwj_ids_of_array(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	int			length;
	int64	   *ids;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &length);
	ids = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * (Size) Max(length, 1));
	*n = 0;
	for (int i = 0; i < length; i++)
		if (!nulls[i])
			ids[(*n)++] = DatumGetInt64(elements[i]);
	return ids;
}

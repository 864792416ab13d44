/*
 * src/job/ids.c
 *	  Ids of jobs as SQL has them: arrays of type bigint[].
 *
 * Process: any. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job/ids.h"

int64 *
kwj_ids_of_array(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	int			length;
	int64	   *ids;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements,
					  &nulls, &length);
	/* They take no more memory than the array itself, so palloc() can have them. */
	ids = palloc(sizeof(int64) * Max(length, 1));
	*n = 0;
	for (int i = 0; i < length; i++)
		if (!nulls[i])
			ids[(*n)++] = DatumGetInt64(elements[i]);
	return ids;
}

ArrayType *
kwj_array_of_ids(const int64 *ids, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(ids[i]);
	return construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

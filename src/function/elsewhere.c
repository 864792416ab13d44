/*
 * src/function/elsewhere.c
 *	  SQL-callable: jobs of the other databases of this server.
 *
 * Process: sessions. Locks: those of lifecycle/elsewhere.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "function/rows.h"
#include "job/json.h"
#include "lifecycle/control.h"
#include "lifecycle/elsewhere.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_elsewhere);

typedef struct Rows
{
	Tuplestorestate *store;
	TupleDesc	desc;
} Rows;

static void
put_job(const char *database, const char *job, void *arg)
{
	Rows	   *rows = arg;
	Datum		values[2] = {CStringGetTextDatum(database), JsonbPGetDatum(kwj_json_parse(job))};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
}

/* Returns the ids of the array, *n of them. There are no NULLs in it (kwjobs_server_jobs). */
static int64 *
ids_of(ArrayType *array, int *n)
{
	Datum	   *elements;
	int64	   *ids;

	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, NULL, n);
	ids = palloc(sizeof(int64) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		ids[i] = DatumGetInt64(elements[i]);
	return ids;
}

Datum
kwjobs_elsewhere(PG_FUNCTION_ARGS)
{
	Rows		rows;
	bool		automatic = !PG_ARGISNULL(0) && PG_GETARG_BOOL(0);
	int64	   *ids = NULL;
	int			n = -1;

	rows.store = kwj_materialize(fcinfo, &rows.desc);
	if (kwj_scope != KWJ_SCOPE_SERVER || !kwj_is_admin())
		return (Datum) 0;
	if (!PG_ARGISNULL(1))
		ids = ids_of(PG_GETARG_ARRAYTYPE_P(1), &n);
	kwj_jobs_elsewhere(automatic, ids, n, put_job, &rows);
	return (Datum) 0;
}

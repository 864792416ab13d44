/*
 * src/function/blocked.c
 *	  Which process holds up another one that waits for a lock.
 *
 * Process: sessions. Locks: all partitions of the lock table, shared, for a moment.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "function/blocked.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

int
kwj_blocker_of(int pid)
{
	Datum	   *pids;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid))),
					  INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, &nulls, &n);
	return n > 0 ? DatumGetInt32(pids[0]) : 0;
}

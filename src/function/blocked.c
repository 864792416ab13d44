/*
 * src/function/blocked.c
 *	  Who keeps a process from a lock.
 *
 * Process: sessions. Locks: those of the lock table, for moments.
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

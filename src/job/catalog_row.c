/*
 * src/job/catalog_row.c
 *	  One row of a system catalog, as a snapshot sees it.
 *
 * Callers: session, store, track, type. Process: any, in a transaction. Locks: AccessShareLock on the catalog,
 * while it is read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "job/catalog_row.h"
#include "utils/fmgroids.h"

HeapTuple
kwj_catalog_row(Oid catalog, Oid index, AttrNumber column, Oid oid, Snapshot snapshot)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, index, true, snapshot, 1, &key);
	row = heap_copytuple(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return row;
}

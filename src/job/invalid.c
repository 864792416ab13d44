/*
 * src/job/invalid.c
 *	  The indexes of a table, valid and INVALID, and those that REINDEX CONCURRENTLY leaves.
 *
 * Process: any, in a transaction. Locks: AccessShareLock on pg_index, for a moment; none on the
 * table.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "job/invalid.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

Oid
kwj_toast_table(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			toast = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		toast = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
		ReleaseSysCache(tuple);
	}
	return toast;
}

List *
kwj_indexes_of(Oid table, bool valid, bool invalid)
{
	List	   *indexes = NIL;
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		if (index->indisvalid ? valid : invalid)
			indexes = lappend_oid(indexes, index->indexrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return indexes;
}

List *
kwj_add_invalid_indexes(List *indexes, Oid table)
{
	Oid			toast = kwj_toast_table(table);

	indexes = list_concat(indexes, kwj_indexes_of(table, false, true));
	if (OidIsValid(toast))
		indexes = list_concat(indexes, kwj_indexes_of(toast, false, true));
	return indexes;
}

bool
kwj_is_reindex_name(const char *name)
{
	static const char *const ends[] = {"_ccnew", "_ccold"};
	int			length = strlen(name);

	while (length > 0 && isdigit((unsigned char) name[length - 1]))
		length--;
	for (int i = 0; i < lengthof(ends); i++)
		if (length > strlen(ends[i]) &&
			strncmp(name + length - strlen(ends[i]), ends[i], strlen(ends[i])) == 0)
			return true;
	return false;
}

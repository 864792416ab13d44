/*
 * src/store/unfinished.c
 *	  The store: how many jobs that are not over a role has, and how large they are.
 *
 * Process: sessions. Locks: the table in AccessShareLock, until the end of the transaction.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "store/query.h"
#include "store/unfinished.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* A page of the index has no more entries than that, however they are packed. */
#define MOST_ENTRIES_PER_PAGE	(BLCKSZ / sizeof(ItemPointerData))

/* The bytes of a row, with those of the texts that are stored apart. */
static int64
size_of(TupleTableSlot *slot)
{
	TupleDesc	columns = slot->tts_tupleDescriptor;
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	int64		size = tuple->t_len;

	slot_getallattrs(slot);
	for (int i = 0; i < columns->natts; i++)
	{
		struct varatt_external pointer;

		if (TupleDescAttr(columns, i)->attlen != -1 || slot->tts_isnull[i] ||
			!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(slot->tts_values[i])))
			continue;
		VARATT_EXTERNAL_GET_POINTER(pointer, (struct varlena *) DatumGetPointer(slot->tts_values[i]));
		size += VARATT_EXTERNAL_GET_EXTSIZE(pointer);
	}
	if (should_free)
		heap_freetuple(tuple);
	return size;
}

/*
 * Row by row, until there is too much. What is committed and what this transaction has inserted:
 * SnapshotSelf, which makes no conflicts between serializable transactions, either.
 */
static void
count_rows(Relation table, Relation index, Oid owner, int64 max_jobs, int64 max_bytes,
		   KwjUnfinished *unfinished)
{
	TupleTableSlot *slot = table_slot_create(table, NULL);
	IndexScanDesc scan = kwj_index_beginscan(table, index, SnapshotSelf, 1);
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(owner));
	index_rescan(scan, &key, 1, NULL, 0);
	while (unfinished->jobs <= max_jobs && unfinished->bytes <= max_bytes &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		unfinished->jobs++;
		unfinished->bytes += size_of(slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

static int64
bytes_on_disk(Relation table)
{
	Relation	toast = table_open(table->rd_rel->reltoastrelid, AccessShareLock);
	int64		blocks = (int64) RelationGetNumberOfBlocks(table) + RelationGetNumberOfBlocks(toast);

	table_close(toast, AccessShareLock);
	return blocks * BLCKSZ;
}

void
kwj_store_unfinished(Oid owner, int64 max_jobs, int64 max_bytes, KwjUnfinished *unfinished)
{
	Relation	table = table_open(kwj_store_relation("job"), AccessShareLock);
	Relation	index = index_open(kwj_store_relation("job_unfinished"), AccessShareLock);

	unfinished->jobs = 0;
	unfinished->bytes = 0;
	/* mostly all roles together have not nearly so many, and one need not look at any */
	if ((int64) RelationGetNumberOfBlocks(index) * MOST_ENTRIES_PER_PAGE >= max_jobs ||
		bytes_on_disk(table) >= max_bytes)
		count_rows(table, index, owner, max_jobs, max_bytes, unfinished);
	index_close(index, AccessShareLock);
	table_close(table, NoLock);
}

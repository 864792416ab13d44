/*
 * src/store/unfinished.c
 *	  How many unfinished jobs a role has, how large they and their dependencies are, and which they are.
 *
 * Process: sessions that submit a job (src/lifecycle/bounds.c), or drop a role (src/lifecycle/owned.c).
 * Locks: kwjobs.job and kwjobs.dependency in AccessShareLock, until the end of the transaction.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "store/query.h"
#include "store/relation.h"
#include "store/unfinished.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* An upper bound of the entries in an index page, however densely they are packed. */
#define MOST_ENTRIES_PER_PAGE	(BLCKSZ / sizeof(ItemPointerData))

/* Returns the bytes of a row, including values that are stored out of line. */
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

/* One of our tables and one of its indexes, both open. */
typedef struct Indexed
{
	Relation	table;
	Relation	index;
} Indexed;

static Indexed
open_indexed(const char *table, const char *index)
{
	Indexed		indexed;

	indexed.table = table_open(kwj_store_relation(table), AccessShareLock);
	indexed.index = index_open(kwj_store_relation(index), AccessShareLock);
	return indexed;
}

static void
close_indexed(Indexed *indexed)
{
	index_close(indexed->index, AccessShareLock);
	table_close(indexed->table, NoLock);
}

/* Returns the number of a column that has this type; 0 if a user has changed the table. */
static AttrNumber
column_of(Relation table, const char *name, Oid type)
{
	AttrNumber	number = get_attnum(RelationGetRelid(table), name);

	return number > 0 && get_atttype(RelationGetRelid(table), number) == type ? number : 0;
}

/*
 * Begin a scan of all rows with this value in the first column of the index. It uses SnapshotSelf:
 * see count_rows().
 */
static IndexScanDesc
begin_scan(const Indexed *indexed, RegProcedure equal, Datum value)
{
	IndexScanDesc scan = kwj_index_beginscan(indexed->table, indexed->index, SnapshotSelf, 1);
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, equal, value);
	index_rescan(scan, &key, 1, NULL, 0);
	return scan;
}

/* The open tables, and the numbers of the columns that the count needs. */
typedef struct Count
{
	Indexed		jobs;
	Indexed		dependencies;
	TupleTableSlot *dependency;
	AttrNumber	job_id;
	AttrNumber	due;
	int64		max_bytes;		/* stop counting above this */
} Count;

/* Returns whether the job may have dependencies: it is due at infinity until they are met. */
static bool
depends_on_others(const Count *count, TupleTableSlot *job)
{
	bool		isnull;
	Datum		due;

	if (count->job_id == 0 || count->due == 0)
		return false;
	due = slot_getattr(job, count->due, &isnull);
	return !isnull && DatumGetTimestampTz(due) == DT_NOEND;
}

static int64
size_of_dependencies(const Count *count, TupleTableSlot *job, int64 counted)
{
	bool		isnull;
	IndexScanDesc scan;
	int64		size = 0;

	if (!depends_on_others(count, job))
		return 0;
	scan = begin_scan(&count->dependencies, F_INT8EQ, slot_getattr(job, count->job_id, &isnull));
	while (counted + size <= count->max_bytes &&
		   index_getnext_slot(scan, ForwardScanDirection, count->dependency))
	{
		CHECK_FOR_INTERRUPTS();
		size += KWJ_DEPENDENCY_SIZE;
	}
	index_endscan(scan);
	return size;
}

/*
 * Count row by row, and stop above max_jobs or count->max_bytes. SnapshotSelf shows committed rows
 * and rows that this transaction has inserted. It takes no predicate locks, so serializable
 * transactions do not conflict because of it.
 */
static void
count_rows(const Count *count, Oid owner, int64 max_jobs, KwjUnfinished *unfinished)
{
	TupleTableSlot *slot = table_slot_create(count->jobs.table, NULL);
	IndexScanDesc scan = begin_scan(&count->jobs, F_OIDEQ, ObjectIdGetDatum(owner));

	while (unfinished->jobs <= max_jobs && unfinished->bytes <= count->max_bytes &&
		   index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		unfinished->jobs++;
		unfinished->bytes += size_of(slot);
		unfinished->bytes += size_of_dependencies(count, slot, unfinished->bytes);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/* Returns the size of kwjobs.job and its TOAST table. */
static int64
bytes_of_jobs(Relation table)
{
	Relation	toast = table_open(table->rd_rel->reltoastrelid, AccessShareLock);
	int64		blocks = (int64) RelationGetNumberOfBlocks(table) + RelationGetNumberOfBlocks(toast);

	table_close(toast, AccessShareLock);
	return blocks * BLCKSZ;
}

/* Returns the size of kwjobs.dependency and its indexes. */
static int64
bytes_of_dependencies(Relation table)
{
	int64		blocks = RelationGetNumberOfBlocks(table);
	ListCell   *lc;

	/* most databases have no dependencies */
	if (blocks == 0)
		return 0;
	foreach(lc, RelationGetIndexList(table))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		blocks += RelationGetNumberOfBlocks(index);
		index_close(index, AccessShareLock);
	}
	return blocks * BLCKSZ;
}

void
kwj_store_unfinished(Oid owner, int64 max_jobs, int64 max_bytes, KwjUnfinished *unfinished)
{
	Count		count = {
		.jobs = open_indexed("job", "job_unfinished"),
		.dependencies = open_indexed("dependency", "dependency_pkey"),
		.max_bytes = max_bytes,
	};

	unfinished->jobs = 0;
	unfinished->bytes = 0;
	/*
	 * most of the time, the sizes of the tables already show that the role cannot have too much,
	 * and no row has to be read
	 */
	if ((int64) RelationGetNumberOfBlocks(count.jobs.index) * MOST_ENTRIES_PER_PAGE >= max_jobs ||
		bytes_of_jobs(count.jobs.table) + bytes_of_dependencies(count.dependencies.table) >= max_bytes)
	{
		count.job_id = column_of(count.jobs.table, "job_id", INT8OID);
		count.due = column_of(count.jobs.table, "due", TIMESTAMPTZOID);
		count.dependency = table_slot_create(count.dependencies.table, NULL);
		count_rows(&count, owner, max_jobs, unfinished);
		ExecDropSingleTupleTableSlot(count.dependency);
	}
	close_indexed(&count.dependencies);
	close_indexed(&count.jobs);
}

KwjJobs
kwj_store_unfinished_ids(Oid owner, int limit)
{
	static KwjQuery query = {
		"SELECT job_id FROM kwjobs.job WHERE owner = $1 AND finished IS NULL ORDER BY job_id LIMIT $2",
		2, {OIDOID, INT4OID}
	};
	KwjStoreScope scope;
	Datum		values[2] = {ObjectIdGetDatum(owner), Int32GetDatum(limit)};
	KwjJobs		jobs;

	kwj_store_enter(&scope);
	jobs = kwj_rows_ids(kwj_query_run(&query, values, NULL, false), "job_id", scope.caller);
	kwj_store_leave(&scope);
	return jobs;
}

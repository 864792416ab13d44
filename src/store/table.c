/*
 * src/store/table.c
 *	  Single rows of our tables, found by their primary keys without a plan.
 *
 * Callers: claim.c, end.c, dependency.c and line.c, in the worker and in the coordinator, with
 * job_tables.c and job_row.c; record.c, in the session and in the coordinator; jobs.c, in the
 * session, only to insert rows; schedules.c, in the coordinator and in the session. They call these
 * functions between kwj_table_open and kwj_table_close:
 *
 *     kwj_table_find, kwj_table_lock
 *         -> kwj_table_change_row -> kwj_table_set ... -> kwj_table_update
 *            kwj_table_new_row    -> kwj_table_set ... -> kwj_table_insert
 *
 * candidates.c and due.c, in the coordinator, only read and lock rows. They open a table with
 * kwj_table_open_to_read, which costs less.
 *
 * Locks: the table in RowExclusiveLock, or in a weaker lock if it is only to be read, and the rows
 * that kwj_table_lock and kwj_table_lock_next have found (FOR NO KEY UPDATE), until the end of the
 * transaction.
 *
 * REINDEX, without CONCURRENTLY, locks the table in ShareLock, and then the index. A process that has
 * an index locked when it wants RowExclusiveLock on the table would be in a deadlock with it. So a
 * scan unlocks its index when it ends. Queries keep the indexes locked that they have read, so
 * kwjobs.job is locked before them: by the coordinator in kwj_store_lock_jobs, and by all that lock
 * the row of a job in kwj_store_lock.
 *
 * Snapshots: a row is found with the latest snapshot (or at its last known place with SnapshotSelf)
 * and locked with TUPLE_LOCK_FLAG_FIND_LAST_VERSION, similar to execReplication.c. So the process
 * sees what is committed now, whatever the isolation level of the transaction, and these functions
 * raise no serialization errors: the bookkeeping must not depend on the isolation level that a job
 * has chosen. The row lock alone protects a read and the following write.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "compat.h"
#include "executor/executor.h"
#include "job/catalog_row.h"
#include "job/json.h"
#include "job/status.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "store/columns.h"
#include "store/indexes.h"
#include "store/query.h"
#include "store/relation.h"
#include "store/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

struct KwjTable
{
	Relation	rel;
	TupleTableSlot *row;		/* the row that was found; NULL with KWJ_RECORDS, which are not read */

	/* NULL after kwj_table_open_to_read */
	ResultRelInfo *info;
	KwjRows		rows;			/* what may be written */
	TupleTableSlot *next;		/* the row that is to be written */
	KwjModelRow *model;			/* from which `next` was copied, or which was made of it; NULL: none */

	/* 0 except with KWJ_RECORDS */
	uint64		changes;		/* kwj_indexes_changes() before the indexes were opened */
	Oid			oid;			/* of the table */
	Oid		   *indexes;		/* the OIDs of the indexes that were opened */
	bool		may_refuse;		/* what kwj_table_may_refuse() returns */
	int			n_not_null;
	int		   *not_null;		/* the columns that must not be NULL, from 0 */

	/* NULL after kwj_table_open_to_read, and with KWJ_RECORDS */
	Relation	primary_key;	/* the primary key's index, one of those in info */
	EState	   *estate;
	EPQState	epq;

	Snapshot	given_snapshot; /* of all scans; NULL: each scan takes the latest */

	/* set by kwj_table_begin_scan */
	Relation	index;
	IndexScanDesc scan;
	Snapshot	snapshot;
};

/* Equality functions for the columns of our primary keys: bigint, integer. */
static const RegProcedure key_equal[] = {F_INT8EQ, F_INT4EQ};

static Relation
find_primary_key(const ResultRelInfo *info)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
		if (info->ri_IndexRelationDescs[i]->rd_index->indisprimary)
			return info->ri_IndexRelationDescs[i];
	elog(ERROR, "table \"%s\" has no primary key",
		 RelationGetRelationName(info->ri_RelationDesc));
	return NULL;
}

/* Opens the table, and locks it. lock: NoLock if the caller has locked it already. */
static void
set_relation(KwjTable *table, const char *name, LOCKMODE lock)
{
	table->rel = table_open(kwj_store_relation(name), lock);
	kwj_store_check_owner(table->rel->rd_rel->relowner);
	kwj_columns_keep(table->rel);
}

static KwjTable *
open_table(const char *name, LOCKMODE lock)
{
	KwjTable   *table = palloc0(sizeof(KwjTable));

	set_relation(table, name, lock);
	return table;
}

static KwjTable *
open_to_write(const char *name, KwjRows rows)
{
	KwjTable   *table = open_table(name, RowExclusiveLock);

	table->estate = CreateExecutorState();
	table->estate->es_snapshot = GetActiveSnapshot();
	table->info = makeNode(ResultRelInfo);
	InitResultRelInfo(table->info, table->rel, 0, NULL, 0);
	table->rows = rows;
	kwj_indexes_open(table->info, rows);
	table->primary_key = find_primary_key(table->info);
	kwj_eval_plan_qual_init(&table->epq, table->estate);
	table->row = table_slot_create(table->rel, &table->estate->es_tupleTable);
	table->next = ExecInitExtraTupleSlot(table->estate, RelationGetDescr(table->rel), &TTSOpsHeapTuple);
	AfterTriggerBeginQuery();
	return table;
}

/* ---- kwjobs.job for a session that is about to commit ---- */

/*
 * What the session has opened last for KWJ_RECORDS, with all that belongs to it; NULL: nothing. The session
 * keeps it until the table or an index changes, because each tracked statement needs it.
 */
static KwjTable *records = NULL;
static MemoryContext context_of_records = NULL;

static bool may_refuse(const KwjTable *table);

static void
note_not_null(KwjTable *table)
{
	TupleDesc	columns = RelationGetDescr(table->rel);

	table->not_null = palloc(columns->natts * sizeof(int));
	for (int i = 0; i < columns->natts; i++)
		if (TupleDescAttr(columns, i)->attnotnull)
			table->not_null[table->n_not_null++] = i;
}

static void
note_indexes(KwjTable *table)
{
	table->indexes = palloc(table->info->ri_NumIndices * sizeof(Oid));
	for (int i = 0; i < table->info->ri_NumIndices; i++)
		table->indexes[i] = RelationGetRelid(table->info->ri_IndexRelationDescs[i]);
}

/*
 * Opens kwjobs.job in the current memory context. The session only inserts, so it does without an executor
 * state (EState) and without a copy of the triggers. It needs no triggers: if users have created some, or
 * foreign keys of this table, the session does not insert (kwj_table_may_refuse), and the triggers of foreign
 * keys to this table do nothing for an INSERT.
 */
static KwjTable *
make_records(void)
{
	KwjTable   *table = open_table("job", NoLock);

	table->rows = KWJ_RECORDS;
	table->oid = RelationGetRelid(table->rel);
	table->changes = kwj_indexes_changes();
	table->info = makeNode(ResultRelInfo);
	table->info->ri_RelationDesc = table->rel;
	kwj_indexes_open(table->info, KWJ_RECORDS);
	note_indexes(table);
	note_not_null(table);
	table->may_refuse = may_refuse(table);
	/*
	 * The session keeps the slot beyond the transaction. A slot could refer to the table's own descriptor only
	 * until the end of the transaction, so this one has a copy.
	 */
	table->next = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(table->rel)), &TTSOpsHeapTuple);
	return table;
}

static KwjTable *
make_records_to_keep(void)
{
	MemoryContext caller;

	records = NULL;
	if (context_of_records == NULL)
		context_of_records = AllocSetContextCreate(TopMemoryContext, "kwjobs table of records",
												   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context_of_records);
	caller = MemoryContextSwitchTo(context_of_records);
	records = make_records();
	MemoryContextSwitchTo(caller);
	return records;
}

/* Opens once more what the session has kept. Returns false, with nothing open, if that may be outdated. */
static bool
open_records_again(void)
{
	if (records == NULL || records->changes != kwj_indexes_changes())
		return false;
	set_relation(records, "job", NoLock);
	/* PostgreSQL tells of it when another table gets the name. This makes sure that the indexes are the table's. */
	if (RelationGetRelid(records->rel) != records->oid)
	{
		table_close(records->rel, NoLock);
		return false;
	}
	kwj_indexes_open_again(records->info, records->indexes);
	records->info->ri_RelationDesc = records->rel;
	/* While it has locked the indexes, PostgreSQL may have told this process of changes. */
	if (records->changes == kwj_indexes_changes())
		return true;
	kwj_table_close(records);
	return false;
}

static KwjTable *
open_for_records(void)
{
	return open_records_again() ? records : make_records_to_keep();
}

/* ---- any of our tables ---- */

KwjTable *
kwj_table_open(const char *name)
{
	return open_to_write(name, KWJ_ALL_ROWS);
}

KwjTable *
kwj_table_open_jobs(KwjRows rows)
{
	return rows == KWJ_RECORDS ? open_for_records() : open_to_write("job", rows);
}

bool
kwj_table_allow_all_rows(KwjTable *jobs)
{
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(jobs));

	if (jobs->rows != KWJ_ALL_ROWS && kwj_indexes_try_rest(jobs->info))
		jobs->rows = KWJ_ALL_ROWS;
	MemoryContextSwitchTo(caller);
	return jobs->rows == KWJ_ALL_ROWS;
}

KwjTable *
kwj_table_open_to_read(const char *name, LOCKMODE lock, Snapshot snapshot)
{
	KwjTable   *table = open_table(name, lock);

	table->row = table_slot_create(table->rel, NULL);
	table->given_snapshot = snapshot;
	return table;
}

int64
kwj_table_get_int64(KwjTable *table, const char *column)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
kwj_table_get_int32(KwjTable *table, const char *column)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

int64
kwj_table_get_next(KwjTable *table, const char *column)
{
	int64		value = kwj_table_get_int64(table, column);

	if (value == PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range"),
				 errdetail("This is the job's column \"%s\".", column)));
	return value + 1;
}

bool
kwj_table_is_null(KwjTable *table, const char *column)
{
	bool		isnull;

	(void) kwj_table_get(table, column, &isnull);
	return isnull;
}

Oid
kwj_table_get_oid(KwjTable *table, const char *column)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

char *
kwj_table_get_text(KwjTable *table, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return kwj_copy_text(value, isnull, context);
}

Jsonb *
kwj_table_get_jsonb(KwjTable *table, const char *column, MemoryContext context)
{
	bool		isnull;
	Datum		value = kwj_table_get(table, column, &isnull);

	return kwj_json_copy(value, isnull, context);
}

void
kwj_table_set_or_null(KwjTable *table, const char *column, void *varlena)
{
	if (varlena != NULL)
		kwj_table_set(table, column, PointerGetDatum(varlena));
	else
		kwj_table_set_null(table, column);
}

void
kwj_table_set_text(KwjTable *table, const char *column, const char *text)
{
	kwj_table_set_or_null(table, column, text ? cstring_to_text(text) : NULL);
}

KwjStatus
kwj_table_get_status(KwjTable *jobs, char **name)
{
	bool		isnull;
	Datum		value = kwj_table_get(jobs, "status", &isnull);

	*name = isnull ? NULL : TextDatumGetCString(value);
	return kwj_status_from_name(*name);
}

void
kwj_table_set_status(KwjTable *table, KwjStatus status)
{
	kwj_table_set_text(table, "status", kwj_status_name(status));
}

/* Close what open_to_write has opened. */
static void
end_writing(KwjTable *table)
{
	AfterTriggerEndQuery(table->estate);
	/* triggers have opened this table once more; close that, too */
	ExecCloseResultRelations(table->estate);
	EvalPlanQualEnd(&table->epq);
	ExecResetTupleTable(table->estate->es_tupleTable, false);
	ExecCloseIndices(table->info);
	FreeExecutorState(table->estate);
}

/* Closes what open_for_records has opened, and keeps the rest for the next time. */
static void
end_records(KwjTable *table)
{
	ExecClearTuple(table->next);
	kwj_indexes_close(table->info);
	table_close(table->rel, NoLock);
}

void
kwj_table_close(KwjTable *table)
{
	if (table->rows == KWJ_RECORDS)
	{
		end_records(table);
		return;
	}
	if (table->estate != NULL)
		end_writing(table);
	else
		ExecDropSingleTupleTableSlot(table->row);
	table_close(table->rel, NoLock);
	pfree(table);
}

/* Find the row by the primary key's index, with a snapshot of what is committed now. */
static bool
find_by_index(KwjTable *table, const Datum *key)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(table->primary_key);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[lengthof(key_equal)];
	IndexScanDesc scan;
	bool		found;

	Assert(n <= lengthof(key_equal));
	for (int i = 0; i < n; i++)
		ScanKeyInit(&keys[i], i + 1, BTEqualStrategyNumber, key_equal[i], key[i]);
	scan = kwj_index_beginscan(table->rel, table->primary_key, snapshot, n);
	index_rescan(scan, keys, n, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, table->row);
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * Returns whether the row in the slot has this primary key. By now, another row may be at the last
 * known place.
 */
static bool
has_key(KwjTable *table, const Datum *key)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(table->primary_key);

	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(table->row,
										 table->primary_key->rd_index->indkey.values[i], &isnull);

		if (!DatumGetBool(OidFunctionCall2(key_equal[i], value, key[i])))
			return false;
	}
	return true;
}

/*
 * Look for the row at its last known place. SnapshotSelf shows only a version that is the latest
 * now. It takes no predicate locks; with them, two serializable transactions could conflict only
 * because of our bookkeeping.
 */
static bool
find_there(KwjTable *table, const Datum *key, ItemPointer place)
{
	return ItemPointerIsValid(place) &&
		ItemPointerGetBlockNumber(place) < RelationGetNumberOfBlocks(table->rel) &&
		table_tuple_fetch_row_version(table->rel, place, SnapshotSelf, table->row) &&
		has_key(table, key);
}

bool
kwj_table_find(KwjTable *table, const Datum *key, ItemPointer place)
{
	return (place != NULL && find_there(table, key, place)) || find_by_index(table, key);
}

bool
kwj_table_lock_found(KwjTable *table, LockWaitPolicy wait)
{
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(table->rel, &table->row->tts_tid, SnapshotSelf, table->row,
							  GetCurrentCommandId(false), LockTupleNoKeyExclusive, wait,
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result != TM_Ok && result != TM_Deleted && result != TM_WouldBlock)
		elog(ERROR, "could not lock a row of table \"%s\": %d",
			 RelationGetRelationName(table->rel), result);
	return result == TM_Ok;
}

bool
kwj_table_lock(KwjTable *table, const Datum *key, ItemPointer place, LockWaitPolicy wait)
{
	return kwj_table_find(table, key, place) && kwj_table_lock_found(table, wait);
}

/*
 * Locks the index that has this name, and returns its OID; InvalidOid if there is none. REINDEX
 * CONCURRENTLY gives the name to another index, and makes the old one INVALID, although the table is
 * locked. This process may learn of that only when it has the lock on the old index.
 */
static Oid
lock_index(const char *name)
{
	Oid			index = kwj_store_find_relation(name);

	while (OidIsValid(index))
	{
		Oid			locked = index;

		LockRelationOid(locked, AccessShareLock);
		index = kwj_store_find_relation(name);
		if (index == locked)
			break;
		UnlockRelationOid(locked, AccessShareLock);
	}
	return index;
}

/*
 * Opens the index of the table that has this name. The table is locked, so nobody can drop the index
 * meanwhile. Returns NULL if there is no index.
 */
static Relation
open_index_of(const char *name)
{
	Oid			oid = lock_index(name);

	return OidIsValid(oid) ? index_open(oid, NoLock) : NULL;
}

/*
 * Returns whether the index is valid, according to the catalog. The relation cache may say that it is not
 * though REINDEX CONCURRENTLY has committed that it is: others see a commit a moment before PostgreSQL
 * tells them what it has changed.
 */
static bool
is_valid_now(Oid index)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	HeapTuple	row = kwj_catalog_row(IndexRelationId, IndexRelidIndexId, Anum_pg_index_indexrelid, index, snapshot);

	UnregisterSnapshot(snapshot);
	return HeapTupleIsValid(row) && ((Form_pg_index) GETSTRUCT(row))->indisvalid;
}

/*
 * Returns whether a scan of the index finds all rows. An index is INVALID while CREATE INDEX CONCURRENTLY
 * builds it, and after a DROP INDEX CONCURRENTLY that was canceled, for example. This check does not find
 * out that a B-tree with this name has other columns than ours.
 */
static bool
has_all_rows(Relation index, Relation table)
{
	return index->rd_index->indrelid == RelationGetRelid(table) &&
		index->rd_rel->relam == BTREE_AM_OID &&
		(index->rd_index->indisvalid || is_valid_now(RelationGetRelid(index)));
}

/* Returns whether a scan of the index with these keys finds all rows for which they are true. */
static bool
is_usable(Relation index, const KwjTable *table, const KwjKey *keys, int n)
{
	if (!has_all_rows(index, table->rel))
		return false;
	for (int i = 0; i < n; i++)
		if (keys[i].column > IndexRelationGetNumberOfKeyAttributes(index))
			return false;
	return true;
}

static Relation
open_index(KwjTable *table, const char *name, const KwjKey *keys, int n)
{
	Relation	index = open_index_of(name);

	if (index == NULL || !is_usable(index, table, keys, n))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table kwjobs.%s has no usable index \"%s\"",
						RelationGetRelationName(table->rel), name),
				 index == NULL ? errhint("Create it as kwjobs--1.0.sql does.") :
				 errhint("Type DROP INDEX kwjobs.%s, and create it as kwjobs--1.0.sql does.", name)));
	return index;
}

/* Make the scan key that says how column `key->column` of the index compares with a value. */
static void
init_scan_key(Relation index, const KwjKey *key, ScanKey scan_key)
{
	int			i = key->column - 1;
	Oid			type = index->rd_opcintype[i];
	Oid			operator = get_opfamily_member(index->rd_opfamily[i], type, type, key->strategy);

	ScanKeyEntryInitialize(scan_key, 0, key->column, key->strategy, InvalidOid,
						   index->rd_indcollation[i], get_opcode(operator), key->value);
}

/* Start to read from the index, which is open, with the snapshot of the scan. */
static void
start_reading(KwjTable *table, const KwjKey *keys, int n, bool entries)
{
	ScanKeyData scan_keys[INDEX_MAX_KEYS];

	Assert(n >= 0 && n <= INDEX_MAX_KEYS);
	for (int i = 0; i < n; i++)
		init_scan_key(table->index, &keys[i], &scan_keys[i]);
	table->scan = kwj_index_beginscan(table->rel, table->index, table->snapshot, n);
	table->scan->xs_want_itup = entries;
	index_rescan(table->scan, scan_keys, n, NULL, 0);
}

static void
begin_scan(KwjTable *table, const char *index, const KwjKey *keys, int n, bool entries)
{
	Assert(table->scan == NULL);
	table->index = open_index(table, index, keys, n);
	table->snapshot = RegisterSnapshot(table->given_snapshot ? table->given_snapshot :
									   GetLatestSnapshot());
	start_reading(table, keys, n, entries);
}

void
kwj_table_begin_scan(KwjTable *table, const char *index, const KwjKey *keys, int n)
{
	begin_scan(table, index, keys, n, false);
}

void
kwj_table_go_on_scan(KwjTable *table, const KwjKey *keys, int n)
{
	index_endscan(table->scan);
	start_reading(table, keys, n, false);
}

void
kwj_table_begin_entries(KwjTable *table, const char *index, const KwjKey *keys, int n)
{
	begin_scan(table, index, keys, n, true);
}

bool
kwj_table_next(KwjTable *table)
{
	return index_getnext_slot(table->scan, ForwardScanDirection, table->row);
}

bool
kwj_table_lock_next(KwjTable *table)
{
	while (kwj_table_next(table))
		if (kwj_table_lock_found(table, LockWaitBlock))
			return true;
	return false;
}

bool
kwj_table_next_entry(KwjTable *table, Datum *values, bool *isnull)
{
	Assert(table->scan->xs_want_itup);
	if (index_getnext_tid(table->scan, ForwardScanDirection) == NULL)
		return false;
	index_deform_tuple(table->scan->xs_itup, table->scan->xs_itupdesc, values, isnull);
	return true;
}

void
kwj_table_end_scan(KwjTable *table)
{
	index_endscan(table->scan);
	table->scan = NULL;
	UnregisterSnapshot(table->snapshot);
	/* While this process waits for a stronger lock on the table, it must have no lock on an index. */
	index_close(table->index, AccessShareLock);
}

Datum
kwj_table_get(KwjTable *table, const char *column, bool *isnull)
{
	return slot_getattr(table->row, kwj_column_number(table->rel, column), isnull);
}

void
kwj_table_change_row(KwjTable *table)
{
	int			n = RelationGetDescr(table->rel)->natts;

	table->model = NULL;
	slot_getallattrs(table->row);
	ExecClearTuple(table->next);
	memcpy(table->next->tts_values, table->row->tts_values, n * sizeof(Datum));
	memcpy(table->next->tts_isnull, table->row->tts_isnull, n * sizeof(bool));
}

void
kwj_table_new_row(KwjTable *table)
{
	int			n = RelationGetDescr(table->rel)->natts;

	table->model = NULL;
	ExecClearTuple(table->next);
	memset(table->next->tts_values, 0, n * sizeof(Datum));
	memset(table->next->tts_isnull, true, n * sizeof(bool));
}

bool
kwj_table_new_row_like(KwjTable *table, KwjModelRow *model)
{
	table->model = model;
	ExecClearTuple(table->next);
	return kwj_model_row_copy(model, table->rel, table->next);
}

void
kwj_table_keep_row(KwjTable *table, KwjModelRow *model)
{
	table->model = model;
	kwj_model_row_keep(model, table->rel, table->next);
}

void
kwj_table_set(KwjTable *table, const char *column, Datum value)
{
	int			i = kwj_column_number(table->rel, column) - 1;

	table->next->tts_values[i] = value;
	table->next->tts_isnull[i] = false;
}

void
kwj_table_set_null(KwjTable *table, const char *column)
{
	table->next->tts_isnull[kwj_column_number(table->rel, column) - 1] = true;
}

ItemPointerData
kwj_table_place(const KwjTable *table)
{
	return table->next->tts_tid;
}

void
kwj_table_forget_row(KwjTable *table)
{
	ExecClearTuple(table->row);
}

void
kwj_table_forget_lost_row(KwjTable *table)
{
	if (TTS_IS_BUFFERTUPLE(table->row))
		((BufferHeapTupleTableSlot *) table->row)->buffer = InvalidBuffer;
	ExecClearTuple(table->row);
}

/*
 * Returns whether the trigger is one of PostgreSQL's own that refuses no row that kwjobs writes. That is so
 * if it does nothing for new rows, as those of the table that a foreign key refers to, and if it belongs to
 * one of our foreign keys, by which other tables refer to kwjobs.job.
 */
static bool
is_harmless(const KwjTable *table, const Trigger *trigger)
{
	Oid			jobs;

	if (!trigger->tgisinternal || !TRIGGER_FOR_INSERT(trigger->tgtype))
		return trigger->tgisinternal;
	jobs = kwj_store_relation("job");
	return trigger->tgconstrrelid == jobs && RelationGetRelid(table->rel) != jobs;
}

static bool
has_triggers(const KwjTable *table)
{
	const TriggerDesc *triggers = table->rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (!is_harmless(table, &triggers->triggers[i]))
			return true;
	return false;
}

static bool
has_constraints(const KwjTable *table)
{
	const TupleConstr *constraints = RelationGetDescr(table->rel)->constr;

	return table->rel->rd_rel->relispartition ||
		(constraints != NULL && (constraints->num_check > 0 || constraints->has_generated_stored));
}

static bool
has_expressions(const KwjTable *table)
{
	for (int i = 0; i < table->info->ri_NumIndices; i++)
		if (table->info->ri_IndexRelationInfo[i]->ii_Expressions != NIL ||
			table->info->ri_IndexRelationInfo[i]->ii_ExclusionOps != NULL ||
			!table->info->ri_IndexRelationDescs[i]->rd_index->indimmediate)
			return true;
	return false;
}

static bool
may_refuse(const KwjTable *table)
{
	return has_triggers(table) || has_constraints(table) || has_expressions(table);
}

bool
kwj_table_may_refuse(const KwjTable *table)
{
	return table->rows == KWJ_RECORDS ? table->may_refuse : may_refuse(table);
}

/* PostgreSQL does not count an identity column as one with a DEFAULT. */
static bool
has_identity(const KwjTable *table)
{
	TupleDesc	columns = RelationGetDescr(table->rel);

	for (int i = 0; i < columns->natts; i++)
		if (TupleDescAttr(columns, i)->attidentity != '\0')
			return true;
	return false;
}

bool
kwj_table_is_changed(const KwjTable *table, int n_defaults)
{
	const TupleConstr *constraints = RelationGetDescr(table->rel)->constr;

	return has_triggers(table) || constraints == NULL || constraints->num_defval != n_defaults ||
		has_identity(table);
}

ItemPointerData
kwj_table_row_place(const KwjTable *table)
{
	return table->row->tts_tid;
}

/*
 * Makes a tuple of the row that is to be written, and stores the tuple in the slot. PostgreSQL then writes
 * this tuple. If the slot had the values only, PostgreSQL would copy all of them first, and then make a tuple
 * of the copies. The values stay in the slot, too, for the index entries.
 */
static void
store_row(KwjTable *table)
{
	TupleTableSlot *row = table->next;
	MemoryContext caller = MemoryContextSwitchTo(row->tts_mcxt);
	HeapTuple	tuple = table->model != NULL ? kwj_model_row_form(table->model, row) :
		heap_form_tuple(row->tts_tupleDescriptor, row->tts_values, row->tts_isnull);

	MemoryContextSwitchTo(caller);
	ExecStoreHeapTuple(tuple, row, true);
	row->tts_nvalid = row->tts_tupleDescriptor->natts;
}

void
kwj_table_update(KwjTable *table)
{
	Assert(kwj_indexes_take(table->rel, table->next, table->rows));
	store_row(table);
	ExecSimpleRelationUpdate(table->info, table->estate, &table->epq, table->row,
							 table->next);
	/* make the new version visible to later commands */
	CommandCounterIncrement();
}

/* Does what ExecConstraints does for a table that has no other constraints than NOT NULL. */
static void
check_not_null(const KwjTable *table)
{
	for (int i = 0; i < table->n_not_null; i++)
		if (table->next->tts_isnull[table->not_null[i]])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of table kwjobs.%s",
							NameStr(TupleDescAttr(RelationGetDescr(table->rel), table->not_null[i])->attname),
							RelationGetRelationName(table->rel))));
}

/*
 * This does without CommandCounterIncrement, because a session that is about to commit does not read the
 * row again.
 */
static void
insert_record(KwjTable *table)
{
	Assert(!kwj_table_may_refuse(table));
	check_not_null(table);
	simple_table_tuple_insert(table->rel, table->next);
	kwj_indexes_insert(table->info, table->next);
}

void
kwj_table_insert(KwjTable *table)
{
	Assert(kwj_indexes_take(table->rel, table->next, table->rows));
	store_row(table);
	if (table->rows == KWJ_RECORDS)
	{
		insert_record(table);
		return;
	}
	ExecSimpleRelationInsert(table->info, table->estate, table->next);
	CommandCounterIncrement();
}

/* Returns whether the index, which is open, has a row with this key now. */
static bool
has_key_in(Relation table, Relation index, int64 key)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(table, NULL);
	IndexScanDesc scan = kwj_index_beginscan(table, index, snapshot, 1);
	ScanKeyData scan_key;
	bool		found;

	ScanKeyInit(&scan_key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key));
	index_rescan(scan, &scan_key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	return found;
}

bool
kwj_index_may_have(const char *table, const char *name, int64 key)
{
	/* lock the table first, so that nobody drops the index while it is used */
	Relation	rel = table_open(kwj_store_relation(table), AccessShareLock);
	Relation	index = open_index_of(name);
	bool		may_have = index == NULL || !has_all_rows(index, rel) || has_key_in(rel, index, key);

	if (index != NULL)
		index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return may_have;
}

/*
 * src/type/import/revert.c
 *	  Removes the rows that an IMPORT inserted: those whose xmin is one of the job's
 *	  transactions. A table that the job has created is dropped instead (created.h).
 *
 * The owner of the job may have no right to delete. So the DELETE runs as the owner of the table,
 * as referential actions do, and can hit only rows of the job. Before it, triggers.c checks that it
 * will run no code as the owner that others may have chosen. The code that it runs finds its
 * objects by a search_path that is set here. The worker is one that has run no other job
 * (reverts_in_new_session), because a procedural language may remember which objects a function
 * found earlier in the session, by the search_path of the job's owner.
 *
 * Process: worker. Locks: RowExclusiveLock on the tables, until the end of the transaction. The
 * whole revert is one transaction. If the worker dies, the transaction is rolled back, and the next
 * attempt begins anew.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "job/relation.h"
#include "lifecycle/attempt.h"
#include "lifecycle/parts.h"
#include "miscadmin.h"
#include "parser/parse_relation.h"
#include "storage/bufmgr.h"
#include "type/columns.h"
#include "type/import/as_owner.h"
#include "type/import/created.h"
#include "type/import/keeper.h"
#include "type/import/options.h"
#include "type/import/reject_file.h"
#include "type/import/reject_table.h"
#include "type/import/revert.h"
#include "type/import/statement.h"
#include "type/import/target.h"
#include "type/import/transactions.h"
#include "type/import/triggers.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* What the job's transactions have left in one table. */
typedef struct TableRows
{
	const KwjStorage *storage;
	ItemPointerData *updated;	/* rows that the transactions have updated */
	int64		nupdated;
	int64		allocated;
} TableRows;

typedef struct Removal
{
	KwjTransactions		xids;
	TableRows  *tables;			/* one for each item of the storage */
	int64		inserted;		/* rows that were inserted */
	int64		updated;		/* rows that were updated, whether they were imported or not */
	bool		keep_updated;	/* none of the updated rows was imported */
	int64		removed;
	int			found;			/* number of tables that still exist */
	bool		rewritten;		/* one of them has got new storage and is not empty */
} Removal;

static void
add_updated(TableRows *rows, ItemPointer tid)
{
	if (rows->nupdated == rows->allocated)
	{
		rows->allocated = Max(64, rows->allocated * 2);
		rows->updated = rows->updated == NULL ?
			palloc(rows->allocated * sizeof(ItemPointerData)) :
			repalloc_huge(rows->updated, rows->allocated * sizeof(ItemPointerData));
	}
	rows->updated[rows->nupdated++] = *tid;
}

/*
 * Returns whether a row that has the xmin of one of the job's transactions may be older than the
 * job. A frozen row keeps its xmin for ever, so that on a server which has used all numbers once,
 * an older row may have such an xmin. It lies in a block that was there before the job.
 */
static bool
may_be_older(HeapTuple tuple, const KwjTransactions *xids, BlockNumber old_blocks)
{
	return xids->reused && HeapTupleHeaderXminFrozen(tuple->t_data) &&
		ItemPointerGetBlockNumber(&tuple->t_self) < old_blocks;
}

static void
refuse_older_rows(Relation rel, int64 doubtful)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg(INT64_FORMAT " rows of table \"%s\" may have been imported by the job or be much older",
				   doubtful, RelationGetRelationName(rel)),
			errdetail("Their transaction numbers were in use before, and they are frozen."),
			errhint("Remove the imported rows by hand."));
}

/* Goes through the rows of the job's transactions in a table. */
static void
survey_rows(Removal *removal, TableRows *rows, Relation rel, BlockNumber old_blocks)
{
	const KwjTransactions *xids = &removal->xids;
	int64		doubtful = 0;
	TableScanDesc scan;
	HeapTuple	tuple;

	PushActiveSnapshot(GetTransactionSnapshot());
	scan = table_beginscan_strat(rel, GetActiveSnapshot(), 0, NULL, true, false);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		TransactionId xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);

		CHECK_FOR_INTERRUPTS();
		if (!kwj_transactions_have(xids, xmin))
			continue;
		if (may_be_older(tuple, xids, old_blocks))
			doubtful++;
		if (tuple->t_data->t_infomask & HEAP_UPDATED)
			add_updated(rows, &tuple->t_self);
		else
			removal->inserted++;
	}
	table_endscan(scan);
	PopActiveSnapshot();
	removal->updated += rows->nupdated;
	if (doubtful > 0)
		refuse_older_rows(rel, doubtful);
}

static void
survey(Removal *removal, const KwjStorageMap *storage)
{
	removal->tables = palloc0(sizeof(TableRows) * Max(storage->n, 1));
	for (int i = 0; i < storage->n; i++)
	{
		const KwjStorage *item = &storage->items[i];
		Relation	rel = try_relation_open(item->relid, RowExclusiveLock);

		removal->tables[i].storage = item;
		if (rel == NULL)
			continue;
		survey_rows(removal, &removal->tables[i], rel,
					rel->rd_rel->relfilenode == item->relfilenode ?
					item->blocks : InvalidBlockNumber);
		relation_close(rel, NoLock);
	}
}

/*
 * Decides whether updated rows were imported. A trigger can update rows of the table while the job
 * inserts others: rows that were there before, or those just imported. Both have an xmin of the
 * job then. The number of rows tells which, if only one of the two is possible.
 */
static void
decide_about_updated(Removal *removal, int64 imported)
{
	if (removal->updated == 0 && removal->inserted <= imported)
		return;
	if (removal->updated == imported && removal->inserted == 0)
		return;
	removal->keep_updated = removal->inserted == imported;
	if (removal->keep_updated)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("imported rows cannot be told from rows that triggers changed"),
			errdetail("The job imported " INT64_FORMAT " rows; of its transactions there are "
					  INT64_FORMAT " inserted and " INT64_FORMAT " updated rows in the table.",
					  imported, removal->inserted, removal->updated),
			errhint("Remove the imported rows by hand; no row was removed by the job."));
}

/* Returns the rows as tid[]. */
static ArrayType *
tid_array(const ItemPointerData *tids, int64 n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + n * sizeof(ItemPointerData);
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = TIDOID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), tids, n * sizeof(ItemPointerData));
	return array;
}

/*
 * Runs a statement as the owner of the table, with the job's transactions as $1, and rows to keep
 * as $2 if there are any.
 */
static uint64
execute_as_owner(Relation rel, const char *sql, const KwjTransactions *xids,
				 ArrayType *keep)
{
	Oid			types[2] = {XIDARRAYOID, TIDARRAYOID};
	Datum		values[2] = {PointerGetDatum(xids->array), PointerGetDatum(keep)};

	return kwj_import_run_as_owner(rel, sql, keep ? 2 : 1, types, values);
}

/* The arguments of remove_in_statement. */
typedef struct Deletion
{
	Relation	rel;
	const KwjTransactions *xids;
	ArrayType  *keep;			/* rows that stay, or NULL */
} Deletion;

static uint64
remove_in_statement(void *arg)
{
	Deletion   *deletion = arg;
	char	   *sql;

	sql = psprintf("DELETE FROM ONLY %s WHERE xmin OPERATOR(pg_catalog.=) ANY ($1)%s",
				   kwj_qualified_name(deletion->rel),
				   deletion->keep ? " AND ctid OPERATOR(pg_catalog.<>) ALL ($2)" : "");
	return execute_as_owner(deletion->rel, sql, deletion->xids, deletion->keep);
}

/*
 * Begins the DELETE as a statement of the job's owner, although it is done with the rights of the
 * table's owner, because extensions that audit statements ignore what runs as another role.
 */
static QueryDesc *
begin_deletion(Relation rel, const char *text)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *nsitem = addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock,
															   NULL, false, false);

	kwj_nsitem_permissions(nsitem)->requiredPerms = ACL_DELETE;
	kwj_nsitem_permissions(nsitem)->checkAsUser = rel->rd_rel->relowner;
	return kwj_import_begin_statement(pstate, CMD_DELETE, text);
}

/*
 * Removes the job's rows from one of the targets, if it still exists. text: the statement, for
 * users.
 */
static void
remove_from(Removal *removal, const TableRows *rows, const List *targets, const char *text)
{
	const KwjStorage *storage = rows->storage;
	Deletion	deletion = {
		.rel = try_relation_open(storage->relid, RowExclusiveLock),
		.xids = &removal->xids,
	};
	Relation	rel = deletion.rel;

	if (rel == NULL)
		return;
	removal->found++;
	kwj_import_check_triggers(rel, targets);
	if (removal->keep_updated && rows->nupdated > 0)
		deletion.keep = tid_array(rows->updated, rows->nupdated);

	PushActiveSnapshot(GetTransactionSnapshot());
	removal->removed += kwj_import_run_statement(begin_deletion(rel, text),
												 remove_in_statement, &deletion);
	PopActiveSnapshot();

	/* TRUNCATE gives a table new storage, too. */
	if (rel->rd_rel->relfilenode != storage->relfilenode &&
		RelationGetNumberOfBlocks(rel) > 0)
		removal->rewritten = true;
	relation_close(rel, NoLock);
}

/* Returns how many rows of the job are in this table, counting up to `limit` (0: all). */
static int64
count_rows(const KwjStorage *storage, const KwjTransactions *xids, int limit)
{
	Relation	rel = try_relation_open(storage->relid, AccessShareLock);
	int64		found;

	if (rel == NULL)
		return 0;
	found = execute_as_owner(rel,
							 psprintf("SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY %s WHERE xmin OPERATOR(pg_catalog.=) ANY ($1)%s) AS found",
									  kwj_qualified_name(rel),
									  limit > 0 ? psprintf(" LIMIT %d", limit) : ""),
							 xids, NULL);
	relation_close(rel, NoLock);
	return found;
}

/*
 * A trigger can keep a row from being deleted. Checks that no row is left but those that are meant
 * to stay.
 */
static void
check_none_kept(const Removal *removal, const KwjStorageMap *storage)
{
	for (int i = 0; i < storage->n; i++)
	{
		int64		meant = removal->keep_updated ? removal->tables[i].nupdated : 0;

		if (count_rows(&storage->items[i], &removal->xids, meant > 0 ? 0 : 1) > meant)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("imported rows of table \"%s\" could not be removed",
						   get_rel_name(storage->items[i].relid)),
					errhint("A trigger of the table may prevent it; remove the rows by hand."));
	}
}

static char *
removal_note(const Removal *removal, int64 imported)
{
	int64		missing = imported - removal->removed;

	if (removal->found == 0)
		return pstrdup("the table does not exist any more");
	if (missing <= 0)
		return psprintf("removed " INT64_FORMAT " imported rows", removal->removed);
	if (removal->rewritten)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg(INT64_FORMAT " of the rows that this job imported can no longer be told from others",
					   missing),
				errdetail("The table was rewritten since then, by ALTER TABLE for instance."),
				errhint("Remove the imported rows by hand; no row was removed by the job."));
	return psprintf("removed " INT64_FORMAT " imported rows; " INT64_FORMAT
					" had been changed or deleted by other transactions",
					removal->removed, missing);
}

/*
 * Another extension may have taken over a table meanwhile. Then it may have moved the rows, and
 * decides what a DELETE does.
 */
static void
check_not_kept(const KwjStorageMap *storage)
{
	List	   *tables = NIL;
	KwjKept		kept;

	for (int i = 0; i < storage->n; i++)
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(storage->items[i].relid)))
			tables = lappend_oid(tables, storage->items[i].relid);
	if (!kwj_find_kept(tables, &kept))
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("imported rows of table \"%s\" cannot be removed: its rows are kept by %s now",
				   get_rel_name(kept.relid), kept.extension),
			errhint("Remove the imported rows by hand; no row was removed by the job."));
}

/* Reads which tables hold rows of the job. Returns how many rows it has imported. */
static int64
read_imported(KwjAttempt *attempt, const KwjImportSpec *spec, KwjStorageMap *storage)
{
	if (spec->options.workers > 1)
	{
		(void) kwj_import_read_storage(attempt, storage);
		return kwj_pieces_rows_so_far(attempt);
	}
	kwj_storage_read(storage, attempt->checkpoint);
	return attempt->rows;
}

static char *
remove_rows(KwjAttempt *attempt, const KwjImportSpec *spec, const FullTransactionId *full, int n)
{
	KwjStorageMap storage = {.context = CurrentMemoryContext};
	Removal		removal = {0};
	List	   *targets = NIL;
	int64		imported;
	char	   *text = psprintf("revert of %s", kwj_import_statement_text(spec));

	kwj_transactions_read(&removal.xids, full, n);
	imported = read_imported(attempt, spec, &storage);
	check_not_kept(&storage);
	survey(&removal, &storage);
	decide_about_updated(&removal, imported);
	for (int i = 0; i < storage.n; i++)
		targets = lappend_oid(targets, storage.items[i].relid);
	for (int i = 0; i < storage.n; i++)
		remove_from(&removal, &removal.tables[i], targets, text);
	if (removal.removed < imported)
		check_none_kept(&removal, &storage);
	return removal_note(&removal, imported);
}

/* Drops what the job has created; all its rows go with that. */
static char *
drop_created(KwjAttempt *attempt)
{
	KwjCreated	created = {.context = CurrentMemoryContext};
	Jsonb	   *planned;

	if (attempt->checkpoint == NULL)
		return NULL;
	planned = kwj_parts_state_in(attempt->checkpoint);
	kwj_created_read(&created, planned ? planned : attempt->checkpoint);
	return created.n > 0 ? kwj_created_drop(&created) : NULL;
}

void
kwj_import_revert(KwjAttempt *attempt)
{
	KwjImportSpec spec;
	FullTransactionId *xids;
	char	   *note = NULL;
	int			n;

	kwj_attempt_begin(attempt);
	kwj_import_read_payload(attempt->payload, &spec);
	kwj_reject_file_remove(&spec.options, attempt);
	if (spec.options.keeps_rows)
	{
		/* RETRY goes on from the checkpoint, so that no row is imported twice. */
		note = psprintf(INT64_FORMAT " imported rows were kept (revert = 'none'); RETRY JOB imports the rest",
						attempt->rows);
		kwj_attempt_reverted(attempt, note, false);
		return;
	}
	xids = kwj_attempt_transactions(attempt, &n);
	if (spec.definition != NULL)
		note = drop_created(attempt);
	else if (n > 0)
		note = remove_rows(attempt, &spec, xids, n);
	/* The records that were left out belong to the rows that are removed. */
	kwj_reject_table_clear(&spec.options, attempt->job_id);
	kwj_reject_file_forget(&spec.options, attempt);
	kwj_attempt_reverted(attempt, note, true);
}

static bool
is_unlogged(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) &&
		get_rel_persistence(relid) == RELPERSISTENCE_UNLOGGED;
}

/* Returns an unlogged table without rows of the job, or NULL. */
static const KwjStorage *
find_empty_unlogged(const KwjStorageMap *storage, const KwjTransactions *xids)
{
	for (int i = 0; i < storage->n; i++)
	{
		if (is_unlogged(storage->items[i].relid) &&
			count_rows(&storage->items[i], xids, 1) == 0)
			return &storage->items[i];
	}
	return NULL;
}

/*
 * A crash of the server removes all rows of an unlogged table. But a partition without rows of the
 * job may never have had any. Then all rows of the job are in the others.
 */
void
kwj_import_check_not_emptied(KwjAttempt *attempt, const KwjStorageMap *storage)
{
	FullTransactionId *full;
	KwjTransactions		xids;
	const KwjStorage *empty;
	int64		found = 0;
	int			i;
	int			n;

	for (i = 0; i < storage->n && !is_unlogged(storage->items[i].relid); i++)
		;
	if (i == storage->n)
		return;

	full = kwj_attempt_transactions(attempt, &n);
	kwj_transactions_read(&xids, full, n);
	empty = find_empty_unlogged(storage, &xids);
	if (empty == NULL)
		return;
	for (i = 0; i < storage->n; i++)
		found += count_rows(&storage->items[i], &xids, 0);
	if (found >= attempt->rows)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("rows imported so far are no longer there"),
			errdetail("Table %s is unlogged; a crash of the server empties it.",
					  kwj_name_of_relation(empty->relid)),
			errhint("Import the files again."));
}

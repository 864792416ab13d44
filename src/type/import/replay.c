/*
 * src/type/import/replay.c
 *	  The error that an IMPORT by one worker would have met.
 *
 * Two records have the same key, the first one in piece 3, the second one in piece 4. If piece 4 was
 * imported faster, the unique index refuses the first record, in piece 3. COPY would have refused
 * the second one. And between the two there may be a record with another error.
 *
 *     piece    1     2     3          4          5
 *              done  done  failed     done       done in part
 *                          |--- one transaction, without the rows of 4 and 5: COPY raises
 *                               the error that comes first in the order of the files --->
 *
 * Which error that is does not depend on how the files were cut. The transaction is aborted, so it
 * leaves nothing: the failed job is reverted as any other. Rows are deleted here without triggers
 * and without anybody's rights for the same reason.
 *
 * Caller: the last part of the attempt. Process: worker. Locks: RowExclusiveLock on the target and
 * its partitions, and the deleted rows, until the transaction is aborted. If the worker dies, the
 * next attempt meets the error again.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "miscadmin.h"
#include "type/import/batch.h"
#include "type/import/replay.h"
#include "type/import/transactions.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Deletes the rows of these transactions from the table. Others may have deleted some already. */
static void
delete_rows(Relation rel, const KwjTransactions *transactions)
{
	TableScanDesc scan = table_beginscan_strat(rel, GetActiveSnapshot(), 0, NULL, true, false);
	HeapTuple	tuple;
	TM_FailureData failure;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (kwj_transactions_have(transactions, HeapTupleHeaderGetRawXmin(tuple->t_data)))
			(void) kwj_heap_delete(rel, &tuple->t_self, &failure);
	}
	table_endscan(scan);
}

static void
delete_all_rows(const KwjStorageMap *storage, const KwjTransactions *transactions)
{
	for (int i = 0; i < storage->n; i++)
	{
		Relation	rel = try_relation_open(storage->items[i].relid, RowExclusiveLock);

		if (rel == NULL)
			continue;
		/* A table that is no heap any more was altered by somebody; its rows stay. */
		if (rel->rd_amhandler == F_HEAP_TABLEAM_HANDLER)
			delete_rows(rel, transactions);
		relation_close(rel, NoLock);
	}
}

static void
show_nothing(const KwjImport *import, int64 rows)
{
}

/* Imports from the piece's checkpoint to the end of the files, as one batch. */
static void
import_rest(KwjImport *import, const KwjPiece *piece)
{
	kwj_import_set_piece(import, piece);
	import->end = (KwjImportEnd) {.file = list_length(import->spec.files)};
	import->show = show_nothing;
	import->quiet = true;
	import->in_one_batch = true;
	kwj_import_run_batch(import);
}

void
kwj_import_replay(KwjAttempt *attempt, KwjPiece *piece, const KwjError *error)
{
	KwjImport	import;
	KwjTransactions transactions;
	FullTransactionId *xids;
	int			n;

	/* Without a line, the place of the error does not matter: a deferred constraint, for instance. */
	if (error->code != ERRCODE_UNIQUE_VIOLATION || error->line == 0)
		return;
	xids = kwj_pieces_transactions(attempt, piece, &n);
	if (n == 0)
		return;
	kwj_progress_set_status("looking for the first error in the order of the files");
	kwj_import_init(&import, attempt);
	kwj_import_read_storage(attempt, &import.storage);
	kwj_transactions_read(&transactions, xids, n);
	delete_all_rows(&import.storage, &transactions);
	CommandCounterIncrement();
	import_rest(&import, piece);
}

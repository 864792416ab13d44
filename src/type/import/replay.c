/*
 * src/type/import/replay.c
 *	  When an IMPORT by several workers has failed: finds the error that one worker would have met.
 *
 * Two records have the same key, the first one in piece 3, the second one in piece 4.
 *
 * - If piece 4 was imported faster, the unique index refuses the first record, in piece 3. COPY would
 *   have refused the second one. And between the two there may be a record with another error.
 * - If piece 4 has failed for a later record, before piece 3 came to the first one, then nothing has
 *   refused the second one.
 *
 *     piece    1     2     3          4          5
 *              done  done  failed     done       done in part
 *                          |--- one transaction, without the rows of 4 and 5: COPY raises
 *                               the error that comes first in the order of the files --->
 *
 * Now all pieces before the one that has failed are done. So the error does not depend on how the
 * files were cut, and by whom. The transaction is aborted, so it leaves nothing: the failed job is
 * reverted as any other. Rows are deleted here without triggers and without anybody's rights for the
 * same reason.
 *
 * Records that are left out (on_error = 'skip') depend on no others, where several workers import. But
 * which one is the first beyond reject_limit is known only when all pieces before it are done. A piece
 * that has left out any keeps their number. If there are more than the limit in all, the piece in which
 * it is reached is imported once more in the same way, from its start, counting on from the pieces
 * before it. It raises the error of the first record beyond the limit. An import in one piece needs none
 * of this, because its worker has met the records in their order. There, doing the piece again could even
 * raise a wrong error: with a unique index, a record would conflict with its own row of the first time.
 *
 * Caller: the last part of the attempt. Process: worker. Locks: RowExclusiveLock on the target and
 * its partitions, and the deleted rows, until the transaction is aborted. If the worker dies, the
 * next attempt meets the error again.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_index.h"
#include "compat.h"
#include "job/json.h"
#include "job/progress.h"
#include "miscadmin.h"
#include "type/import/batch.h"
#include "type/import/replay.h"
#include "type/import/transactions.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/*
 * Returns whether one of these transactions has inserted the row. A frozen row may be much older if
 * the server has used all transaction numbers once; the job's own rows are hardly ever frozen yet.
 */
static bool
is_of(const KwjTransactions *transactions, HeapTuple tuple)
{
	return !(transactions->reused && HeapTupleHeaderXminFrozen(tuple->t_data)) &&
		kwj_transactions_have(transactions, HeapTupleHeaderGetRawXmin(tuple->t_data));
}

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
		if (is_of(transactions, tuple))
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

/*
 * Returns whether one of the tables has a unique index. Otherwise no record has an error because of
 * another one (see order.c).
 */
static bool
has_unique_index(const KwjStorageMap *storage)
{
	bool		found = false;

	for (int i = 0; i < storage->n && !found; i++)
	{
		Relation	rel = try_relation_open(storage->items[i].relid, AccessShareLock);
		ListCell   *lc;

		if (rel == NULL)
			continue;
		foreach(lc, RelationGetIndexList(rel))
		{
			HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));

			if (!HeapTupleIsValid(tuple))
				continue;
			found |= ((Form_pg_index) GETSTRUCT(tuple))->indisunique;
			ReleaseSysCache(tuple);
		}
		relation_close(rel, NoLock);
	}
	return found;
}

/* Imports from the position to the end that is set, as one batch. */
static void
import_in_one_batch(KwjImport *import)
{
	import->show = show_nothing;
	import->quiet = true;
	import->in_one_batch = true;
	import->decides = true;
	kwj_import_run_batch(import);
}

/*
 * Imports from the piece's checkpoint as one batch: to the end of the piece or, if only a later one
 * can have the error, to the end of the files.
 */
static void
import_again(KwjImport *import, const KwjPiece *piece, bool only_piece)
{
	kwj_import_set_piece(import, piece);
	if (!only_piece)
		import->end = (KwjImportEnd) {.file = list_length(import->spec.files)};
	import_in_one_batch(import);
}

/* ---- records that were left out ---- */

void
kwj_import_write_rejected(const KwjImport *import, const KwjPiece *piece, StringInfo json)
{
	appendStringInfo(json, ", \"rejected\": " INT64_FORMAT ", \"piece\": " INT64_FORMAT ", \"what\": %s",
					 import->rejected, piece->number,
					 JsonbToCString(NULL, &piece->what->root, VARSIZE(piece->what)));
}

/*
 * Returns how many records were left out in the pieces before this one. If there are more than the
 * limit, returns how many in the pieces before the one in which it is reached, and sets *what to that
 * one.
 */
static int64
count_rejected(KwjAttempt *attempt, int64 before_piece, int64 limit, Jsonb **what)
{
	int64		rejected = 0;
	ListCell   *lc;

	*what = NULL;
	foreach(lc, kwj_pieces_states(attempt, "rejected"))
	{
		Jsonb	   *state = lfirst(lc);
		int64		here = kwj_json_int64(state, "rejected");

		if (kwj_json_int64(state, "piece") >= before_piece)
			break;
		if (limit >= 0 && rejected + here > limit)
		{
			*what = kwj_json_object(state, "what");
			break;
		}
		rejected += here;
	}
	return rejected;
}

/* Imports a piece from its start, after this many records were left out. */
static void
import_from_start(KwjAttempt *attempt, Jsonb *what, int64 rejected)
{
	KwjImport	import;

	kwj_progress_set_status("looking for the first record beyond reject_limit");
	kwj_import_init(&import, attempt);
	kwj_import_position_read(&import.position, what);
	kwj_import_position_read_end(&import.end, what);
	import.bytes_before = -import.position.offset;
	import.rejected = rejected;
	import_in_one_batch(&import);
}

int64
kwj_import_check_limit(KwjAttempt *attempt)
{
	KwjImportSpec spec;
	Jsonb	   *what;
	int64		rejected;

	kwj_import_read_payload(attempt->payload, &spec);
	rejected = count_rejected(attempt, PG_INT64_MAX, spec.options.reject_limit, &what);
	if (what == NULL)
		return rejected;
	import_from_start(attempt, what, rejected);
	/* A row that a foreign key refers to may have come meanwhile. */
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("more than " INT64_FORMAT " records were left out", spec.options.reject_limit),
			errhint("Correct the files, or type a larger reject_limit."));
}

/*
 * Imports once more the piece in which reject_limit is reached, if that is before the piece that has failed;
 * otherwise the piece that has failed. If that raises an error, it is the one that comes first in the files.
 */
static void
replay_limit(KwjAttempt *attempt, const KwjPiece *piece, int64 limit)
{
	Jsonb	   *what;
	int64		rejected = count_rejected(attempt, piece->number, limit, &what);

	import_from_start(attempt, what ? what : piece->what, rejected);
}

/* ---- the first error ---- */

static void
replay(KwjAttempt *attempt, KwjPiece *piece, const KwjError *error)
{
	KwjImport	import;
	KwjTransactions transactions;
	FullTransactionId *xids;
	int			n;

	kwj_import_init(&import, attempt);
	if (import.spec.options.on_error == KWJ_IMPORT_SKIP)
	{
		/* If one piece is the whole import, its worker has met the first record beyond the limit itself. */
		if (import.spec.options.reject_limit >= 0 && !kwj_import_is_whole(&import, piece))
			replay_limit(attempt, piece, import.spec.options.reject_limit);
		return;
	}
	(void) kwj_import_read_storage(attempt, &import.storage);
	if (!has_unique_index(&import.storage))
		return;
	kwj_progress_set_status("looking for the first error in the order of the files");
	xids = kwj_pieces_transactions(attempt, piece, &n);
	kwj_transactions_read(&transactions, xids, n);
	if (n > 0)
		delete_all_rows(&import.storage, &transactions);
	CommandCounterIncrement();
	import_again(&import, piece, n == 0 || error->code != ERRCODE_UNIQUE_VIOLATION);
}

void
kwj_import_replay(KwjAttempt *attempt, KwjPiece *piece, const KwjError *error)
{
	/* An error that is not about a record, such as a full disk, has no file. */
	if (error->file == NULL)
		return;
	PG_TRY();
	{
		replay(attempt, piece, error);
	}
	PG_CATCH();
	{
		if (attempt->error_file != NULL ||
			ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_OPERATOR_INTERVENTION)
			PG_RE_THROW();
		/*
		 * Any other error, such as that of a file that was changed meanwhile, says nothing about
		 * the order of the records. Then the first error stands. Nothing has to be cleaned up here,
		 * because the caller aborts the transaction.
		 */
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
}

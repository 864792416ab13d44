/*
 * src/type/import/transactions.c
 *	  The transactions of an import, by which its rows are told from others.
 *
 * Process: worker. Locks: none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "type/import/transactions.h"
#include "utils/builtins.h"

/*
 * Checks that rows of this transaction can still be told from others. xmin has only the lower 32
 * bits of a transaction's number. When 2^31 transactions have begun since this one, the same xmin
 * may belong to a later transaction.
 */
static void
check_age(FullTransactionId xid)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

	if (next - U64FromFullTransactionId(xid) < UINT64CONST(0x80000000))
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("rows imported by transaction " UINT64_FORMAT " can no longer be told from others",
				   U64FromFullTransactionId(xid)),
			errdetail("More than 2^31 transactions began since then."),
			errhint("Remove the imported rows by hand."));
}

void
kwj_transactions_read(KwjTransactions *result, const FullTransactionId *full, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * n);

	result->n = n;
	result->xids = palloc(sizeof(TransactionId) * n);
	result->reused = false;
	for (int i = 0; i < n; i++)
	{
		check_age(full[i]);
		result->xids[i] = XidFromFullTransactionId(full[i]);
		datums[i] = TransactionIdGetDatum(result->xids[i]);
		if (EpochFromFullTransactionId(full[i]) > 0)
			result->reused = true;
	}
	qsort(result->xids, n, sizeof(TransactionId), xidComparator);
	result->array = construct_array(datums, n, XIDOID, sizeof(TransactionId),
									true, TYPALIGN_INT);
}

bool
kwj_transactions_have(const KwjTransactions *transactions, TransactionId xmin)
{
	return bsearch(&xmin, transactions->xids, transactions->n, sizeof(xmin), xidComparator) != NULL;
}

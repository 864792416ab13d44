/*
 * src/type/import/transactions.h
 *	  The transactions of an import, by which its rows are told from others.
 */
#ifndef KWJ_TYPE_IMPORT_TRANSACTIONS_H
#define KWJ_TYPE_IMPORT_TRANSACTIONS_H

#include "postgres.h"
#include "access/transam.h"
#include "utils/array.h"

/* Transactions, as xmin has them. */
typedef struct KwjTransactions
{
	int			n;
	TransactionId *xids;		/* sorted by number */
	ArrayType  *array;			/* these numbers as xid[] */
	bool		reused;			/* some of the numbers were in use before */
} KwjTransactions;

/*
 * Sets *result, palloc'd. Errors: 55000 if rows of one of the n transactions cannot be told from
 * others any more.
 */
extern void kwj_transactions_read(KwjTransactions *result, const FullTransactionId *full, int n);

/* Returns whether a row with this xmin is of one of the transactions. */
extern bool kwj_transactions_have(const KwjTransactions *transactions, TransactionId xmin);

#endif

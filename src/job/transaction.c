/*
 * src/job/transaction.c
 *	  How kwjobs begins transactions of its own, and has its functions called at the ends of transactions.
 *
 * Process: worker, coordinator; kwj_at_transaction_end: any. Locks: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/transaction.h"
#include "utils/snapmgr.h"

void
kwj_begin_own_transaction(void)
{
	Assert(!IsTransactionState());
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	XactDeferrable = false;
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
kwj_at_transaction_end(bool *registered, XactCallback of_transactions,
					   SubXactCallback of_subtransactions)
{
	if (*registered)
		return;
	RegisterXactCallback(of_transactions, NULL);
	if (of_subtransactions != NULL)
		RegisterSubXactCallback(of_subtransactions, NULL);
	*registered = true;
}

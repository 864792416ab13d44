/*
 * src/job/transaction.c
 *	  Transactions of kwjobs's own.
 *
 * Process: worker, coordinator. Locks: none.
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

/*
 * src/job/transaction.c
 *	  How kwjobs begins transactions of its own, sets settings for a transaction, and has its functions
 *	  called at the ends of transactions.
 *
 * Process: any; only workers and coordinators begin transactions of their own. Locks: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/transaction.h"
#include "utils/guc.h"
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
kwj_set_locally(const char *setting, const char *value)
{
	Assert(IsTransactionState());
	/* PostgreSQL would keep a value of a lower source, such as PGC_S_OVERRIDE, beyond the transaction. */
	(void) set_config_option(setting, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
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

/*
 * src/job/transaction.c
 *	  How kwjobs begins transactions of its own, sets settings for a while, aborts one after an
 *	  error, and has its functions called at the ends of transactions.
 *
 * Process: any; only workers and coordinators begin transactions of their own. Locks: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "jit/jit.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/portal.h"
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
kwj_set_in_level(const char *setting, const char *value)
{
	Assert(IsTransactionState());
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
kwj_abort_after_error(void)
{
	Assert(InterruptHoldoffCount > 0);
	debug_query_string = NULL;
	AbortCurrentTransaction();
	PortalErrorCleanup();
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	kwj_replication_slot_cleanup();
	jit_reset_after_error();
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

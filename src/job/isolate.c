/*
 * src/job/isolate.c
 *	  Steps of the bookkeeping whose errors concern one job only.
 *
 * Process: worker, coordinator. Locks: those of the steps.
 *
 * FATAL is not caught: a process that is told to end ends. Nor is PANIC.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* What elog.c sets to 0 when it raises an error. */
typedef struct Holdoffs
{
	uint32		interrupts;
	uint32		cancels;
} Holdoffs;

static Holdoffs
hold_cancels(void)
{
	Holdoffs	before = {InterruptHoldoffCount, QueryCancelHoldoffCount};

	HOLD_CANCEL_INTERRUPTS();
	return before;
}

static void
restore(Holdoffs holdoffs)
{
	InterruptHoldoffCount = holdoffs.interrupts;
	QueryCancelHoldoffCount = holdoffs.cancels;
}

/*
 * The error that is being handled, copied into the context; the error state is empty after that. A
 * library may change the error when it is reported, so that comes first.
 */
static ErrorData *
take_error(MemoryContext context, bool quietly)
{
	ErrorData  *edata;

	if (!quietly)
		EmitErrorReport();
	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	return edata;
}

ErrorData *
kwj_isolate_then(KwjStep step, KwjStep committed, void *arg, bool quietly)
{
	MemoryContext caller = CurrentMemoryContext;
	Holdoffs	holdoffs = hold_cancels();
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		kwj_begin_own_transaction();
		step(arg);
		PopActiveSnapshot();
		if (committed != NULL)
			HOLD_INTERRUPTS();
		CommitTransactionCommand();
		if (committed != NULL)
			committed(arg);
	}
	PG_CATCH();
	{
		edata = take_error(caller, quietly);
		HOLD_INTERRUPTS();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	restore(holdoffs);
	MemoryContextSwitchTo(caller);
	return edata;
}

ErrorData *
kwj_isolate(KwjStep step, void *arg)
{
	return kwj_isolate_then(step, NULL, arg, false);
}

ErrorData *
kwj_isolate_quietly(KwjStep step, void *arg)
{
	return kwj_isolate_then(step, NULL, arg, true);
}

static ErrorData *
isolate_within(KwjStep step, void *arg, bool quietly)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Holdoffs	holdoffs = hold_cancels();
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		step(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		edata = take_error(caller, quietly);
		HOLD_INTERRUPTS();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	restore(holdoffs);
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return edata;
}

ErrorData *
kwj_isolate_within(KwjStep step, void *arg)
{
	return isolate_within(step, arg, false);
}

ErrorData *
kwj_isolate_within_quietly(KwjStep step, void *arg)
{
	return isolate_within(step, arg, true);
}

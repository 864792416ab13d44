/*
 * src/job/isolate.c
 *	  Steps of the bookkeeping whose errors concern one job only.
 *
 * Callers: the worker, when it loads, claims and settles attempts and ends a part; the coordinator,
 * when it handles jobs one by one (src/coordinator/careful.c, singly.c), in retention, and when it
 * records a start of the server or jobs of sessions; both, when they end a job whose rows are
 * broken (src/lifecycle/broken.c) and when they mark dependencies (src/store/dependency.c);
 * sessions, when they insert rows of their own jobs (src/lifecycle/session_job.c), retry dependents
 * (src/store/again.c), read rows for SHOW JOBS that may be damaged (src/function/show.c), and try what a
 * new job is to do (src/type/sql/fit.c, src/type/import/validate.c).
 *
 *     begin transaction --> step --> commit --> committed()         returns NULL
 *                             |         |
 *                             +-- error +--> log it, abort          returns the error
 *
 *     kwj_isolate_within: does this in a subtransaction, without committed()
 *     kwj_isolate_and_undo: rolls the subtransaction back in any case; here cancels are not held back
 *
 * An error aborts the whole (sub)transaction, which releases the locks of the step and undoes its
 * changes. A commit that fails is an error of the step. FATAL and PANIC are not caught, so a
 * process that is terminated exits, and its transaction is rolled back.
 *
 * Interrupts: elog.c sets the holdoff counters to 0 when it raises an error, so they are saved and
 * restored here. Cancels are held back until the step is over. Termination is not, except between
 * commit and committed().
 *
 * Locks: only those that the step takes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* The counters that elog.c sets to 0 when it raises an error. */
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
 * Copy the error that is being handled into the context, and clear the error state. It is reported
 * first, because a library may change it in emit_log_hook.
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

ErrorData *
kwj_isolate_and_undo(KwjStep step, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		step(arg);
	}
	PG_CATCH();
	{
		edata = take_error(caller, true);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return edata;
}

bool
kwj_error_is_passing(const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
		case ERRCODE_OUT_OF_MEMORY:
			return true;
		default:
			return false;
	}
}

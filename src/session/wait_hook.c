/*
 * src/session/wait_hook.c
 *	  SHOW JOB WHEN COMPLETE and kwjobs.wait in a query: the wait comes before the query's
 *	  first row.
 *
 * Caller: PostgreSQL, by ExecutorRun_hook, in sessions, and in workers for the statements of jobs. This
 * is the only such hook of kwjobs, so it also has job/scan.c watch the plans that are to be watched.
 * wait_plan.c tells where a plan waits, wait_reach.c which parts of a plan run at all.
 *
 * A query runs with a snapshot. If kwjobs_when_complete() waited inside the query, the query would
 * show all other tables as they were before the wait, and a snapshot that is kept for hours would
 * keep VACUUM from removing dead rows. So the hook waits before the first row:
 *
 *     ExecutorStart (PostgreSQL)        snapshot S1
 *         |
 *     executor_run
 *         |-- no call of the function, or its ids depend on rows ----> standard_ExecutorRun;
 *         |                                                            the function itself waits
 *         |-- S1 is not the query's own ----> error if the query also reads our tables;
 *         |                                   otherwise the function itself waits, too
 *         v
 *     evaluate the ids with S1; ExecutorEnd; give up S1
 *     wait for the jobs (kwj_wait_for_all), without a snapshot
 *     take snapshot S2; ExecutorStart with a copy of the plan in which the ids are constants
 *         v
 *     standard_ExecutorRun: the function finds the jobs over, and returns at once
 *
 * The ids become constants so that an expression with side effects is evaluated once, and the query
 * shows exactly the jobs that were waited for.
 *
 * While it waits, a session whose client has sent the query itself has no snapshot at all; in a
 * function, or for EXECUTE, the snapshots of the callers stay. S1 is not the query's own under
 * REPEATABLE READ, and in a function that is not VOLATILE.
 *
 * Locks: the locks that the query's start has taken stay until the end of the transaction. If the
 * session is canceled or dies while it waits, its transaction is aborted, and jobs are not
 * affected.
 *
 * Known holes: in a branch that may not be taken, or where ids depend on rows, the function waits
 * while the query runs, with its snapshot. pg_stat_statements and other hooks of ExecutorStart and
 * ExecutorEnd do not see the second start, which calls the standard functions directly.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "job/scan.h"
#include "lifecycle/wait.h"
#include "nodes/execnodes.h"
#include "session/wait_hook.h"
#include "session/wait_plan.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static ExecutorRun_hook_type previous_hook;

/*
 * Returns whether the active snapshot was taken for this query only. Then the hook can replace it,
 * because the query has not read anything yet.
 */
static bool
has_own_snapshot(const QueryDesc *query)
{
	Snapshot	snapshot = query->snapshot;

	if (IsolationUsesXactSnapshot() || snapshot != GetActiveSnapshot() ||
		snapshot != query->estate->es_snapshot ||
		query->estate->es_crosscheck_snapshot != InvalidSnapshot)
		return false;
	/* PortalRun() has pushed the snapshot for this query, even if others refer to it, too */
	if (ActivePortal != NULL && ActivePortal->queryDesc == query)
		return true;
	/* only the query's caller has pushed it, only the query and its executor have registered it */
	return snapshot->active_count == 1 && snapshot->regd_count == 2;
}

static void
refuse_old_jobs(const QueryDesc *query, const List *scans)
{
	if (kwj_wait_reads_jobs(query, scans))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot read the tables of jobs in the query that waits for jobs here"),
				 errdetail("The query would show jobs as they were before the wait, because the snapshot of %s is older.",
						   IsolationUsesXactSnapshot() ? "its transaction" : "what called it"),
				 errhint("Type SHOW JOB WHEN COMPLETE as a statement of its own, and read after it%s.",
						 IsolationUsesXactSnapshot() ? " in a transaction of its own" : "")));
}

/*
 * Shuts down an executor that has returned no row. Its memory stays for the time being, because portals and
 * other extensions' hooks point into it. Returns that memory context.
 */
static MemoryContext
end_executor(QueryDesc *query)
{
	EState	   *estate = query->estate;
	MemoryContext kept = estate->es_query_cxt;

	/* do not run the data-modifying WITH queries to their end */
	estate->es_auxmodifytables = NIL;
	standard_ExecutorFinish(query);
	/* give ExecutorEnd another context to delete */
	estate->es_query_cxt = AllocSetContextCreate(CurrentMemoryContext, "kwjobs ended executor",
												 ALLOCSET_SMALL_SIZES);
	standard_ExecutorEnd(query);
	return kept;
}

/*
 * Gives up the query's snapshot, waits for the jobs, and gives the query a new snapshot. visible has for each
 * call the ids of the jobs that the user may see; NULL if its argument is NULL.
 */
static void
wait_without_snapshot(QueryDesc *query, const List *calls, const List *visible)
{
	ListCell   *call;
	ListCell   *ids;

	UnregisterSnapshot(query->snapshot);
	query->snapshot = InvalidSnapshot;
	PopActiveSnapshot();
	forboth(call, calls, ids, visible)
	{
		if (lfirst(ids) != NULL)
			kwj_wait_for_all(lfirst(ids),
							 kwj_wait_end(((KwjWaitCall *) lfirst(call))->timeout));
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	query->snapshot = RegisterSnapshot(GetActiveSnapshot());
}

/*
 * Evaluates the arguments of each scan. Returns them as a list of KwjWaitCall, and in *visible, for each call,
 * the ids of the jobs that the user may see; NULL if its argument is NULL.
 */
static List *
calls_of(const QueryDesc *query, const List *scans, List **visible)
{
	List	   *calls = NIL;
	ListCell   *lc;

	foreach(lc, scans)
	{
		KwjWaitCall *call = kwj_wait_evaluate(query, lfirst(lc));
		ArrayType  *ids = NULL;

		if (call->ids != NULL)
			ids = kwj_visible_jobs(call->ids);
		else if (call->own != NULL)
			ids = kwj_own_job(*call->own);
		calls = lappend(calls, call);
		*visible = lappend(*visible, ids);
	}
	return calls;
}

/* Waits for the jobs of these scans, and starts the query again. */
static void
wait_first(QueryDesc *query, const List *scans)
{
	/* the context in which the query's executor was started */
	MemoryContext old = MemoryContextSwitchTo(MemoryContextGetParent(query->estate->es_query_cxt));
	int			flags = query->estate->es_top_eflags;
	struct Instrumentation *measured = kwj_instrumentation(query);
	List	   *visible = NIL;
	List	   *calls = calls_of(query, scans, &visible);
	PlannedStmt *plan = kwj_wait_plan_with_calls(query->plannedstmt, scans, calls);
	MemoryContext ended;

	kwj_instrumentation(query) = NULL;
	ended = end_executor(query);
	wait_without_snapshot(query, calls, visible);
	query->plannedstmt = plan;
	standard_ExecutorStart(query, flags);
	MemoryContextSetParent(ended, query->estate->es_query_cxt);
	kwj_instrumentation(query) = measured;
	MemoryContextSwitchTo(old);
}

static void
wait_if_asked(QueryDesc *query)
{
	List	   *scans = kwj_wait_scans(query);

	if (scans == NIL)
		return;
	if (has_own_snapshot(query))
		wait_first(query, scans);
	else
		refuse_old_jobs(query, scans);
}

static void
run(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (previous_hook)
		previous_hook(KWJ_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(KWJ_EXECUTOR_RUN_ARGUMENTS);
}

/*
 * Returns whether the plan may have a call that waits. Each plan that calls one of our functions has
 * entries in invalItems.
 */
static bool
may_wait(const QueryDesc *query)
{
	return query->plannedstmt->invalItems != NIL;
}

static pg_noinline void
run_carefully(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (may_wait(queryDesc) && !queryDesc->already_executed &&
		!ScanDirectionIsNoMovement(direction) && queryDesc->planstate != NULL)
		wait_if_asked(queryDesc);
	if (kwj_scan_expected != NULL)
		kwj_scan_run(run, KWJ_EXECUTOR_RUN_ARGUMENTS);
	else
		run(KWJ_EXECUTOR_RUN_ARGUMENTS);
}

/* Every query of every session runs this function, so it does next to nothing for most of them. */
static void
executor_run(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (unlikely(may_wait(queryDesc) || kwj_scan_expected != NULL))
		run_carefully(KWJ_EXECUTOR_RUN_ARGUMENTS);
	else
		run(KWJ_EXECUTOR_RUN_ARGUMENTS);
}

void
kwj_wait_hook_init(void)
{
	previous_hook = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
}

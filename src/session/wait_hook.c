/*
 * src/session/wait_hook.c
 *	  SHOW JOB WHEN COMPLETE in a query: the wait comes first.
 *
 * Process: sessions, and workers for the statements of jobs. A query runs with a
 * snapshot. A wait inside kwjobs_when_complete() would have two flaws: all that the query reads
 * beside the wait it would read as of before the wait, and a snapshot that is kept for hours keeps
 * VACUUM from removing what it might see. So the wait takes place here, between the query's start and
 * its first row: the executor is shut down again, its snapshot given up, and once the jobs are over
 * the query is started anew with a new snapshot. It then finds nothing to wait for. In the plan
 * that runs then the ids stand as constants: an expression with side effects is evaluated once, and a
 * query that finds the ids is not asked again.
 *
 * A session that waits for its client's query, outside of functions, so has no snapshot at all. In a
 * function, and of EXECUTE, the snapshots of what called it stay.
 *
 * Where the snapshot is not the query's own (under REPEATABLE READ, in a function that
 * is not VOLATILE), the function itself waits. A query that would show jobs as they were before the
 * wait is refused there. The function also waits where the ids depend on rows, as those rows are read
 * before, and in a branch that may not be taken, as nobody has asked for that wait yet.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "lifecycle/wait.h"
#include "nodes/execnodes.h"
#include "session/wait_hook.h"
#include "session/wait_plan.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static ExecutorRun_hook_type previous_hook;

/*
 * Whether the active snapshot was taken for this query, which has just been started, so that it may get
 * another one.
 */
static bool
has_own_snapshot(const QueryDesc *query)
{
	Snapshot	snapshot = query->snapshot;

	if (IsolationUsesXactSnapshot() || snapshot != GetActiveSnapshot() ||
		snapshot != query->estate->es_snapshot ||
		query->estate->es_crosscheck_snapshot != InvalidSnapshot)
		return false;
	/* PortalRun() has pushed it for this query, even if it is also somebody else's */
	if (ActivePortal != NULL && ActivePortal->queryDesc == query)
		return true;
	/* nobody but the caller has pushed it, nobody but the query and its executor has it registered */
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
 * Shut the executor down, of which no row was asked. What it has allocated stays for the time being, as
 * portals and hooks of others point into it: the context is returned.
 */
static MemoryContext
end_executor(QueryDesc *query)
{
	EState	   *estate = query->estate;
	MemoryContext kept = estate->es_query_cxt;

	/* the statements in WITH that write are not to be run to their end */
	estate->es_auxmodifytables = NIL;
	standard_ExecutorFinish(query);
	/* this is what ExecutorEnd deletes */
	estate->es_query_cxt = AllocSetContextCreate(CurrentMemoryContext, "kwjobs ended executor",
												 ALLOCSET_SMALL_SIZES);
	standard_ExecutorEnd(query);
	return kept;
}

/* Wait for the jobs, without the query's snapshot; then it has a new one. */
static void
wait_without_snapshot(QueryDesc *query, const List *ids)
{
	ListCell   *lc;

	UnregisterSnapshot(query->snapshot);
	query->snapshot = InvalidSnapshot;
	PopActiveSnapshot();
	foreach(lc, ids)
	{
		if (lfirst(lc) != NULL)
			kwj_wait_for_all(lfirst(lc));
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	query->snapshot = RegisterSnapshot(GetActiveSnapshot());
}

/* The ids that each of these scans is asked for; of those that the user may see, *visible. */
static List *
ids_of(const QueryDesc *query, const List *scans, List **visible)
{
	List	   *all = NIL;
	ListCell   *lc;

	foreach(lc, scans)
	{
		ArrayType  *ids = kwj_wait_ids(query, lfirst(lc));

		all = lappend(all, ids);
		if (ids != NULL)
			*visible = lappend(*visible, kwj_visible_jobs(ids));
	}
	return all;
}

/* Wait for the jobs of these scans, and start the query anew. */
static void
wait_first(QueryDesc *query, const List *scans)
{
	/* the memory in which the query's executor was started */
	MemoryContext old = MemoryContextSwitchTo(MemoryContextGetParent(query->estate->es_query_cxt));
	int			flags = query->estate->es_top_eflags;
	struct Instrumentation *totaltime = query->totaltime;
	List	   *visible = NIL;
	List	   *ids = ids_of(query, scans, &visible);
	PlannedStmt *plan = kwj_wait_plan_with_ids(query->plannedstmt, scans, ids);
	MemoryContext ended;

	query->totaltime = NULL;
	ended = end_executor(query);
	wait_without_snapshot(query, visible);
	query->plannedstmt = plan;
	standard_ExecutorStart(query, flags);
	MemoryContextSetParent(ended, query->estate->es_query_cxt);
	query->totaltime = totaltime;
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
executor_run(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (!queryDesc->already_executed && !ScanDirectionIsNoMovement(direction) &&
		queryDesc->planstate != NULL)
		wait_if_asked(queryDesc);
	if (previous_hook)
		previous_hook(KWJ_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(KWJ_EXECUTOR_RUN_ARGUMENTS);
}

void
kwj_wait_hook_init(void)
{
	previous_hook = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
}

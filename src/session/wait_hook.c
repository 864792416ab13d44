/*
 * src/session/wait_hook.c
 *	  SHOW JOB WHEN COMPLETE waits without a snapshot.
 *
 * Process: sessions. A query runs with a snapshot, and a snapshot keeps VACUUM from
 * removing what it might see: a wait of hours inside kwjobs.when_complete() would
 * bloat every table. So where that function is all that a client's query reads, the
 * wait takes place here, between the query's start and its first row: its snapshot is
 * given up, and once the jobs are over the query gets a new one and finds
 * nothing to wait for. Nothing has been read with the old one but the ids.
 *
 * Everywhere else (in a join, in the query of a function or of EXECUTE, under REPEATABLE READ) the
 * function itself waits, and the snapshot stays.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "job/extension.h"
#include "job/wait.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "session/wait_hook.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static ExecutorRun_hook_type previous_hook;

/* Whether this function, of one array of bigint, is ours that waits. */
static bool
is_when_complete(Oid function)
{
	char	   *name = get_func_name(function);
	Oid			schema = get_func_namespace(function);

	if (name == NULL)
		return false;
	if (strcmp(name, "kwjobs_when_complete") == 0)
		return schema == PG_CATALOG_NAMESPACE;
	return strcmp(name, "when_complete") == 0 && OidIsValid(schema) &&
		schema == get_namespace_oid("kwjobs", true) && kwj_extension_exists();
}

/* The call of that function in a function scan, if that is what it reads. */
static FuncExpr *
when_complete_call(const FunctionScan *scan)
{
	FuncExpr   *call;

	if (list_length(scan->functions) != 1)
		return NULL;
	call = (FuncExpr *) linitial_node(RangeTblFunction, scan->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || list_length(call->args) != 1 ||
		exprType(linitial(call->args)) != INT8ARRAYOID)
		return NULL;
	return is_when_complete(call->funcid) ? call : NULL;
}

/* The function scan that is all that a plan reads; NULL if it reads anything else. */
static PlanState *
only_function_scan(PlanState *state)
{
	while (IsA(state, AggState) || IsA(state, SortState) || IsA(state, LimitState))
		state = outerPlanState(state);
	return IsA(state, FunctionScanState) ? state : NULL;
}

/* The ids that the function is called with; NULL for NULL. */
static ArrayType *
evaluate_ids(PlanState *scan, FuncExpr *call, EState *estate)
{
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	ExprState  *expression = ExecInitExpr(linitial(call->args), scan);
	ArrayType  *ids = NULL;
	Datum		value;
	bool		isnull;

	value = ExecEvalExprSwitchContext(expression, scan->ps_ExprContext, &isnull);
	if (!isnull)
		ids = DatumGetArrayTypePCopy(value);
	MemoryContextSwitchTo(old);
	return ids;
}

/* The query has read nothing yet: exchange its snapshot for one after the wait. */
static void
wait_without_snapshot(QueryDesc *query, ArrayType *job_ids)
{
	EState	   *estate = query->estate;

	UnregisterSnapshot(estate->es_snapshot);
	UnregisterSnapshot(query->snapshot);
	estate->es_snapshot = query->snapshot = InvalidSnapshot;
	PopActiveSnapshot();

	kwj_wait_for_all(job_ids);

	PushActiveSnapshot(GetTransactionSnapshot());
	query->snapshot = RegisterSnapshot(GetActiveSnapshot());
	estate->es_snapshot = RegisterSnapshot(GetActiveSnapshot());
}

/*
 * Whether the query is the one that the client asked for, with a snapshot of its own
 * that may be exchanged.
 */
static bool
is_clients_query(const QueryDesc *query)
{
	return query->operation == CMD_SELECT && ActivePortal != NULL &&
		ActivePortal->queryDesc == query && !IsolationUsesXactSnapshot() &&
		query->snapshot == GetActiveSnapshot() &&
		query->snapshot == query->estate->es_snapshot &&
		query->estate->es_crosscheck_snapshot == InvalidSnapshot &&
		query->estate->es_processed == 0;
}

static void
wait_if_asked(QueryDesc *query)
{
	PlanState  *scan = only_function_scan(query->planstate);
	FuncExpr   *call = scan ? when_complete_call((FunctionScan *) scan->plan) : NULL;
	ArrayType  *job_ids;

	if (call == NULL || !is_clients_query(query))
		return;
	job_ids = evaluate_ids(scan, call, query->estate);
	if (job_ids != NULL)
		wait_without_snapshot(query, kwj_visible_jobs(job_ids));
}

static void
executor_run(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (queryDesc->operation == CMD_SELECT && queryDesc->planstate != NULL)
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

/*
 * src/session/wait_plan.c
 *	  Finds the calls in a query's plan that wait for jobs.
 *
 * Caller: wait_hook.c, in sessions and workers, before a query returns its first row. Locks: none;
 * it reads catalog caches.
 *
 * A query waits where its plan has a FunctionScan of kwjobs_when_complete, the function behind the
 * statement, of kwjobs.when_complete, or of kwjobs.wait. The hook can wait in advance only if it
 * can evaluate the function's arguments before the query runs, so they must not refer to a column.
 * They may contain uncorrelated subqueries (initplans, PARAM_EXEC), which run when the hook
 * evaluates the arguments. Each of these must not have run before, and may depend only on other
 * initplans that have not run.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "job/extension.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "session/wait_plan.h"
#include "session/wait_reach.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Returns whether the function is in schema kwjobs and has the expected name. */
static bool
is_ours(Oid function, const char *expected)
{
	char	   *name = get_func_name(function);
	Oid			schema = get_func_namespace(function);

	return name != NULL && strcmp(name, expected) == 0 && OidIsValid(schema) &&
		schema == get_namespace_oid("kwjobs", true) && kwj_extension_exists();
}

/*
 * Returns whether the function is kwjobs.when_complete or pg_catalog.kwjobs_when_complete. The
 * caller has checked that it takes one bigint[].
 */
static bool
is_when_complete(Oid function)
{
	char	   *name = get_func_name(function);

	if (name != NULL && strcmp(name, "kwjobs_when_complete") == 0)
		return get_func_namespace(function) == PG_CATALOG_NAMESPACE;
	return is_ours(function, "when_complete");
}

/* Returns whether the arguments have these types. second: InvalidOid for a single argument. */
static bool
has_types(const List *args, Oid first, Oid second)
{
	return list_length(args) == (OidIsValid(second) ? 2 : 1) &&
		exprType(linitial(args)) == first &&
		(!OidIsValid(second) || exprType(lsecond(args)) == second);
}

static bool
is_waiting(const FuncExpr *call)
{
	if (has_types(call->args, INT8ARRAYOID, InvalidOid))
		return is_when_complete(call->funcid);
	return has_types(call->args, INT8OID, INTERVALOID) && is_ours(call->funcid, "wait");
}

/* Returns the scan's call of a function that waits for jobs; NULL if it calls another function. */
static FuncExpr *
waiting_call(const FunctionScan *scan)
{
	FuncExpr   *call;

	if (list_length(scan->functions) != 1)
		return NULL;
	call = (FuncExpr *) linitial_node(RangeTblFunction, scan->functions)->funcexpr;
	if (call == NULL || !IsA(call, FuncExpr) || !is_waiting(call))
		return NULL;
	return call;
}

static void find_scans(Plan *plan, List **scans);

static void
find_scans_in_list(const List *plans, List **scans)
{
	ListCell   *lc;

	foreach(lc, plans)
		find_scans(lfirst(lc), scans);
}

/*
 * Adds the waiting scans at and below this node. Subplans are not below a node: the caller goes
 * through the statement's list of them.
 */
static void
find_scans(Plan *plan, List **scans)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_FunctionScan:
			if (waiting_call((FunctionScan *) plan))
				*scans = lappend(*scans, plan);
			break;
		case T_SubqueryScan:
			find_scans(((SubqueryScan *) plan)->subplan, scans);
			break;
		case T_Append:
			find_scans_in_list(((Append *) plan)->appendplans, scans);
			break;
		case T_MergeAppend:
			find_scans_in_list(((MergeAppend *) plan)->mergeplans, scans);
			break;
		case T_CustomScan:
			find_scans_in_list(((CustomScan *) plan)->custom_plans, scans);
			break;
		default:
			break;
	}
	find_scans(outerPlan(plan), scans);
	find_scans(innerPlan(plan), scans);
}

static List *
all_scans(const PlannedStmt *plan)
{
	List	   *scans = NIL;

	find_scans_in_list(plan->subplans, &scans);
	find_scans(plan->planTree, &scans);
	return scans;
}

/*
 * Returns the subplan that yields this parameter; NULL if it has run already, or needs a parameter
 * for which this function returns NULL.
 */
static SubPlanState *
pending_subplan(EState *estate, int param)
{
	SubPlanState *subplan = estate->es_param_exec_vals[param].execPlan;
	int			needed = -1;

	if (subplan == NULL)
		return NULL;
	while ((needed = bms_next_member(subplan->planstate->plan->extParam, needed)) >= 0)
	{
		if (pending_subplan(estate, needed) == NULL)
			return NULL;
	}
	return subplan;
}

/* Returns whether the expression can be evaluated only when the query has read a row. */
static bool
depends_on_rows(Node *node, void *estate)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return true;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return pending_subplan(estate, ((Param *) node)->paramid) == NULL;
	return expression_tree_walker(node, depends_on_rows, estate);
}

List *
kwj_wait_scans(const QueryDesc *query)
{
	const PlannedStmt *plan = query->plannedstmt;
	List	   *scans = NIL;
	ListCell   *lc;

	if (all_scans(plan) == NIL)
		return NIL;
	foreach(lc, kwj_scans_that_run(query))
	{
		FunctionScan *scan = lfirst(lc);
		FuncExpr   *call = waiting_call(scan);

		if (call != NULL && !depends_on_rows((Node *) call->args, query->estate))
			scans = lappend(scans, scan);
	}
	return scans;
}

/* The subplans from which expressions take values. */
typedef struct Subplans
{
	EState	   *estate;
	List	   *states;			/* list of PlanState */
} Subplans;

static bool
find_subplans(Node *node, void *context)
{
	Subplans   *subplans = context;

	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		subplans->states = lappend(subplans->states,
								   pending_subplan(subplans->estate, ((Param *) node)->paramid)->planstate);
	return expression_tree_walker(node, find_subplans, context);
}

static bool
is_table_of_ours(Relation relation)
{
	return relation != NULL && RelationGetNamespace(relation) == get_namespace_oid("kwjobs", true);
}

/*
 * Returns whether this node or a node below it reads one of our tables. The subplans in the list
 * `without` do not count.
 */
static bool
reads_jobs(PlanState *state, void *without)
{
	if (state == NULL || list_member_ptr(without, state))
		return false;
	switch (nodeTag(state->plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
			if (is_table_of_ours(((ScanState *) state)->ss_currentRelation))
				return true;
			break;
		default:
			break;
	}
	return planstate_tree_walker(state, reads_jobs, without);
}

bool
kwj_wait_reads_jobs(const QueryDesc *query, const List *scans)
{
	Subplans	for_ids = {query->estate, NIL};
	ListCell   *lc;

	foreach(lc, scans)
		find_subplans((Node *) waiting_call(lfirst(lc))->args, &for_ids);
	return reads_jobs(query->planstate, for_ids.states);
}

static Datum
evaluate(const QueryDesc *query, Expr *expression, bool *isnull)
{
	EState	   *estate = query->estate;
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	ExprState  *state = ExecInitExpr(expression, query->planstate);
	Datum		value = ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), isnull);

	MemoryContextSwitchTo(caller);
	return value;
}

KwjWaitCall *
kwj_wait_evaluate(const QueryDesc *query, const FunctionScan *scan)
{
	List	   *args = waiting_call(scan)->args;
	KwjWaitCall *call = palloc0(sizeof(KwjWaitCall));
	bool		isnull;
	Datum		value = evaluate(query, linitial(args), &isnull);

	if (list_length(args) == 1)
	{
		if (!isnull)
			call->ids = DatumGetArrayTypePCopy(value);
		return call;
	}
	if (!isnull)
	{
		call->own = palloc(sizeof(int64));
		*call->own = DatumGetInt64(value);
	}
	value = evaluate(query, lsecond(args), &isnull);
	if (!isnull)
	{
		call->timeout = palloc(sizeof(Interval));
		*call->timeout = *DatumGetIntervalP(value);
	}
	return call;
}

/* Returns the scan with this plan_node_id. */
static FunctionScan *
scan_of_node(const List *scans, int plan_node_id)
{
	ListCell   *lc;

	foreach(lc, scans)
	{
		if (((Plan *) lfirst(lc))->plan_node_id == plan_node_id)
			return lfirst(lc);
	}
	elog(ERROR, "plan node %d is not in the copy of the plan", plan_node_id);
	return NULL;
}

/*
 * Returns the values of the call as constants. n_args is the number of the function's arguments: 1
 * for when_complete, 2 for kwjobs.wait.
 */
static List *
constant_args(const KwjWaitCall *call, int n_args)
{
	Interval   *none = palloc0(sizeof(Interval));

	if (n_args == 1)
		return list_make1(makeConst(INT8ARRAYOID, -1, InvalidOid, -1, PointerGetDatum(call->ids),
									call->ids == NULL, false));
	return list_make2(makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
								call->own ? Int64GetDatum(*call->own) : (Datum) 0,
								call->own == NULL, FLOAT8PASSBYVAL),
					  makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval),
								IntervalPGetDatum(none), call->timeout == NULL, false));
}

PlannedStmt *
kwj_wait_plan_with_calls(const PlannedStmt *plan, const List *scans, const List *calls)
{
	PlannedStmt *copy = copyObject(unconstify(PlannedStmt *, plan));
	List	   *copies = all_scans(copy);
	ListCell   *scan,
			   *call;

	forboth(scan, scans, call, calls)
	{
		FunctionScan *changed = scan_of_node(copies, ((Plan *) lfirst(scan))->plan_node_id);
		FuncExpr   *function = waiting_call(changed);

		function->args = constant_args(lfirst(call), list_length(function->args));
	}
	return copy;
}

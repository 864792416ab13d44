/*
 * src/session/wait_plan.c
 *	  Where in the plan of a query jobs are waited for.
 *
 * Caller: wait_hook.c, in sessions and workers, before a query returns its first row. Locks: none;
 * it reads catalog caches.
 *
 * A query waits where its plan has a FunctionScan of kwjobs_when_complete, the function behind the
 * statement, or of kwjobs.when_complete. The hook can wait in advance only if it can evaluate the
 * function's argument now. It can if the argument has no column of a table in it; a subquery
 * without such a reference (an initplan, PARAM_EXEC) may be in it, and is run for this purpose, but
 * only if it has not been run yet and needs only other such subqueries.
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

/* Returns whether this function, which takes one bigint[], is one of ours that wait. */
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

/* The call in a scan of the waiting function; NULL if it scans another function. */
static FuncExpr *
waiting_call(const FunctionScan *scan)
{
	FuncExpr   *call;

	if (list_length(scan->functions) != 1)
		return NULL;
	call = (FuncExpr *) linitial_node(RangeTblFunction, scan->functions)->funcexpr;
	if (call == NULL || !IsA(call, FuncExpr) || list_length(call->args) != 1 ||
		exprType(linitial(call->args)) != INT8ARRAYOID || !is_when_complete(call->funcid))
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
 * Add the waiting scans at and below this node. The caller goes through the statement's list of
 * subplans.
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
 * The subplan that yields this parameter. NULL if it has run already, or needs a value that is not
 * the result of such a subplan.
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

	/*
	 * Every query comes by here, so look quickly first. A plan with one of our functions has
	 * entries in invalItems.
	 */
	if (plan->invalItems == NIL || all_scans(plan) == NIL)
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

/* Returns whether this node or one below it reads our tables, leaving out the subplans in the list. */
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

ArrayType *
kwj_wait_ids(const QueryDesc *query, const FunctionScan *scan)
{
	MemoryContext caller = CurrentMemoryContext;
	EState	   *estate = query->estate;
	ExprState  *expression;
	ArrayType  *ids = NULL;
	Datum		value;
	bool		isnull;

	MemoryContextSwitchTo(estate->es_query_cxt);
	expression = ExecInitExpr(linitial(waiting_call(scan)->args), query->planstate);
	value = ExecEvalExprSwitchContext(expression, GetPerTupleExprContext(estate), &isnull);
	MemoryContextSwitchTo(caller);
	if (!isnull)
		ids = DatumGetArrayTypePCopy(value);
	return ids;
}

/* Find the scan with this plan_node_id. */
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

PlannedStmt *
kwj_wait_plan_with_ids(const PlannedStmt *plan, const List *scans, const List *ids)
{
	PlannedStmt *copy = copyObject(unconstify(PlannedStmt *, plan));
	List	   *copies = all_scans(copy);
	ListCell   *scan,
			   *id;

	forboth(scan, scans, id, ids)
	{
		FunctionScan *changed = scan_of_node(copies, ((Plan *) lfirst(scan))->plan_node_id);
		ArrayType  *array = lfirst(id);

		waiting_call(changed)->args =
			list_make1(makeConst(INT8ARRAYOID, -1, InvalidOid, -1,
								 PointerGetDatum(array), array == NULL, false));
	}
	return copy;
}

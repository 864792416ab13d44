/*
 * src/session/wait_reach.c
 *	  Which parts of a plan run, whatever rows the query reads.
 *
 * Caller: wait_plan.c, in sessions and workers, before a query returns its first row. Locks: none.
 *
 * The executor runs a subquery when it first needs its result. So the walk begins at the top of the
 * plan and goes from each node to the nodes below it, and from each expression to the subqueries in
 * those parts that are always evaluated:
 *
 *     plan node --> its expressions --> CASE, COALESCE, AND, OR: only the first argument
 *         |                         --> Param of an initplan, SubPlan: the subquery's plan
 *         +-------> nodes below it, unless it is LIMIT 0 or has a constant false condition
 *
 * Constants and the query's parameters are taken into account first (eval_const_expressions), so
 * CASE $1 ... may come down to one branch.
 *
 * Known hole: the walk assumes that all nodes below a node run. If a join's outer side turns out to
 * be empty, the executor may never run the inner side, and the query has then waited in vain.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "session/wait_reach.h"

typedef struct Reach
{
	const QueryDesc *query;
	Bitmapset  *subplans;		/* ids of the subplans that were reached */
	List	   *scans;
} Reach;

static void reach_plan(Plan *plan, Reach *reach);
static bool reach_expression(Node *node, void *context);

/* Simplify the expression with the values of the query's parameters. */
static Node *
simplify(Node *node, const Reach *reach)
{
	PlannerInfo *root = makeNode(PlannerInfo);

	root->glob = makeNode(PlannerGlobal);
	root->glob->boundParams = reach->query->params;
	return eval_const_expressions(root, node);
}

static void
reach_subplan(int number, Reach *reach)
{
	if (bms_is_member(number, reach->subplans))
		return;
	reach->subplans = bms_add_member(reach->subplans, number);
	reach_plan(list_nth(reach->query->plannedstmt->subplans, number - 1), reach);
}

/* Whether the expression may leave some of its arguments unevaluated. */
static bool
is_lazy(Node *node)
{
	return IsA(node, CaseExpr) || IsA(node, CoalesceExpr) ||
		(IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop != NOT_EXPR);
}

/* Go into the argument that such an expression always evaluates. */
static bool
reach_first(Node *node, Reach *reach)
{
	switch (nodeTag(node))
	{
		case T_CaseExpr:
			return reach_expression((Node *) ((CaseExpr *) node)->arg, reach) ||
				reach_expression((Node *) linitial_node(CaseWhen, ((CaseExpr *) node)->args)->expr, reach);
		case T_CoalesceExpr:
			return reach_expression(linitial(((CoalesceExpr *) node)->args), reach);
		default:
			return reach_expression(linitial(((BoolExpr *) node)->args), reach);
	}
}

static bool
reach_lazy(Node *node, Reach *reach)
{
	Node	   *simple = simplify(node, reach);

	return is_lazy(simple) ? reach_first(simple, reach) : reach_expression(simple, reach);
}

/* Go into the subquery whose result this parameter is, if it has not been run yet. */
static void
reach_param(const Param *param, Reach *reach)
{
	SubPlanState *subplan;

	if (param->paramkind != PARAM_EXEC)
		return;
	subplan = reach->query->estate->es_param_exec_vals[param->paramid].execPlan;
	if (subplan != NULL)
		reach_subplan(subplan->subplan->plan_id, reach);
}

static bool
reach_expression(Node *node, void *context)
{
	Reach	   *reach = context;
	Expr	   *filter = NULL;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (is_lazy(node))
		return reach_lazy(node, reach);
	if (IsA(node, Param))
		reach_param((Param *) node, reach);
	else if (IsA(node, SubPlan))
		reach_subplan(((SubPlan *) node)->plan_id, reach);
	else if (IsA(node, Aggref))
		filter = ((Aggref *) node)->aggfilter;
	else if (IsA(node, WindowFunc))
		filter = ((WindowFunc *) node)->aggfilter;
	if (filter != NULL)
		return reach_expression((Node *) filter, reach);
	return expression_tree_walker(node, reach_expression, reach);
}

static void
reach_plans(const List *plans, Reach *reach)
{
	ListCell   *lc;

	foreach(lc, plans)
		reach_plan(lfirst(lc), reach);
}

static void
reach_functions(const FunctionScan *scan, Reach *reach)
{
	ListCell   *lc;

	foreach(lc, scan->functions)
		reach_expression(lfirst_node(RangeTblFunction, lc)->funcexpr, reach);
}

/* Whether these conditions, all of which must hold, include a condition that is false. */
static bool
is_false(Node *quals, const Reach *reach)
{
	ListCell   *lc;

	foreach(lc, (List *) quals)
	{
		Node	   *qual = simplify(lfirst(lc), reach);

		if (IsA(qual, Const) && (((Const *) qual)->constisnull || !DatumGetBool(((Const *) qual)->constvalue)))
			return true;
	}
	return false;
}

static bool
is_zero(Node *count, const Reach *reach)
{
	Node	   *known = count ? simplify(count, reach) : NULL;

	return known != NULL && IsA(known, Const) && !((Const *) known)->constisnull &&
		DatumGetInt64(((Const *) known)->constvalue) == 0;
}

/* Whether the node returns no rows, and does not run the nodes below it. */
static bool
is_idle(const Plan *plan, const Reach *reach)
{
	if (IsA(plan, Result))
		return is_false(((Result *) plan)->resconstantqual, reach);
	return IsA(plan, Limit) && is_zero(((Limit *) plan)->limitCount, reach);
}

/* Go into the node's expressions, leaving out expressions that are evaluated for some rows only. */
static void
reach_expressions_of(Plan *plan, Reach *reach)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			reach_expression(((Result *) plan)->resconstantqual, reach);
			break;
		case T_Limit:
			reach_expression(((Limit *) plan)->limitOffset, reach);
			reach_expression(((Limit *) plan)->limitCount, reach);
			break;
		case T_ModifyTable:
			reach_expression((Node *) ((ModifyTable *) plan)->returningLists, reach);
			break;
		case T_IndexScan:
			reach_expression((Node *) ((IndexScan *) plan)->indexqual, reach);
			reach_expression((Node *) ((IndexScan *) plan)->indexorderby, reach);
			break;
		case T_IndexOnlyScan:
			reach_expression((Node *) ((IndexOnlyScan *) plan)->indexqual, reach);
			break;
		case T_BitmapIndexScan:
			reach_expression((Node *) ((BitmapIndexScan *) plan)->indexqual, reach);
			break;
		case T_TidScan:
			reach_expression((Node *) ((TidScan *) plan)->tidquals, reach);
			break;
		case T_TidRangeScan:
			reach_expression((Node *) ((TidRangeScan *) plan)->tidrangequals, reach);
			break;
		case T_FunctionScan:
			reach_functions((FunctionScan *) plan, reach);
			break;
		case T_TableFuncScan:
			reach_expression((Node *) ((TableFuncScan *) plan)->tablefunc, reach);
			break;
		case T_ValuesScan:
			reach_expression((Node *) ((ValuesScan *) plan)->values_lists, reach);
			break;
		case T_ForeignScan:
			reach_expression((Node *) ((ForeignScan *) plan)->fdw_exprs, reach);
			break;
		case T_CustomScan:
			reach_expression((Node *) ((CustomScan *) plan)->custom_exprs, reach);
			break;
		case T_NestLoop:
			reach_expression((Node *) ((Join *) plan)->joinqual, reach);
			break;
		case T_MergeJoin:
			reach_expression((Node *) ((Join *) plan)->joinqual, reach);
			reach_expression((Node *) ((MergeJoin *) plan)->mergeclauses, reach);
			break;
		case T_HashJoin:
			reach_expression((Node *) ((Join *) plan)->joinqual, reach);
			reach_expression((Node *) ((HashJoin *) plan)->hashclauses, reach);
			break;
		default:
			break;
	}
	reach_expression((Node *) plan->targetlist, reach);
	reach_expression((Node *) plan->qual, reach);
}

static void
reach_plan(Plan *plan, Reach *reach)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	if (is_idle(plan, reach))
		return;
	reach_expressions_of(plan, reach);
	switch (nodeTag(plan))
	{
		case T_FunctionScan:
			reach->scans = lappend(reach->scans, plan);
			break;
		case T_CteScan:
			reach_subplan(((CteScan *) plan)->ctePlanId, reach);
			break;
		case T_SubqueryScan:
			reach_plan(((SubqueryScan *) plan)->subplan, reach);
			break;
		case T_Append:
			reach_plans(((Append *) plan)->appendplans, reach);
			break;
		case T_MergeAppend:
			reach_plans(((MergeAppend *) plan)->mergeplans, reach);
			break;
		case T_BitmapAnd:
			reach_plans(((BitmapAnd *) plan)->bitmapplans, reach);
			break;
		case T_BitmapOr:
			reach_plans(((BitmapOr *) plan)->bitmapplans, reach);
			break;
		case T_CustomScan:
			reach_plans(((CustomScan *) plan)->custom_plans, reach);
			break;
		default:
			break;
	}
	reach_plan(outerPlan(plan), reach);
	reach_plan(innerPlan(plan), reach);
}

/* Data-modifying WITH queries always run to their end, even if nothing reads their rows. */
static void
reach_writing_subplans(Reach *reach)
{
	ListCell   *lc;

	foreach(lc, reach->query->plannedstmt->subplans)
	{
		Plan	   *plan = lfirst(lc);

		if (plan != NULL && IsA(plan, ModifyTable))
			reach_subplan(foreach_current_index(lc) + 1, reach);
	}
}

List *
kwj_scans_that_run(const QueryDesc *query)
{
	Reach		reach = {.query = query};

	reach_writing_subplans(&reach);
	reach_plan(query->plannedstmt->planTree, &reach);
	return reach.scans;
}

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
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "session/wait_reach.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

typedef struct Reach
{
	const QueryDesc *query;
	Bitmapset  *subplans;		/* ids of the subplans that were reached */
	List	   *scans;
} Reach;

static void reach_plan(Plan *plan, Reach *reach);
static bool reach_expression(Node *node, void *context);

/* Returns the value of a parameter of the query as a constant; NULL if it has no fixed value. */
static Const *
value_of_param(const Param *param, ParamListInfo params)
{
	ParamExternData workspace;
	const ParamExternData *value;
	int16		length;
	bool		by_value;

	if (param->paramkind != PARAM_EXTERN || params == NULL ||
		param->paramid < 1 || param->paramid > params->numParams)
		return NULL;
	value = params->paramFetch ?
		params->paramFetch(params, param->paramid, true, &workspace) :
		&params->params[param->paramid - 1];
	if (value->ptype != param->paramtype || !(value->pflags & PARAM_FLAG_CONST))
		return NULL;
	get_typlenbyval(param->paramtype, &length, &by_value);
	return makeConst(param->paramtype, param->paramtypmod, param->paramcollid, length,
					 value->isnull ? (Datum) 0 : datumCopy(value->value, by_value, length),
					 value->isnull, by_value);
}

static Node *
replace_params(Node *node, void *context)
{
	const Reach *reach = context;
	Const	   *value = NULL;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
		value = value_of_param((Param *) node, reach->query->params);
	return value ? (Node *) value : expression_tree_mutator(node, replace_params, context);
}

/*
 * Simplifies an expression that the query always evaluates, with the values of its parameters. If
 * this raises an error, the query would raise it, too.
 */
static Node *
simplify(Node *node, Reach *reach)
{
	return eval_const_expressions(NULL, replace_params(node, reach));
}

static void
reach_subplan(int number, Reach *reach)
{
	if (bms_is_member(number, reach->subplans))
		return;
	reach->subplans = bms_add_member(reach->subplans, number);
	reach_plan(list_nth(reach->query->plannedstmt->subplans, number - 1), reach);
}

/* Returns whether the expression may leave some of its arguments unevaluated. */
static bool
is_lazy(Node *node)
{
	return IsA(node, CaseExpr) || IsA(node, CoalesceExpr) ||
		(IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop != NOT_EXPR);
}

/* What is known of a condition, or of a value, before the query runs. */
typedef enum Known
{
	KNOWN_TRUE,					/* of a value: it is not NULL */
	KNOWN_FALSE,
	KNOWN_NULL,
	NOT_KNOWN,
} Known;

static Known
what_is_known(Node *node, bool is_condition, Reach *reach)
{
	const Const *constant = (Const *) simplify(node, reach);

	if (!IsA(constant, Const))
		return NOT_KNOWN;
	if (constant->constisnull)
		return KNOWN_NULL;
	return !is_condition || DatumGetBool(constant->constvalue) ? KNOWN_TRUE : KNOWN_FALSE;
}

/* Goes into the branch that is certainly taken, and each condition that is certainly evaluated. */
static bool
reach_case(const CaseExpr *expr, Reach *reach)
{
	ListCell   *lc;

	if (expr->arg != NULL)
		return reach_expression((Node *) expr->arg, reach) ||
			reach_expression((Node *) linitial_node(CaseWhen, expr->args)->expr, reach);
	foreach(lc, expr->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);
		Known		known = what_is_known((Node *) when->expr, true, reach);

		if (known == KNOWN_TRUE)
			return reach_expression((Node *) when->result, reach);
		if (known == NOT_KNOWN)
			return reach_expression((Node *) when->expr, reach);
	}
	return reach_expression((Node *) expr->defresult, reach);
}

/* Goes into the arguments one by one, as long as the next one is certainly evaluated, too. */
static bool
reach_arguments(List *args, bool are_conditions, Known goes_on, Reach *reach)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		Known		known = what_is_known(lfirst(lc), are_conditions, reach);

		if (known == NOT_KNOWN && reach_expression(lfirst(lc), reach))
			return true;
		/* AND and OR go on after NULL */
		if (known != goes_on && !(are_conditions && known == KNOWN_NULL))
			return false;
	}
	return false;
}

static bool
reach_lazy(Node *node, Reach *reach)
{
	if (IsA(node, CaseExpr))
		return reach_case((CaseExpr *) node, reach);
	if (IsA(node, CoalesceExpr))
		return reach_arguments(((CoalesceExpr *) node)->args, false, KNOWN_NULL, reach);
	return reach_arguments(((BoolExpr *) node)->args, true,
						   ((BoolExpr *) node)->boolop == AND_EXPR ? KNOWN_TRUE : KNOWN_FALSE, reach);
}

/* Goes into the subquery whose result this parameter is, if it has not been run yet. */
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

/* Returns whether one of these conditions, all of which must hold, is always false or NULL. */
static bool
is_false(Node *quals, Reach *reach)
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
is_zero(Node *count, Reach *reach)
{
	Node	   *known = count ? simplify(count, reach) : NULL;

	return known != NULL && IsA(known, Const) && !((Const *) known)->constisnull &&
		DatumGetInt64(((Const *) known)->constvalue) == 0;
}

/* Returns whether the node certainly returns no row, and does not run the nodes below it. */
static bool
is_idle(const Plan *plan, Reach *reach)
{
	if (IsA(plan, Result))
		return is_false(((Result *) plan)->resconstantqual, reach);
	return IsA(plan, Limit) && is_zero(((Limit *) plan)->limitCount, reach);
}

/*
 * Goes into the node's expressions, leaving out expressions that are evaluated for some rows only.
 */
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

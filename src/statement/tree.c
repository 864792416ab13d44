/*
 * src/statement/tree.c
 *	  Small pieces of parse trees.
 *
 * Names are schema-qualified and constants are typed, so that no setting of the user changes their
 * meaning. Nodes that do not stem from the user's text have location -1, because pg_stat_statements
 * cuts constants out of the text by their locations.
 *
 * A job statement must reach nothing but objects of the extension, even in a database where the
 * extension is not installed and a user has created objects of the same names. A tree cannot say
 * whose object it means, and PostgreSQL looks names up several times: when it analyzes, plans
 * again, or inlines. Therefore all functions that trees call are in pg_catalog, where only
 * superusers can create functions (kwj_own_call). Without the extension these functions do not
 * exist.
 *
 * The two relations that trees name (kwdb_internal.jobs, kwjobs.job_control) cannot be in
 * pg_catalog. After PostgreSQL has looked up and locked one of them, it comes to a function of the
 * extension (kwj_installed, or one that is called anyway), and fails unless the extension is
 * installed. If the extension is installed then, it was also installed when the relation was found:
 * the lock keeps the relation from being dropped, and CREATE EXTENSION fails if the schemas exist
 * already.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the tree that it builds as SQL.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "utils/builtins.h"

#include "compat.h"
#include "statement/internal.h"

/* Returns where the statement starts, as an offset in the text: the location of what stands for all of it. */
int
kwj_location_of(const KwjStatement *statement)
{
	return statement->source->tokens[statement->first].start;
}

List *
kwj_name(const char *schema, const char *object)
{
	return list_make2(makeString(pstrdup(schema)), makeString(pstrdup(object)));
}

/* Returns a constant of type text. */
Node *
kwj_text(const char *string)
{
	A_Const    *constant = makeNode(A_Const);

	kwj_set_string_constant(constant, pstrdup(string));
	constant->location = -1;
	return kwj_cast((Node *) constant, "text", false, -1);
}

Node *
kwj_null(void)
{
	A_Const    *constant = makeNode(A_Const);

	kwj_set_null_constant(constant);
	constant->location = -1;
	return (Node *) constant;
}

/* Returns NULL of type text. */
Node *
kwj_null_text(void)
{
	return kwj_cast(kwj_null(), "text", false, -1);
}

/* CAST(arg AS pg_catalog.type), or for an array, of type[] */
Node *
kwj_cast(Node *arg, const char *type, bool array, int location)
{
	TypeCast   *cast = makeNode(TypeCast);

	cast->arg = arg;
	cast->typeName = makeTypeNameFromNameList(kwj_name("pg_catalog", type));
	if (array)
		cast->typeName->arrayBounds = list_make1(makeInteger(-1));
	cast->location = location;
	return (Node *) cast;
}

Node *
kwj_column(const char *relation, const char *column)
{
	ColumnRef  *reference = makeNode(ColumnRef);

	reference->fields = kwj_name(relation, column);
	reference->location = -1;
	return (Node *) reference;
}

Node *
kwj_call(const char *schema, const char *function, List *args, int location)
{
	return (Node *) makeFuncCall(kwj_name(schema, function), args,
								 COERCE_EXPLICIT_CALL, location);
}

/*
 * pg_catalog.int8up(value), which returns its argument. Anything but an integer is an error at this
 * location; a cast would round a number or parse a text.
 */
Node *
kwj_integer(Node *value, int location)
{
	return kwj_call("pg_catalog", KWJ_INTEGER_FUNCTION, list_make1(value), location);
}

/* A call of the extension's function pg_catalog.kwjobs_<name>. */
Node *
kwj_own_call(const char *name, List *args, int location)
{
	return kwj_call("pg_catalog", psprintf(KWJ_FUNCTION_PREFIX "%s", name), args, location);
}

/*
 * pg_catalog.kwjobs_installed(), for FROM after a relation of the extension. It raises an error
 * unless the extension is installed; the planner replaces it by its result.
 */
Node *
kwj_installed(int location)
{
	RangeFunction *function = makeNode(RangeFunction);

	function->functions = list_make1(list_make2(kwj_own_call("installed", NIL, location), NIL));
	return (Node *) function;
}

/* left OPERATOR(pg_catalog.operator) right */
Node *
kwj_operator(const char *operator, Node *left, Node *right)
{
	return (Node *) makeA_Expr(AEXPR_OP, kwj_name("pg_catalog", operator),
							   left, right, -1);
}

/* CASE WHEN condition THEN result END */
Node *
kwj_case(Node *condition, Node *result)
{
	CaseExpr   *expression = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = (Expr *) condition;
	when->result = (Expr *) result;
	when->location = -1;
	expression->args = list_make1(when);
	expression->location = -1;
	return (Node *) expression;
}

Node *
kwj_and(List *args)
{
	return (Node *) makeBoolExpr(AND_EXPR, args, -1);
}

/* ARRAY[element, ...] */
Node *
kwj_array(List *elements, int location)
{
	A_ArrayExpr *array = makeNode(A_ArrayExpr);

	array->elements = elements;
	array->location = location;
	return (Node *) array;
}

Node *
kwj_sublink(SubLinkType type, Node *query, int location)
{
	SubLink    *link = makeNode(SubLink);

	link->subLinkType = type;
	link->subselect = query;
	link->location = location;
	return (Node *) link;
}

ResTarget *
kwj_target(const char *name, Node *value)
{
	ResTarget  *target = makeNode(ResTarget);

	target->name = name ? pstrdup(name) : NULL;
	target->val = value;
	target->location = -1;
	return target;
}

/* SELECT value */
SelectStmt *
kwj_select(Node *value)
{
	SelectStmt *select = makeNode(SelectStmt);

	select->targetList = list_make1(kwj_target(NULL, value));
	return select;
}

/*
 * name (column) AS (SELECT value), for WITH.
 *
 * The names of our columns must not be visible in the user's expression, since it may name a
 * PL/pgSQL variable that is called like one of them.
 */
CommonTableExpr *
kwj_with_value(const char *name, const char *column, Node *value)
{
	CommonTableExpr *expression = makeNode(CommonTableExpr);

	expression->ctename = pstrdup(name);
	expression->aliascolnames = list_make1(makeString(pstrdup(column)));
	expression->ctematerialized = CTEMaterializeDefault;
	expression->ctequery = (Node *) kwj_select(value);
	expression->location = -1;
	return expression;
}

WithClause *
kwj_with(List *expressions)
{
	WithClause *with = makeNode(WithClause);

	with->ctes = expressions;
	with->location = -1;
	return with;
}

/* SELECT name.column FROM name */
SelectStmt *
kwj_select_with_value(const char *name, const char *column)
{
	SelectStmt *select = kwj_select(kwj_column(name, column));

	select->fromClause = list_make1(makeRangeVar(NULL, pstrdup(name), -1));
	return select;
}

/* left = ANY (ARRAY(query)), which can use an index of the table behind a view */
Node *
kwj_equal_any(Node *left, SelectStmt *query)
{
	return (Node *) makeA_Expr(AEXPR_OP_ANY, kwj_name("pg_catalog", "="), left,
							   kwj_sublink(ARRAY_SUBLINK, (Node *) query, -1), -1);
}

/* Returns the table as a constant of type regclass, located at its name. */
Node *
kwj_table_constant(const RangeVar *table)
{
	A_Const    *constant = makeNode(A_Const);
	const char *name = quote_qualified_identifier(table->schemaname, table->relname);

	if (table->catalogname)
		name = psprintf("%s.%s", quote_identifier(table->catalogname), name);
	kwj_set_string_constant(constant, pstrdup(name));
	constant->location = table->location;
	return kwj_cast((Node *) constant, "regclass", false, table->location);
}

/* Returns the elements as a text[]; without elements NULL. */
Node *
kwj_text_array(List *elements)
{
	return kwj_cast(elements ? kwj_array(elements, -1) : kwj_null(), "text", true, -1);
}

/* SELECT kwjobs_function(args) AS job_id */
Node *
kwj_select_job_id(const char *function, List *args, int location)
{
	SelectStmt *select = makeNode(SelectStmt);

	select->targetList = list_make1(kwj_target("job_id", kwj_own_call(function, args, location)));
	return (Node *) select;
}

/* CALL kwjobs_procedure(args) */
CallStmt *
kwj_call_procedure(const char *procedure, List *args, int location)
{
	CallStmt   *call = makeNode(CallStmt);

	call->funccall = (FuncCall *) kwj_own_call(procedure, args, location);
	return call;
}

/*
 * src/statement/unmask.c
 *	  Puts the trees of job statements in the place of their masks.
 *
 * Caller: parse.c (kwj_put_trees), in any process that parses SQL. No locks.
 *
 * The walk goes through the parse tree that PostgreSQL has made of the masked text. The location of
 * a node tells which statement it stands for (statement_of):
 *
 *     SelectStmt "SELECT 1"               --> SelectStmt, UpdateStmt or CallStmt of the statement
 *     RangeVar "kwjobs" in FROM           --> RangeSubselect
 *     RangeFunction "jobs"() of LATERAL   --> RangeSubselect
 *
 * A node is changed in place, so that pointers to it stay valid; the asserts make sure that the new
 * node is not larger. The walk does not enter what it has put in: those trees are complete already.
 * PostgreSQL's raw_expression_tree_walker does not know utility statements, so fill_utility goes
 * into all that can contain a query. If no node was found for a job statement, it stands at a place
 * where none can stand, which is an error.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "compat.h"
#include "statement/internal.h"

/* the offset of the 1 in the mask "SELECT 1" */
#define MASKED_TARGET	7

static void
error_at(const KwjStatement *statement, int sqlerrcode, const char *message,
		 const char *hint)
{
	ereport(ERROR,
			errcode(sqlerrcode),
			errmsg("%s", message),
			errhint("%s", hint),
			kwj_error_position(statement->source,
							   statement->first - (statement->in_brackets ? 1 : 0)));
}

/*
 * Returns the job statement for which a node at this location stands; NULL if there is none. Binary
 * search: the statements are in the order of the text.
 */
static KwjStatement *
statement_of(const List *statements, int location, bool in_brackets)
{
	int			start = location - (in_brackets ? 0 : MASKED_TARGET);
	int			first = 0;
	int			last = list_length(statements);

	while (first < last)
	{
		int			middle = first + (last - first) / 2;
		KwjStatement *statement = list_nth(statements, middle);

		if (kwj_mask_start(statement) == start)
			return statement->in_brackets == in_brackets ? statement : NULL;
		if (kwj_mask_start(statement) < start)
			first = middle + 1;
		else
			last = middle;
	}
	return NULL;
}

/* Turns the mask of a statement in brackets into a subquery. */
static void
fill_brackets(Node *mask, Alias *alias, KwjStatement *statement)
{
	Node	   *query = kwj_build_statement(statement);
	RangeSubselect *subquery = (RangeSubselect *) mask;

	StaticAssertStmt(sizeof(RangeSubselect) <= sizeof(RangeVar),
					 "a table's node cannot become a subquery's");
	StaticAssertStmt(sizeof(RangeSubselect) <= sizeof(RangeFunction),
					 "a function's node cannot become a subquery's");
	if (alias == NULL)
	{
		int			n = ++statement->source->naliases;

		alias = makeAlias(n == 1 ? "show_jobs" : psprintf("show_jobs_%d", n), NIL);
	}
	memset(subquery, 0, sizeof(RangeSubselect));
	NodeSetTag(subquery, T_RangeSubselect);
	subquery->lateral = statement->is_lateral;
	subquery->subquery = query;
	subquery->alias = alias;
	statement->has_tree = true;
}

/* Turns the masked SELECT into the tree of the job statement. */
static void
fill_statement(SelectStmt *select, KwjStatement *statement)
{
	Node	   *tree = kwj_build_statement(statement);
	Size		size;

	switch (nodeTag(tree))
	{
		case T_SelectStmt:
			size = sizeof(SelectStmt);
			break;
		case T_UpdateStmt:
			StaticAssertStmt(sizeof(UpdateStmt) <= sizeof(SelectStmt),
							 "a SELECT's node cannot become an UPDATE's");
			size = sizeof(UpdateStmt);
			break;
		case T_DeleteStmt:
			StaticAssertStmt(sizeof(DeleteStmt) <= sizeof(SelectStmt),
							 "a SELECT's node cannot become a DELETE's");
			size = sizeof(DeleteStmt);
			break;
		case T_CallStmt:
			StaticAssertStmt(sizeof(CallStmt) <= sizeof(SelectStmt),
							 "a SELECT's node cannot become a CALL's");
			size = sizeof(CallStmt);
			break;
		default:
			elog(ERROR, "unexpected parse tree of a job statement: %d",
				 (int) nodeTag(tree));
	}
	memset(select, 0, sizeof(SelectStmt));
	memcpy(select, tree, size);
	statement->has_tree = true;
}

/*
 * Returns the job statement after LATERAL for which this function stands; NULL if the function is
 * the user's own.
 */
static KwjStatement *
lateral_statement(const RangeFunction *function, const List *statements)
{
	Node	   *call = linitial(linitial_node(List, function->functions));
	KwjStatement *statement;

	if (!IsA(call, FuncCall))
		return NULL;
	statement = statement_of(statements, ((FuncCall *) call)->location, true);
	if (statement && (function->ordinality || function->coldeflist))
		error_at(statement, ERRCODE_SYNTAX_ERROR,
				 "the result of a job statement takes neither WITH ORDINALITY nor column definitions",
				 "Type AS and an alias after the brackets; number the rows with row_number().");
	return statement;
}

/*
 * Refuses a job statement in the place where INSERT, UPDATE, DELETE or MERGE names the table that
 * it changes.
 */
static void
refuse_target(const RangeVar *target, const List *statements)
{
	KwjStatement *statement = target ? statement_of(statements, target->location, true) : NULL;

	if (statement)
		error_at(statement, ERRCODE_FEATURE_NOT_SUPPORTED,
				 "the result of a job statement cannot be changed",
				 "To change a job, use PAUSE JOB, RESUME JOB or CANCEL JOB.");
}

static bool
fill_walker(Node *node, void *context)
{
	List	   *statements = context;
	KwjStatement *statement;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RangeVar:
			statement = statement_of(statements, ((RangeVar *) node)->location, true);
			if (statement)
				fill_brackets(node, ((RangeVar *) node)->alias, statement);
			return false;
		case T_RangeFunction:
			statement = lateral_statement((RangeFunction *) node, statements);
			if (statement)
			{
				fill_brackets(node, ((RangeFunction *) node)->alias, statement);
				return false;
			}
			break;
		case T_SelectStmt:
			{
				SelectStmt *select = (SelectStmt *) node;
				ResTarget  *target = select->targetList ? linitial(select->targetList) : NULL;

				statement = target ? statement_of(statements, target->location, false) : NULL;
				if (statement)
				{
					fill_statement(select, statement);
					return false;
				}
				break;
			}
		case T_InsertStmt:
			refuse_target(((InsertStmt *) node)->relation, statements);
			break;
		case T_UpdateStmt:
			refuse_target(((UpdateStmt *) node)->relation, statements);
			break;
		case T_DeleteStmt:
			refuse_target(((DeleteStmt *) node)->relation, statements);
			break;
		case T_IntoClause:
		case T_LockingClause:
			/* these name tables from which no rows are read */
			return false;
		default:
			refuse_target(kwj_merge_target(node), statements);
			break;
	}
	return raw_expression_tree_walker(node, fill_walker, context);
}

/* Goes into utility statements, which PostgreSQL's walker does not know. */
static void
fill_utility(Node *node, List *statements)
{
	ListCell   *cell;

	if (node == NULL)
		return;
	switch (nodeTag(node))
	{
		case T_List:
			foreach(cell, (List *) node)
				fill_utility(lfirst(cell), statements);
			break;
		case T_RawStmt:
			fill_utility(((RawStmt *) node)->stmt, statements);
			break;
		case T_ExplainStmt:
			fill_utility(((ExplainStmt *) node)->query, statements);
			break;
		case T_PrepareStmt:
			fill_utility(((PrepareStmt *) node)->query, statements);
			break;
		case T_ExecuteStmt:
			fill_walker((Node *) ((ExecuteStmt *) node)->params, statements);
			break;
		case T_DeclareCursorStmt:
			fill_utility(((DeclareCursorStmt *) node)->query, statements);
			break;
		case T_CopyStmt:
			fill_utility(((CopyStmt *) node)->query, statements);
			break;
		case T_CreateTableAsStmt:
			fill_utility(((CreateTableAsStmt *) node)->query, statements);
			break;
		case T_ViewStmt:
			fill_utility(((ViewStmt *) node)->query, statements);
			break;
		case T_RuleStmt:
			fill_walker(((RuleStmt *) node)->whereClause, statements);
			fill_utility((Node *) ((RuleStmt *) node)->actions, statements);
			break;
		case T_CreateFunctionStmt:
			fill_utility(((CreateFunctionStmt *) node)->sql_body, statements);
			break;
		case T_CreateSchemaStmt:
			fill_utility((Node *) ((CreateSchemaStmt *) node)->schemaElts, statements);
			break;
		case T_CreatePolicyStmt:
			fill_walker(((CreatePolicyStmt *) node)->qual, statements);
			fill_walker(((CreatePolicyStmt *) node)->with_check, statements);
			break;
		case T_CallStmt:
			fill_walker((Node *) ((CallStmt *) node)->funccall, statements);
			break;
		case T_ReturnStmt:
			fill_walker(((ReturnStmt *) node)->returnval, statements);
			break;
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_PLAssignStmt:
			fill_walker(node, statements);
			break;
		default:
			if (kwj_merge_target(node))
				fill_walker(node, statements);
			break;
	}
}

/* Raises an error if no node was found for one of these statements. */
static void
refuse_unfilled(const List *statements)
{
	ListCell   *cell;

	foreach(cell, statements)
	{
		KwjStatement *statement = lfirst(cell);

		if (!statement->has_tree)
			error_at(statement, ERRCODE_SYNTAX_ERROR,
					 "a job statement cannot stand here",
					 KWJ_USE_BRACKETS);
	}
}

/* Puts the trees of all these statements, which were masked, into the parsed trees. */
void
kwj_fill_statements(List *trees, List *statements)
{
	fill_utility((Node *) trees, statements);
	refuse_unfilled(statements);
}

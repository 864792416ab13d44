/*
 * src/statement/rewrite_show.c
 *	  The parse trees of the SHOW forms.
 *
 * Process: any that parses SQL. Locks: none. The comment above a function shows the tree that it builds as SQL.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"

#include "compat.h"
#include "kwjobs.h"
#include "statement/internal.h"

static const char *const show_columns[] = {
	"job_id", "job_type", "description", "statement", "user_name", "status",
	"running_status", "created", "started", "finished", "modified", "errord",
	"fraction_completed", "error", "coordinator_id", "total_num_of_ex",
	"total_num_of_success", "total_num_of_fail", "time_of_last_success"
};

/*
 * Columns that may be long. SHOW JOBS shows only their beginning; kwdb_internal.jobs shows all.
 */
static const char *const long_columns[] = {"description", "statement", "error"};

int
kwj_show_columns_count(void)
{
	return lengthof(show_columns);
}

/* The specification has automatic jobs show NULL as running_status. */
static ResTarget *
show_column(const char *name, bool automatic)
{
	Node	   *column = kwj_column("jobs", name);

	if (automatic && strcmp(name, "running_status") == 0)
		return kwj_target(name, kwj_null_text());
	for (int i = 0; i < lengthof(long_columns); i++)
		if (strcmp(long_columns[i], name) == 0)
			return kwj_target(name, kwj_own_call("shown", list_make1(column), -1));
	return kwj_target(NULL, column);
}

/* SELECT the columns of SHOW JOBS FROM ... */
static SelectStmt *
select_from(List *from, bool automatic)
{
	SelectStmt *select = makeNode(SelectStmt);

	for (int i = 0; i < lengthof(show_columns); i++)
		select->targetList = lappend(select->targetList, show_column(show_columns[i], automatic));
	select->fromClause = from;
	return select;
}

static Node *
jobs_table(int location)
{
	return (Node *) makeRangeVar(pstrdup("kwdb_internal"), pstrdup("jobs"), location);
}

/* pg_catalog.kwjobs_server_jobs(automatic, ids) AS jobs: the jobs of all databases */
static Node *
server_jobs(bool automatic, Node *ids, int location)
{
	RangeFunction *function = makeNode(RangeFunction);
	Node	   *which = kwj_cast(kwj_text(automatic ? "true" : "false"), "bool", false, -1);
	Node	   *call = kwj_own_call("server_jobs", list_make2(which, ids), location);

	function->functions = list_make1(list_make2(call, NIL));
	function->alias = makeAlias("jobs", NIL);
	return (Node *) function;
}

/*
 * kwdb_internal.jobs, pg_catalog.kwjobs_installed()
 *
 * With kwjobs.scope = server, the jobs of all databases instead: those of the window, or those with
 * these ids. Whoever may not see them gets those of this database. A prepared statement keeps the
 * form that it had when it was parsed; with kwjobs.scope = database, kwjobs_server_jobs() has the
 * jobs of this database only.
 */
static List *
from_jobs(bool automatic, SelectStmt *ids, int location)
{
	Node	   *jobs;

	if (kwj_scope == KWJ_SCOPE_SERVER)
		jobs = server_jobs(automatic,
						   ids ? kwj_sublink(ARRAY_SUBLINK, (Node *) ids, -1) : kwj_null(), location);
	else
		jobs = jobs_table(location);
	return list_make2(jobs, kwj_installed(location));
}

/* finished IS NULL OR finished > now() - kwjobs_show_window() */
static Node *
in_window(int location)
{
	NullTest   *unfinished = makeNode(NullTest);
	Node	   *start = kwj_operator("-",
									 kwj_call("pg_catalog", "now", NIL, -1),
									 kwj_own_call("show_window", NIL, location));

	unfinished->arg = (Expr *) kwj_column("jobs", "finished");
	unfinished->nulltesttype = IS_NULL;
	unfinished->location = -1;
	return (Node *) makeBoolExpr(OR_EXPR,
								 list_make2(unfinished,
											kwj_operator(">", kwj_column("jobs", "finished"), start)),
								 -1);
}

static SortBy *
descending(Node *value)
{
	SortBy	   *sort = makeNode(SortBy);

	sort->node = value;
	sort->sortby_dir = SORTBY_DESC;
	sort->sortby_nulls = SORTBY_NULLS_DEFAULT;
	sort->location = -1;
	return sort;
}

/* Unfinished jobs, newest start first, then finished ones, newest end first. */
static List *
show_order(void)
{
	CoalesceExpr *end = makeNode(CoalesceExpr);

	end->args = list_make2(kwj_column("jobs", "finished"),
						   kwj_call("pg_catalog", "now", NIL, -1));
	end->location = -1;
	return list_make2(descending((Node *) end),
					  descending(kwj_column("jobs", "started")));
}

/* SHOW JOBS or SHOW AUTOMATIC JOBS, with one more condition or NULL */
static SelectStmt *
show_window(bool automatic, Node *condition, int location)
{
	SelectStmt *select = select_from(from_jobs(automatic, NULL, location), automatic);
	List	   *conditions;

	conditions = list_make2(kwj_operator(automatic ? "=" : "<>",
										 kwj_column("jobs", "job_type"),
										 kwj_text("AUTO_CREATE_STATS")),
							in_window(location));
	if (condition)
		conditions = lappend(conditions, condition);
	select->whereClause = kwj_and(conditions);
	select->sortClause = show_order();
	return select;
}

SelectStmt *
kwj_show_jobs_tree(int location)
{
	return show_window(false, NULL, location);
}

/* kwj_integer() of each id that a query returns: a set-returning expression. */
static Node *
requested_ids(Node *query, int location)
{
	Node	   *ids = kwj_sublink(ARRAY_SUBLINK, query, location);

	return kwj_integer(kwj_call("pg_catalog", "unnest", list_make1(ids), -1), location);
}

/*
 * WITH requested(id) AS (SELECT id WHERE kwjobs_installed())
 * SELECT cols FROM kwdb_internal.jobs, kwjobs_installed()
 * WHERE job_id = ANY (ARRAY(SELECT id FROM requested))
 */
static Node *
show_requested(KwjStatement *statement, Node *id)
{
	int			location = kwj_location_of(statement);
	SelectStmt *ids = kwj_select_with_value("requested", "id");
	SelectStmt *select = select_from(from_jobs(false, ids, location), false);
	CommonTableExpr *requested = kwj_with_value("requested", "id", id);

	/* Without the extension, this raises the error that it is missing, before one about the table. */
	((SelectStmt *) requested->ctequery)->whereClause =
		kwj_own_call("installed", NIL, location);
	select->withClause = kwj_with(list_make1(requested));
	select->whereClause = kwj_equal_any(kwj_column("jobs", "job_id"),
										kwj_select_with_value("requested", "id"));
	return (Node *) select;
}

/* SELECT cols FROM kwjobs_when_complete(ids) */
static Node *
when_complete(Node *ids, int location)
{
	RangeFunction *function = makeNode(RangeFunction);
	Node	   *call = kwj_own_call("when_complete", list_make1(ids), location);

	function->functions = list_make1(list_make2(call, NIL));
	function->alias = makeAlias("jobs", NIL);
	return (Node *) select_from(list_make1(function), false);
}

/* SHOW JOB e, SHOW JOB WHEN COMPLETE e, SHOW JOB e WHEN COMPLETE */
Node *
kwj_build_show_job(KwjStatement *statement)
{
	static const char *const expected = "A job ID must stand here.";
	static const char *const complete = "The word COMPLETE must stand here.";
	const KwjSource *source = statement->source;
	int			first = statement->rest;
	int			last = statement->last;
	bool		wait = false;
	Node	   *id;
	int			location;

	if (first < last && kwj_is_word(source, first, "when"))
	{
		if (first + 1 >= last || !kwj_is_word(source, first + 1, "complete"))
			kwj_syntax_error(statement, first + 1, complete);
		wait = true;
		first += 2;
	}
	else if (last - first >= 2 && kwj_is_word(source, last - 2, "when"))
	{
		if (!kwj_is_word(source, last - 1, "complete"))
			kwj_syntax_error(statement, last - 1, complete);
		wait = true;
		last -= 2;
	}
	else if (last - first >= 2 && kwj_is_word(source, last - 1, "when"))
		kwj_syntax_error(statement, last, complete);

	if (first >= last)
		kwj_syntax_error(statement, first, expected);
	location = source->tokens[first].start;
	id = kwj_parse_expression(statement, first, last, expected);
	id = kwj_integer(id, location);
	if (wait)
		return when_complete(kwj_array(list_make1(id), location), location);
	return show_requested(statement, id);
}

/*
 * Returns whether the expression of LIMIT or OFFSET may stand in the tree twice, and is a bigint or
 * becomes one. PostgreSQL refuses all others, or converts them, with its own messages.
 */
static bool
is_plain_number(const Node *node)
{
	return node == NULL || IsA(node, ParamRef) ||
		(IsA(node, A_Const) && nodeTag(&((const A_Const *) node)->val) == T_Integer);
}

/* Returns a copy of such an expression as a bigint; NULL stands for none. */
static Node *
plain_number(Node *node)
{
	return node == NULL ? kwj_null() : kwj_cast(copyObject(node), "int8", false, -1);
}

/*
 * AND job_id = ANY (ARRAY(SELECT kwjobs_first(count, offset))): with this condition, SHOW JOBS
 * LIMIT does not read and sort all jobs, of which there may be a million.
 */
static Node *
add_first(Node *condition, const SelectStmt *given, int location)
{
	Node	   *first = kwj_own_call("first", list_make2(plain_number(given->limitCount),
														 plain_number(given->limitOffset)), location);

	return kwj_and(list_make2(condition,
							  kwj_equal_any(kwj_column("jobs", "job_id"), kwj_select(first))));
}

/* SHOW JOBS [WHERE e] [ORDER BY ...] [LIMIT ...] [OFFSET ...] */
static Node *
show_filtered(KwjStatement *statement)
{
	int			first = statement->rest;
	int			last = statement->last;
	int			clauses = kwj_find_clauses(statement, first, last);
	Node	   *condition = NULL;
	SelectStmt *given = NULL;
	SelectStmt *select;

	if (first < clauses)
		condition = kwj_parse_expression(statement, first + 1, clauses,
										 "A condition must follow WHERE.");
	if (clauses < last)
		given = kwj_parse_clauses(statement, clauses, last);
	select = show_window(false, condition, kwj_location_of(statement));
	if (given == NULL)
		return (Node *) select;
	if (given->sortClause)
		select->sortClause = given->sortClause;
	else if (condition == NULL && kwj_scope == KWJ_SCOPE_DATABASE &&
			 given->limitCount && given->limitOption == LIMIT_OPTION_COUNT &&
			 is_plain_number(given->limitCount) && is_plain_number(given->limitOffset))
		select->whereClause = add_first(select->whereClause, given, kwj_location_of(statement));
	select->limitOffset = given->limitOffset;
	select->limitCount = given->limitCount;
	select->limitOption = given->limitOption;
	return (Node *) select;
}

/*
 * SHOW JOBS [WHERE e] [ORDER BY ...] [LIMIT ...], SHOW JOBS query, SHOW JOBS WHEN COMPLETE query
 */
Node *
kwj_build_show_jobs(KwjStatement *statement)
{
	const KwjSource *source = statement->source;
	int			first = statement->rest;
	int			last = statement->last;
	bool		wait = false;
	Node	   *query;
	Node	   *ids;
	int			location;

	if (first == last || kwj_is_word(source, first, "where") ||
		kwj_find_clauses(statement, first, first + 1) == first)
		return show_filtered(statement);

	if (kwj_is_word(source, first, "when"))
	{
		if (first + 1 >= last || !kwj_is_word(source, first + 1, "complete"))
			kwj_syntax_error(statement, first + 1, "The word COMPLETE must stand here.");
		wait = true;
		first += 2;
	}
	query = kwj_parse_query(statement, first, last, KWJ_EXPECTED_IDS);
	location = source->tokens[first].start;
	ids = requested_ids(query, location);
	if (wait)
		return when_complete(kwj_sublink(ARRAY_SUBLINK, (Node *) kwj_select(ids), location),
							 location);
	return show_requested(statement, ids);
}

Node *
kwj_build_show_automatic(KwjStatement *statement)
{
	if (statement->rest < statement->last)
		kwj_syntax_error(statement, statement->rest,
						 "Nothing can follow SHOW AUTOMATIC JOBS.");
	return (Node *) show_window(true, NULL, kwj_location_of(statement));
}

/* ---- schedules ---- */

static const char *const schedule_columns[] = {
	"id", "name", "schedule_status", "next_run", "state", "recurrence", "jobsrunning", "owner", "created",
	"command", "time_zone", "last_due", "last_outcome", "last_duration", "usual_duration", "overdue",
	"why_paused"
};

/* Columns of SHOW SCHEDULES that may be long; it shows only their beginning. */
static const char *const long_schedule_columns[] = {"state", "command", "why_paused"};

int
kwj_show_schedules_columns_count(void)
{
	return lengthof(schedule_columns);
}

/* SELECT the columns of SHOW SCHEDULES FROM kwdb_internal.schedules, kwjobs_installed() ORDER BY name */
SelectStmt *
kwj_show_schedules_tree(int location)
{
	SelectStmt *select = makeNode(SelectStmt);
	SortBy	   *sort = descending(kwj_column("schedules", "name"));

	for (int i = 0; i < lengthof(schedule_columns); i++)
	{
		Node	   *column = kwj_column("schedules", schedule_columns[i]);

		for (int j = 0; j < lengthof(long_schedule_columns); j++)
			if (strcmp(long_schedule_columns[j], schedule_columns[i]) == 0)
				column = kwj_own_call("shown", list_make1(column), -1);
		select->targetList = lappend(select->targetList, kwj_target(schedule_columns[i], column));
	}
	select->fromClause = list_make2(makeRangeVar(pstrdup("kwdb_internal"), pstrdup("schedules"), location),
									kwj_installed(location));
	sort->sortby_dir = SORTBY_ASC;
	select->sortClause = list_make1(sort);
	return select;
}

/* SHOW JOBS for the jobs whose ids are in the array `ids`, automatic jobs among them */
SelectStmt *
kwj_show_jobs_of(Node *ids, int location)
{
	SelectStmt *select = select_from(list_make2(jobs_table(location), kwj_installed(location)), false);

	select->whereClause = kwj_and(list_make2(kwj_equal_any(kwj_column("jobs", "job_id"),
														   kwj_select(kwj_call("pg_catalog", "unnest", list_make1(ids), -1))),
											 in_window(location)));
	select->sortClause = show_order();
	return select;
}

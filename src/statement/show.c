/*
 * src/statement/show.c
 *	  SHOW JOBS alone, which PostgreSQL's grammar parses as SHOW of a setting.
 *
 * Caller: PostgreSQL, by post_parse_analyze_hook and ProcessUtility_hook, in the process that
 * executes the statement. Locks: only for the query that it runs.
 *
 *     SHOW jobs --raw_parser--> VariableShowStmt --analysis--> after_analysis:
 *         a setting of that name exists             unchanged
 *         no extension, or the form is incomplete   error
 *         prepared, or in an SQL function           the query SELECT ... FROM kwdb_internal.jobs
 *         otherwise                                 CALL pg_catalog.kwjobs_show_jobs(NULL, ...)
 *                                                       |
 *                                process_utility: runs the query into the CALL's destination
 *
 * Why CALL: after analysis it has to stay a utility statement, because the server has taken no
 * snapshot with which a query could be planned. CALL is the utility statement that returns a row of
 * any shape: the procedure's OUT arguments are the columns of SHOW JOBS, which gives the client the
 * right row description. The procedure itself is never executed. Nothing is kept in the session, so
 * DISCARD ALL is harmless.
 *
 * Why a prepared statement (of a driver, or in PL/pgSQL) becomes the query: PostgreSQL analyzes it
 * again when objects change, which it never does for a utility statement, so the plan could refer
 * to the procedure of an extension that was dropped. The raw parse tree is replaced, too.
 *
 * Known hole: the CachedPlanSource that is being made cannot be found by name; it is found by its
 * offset in a memory context of that name, and checked by its magic number.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/functions.h"
#include "kwjobs.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "statement/internal.h"
#include "statement/statement.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"


/* A job statement that PostgreSQL parses as SHOW of a setting. */
typedef struct ShowForm
{
	const char *setting;
	const char *procedure;		/* without its prefix */
	int			(*count_columns) (void);
	SelectStmt *(*build) (int location);
	const char *hint;			/* for when the extension is missing */
} ShowForm;

static const ShowForm forms[] = {
	{"jobs", "show_jobs", kwj_show_columns_count, kwj_show_jobs_tree,
	"To list jobs, run CREATE EXTENSION kwjobs in this database."},
	{"schedules", "show_schedules", kwj_show_schedules_columns_count, kwj_show_schedules_tree,
	"To list schedules, run CREATE EXTENSION kwjobs in this database."},
};

/* The beginning of a form, which PostgreSQL parses as SHOW of a setting, too. */
typedef struct IncompleteForm
{
	const char *setting;
	const char *message;
	const char *hint;
} IncompleteForm;

static const IncompleteForm incomplete_forms[] = {
	{"job", "SHOW JOB needs a job ID", "Type SHOW JOB job_id, or SHOW JOBS to list all jobs."},
	{"schedule", "SHOW SCHEDULE needs a name", "Type SHOW SCHEDULE name, or SHOW SCHEDULES to list all schedules."},
};

static post_parse_analyze_hook_type previous_post_parse_analyze_hook;
static ProcessUtility_hook_type previous_process_utility_hook;

/* Returns whether the extension is in this database, in a version that has this procedure. */
static bool
procedure_exists(const char *procedure)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), KWJ_FUNCTION_PREFIX "%s", procedure);
	return SearchSysCacheExists3(PROCNAMEARGSNSP, CStringGetDatum(name),
								 PointerGetDatum(buildoidvector(NULL, 0)),
								 ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
}

/*
 * Returns the procedure of the extension that this CALL calls, without its prefix; NULL if it calls
 * another one.
 */
static const char *
own_procedure(const CallStmt *call)
{
	List	   *name = call->funccall->funcname;
	const char *procedure = strVal(llast(name));

	if (list_length(name) != 2 || strcmp(strVal(linitial(name)), "pg_catalog") != 0 ||
		strncmp(procedure, KWJ_FUNCTION_PREFIX, strlen(KWJ_FUNCTION_PREFIX)) != 0)
		return NULL;
	return procedure + strlen(KWJ_FUNCTION_PREFIX);
}

/* Returns the form for SHOW name; NULL if a setting of that name exists, or no form has it. */
static const ShowForm *
form_of_setting(const char *name)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		if (strcmp(forms[i].setting, name) == 0 &&
			GetConfigOption(name, true, false) == NULL)
			return &forms[i];
	}
	return NULL;
}

/* Returns the form for which a CALL of this procedure stands; NULL if there is none. */
static const ShowForm *
form_of_procedure(const char *procedure)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		if (strcmp(procedure, forms[i].procedure) == 0)
			return &forms[i];
	}
	return NULL;
}

/* Returns the analyzed tree of CALL kwjobs_procedure(NULL, ...). */
static Node *
analyzed_call(const ShowForm *form)
{
	ParseState *pstate = make_parsestate(NULL);
	List	   *args = NIL;
	Query	   *query;

	for (int i = 0; i < form->count_columns(); i++)
		args = lappend(args, kwj_null());
	query = transformStmt(pstate, (Node *) kwj_call_procedure(form->procedure, args, -1));
	free_parsestate(pstate);
	return query->utilityStmt;
}

/*
 * Returns whether the extension is in this database. Without it, `name` in SHOW name can only be a
 * setting.
 */
static bool
extension_exists(void)
{
	return procedure_exists(forms[0].procedure);
}

static void
refuse_incomplete(ParseState *pstate, const Query *query, const char *setting)
{
	int			end = query->stmt_location + query->stmt_len;

	if (query->stmt_len == 0)
		end = strlen(pstate->p_sourcetext);
	for (int i = 0; i < lengthof(incomplete_forms); i++)
	{
		const IncompleteForm *form = &incomplete_forms[i];

		if (strcmp(setting, form->setting) == 0 &&
			GetConfigOption(setting, true, false) == NULL && extension_exists())
			ereport(ERROR,
					errcode(ERRCODE_SYNTAX_ERROR),
					errmsg("%s", form->message),
					errhint("%s", form->hint),
					errposition(pg_mbstrlen_with_len(pstate->p_sourcetext, end) + 1));
	}
}

/* Returns whether this is a statement of an SQL function, which has parser hooks of its own. */
static bool
in_sql_function(const ParseState *pstate)
{
	ParseState *function = make_parsestate(NULL);
	bool		same;

	sql_fn_parser_setup(function, NULL);
	same = pstate->p_paramref_hook == function->p_paramref_hook;
	free_parsestate(function);
	return same;
}

/* Returns the offset of a CachedPlanSource in its memory context, which is always the same. */
static Size
offset_in_context(void)
{
	static Size offset = 0;

	if (offset == 0)
	{
		RawStmt    *raw = makeNode(RawStmt);
		CachedPlanSource *sample = CreateCachedPlan(raw, "", CMDTAG_SHOW);

		offset = (char *) sample - (char *) sample->context;
		DropCachedPlan(sample);
	}
	return offset;
}

/*
 * Returns the prepared statement that is being made of this SHOW; NULL if there is none. It has no
 * name yet, but its memory context is one of the newest children of the current one.
 */
static CachedPlanSource *
prepared_statement(const char *setting)
{
	Size		offset = offset_in_context();
	MemoryContext context = CurrentMemoryContext->firstchild;

	for (; context != NULL; context = context->nextchild)
	{
		CachedPlanSource *source = (CachedPlanSource *) ((char *) context + offset);
		Node	   *statement;

		if (strcmp(context->name, "CachedPlanSource") != 0 ||
			source->magic != CACHEDPLANSOURCE_MAGIC || source->context != context ||
			source->is_complete || source->raw_parse_tree == NULL)
			continue;
		statement = source->raw_parse_tree->stmt;
		if (statement && IsA(statement, VariableShowStmt) &&
			strcmp(((VariableShowStmt *) statement)->name, setting) == 0)
			return source;
	}
	return NULL;
}

/*
 * Replaces the raw parse tree of a prepared statement by the tree of the query, because PostgreSQL
 * analyzes a statement again when objects change, unless it is a SHOW.
 */
static void
prepare_query(const ShowForm *form, CachedPlanSource *source)
{
	MemoryContext old = MemoryContextSwitchTo(source->context);

	source->raw_parse_tree->stmt = (Node *) form->build(-1);
	MemoryContextSwitchTo(old);
}

/*
 * Turns SHOW JOBS into its query, where there will be a snapshot to plan it with. (An SQL function
 * could not have a CALL with OUT arguments anyway.)
 */
static void
become_query(const ShowForm *form, const ParseState *outer, Query *query,
			 uint64 query_id)
{
	ParseState *pstate = make_parsestate(NULL);
	RawStmt    *raw = makeNode(RawStmt);
	Query	   *select;

	pstate->p_sourcetext = outer->p_sourcetext;
	raw->stmt = (Node *) form->build(-1);
	raw->stmt_location = query->stmt_location;
	raw->stmt_len = query->stmt_len;
	select = transformTopLevelStmt(pstate, raw);
	select->queryId = query_id;
	*query = *select;
	free_parsestate(pstate);
}

static void
after_analysis(ParseState *pstate, Query *query, KWJ_JUMBLE_STATE *jstate)
{
	/* pg_stat_statements' hook removes it from utility statements */
	uint64		query_id = query->queryId;
	CachedPlanSource *source;
	const char *setting;
	const ShowForm *form;

	if (previous_post_parse_analyze_hook)
		previous_post_parse_analyze_hook(pstate, query, jstate);
	kwj_statement_arm();

	if (!kwj_statements || query->commandType != CMD_UTILITY ||
		!IsA(query->utilityStmt, VariableShowStmt))
		return;
	setting = ((VariableShowStmt *) query->utilityStmt)->name;
	refuse_incomplete(pstate, query, setting);
	form = form_of_setting(setting);
	if (form == NULL)
		return;
	if (!procedure_exists(form->procedure))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("unrecognized configuration parameter \"%s\"", form->setting),
				errhint("%s", form->hint));

	source = prepared_statement(setting);
	if (source)
		prepare_query(form, source);
	if (source || in_sql_function(pstate))
		become_query(form, pstate, query, query_id);
	else
		query->utilityStmt = analyzed_call(form);
}

/* Checks that the query has the columns of the procedure, because the client was told of these. */
static void
check_columns(TupleDesc promised, TupleDesc actual)
{
	bool		same = promised != NULL && promised->natts == actual->natts;

	for (int i = 0; same && i < actual->natts; i++)
		same = TupleDescAttr(promised, i)->atttypid == TupleDescAttr(actual, i)->atttypid;
	if (!same)
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("the catalog of kwjobs does not match its library"),
				errhint("Run ALTER EXTENSION kwjobs UPDATE in this database."));
}

/* Runs the query of this form, and sends its rows to the destination of the CALL. */
static void
run_query(const ShowForm *form, const PlannedStmt *statement, const char *text,
		  DestReceiver *dest, QueryCompletion *completion)
{
	CallStmt   *call = (CallStmt *) statement->utilityStmt;
	RawStmt    *raw = makeNode(RawStmt);
	Query	   *query;
	QueryDesc  *run;

	if (ActiveSnapshotSet())
		PushCopiedSnapshot(GetActiveSnapshot());
	else
		PushActiveSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();

	raw->stmt = (Node *) form->build(-1);
	raw->stmt_location = statement->stmt_location;
	raw->stmt_len = statement->stmt_len;
	query = linitial_node(Query, kwj_analyze_and_rewrite(raw, text));
	run = CreateQueryDesc(kwj_plan_query(query, text, CURSOR_OPT_PARALLEL_OK),
						  text, GetActiveSnapshot(), InvalidSnapshot, dest,
						  NULL, NULL, 0);
	ExecutorStart(run, 0);
	check_columns(CallStmtResultDesc(call), run->tupDesc);
	kwj_executor_run(run);
	if (completion)
		SetQueryCompletion(completion, CMDTAG_SHOW, run->estate->es_processed);
	ExecutorFinish(run);
	ExecutorEnd(run);
	FreeQueryDesc(run);
	PopActiveSnapshot();
}

/*
 * Returns the command tag of a job statement that has become a CALL of this procedure. A CALL that
 * the user has written keeps its own tag.
 */
static CommandTag
tag_of_call(const CallStmt *call, const char *procedure)
{
	if (call->funccall->funcformat != COERCE_SQL_SYNTAX)
		return CMDTAG_UNKNOWN;
	if (strcmp(procedure, "set_cluster_setting") == 0)
		return CMDTAG_SET;
	if (strcmp(procedure, "reset_cluster_setting") == 0)
		return CMDTAG_RESET;
	return CMDTAG_UNKNOWN;
}

static void
process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	const ShowForm *form = NULL;
	CommandTag	tag = CMDTAG_UNKNOWN;

	kwj_statement_arm();
	/* look before the call: a procedure that rolls back and deallocates may free the tree */
	if (IsA(statement->utilityStmt, CallStmt))
	{
		const CallStmt *call = (CallStmt *) statement->utilityStmt;
		const char *procedure = own_procedure(call);

		form = procedure ? form_of_procedure(procedure) : NULL;
		tag = procedure ? tag_of_call(call, procedure) : CMDTAG_UNKNOWN;
	}

	if (form)
		run_query(form, statement, text, dest, completion);
	else if (previous_process_utility_hook)
		previous_process_utility_hook(statement, text, read_only_tree, context,
									  params, environment, dest, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context,
								params, environment, dest, completion);

	if (tag != CMDTAG_UNKNOWN && completion != NULL)
		SetQueryCompletion(completion, tag, 0);
}

void
kwj_show_init(void)
{
	previous_post_parse_analyze_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = after_analysis;
	previous_process_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

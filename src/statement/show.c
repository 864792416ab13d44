/*
 * src/statement/show.c
 *	  SHOW JOBS, which PostgreSQL's grammar takes for SHOW setting.
 *
 * Runs in the process that executes the statement.
 *
 * After analysis it is a utility statement, and it has to stay one: the server
 * has no snapshot to plan a query with. CALL is the utility statement that returns
 * a row of any shape, so SHOW JOBS becomes CALL kwjobs_show_jobs(), a procedure
 * whose OUT arguments are the columns of SHOW JOBS. When that is executed, the
 * query runs in its place and sends all rows. Nothing is left in the session, so
 * DISCARD ALL cannot take it away.
 *
 * A statement that is prepared, by a driver or in PL/pgSQL, becomes the query itself,
 * so that its plan is made anew when the extension is.
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


/* A SHOW that parses as that of a setting. */
typedef struct ShowForm
{
	const char *setting;
	const char *procedure;		/* without its prefix; NULL: not supported yet */
	int			(*count_columns) (void);
	SelectStmt *(*build) (int location);
	const char *hint;			/* without the extension */
} ShowForm;

static const ShowForm forms[] = {
	{"jobs", "show_jobs", kwj_show_columns_count, kwj_show_jobs_tree,
	"To list jobs, run CREATE EXTENSION kwjobs in this database."},
	{"schedules", NULL, NULL, NULL,
	"To list schedules, run CREATE EXTENSION kwjobs in this database."},
};

/* A form that parses as the SHOW of a setting, too, but lacks its last part. */
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

/* Is the extension in this database, in a version that has this procedure? */
static bool
procedure_exists(const char *procedure)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), KWJ_FUNCTION_PREFIX "%s", procedure);
	return SearchSysCacheExists3(PROCNAMEARGSNSP, CStringGetDatum(name),
								 PointerGetDatum(buildoidvector(NULL, 0)),
								 ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
}

/* The procedure of ours, without its prefix, that this CALL calls; NULL if it is another's. */
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

/* The form that SHOW name is, NULL if a setting of that name exists. */
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

/* The form that a CALL of this procedure of ours stands for, NULL if there is none. */
static const ShowForm *
form_of_procedure(const char *procedure)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		if (forms[i].procedure && strcmp(procedure, forms[i].procedure) == 0)
			return &forms[i];
	}
	return NULL;
}

/* Analyze CALL kwjobs_procedure(NULL, ...). */
static Node *
analyzed_call(const ShowForm *form)
{
	CallStmt   *call = makeNode(CallStmt);
	ParseState *pstate = make_parsestate(NULL);
	List	   *args = NIL;
	Query	   *query;

	for (int i = 0; i < form->count_columns(); i++)
		args = lappend(args, kwj_null());
	call->funccall = (FuncCall *) kwj_own_call(form->procedure, args, -1);
	query = transformStmt(pstate, (Node *) call);
	free_parsestate(pstate);
	return query->utilityStmt;
}

/* Without the extension a name is a setting's, if it is anything. */
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

/* Is this a statement of an SQL function? They have hooks of their own. */
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

/* Where a prepared statement is in its memory context: always at the same place. */
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
 * The prepared statement that is being made of this SHOW, NULL if there is none. It
 * cannot be found by a name yet, but its memory context is one of the newest below
 * the current one.
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
 * A prepared statement is analyzed again when objects change, but not if it is a
 * SHOW: its parse tree has to become that of the query, too.
 */
static void
prepare_query(const ShowForm *form, CachedPlanSource *source)
{
	MemoryContext old = MemoryContextSwitchTo(source->context);

	source->raw_parse_tree->stmt = (Node *) form->build(-1);
	MemoryContextSwitchTo(old);
}

/*
 * Where there will be a snapshot to plan with, SHOW JOBS becomes its query. An SQL
 * function could not even have a CALL with OUT arguments.
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
after_analysis(ParseState *pstate, Query *query, JumbleState *jstate)
{
	/* pg_stat_statements takes it from utility statements */
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
	if (form->procedure ? !procedure_exists(form->procedure) : !extension_exists())
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("unrecognized configuration parameter \"%s\"", form->setting),
				errhint("%s", form->hint));
	if (form->procedure == NULL)
		kwj_refuse_unsupported("show", form->setting);

	source = prepared_statement(setting);
	if (source)
		prepare_query(form, source);
	if (source || in_sql_function(pstate))
		become_query(form, pstate, query, query_id);
	else
		query->utilityStmt = analyzed_call(form);
}

/* The client was told the columns of the procedure. */
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

/* Run the query of this form and send its rows to the destination of the CALL. */
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
	run = CreateQueryDesc(pg_plan_query(query, text, CURSOR_OPT_PARALLEL_OK, NULL),
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
 * The command tag of a statement that became a CALL of this procedure; one that the
 * user wrote keeps its own.
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
	/* before: what runs may free the tree, as a procedure that rolls back and deallocates it */
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

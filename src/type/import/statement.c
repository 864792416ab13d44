/*
 * src/type/import/statement.c
 *	  The work of an IMPORT as a statement that the executor runs.
 *
 * Process: session (when the job is created), worker. Locks: only those that the work takes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "type/import/statement.h"

/* The state of the plan's only node. */
typedef struct WorkState
{
	CustomScanState scan;
	KwjImportWork work;
	void	   *arg;
} WorkState;

static void
begin_node(CustomScanState *node, EState *estate, int eflags)
{
}

/* The executor asks the node for a row. The node does the work instead, and returns none. */
static TupleTableSlot *
execute_node(CustomScanState *node)
{
	WorkState  *state = (WorkState *) node;

	if (state->work != NULL)
	{
		/* Hooks at the end of a statement read here how many rows it has written. */
		node->ss.ps.state->es_processed += state->work(state->arg);
		state->work = NULL;
	}
	return NULL;
}

static void
end_node(CustomScanState *node)
{
}

static void
rescan_node(CustomScanState *node)
{
	elog(ERROR, "an IMPORT cannot be scanned again");
}

static const CustomExecMethods exec_methods = {
	.CustomName = "IMPORT",
	.BeginCustomScan = begin_node,
	.ExecCustomScan = execute_node,
	.EndCustomScan = end_node,
	.ReScanCustomScan = rescan_node,
};

static Node *
create_state(CustomScan *plan)
{
	WorkState  *state = palloc0(sizeof(WorkState));

	NodeSetTag(state, T_CustomScanState);
	state->scan.methods = &exec_methods;
	return (Node *) state;
}

static const CustomScanMethods plan_methods = {
	.CustomName = "IMPORT",
	.CreateCustomScanState = create_state,
};

QueryDesc *
kwj_import_begin_statement(ParseState *pstate, CmdType command, const char *text)
{
	CustomScan *plan = makeNode(CustomScan);
	PlannedStmt *statement = makeNode(PlannedStmt);
	QueryDesc  *result;

	plan->methods = &plan_methods;
	statement->commandType = command;
	statement->canSetTag = true;
	statement->planTree = (Plan *) plan;
	statement->rtable = pstate->p_rtable;
	kwj_set_permissions(statement, pstate);
	statement->stmt_len = strlen(text);
	/* Without a query tree, compute the id as PostgreSQL 15 does for utility statements. */
	if (IsQueryIdEnabled())
		statement->queryId = DatumGetUInt64(hash_any_extended((const unsigned char *) text,
															  statement->stmt_len, 0));
	result = CreateQueryDesc(statement, text, GetActiveSnapshot(), InvalidSnapshot,
							 None_Receiver, NULL, NULL, 0);
	/* COPY fires the triggers by itself, after each file. */
	ExecutorStart(result, EXEC_FLAG_SKIP_TRIGGERS);
	return result;
}

uint64
kwj_import_run_statement(QueryDesc *statement, KwjImportWork work, void *arg)
{
	WorkState  *state = (WorkState *) statement->planstate;
	uint64		rows;

	state->work = work;
	state->arg = arg;
	kwj_executor_run(statement);
	rows = statement->estate->es_processed;
	ExecutorFinish(statement);
	ExecutorEnd(statement);
	FreeQueryDesc(statement);
	return rows;
}

void
kwj_import_next_command(void)
{
	PopActiveSnapshot();
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
}

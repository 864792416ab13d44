/*
 * t/lib/strict_hooks.c
 *	  A library as strict as some that audit: it takes it for an error when rights
 *	  are checked while no statement runs. t/050_statement_hooks.pl builds it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "tcop/utility.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static ExecutorStart_hook_type previous_start;
static ExecutorEnd_hook_type previous_end;
static ProcessUtility_hook_type previous_utility;
static ExecutorCheckPerms_hook_type previous_check;

static int	statements;			/* begun and not ended */

static void
on_start(QueryDesc *query, int eflags)
{
	statements++;
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (query->sourceText == NULL || query->planstate == NULL)
		elog(ERROR, "strict_hooks: a statement without text or plan");
}

static void
on_end(QueryDesc *query)
{
	if (query->operation == CMD_INSERT && strncmp(query->sourceText, "IMPORT", 6) == 0)
		elog(LOG, "strict_hooks: " UINT64_FORMAT " rows by %s",
			 query->estate->es_processed, query->sourceText);
	if (previous_end)
		previous_end(query);
	else
		standard_ExecutorEnd(query);
	statements--;
}

static void
on_utility(PlannedStmt *pstmt, const char *text, bool read_only,
		   ProcessUtilityContext context, ParamListInfo params,
		   QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc)
{
	statements++;
	if (previous_utility)
		previous_utility(pstmt, text, read_only, context, params, environment, dest, qc);
	else
		standard_ProcessUtility(pstmt, text, read_only, context, params, environment,
								dest, qc);
	/* a procedure may have ended the transaction */
	statements = Max(statements - 1, 0);
}

#if PG_VERSION_NUM >= 160000
static bool
on_check(List *range_table, List *infos, bool report)
{
	if (statements == 0)
		elog(ERROR, "strict_hooks: rights are checked outside of a statement");
	return previous_check ? previous_check(range_table, infos, report) : true;
}
#else
static bool
on_check(List *range_table, bool report)
{
	if (statements == 0)
		elog(ERROR, "strict_hooks: rights are checked outside of a statement");
	return previous_check ? previous_check(range_table, report) : true;
}
#endif

static void
at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		statements = 0;
}

void
_PG_init(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = on_start;
	previous_end = ExecutorEnd_hook;
	ExecutorEnd_hook = on_end;
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
	previous_check = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = on_check;
	RegisterXactCallback(at_end, NULL);
}

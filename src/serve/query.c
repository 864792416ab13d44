/*
 * src/serve/query.c
 *	  What a session of a private server does with a message of its client.
 *
 * Process: session (session.c). Locks: those of the statements.
 *
 * PostgreSQL's exec_simple_query() is not exported, and PostgresMain(), which calls it, cannot be run
 * by a background worker: it initializes the process a second time. So the steps of
 * exec_simple_query() are taken here one after the other, with PostgreSQL's functions.
 */
#include "postgres.h"

#include "access/printtup.h"
#include "access/xact.h"
#include "compat.h"
#include "job/statement_log.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "serve/port.h"
#include "serve/query.h"
#include "storage/proc.h"
#include "tcop/fastpath.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

/* Whether StartTransactionCommand() was called without CommitTransactionCommand() since. */
static bool started = false;

static void
start_command(void)
{
	if (!started)
		StartTransactionCommand();
	started = true;
	if (StatementTimeout > 0 && !get_timeout_active(STATEMENT_TIMEOUT))
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	if (client_connection_check_interval > 0 && !get_timeout_active(CLIENT_CONNECTION_CHECK_TIMEOUT))
		enable_timeout_after(CLIENT_CONNECTION_CHECK_TIMEOUT, client_connection_check_interval);
}

static void
end_statement_timeout(void)
{
	if (get_timeout_active(STATEMENT_TIMEOUT))
		disable_timeout(STATEMENT_TIMEOUT, false);
}

static void
finish_command(void)
{
	end_statement_timeout();
	if (started)
		CommitTransactionCommand();
	started = false;
}

void
kwj_serve_query_failed(void)
{
	started = false;
}

/* Returns whether this ends a transaction block, and so is allowed in one that has failed. */
static bool
is_exit(const Node *statement)
{
	TransactionStmtKind kind;

	if (!IsA(statement, TransactionStmt))
		return false;
	kind = ((const TransactionStmt *) statement)->kind;
	return kind == TRANS_STMT_COMMIT || kind == TRANS_STMT_PREPARE ||
		kind == TRANS_STMT_ROLLBACK || kind == TRANS_STMT_ROLLBACK_TO;
}

static void
check_not_aborted(const Node *statement)
{
	if (IsAbortedTransactionBlockState() && !is_exit(statement))
		ereport(ERROR,
				(errcode(ERRCODE_IN_FAILED_SQL_TRANSACTION),
				 errmsg("current transaction is aborted, commands ignored until end of transaction block")));
}

static List *
plan(RawStmt *tree, const char *text)
{
	bool		has_snapshot = analyze_requires_snapshot(tree);
	List	   *plans;

	if (has_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(kwj_analyze_and_rewrite(tree, text), text, CURSOR_OPT_PARALLEL_OK,
							NULL);
	if (has_snapshot)
		PopActiveSnapshot();
	return plans;
}

/* Runs the plans in a portal, which sends the result to the client. */
static void
run_portal(List *plans, const char *text, CommandTag tag, QueryCompletion *completion)
{
	Portal		portal = CreatePortal("", true, true);
	DestReceiver *receiver;
	int16		format = 0;

	portal->visible = false;
	PortalDefineQuery(portal, NULL, text, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	PortalSetResultFormat(portal, 1, &format);
	receiver = CreateDestReceiver(DestRemote);
	SetRemoteDestReceiverParams(receiver, portal);
	MemoryContextSwitchTo(MessageContext);
	(void) kwj_portal_run(portal, receiver, completion);
	receiver->rDestroy(receiver);
	PortalDrop(portal, false);
}

/* last: no statement of the text follows this one. */
static void
run_statement(RawStmt *tree, const char *text, bool in_block, bool last)
{
	CommandTag	tag = CreateCommandTag(tree->stmt);
	QueryCompletion completion;

	BeginCommand(tag, DestRemote);
	check_not_aborted(tree->stmt);
	start_command();
	if (in_block)
		BeginImplicitTransactionBlock();
	CHECK_FOR_INTERRUPTS();
	run_portal(plan(tree, text), text, tag, &completion);
	if (last)
	{
		if (in_block)
			EndImplicitTransactionBlock();
		finish_command();
	}
	else if (IsA(tree->stmt, TransactionStmt))
		finish_command();
	else
	{
		CommandCounterIncrement();
		end_statement_timeout();
	}
	EndCommand(&completion, DestRemote, false);
}

void
kwj_serve_query(const char *text)
{
	List	   *trees;
	ListCell   *lc;
	bool		was_logged;

	debug_query_string = text;
	pgstat_report_activity(STATE_RUNNING, text);
	start_command();
	MemoryContextSwitchTo(MessageContext);
	trees = pg_parse_query(text);
	was_logged = kwj_log_statement(text, trees);
	MemoryContextSwitchTo(MessageContext);
	foreach(lc, trees)
		run_statement(lfirst_node(RawStmt, lc), text, list_length(trees) > 1,
					  lnext(trees, lc) == NULL);
	finish_command();
	if (trees == NIL)
		NullCommand(DestRemote);
	kwj_log_duration(text, was_logged);
	debug_query_string = NULL;
}

void
kwj_serve_function(StringInfo message)
{
	pgstat_report_activity(STATE_FASTPATH, NULL);
	start_command();
	MemoryContextSwitchTo(MessageContext);
	HandleFunctionRequest(message);
	finish_command();
}

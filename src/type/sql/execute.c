/*
 * src/type/sql/execute.c
 *	  Runs the statements of a text as a session runs a simple query.
 *
 * SPI would not do, because VACUUM and its like refuse to run in it. So this file analyses and
 * plans each statement, and runs it in a portal at top level. VACUUM, CREATE INDEX CONCURRENTLY and
 * a procedure with COMMIT then work as in a session.
 *
 * Process: worker. Locks: those that the statements take.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "lifecycle/attempt.h"
#include "job/scan.h"
#include "job/statement_log.h"
#include "job/transcript.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "storage/proc.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "type/sql/execute.h"
#include "type/sql/messages.h"
#include "type/sql/parse.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

/* The statement that runs now; an error names it in its context. */
typedef struct Running
{
	const char *text;
	const KwjParameters *parameters;	/* NULL: the text has none */
	DestReceiver *receiver;		/* of the rows that queries return */
	int			number;			/* number of the statement, from 1 */
	int			count;
	ParamListInfo arguments;	/* of this statement; NULL: it has no parameters */
} Running;

static void
name_statement(void *arg)
{
	const Running *running = arg;
	int			position = geterrposition();

	if (position > 0)
		kwj_sql_show_position(running->text, position);
	if (running->count > 1)
		errcontext("statement %d of %d", running->number, running->count);
}

void
kwj_sql_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

/*
 * Sets debug_query_string, the text that the log shows with messages. After an error it stays set
 * until the worker has logged the error, so this makes a copy that outlives the attempt.
 */
static void
show_text(const char *text)
{
	static char *shown = NULL;
	char	   *old = shown;

	shown = MemoryContextStrdup(TopMemoryContext, text);
	debug_query_string = shown;
	if (old)
		pfree(old);
}

/*
 * Analyses the statement, and converts its arguments to the types that its parameters have.
 */
static List *
analyze(RawStmt *statement, Running *running)
{
	const KwjParameters *parameters = running->parameters;
	Oid		   *types = kwj_sql_infer_types(parameters, statement);

	running->arguments = NULL;
	if (types == NULL)
		return kwj_analyze_and_rewrite(statement, running->text);
	running->arguments = kwj_sql_convert_arguments(parameters->arguments, types);
	return kwj_sql_analyze(parameters, types, statement);
}

/*
 * Returns the plans of one statement, palloc'd in the current context, as its arguments are. The
 * input functions of arguments may need a snapshot.
 */
static List *
plan(RawStmt *statement, Running *running)
{
	bool		needs_snapshot = analyze_requires_snapshot(statement) ||
		running->parameters != NULL;
	List	   *queries;
	List	   *plans;

	/* This snapshot is older than the table locks, so the statement runs with a later one. */
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	queries = analyze(statement, running);
	plans = pg_plan_queries(queries, running->text, CURSOR_OPT_PARALLEL_OK, running->arguments);
	if (needs_snapshot)
		PopActiveSnapshot();
	CHECK_FOR_INTERRUPTS();
	return plans;
}

/*
 * Plans and runs the statement. The plans and arguments go into trees_in, because the memory of the
 * transaction may go away in a COMMIT.
 */
static void
run_in_portal(RawStmt *statement, Running *running, MemoryContext trees_in,
			  QueryCompletion *completion)
{
	MemoryContext caller = MemoryContextSwitchTo(trees_in);
	List	   *plans = plan(statement, running);
	int16		format = 0;
	Portal		portal;

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, running->text, CreateCommandTag(statement->stmt), plans, NULL);
	PortalStart(portal, running->arguments, 0, InvalidSnapshot);
	PortalSetResultFormat(portal, 1, &format);
	MemoryContextSwitchTo(caller);

	InitializeQueryCompletion(completion);
	(void) kwj_portal_run(portal, running->receiver, completion);
	PortalDrop(portal, false);
}

/*
 * Adds the command tag to the transcript, as a client would get it: "INSERT 0 3", "VACUUM".
 * Returns the number of rows.
 */
static uint64
note_completion(const QueryCompletion *completion)
{
	CommandTag	tag = completion->commandTag;
	const char *name = GetCommandTagName(tag);

	if (!command_tag_display_rowcount(tag))
	{
		kwj_transcript_add_tag(name);
		return 0;
	}
	kwj_transcript_add_tag(psprintf(tag == CMDTAG_INSERT ? "%s 0 " UINT64_FORMAT :
									"%s " UINT64_FORMAT, name, completion->nprocessed));
	return completion->nprocessed;
}

static uint64
run_statement(RawStmt *statement, Running *running)
{
	/*
	 * The context is kept for the next statement, because after an error nothing would delete it.
	 */
	static MemoryContext trees = NULL;
	MemoryContext caller = CurrentMemoryContext;
	QueryCompletion completion;
	uint64		rows;

	if (trees == NULL)
		trees = AllocSetContextCreate(TopMemoryContext, "kwjobs statement",
									  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(trees);
	MemoryContextSwitchTo(trees);
	pgstat_report_activity(STATE_RUNNING, kwj_sql_statement_text(running->text, statement));
	pgstat_report_query_id(0, true);
	kwj_sql_messages_refresh();
	MemoryContextSwitchTo(caller);

	if (StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	CHECK_FOR_INTERRUPTS();
	run_in_portal(statement, running, trees, &completion);
	disable_timeout(STATEMENT_TIMEOUT, false);

	MemoryContextSwitchTo(trees);
	rows = note_completion(&completion);
	/*
	 * The statement may have committed, so this is the context of the transaction that is open
	 * now.
	 */
	MemoryContextSwitchTo(CurTransactionContext);
	MemoryContextReset(trees);
	return rows;
}

/* Returns whether a WITH clause changes rows. */
static bool
has_changing_with(const WithClause *with)
{
	ListCell   *lc;

	if (with == NULL)
		return false;
	foreach(lc, with->ctes)
		if (!IsA(((CommonTableExpr *) lfirst(lc))->ctequery, SelectStmt))
			return true;
	return false;
}

/* Notes in the worker's slot which statement begins, so that SHOW JOBS can show it. */
static void
note_statement(const Running *running, const RawStmt *raw)
{
	kwj_progress_begin_statement(running->number, running->count, kwj_counts_of(raw->stmt));
}

/*
 * Returns whether the only statement of a text changes rows. Such a statement runs in a transaction
 * block, although it is alone in it. Without a block, an extension that keeps rows on other servers
 * (Citus, for one) commits them there at the end of the statement. If this transaction then failed
 * before it marks the job as succeeded, the next attempt would change the rows a second time. Other
 * single statements run without a block, because some of them refuse to run in one.
 */
static bool
changes_rows(const RawStmt *statement)
{
	const Node *node = statement->stmt;

	return kwj_is_row_change(node) ||
		(IsA(node, SelectStmt) && has_changing_with(((const SelectStmt *) node)->withClause));
}

static uint64
run_statements(Running *running, List *statements)
{
	RawStmt    *first = linitial_node(RawStmt, statements);
	bool		in_block = running->count > 1 || changes_rows(first);
	/* Nothing is known of how far a query is, so a single query is not noted. */
	bool		is_query = in_block || (IsA(first->stmt, SelectStmt) &&
										!kwj_makes_table((const SelectStmt *) first->stmt));
	bool		is_noted = running->count > 1 || !is_query;
	uint64		rows = 0;
	ListCell   *lc;

	foreach(lc, statements)
	{
		RawStmt    *statement = lfirst_node(RawStmt, lc);

		running->number++;
		if (is_noted)
			note_statement(running, statement);
		kwj_scan_begin(statement);
		if (in_block)
			BeginImplicitTransactionBlock();
		rows += run_statement(statement, running);
		kwj_scan_end();
		if (running->number < running->count)
			CommandCounterIncrement();
	}
	kwj_attempt_run_deferred();
	if (in_block)
		EndImplicitTransactionBlock();
	return rows;
}

int64
kwj_sql_run(const char *text, List *statements, const KwjParameters *parameters,
			DestReceiver *receiver)
{
	Running		running = {
		.text = text, .parameters = parameters, .receiver = receiver,
		.count = list_length(statements)
	};
	ErrorContextCallback callback = {error_context_stack, name_statement, &running};
	bool		logged;
	volatile uint64 rows = 0;

	show_text(text);
	logged = kwj_log_statement(text, statements);
	error_context_stack = &callback;
	kwj_sql_messages_begin();
	PG_TRY();
	{
		rows = run_statements(&running, statements);
	}
	PG_FINALLY();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		kwj_sql_messages_end();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	kwj_log_duration(text, logged);
	debug_query_string = NULL;
	return (int64) rows;
}

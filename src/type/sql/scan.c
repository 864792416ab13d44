/*
 * src/type/sql/scan.c
 *	  How far the scan is that drives a statement which changes rows or makes a table.
 *
 * Caller: PostgreSQL, by ExecutorRun_hook. Process: workers, for statements of SQL jobs. Locks: none.
 *
 * Many statements read a table from its beginning to its end, and do something with each row: INSERT
 * ... SELECT, UPDATE, DELETE, MERGE, CREATE TABLE AS, SELECT INTO. The block at which that scan is
 * tells how far the statement is. PostgreSQL calls nobody when the scan goes on to the next block,
 * and the scan may go through the whole table without returning a row. So a timer looks at the
 * position twice a second, in the handler of SIGALRM, and writes it into the worker's slot. That
 * costs the statement nothing for a row or a block.
 *
 * Why the handler may look: `watched` is set only while ExecutorRun runs the plan. The executor does
 * not free the node before ExecutorEnd. It allocates the scan when it needs the first row, and frees
 * it in ExecutorEnd, too. So the pointer to the scan is NULL or valid. PG_FINALLY resets `watched`
 * before an error frees the executor's memory. An exit of the process goes through no PG_FINALLY, so
 * the handler does nothing once the exit has begun. The handler only reads fields of a word each,
 * and writes atomics in shared memory.
 *
 * The driving scan is found from the top of the plan, through nodes that pass on each row before
 * they read the next one. Nothing is shown for other plans: if there is a sort, an aggregate or a
 * hash join, the scan is over before the work is; LIMIT may end the scan early; a partitioned table
 * has several scans; parallel workers share one.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "compat.h"
#include "executor/executor.h"
#include "job/current.h"
#include "job/counts.h"
#include "job/progress.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "type/sql/scan.h"
#include "utils/rel.h"
#include "utils/timeout.h"

/* How often the timer looks at the position of the scan. */
#define LOOK_EVERY_MS	500

/* Of a table with fewer blocks no position is shown, because one block is a large part of it. */
#define LEAST_BLOCKS	32

static ExecutorRun_hook_type previous_hook;

/*
 * The id of the job whose statement has begun and whose plan has not; 0: there is none. The next plan
 * that runs is that of the statement.
 */
static int64 expected = 0;

/* The scan whose position is shown; NULL: none. Read by the handler of SIGALRM. */
static SeqScanState *volatile watched = NULL;

void
kwj_scan_begin(const RawStmt *statement)
{
	const Node *node = statement->stmt;
	bool		may_scan = IsA(node, InsertStmt) || IsA(node, UpdateStmt) ||
		IsA(node, DeleteStmt) || kwj_is_merge(node) || IsA(node, CreateTableAsStmt) ||
		(IsA(node, SelectStmt) && kwj_makes_table((const SelectStmt *) node));

	expected = may_scan ? kwj_attempt_current()->job_id : 0;
}

void
kwj_scan_end(void)
{
	expected = 0;
}

/* The handler of the timer, in SIGALRM. */
static void
look(void)
{
	SeqScanState *node = watched;
	HeapScanDesc scan;
	BlockNumber block;
	BlockNumber blocks;

	if (proc_exit_inprogress || node == NULL)
		return;
	scan = (HeapScanDesc) ((volatile SeqScanState *) node)->ss.ss_currentScanDesc;
	if (scan == NULL || !scan->rs_inited)
		return;
	block = scan->rs_cblock;
	blocks = scan->rs_nblocks;
	if (blocks < LEAST_BLOCKS || block >= blocks || scan->rs_startblock >= blocks)
		return;
	/*
	 * If another session scans the table, PostgreSQL lets this scan begin where that one is, and go
	 * on with block 0 after the last block (synchronize_seqscans). So count from the first block read.
	 */
	block = block >= scan->rs_startblock ? block - scan->rs_startblock :
		blocks - scan->rs_startblock + block;
	kwj_progress_set_scan(block, blocks);
}

/* Returns the scan that drives the plan; NULL: there is no single one, or it is not known. */
static SeqScanState *
driving_scan(PlanState *node)
{
	while (node != NULL)
	{
		switch (nodeTag(node))
		{
			case T_SeqScanState:
				return (SeqScanState *) node;
			case T_SubqueryScanState:
				node = ((SubqueryScanState *) node)->subplan;
				break;
			case T_ModifyTableState:
			case T_ResultState:
			case T_ProjectSetState:
			case T_LockRowsState:
			case T_NestLoopState:
				node = outerPlanState(node);
				break;
			default:
				return NULL;
		}
	}
	return NULL;
}

/*
 * Returns the scan to be watched while this plan runs; NULL: none. It is not inlined, so that the
 * compiler need not fear for its variables in PG_TRY.
 */
static pg_noinline SeqScanState *
scan_of(const QueryDesc *query)
{
	const KwjAttempt *attempt = kwj_attempt_current();
	bool		is_own = attempt != NULL && expected == attempt->job_id &&
		(query->operation != CMD_SELECT || query->dest->mydest == DestIntoRel);
	SeqScanState *scan;

	if (!is_own)
		return NULL;
	/* Plans that run within this one, or after it, are not the statement. */
	expected = 0;
	/* WITH queries that change rows may do most of the work, and run after the scan. */
	if (query->plannedstmt->hasModifyingCTE)
		return NULL;
	scan = driving_scan(query->planstate);
	if (scan == NULL || scan->ss.ss_currentRelation->rd_tableam != GetHeapamTableAmRoutine())
		return NULL;
	return scan;
}

static void
run(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (previous_hook)
		previous_hook(KWJ_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(KWJ_EXECUTOR_RUN_ARGUMENTS);
}

static void
executor_run(KWJ_EXECUTOR_RUN_PARAMETERS)
{
	static TimeoutId timer = MAX_TIMEOUTS;
	SeqScanState *scan = scan_of(queryDesc);

	if (scan == NULL)
	{
		run(KWJ_EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, look);
	PG_TRY();
	{
		watched = scan;
		kwj_enable_timeout_every(timer, LOOK_EVERY_MS);
		run(KWJ_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		watched = NULL;
		disable_timeout(timer, false);
	}
	PG_END_TRY();
}

void
kwj_scan_init(void)
{
	previous_hook = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
}

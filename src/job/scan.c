/*
 * src/job/scan.c
 *	  How far the scan is that drives the plan of a job's statement.
 *
 * Callers: session/wait_hook.c, which PostgreSQL calls for each plan that a process executes
 * (ExecutorRun_hook), calls kwj_scan_run() when a plan is to be watched. Which of these plans belongs to the job, two others say beforehand: type/sql/execute.c, when a worker
 * comes to a statement that changes rows or makes a table; and track/validation.c, when PostgreSQL is
 * about to check a foreign key for ALTER TABLE, in a worker or in a session. Locks: none.
 *
 * Many statements read a table from its beginning to its end, and do something with each row: INSERT
 * ... SELECT, UPDATE, DELETE, MERGE, CREATE TABLE AS, SELECT INTO. How much of it that scan has read
 * tells how far the statement is. A timer looks at that (job/position.c).
 *
 * The driving scan is found from the top of the plan (find): through nodes that pass on each row
 * before they read the next one, down to one of
 *
 *     sequential scan        the block that it is at
 *     Append of such scans   the tables that are done, and the block in the one that is read
 *     scan of a bitmap       how many pages of the bitmap it has read
 *     Gather, parallel scan  the block that the processes take next, in the segment that they share
 *
 * What the last two have to read is not known before they have begun. So executor_run() puts a
 * function in the place of the node's own one; PostgreSQL calls it for the first row, and it sets
 * PostgreSQL's function back (first_row). Nothing is called for the other rows.
 *
 * Nothing is shown for other plans: if there is a sort, an aggregate or a merge join, the scan is
 * over before the work is; LIMIT may end the scan early; nobody knows how many rows a scan of an
 * index will find. A hash join passes on each row if its hash table is in one batch; that is known
 * once it is built, so look() asks each time.
 *
 * Why the handler of the timer may look: a scan is watched only while ExecutorRun runs its plan. The
 * executor frees nodes, scans and hash tables of the upper plan no earlier than in ExecutorEnd, and
 * allocates them when it needs the first row. So pointers to them are NULL or valid. PG_FINALLY ends
 * the watch before an error frees the executor's memory. The segment of a parallel plan goes away
 * within ExecutorRun; before that PostgreSQL calls forget_segment(). The handler only reads fields of
 * a word each.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/parallel.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/execParallel.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/hashjoin.h"
#include "job/counts.h"
#include "job/progress.h"
#include "job/scan.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "nodes/tidbitmap.h"
#include "storage/bufmgr.h"
#include "storage/dsm.h"
#include "utils/rel.h"

/* The most hash joins above a scan that look() asks. */
#define MOST_JOINS		8

/* A sequential scan, one of those of an Append. */
typedef struct Table
{
	SeqScanState *scan;
	uint64		before;			/* the blocks of the tables that are read before this one */
	BlockNumber blocks;			/* when the statement began */
} Table;

/* The scan that drives the plan: one of the first four is set. */
typedef struct Driver
{
	SeqScanState *scan;
	AppendState *append;
	BitmapHeapScanState *bitmap;
	GatherState *gather;		/* its scan is `scan` */
	Table	   *tables;			/* of append, for each of its plans */
	uint64		total;			/* blocks of all tables; pages of the bitmap */
	int			n_joins;
	HashJoinState *joins[MOST_JOINS];
} Driver;

KwjPosition *kwj_scan_expected = NULL;

/* The expected plan is a query which reads this table; InvalidOid: it changes rows or makes a table. */
static Oid	checked_table = InvalidOid;

/* The scan that is watched, or will be from its first row on. Read by the handler of SIGALRM. */
static Driver driver;
static KwjPosition *position_of_driver = NULL;

/* PostgreSQL's function that first_row() has replaced. */
static ExecProcNodeMtd replaced = NULL;

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		kwj_scan_expected = NULL;
}

static void
hear_of_end(void)
{
	static bool registered = false;

	kwj_at_transaction_end(&registered, at_transaction_end, NULL);
}

void
kwj_scan_begin(const RawStmt *statement)
{
	const Node *node = statement->stmt;
	bool		may_scan = kwj_is_row_change(node) || IsA(node, CreateTableAsStmt) ||
		(IsA(node, SelectStmt) && kwj_makes_table((const SelectStmt *) node));

	hear_of_end();
	kwj_scan_expected = may_scan ? kwj_progress_scan() : NULL;
	checked_table = InvalidOid;
}

void
kwj_scan_end(void)
{
	kwj_scan_expected = NULL;
	/*
	 * If the statement was an ALTER TABLE, track/validation.c may have begun to watch how far it is.
	 * Nothing tells that file when the statement is over.
	 */
	kwj_position_forget();
}

void
kwj_scan_expect_check(KwjPosition *position, Oid table)
{
	hear_of_end();
	kwj_scan_expected = position;
	checked_table = table;
}

void
kwj_scan_expect_nothing(void)
{
	kwj_scan_expected = NULL;
}

/* ---- in the handler of SIGALRM ---- */

/*
 * Gets how many blocks the scan has read, of how many. Returns false if it does not read at this
 * moment. If another session scans the table, PostgreSQL lets this scan begin where that one is, and
 * go on with block 0 after the last block (synchronize_seqscans). So the blocks are counted from the
 * first one read.
 */
static bool
read_by(const SeqScanState *node, BlockNumber *read, BlockNumber *blocks)
{
	HeapScanDesc scan = (HeapScanDesc) ((const volatile SeqScanState *) node)->ss.ss_currentScanDesc;
	BlockNumber block;

	if (scan == NULL || !scan->rs_inited)
		return false;
	block = scan->rs_cblock;
	*blocks = scan->rs_nblocks;
	if (block >= *blocks || scan->rs_startblock >= *blocks)
		return false;
	*read = block >= scan->rs_startblock ? block - scan->rs_startblock :
		*blocks - scan->rs_startblock + block;
	return true;
}

static KwjPositionAnswer
look_at_table(uint32 *block, uint32 *blocks)
{
	return read_by(driver.scan, block, blocks) ? KWJ_POSITION_KNOWN : KWJ_POSITION_NOT_NOW;
}

static KwjPositionAnswer
look_at_tables(uint32 *block, uint32 *blocks)
{
	int			current = ((volatile AppendState *) driver.append)->as_whichplan;
	const Table *table;
	BlockNumber read = 0;
	BlockNumber of;

	/* It is below 0 before the first row. */
	if (current < 0 || current >= driver.append->as_nplans)
		return KWJ_POSITION_NOT_NOW;
	table = &driver.tables[current];
	/* The table may have grown since, if the statement inserts into it. */
	if (read_by(table->scan, &read, &of))
		read = Min(read, table->blocks);
	*block = (uint32) Min(table->before + read, driver.total);
	*blocks = (uint32) driver.total;
	return KWJ_POSITION_KNOWN;
}

static KwjPositionAnswer
look_at_bitmap(uint32 *block, uint32 *blocks)
{
	*block = (uint32) Min((uint64) kwj_bitmap_pages_read(driver.bitmap), driver.total);
	*blocks = (uint32) driver.total;
	return KWJ_POSITION_KNOWN;
}

static KwjPositionAnswer
look_at_segment(uint32 *block, uint32 *blocks)
{
	TableScanDesc scan = driver.scan->ss.ss_currentScanDesc;
	ParallelBlockTableScanDesc shared;

	if (scan == NULL || scan->rs_parallel == NULL)
		return KWJ_POSITION_NOT_KNOWN;
	shared = (ParallelBlockTableScanDesc) scan->rs_parallel;
	*blocks = shared->phs_nblocks;
	*block = (uint32) Min(pg_atomic_read_u64(&shared->phs_nallocated), *blocks);
	return KWJ_POSITION_KNOWN;
}

/*
 * Returns whether all hash joins above the scan pass on each row at once. If a hash table has several
 * batches, the join puts the rows of all but the first aside, and works on them after the scan.
 */
static bool
are_joins_at_once(KwjPositionAnswer *answer)
{
	for (int i = 0; i < driver.n_joins; i++)
	{
		HashJoinTable table = ((volatile HashJoinState *) driver.joins[i])->hj_HashTable;

		if (table != NULL && ((volatile HashJoinTableData *) table)->nbatch == 1)
			continue;
		*answer = table == NULL ? KWJ_POSITION_NOT_NOW : KWJ_POSITION_NOT_KNOWN;
		return false;
	}
	return true;
}

static KwjPositionAnswer
look(uint32 *block, uint32 *blocks)
{
	KwjPositionAnswer answer;

	if (!are_joins_at_once(&answer))
		return answer;
	if (driver.append != NULL)
		return look_at_tables(block, blocks);
	if (driver.bitmap != NULL)
		return look_at_bitmap(block, blocks);
	return driver.gather != NULL ? look_at_segment(block, blocks) : look_at_table(block, blocks);
}

/* ---- the scan that drives the plan ---- */

static bool
is_heap(const ScanState *scan)
{
	return scan->ss_currentRelation->rd_tableam == GetHeapamTableAmRoutine();
}

/* Returns whether a hash join of this type is over when it has passed on its last outer row. */
static bool
ends_with_outer(JoinType type)
{
	return type == JOIN_INNER || type == JOIN_LEFT || type == JOIN_SEMI || type == JOIN_ANTI;
}

static PlanState *
outer_of_join(HashJoinState *join, Driver *found)
{
	bool		is_parallel = ((HashJoin *) join->js.ps.plan)->join.plan.parallel_aware;

	if (is_parallel || !ends_with_outer(join->js.jointype) || found->n_joins == MOST_JOINS)
		return NULL;
	found->joins[found->n_joins++] = join;
	return outerPlanState(join);
}

/* Goes down through nodes that pass on each row at once. Returns the first other node; NULL: none. */
static PlanState *
go_down(PlanState *node, Driver *found)
{
	while (node != NULL)
	{
		switch (nodeTag(node))
		{
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
			case T_HashJoinState:
				node = outer_of_join((HashJoinState *) node, found);
				break;
			default:
				return node;
		}
	}
	return NULL;
}

/*
 * Returns the sequential scan of a heap that is below nodes which pass on each row at once; NULL: the
 * plan is another one, or has a hash join.
 */
static SeqScanState *
scan_of_plan(PlanState *plan)
{
	Driver		below = {0};
	PlanState  *node = go_down(plan, &below);

	if (node == NULL || !IsA(node, SeqScanState) || below.n_joins > 0)
		return NULL;
	return is_heap(&((SeqScanState *) node)->ss) ? (SeqScanState *) node : NULL;
}

/*
 * Notes the tables that the Append reads one after the other. Returns false if it does something
 * else: reads some at the same time, leaves out some that are not known yet, or has other plans.
 */
static bool
find_tables(AppendState *append, Driver *found, MemoryContext context)
{
	bool		one_by_one = append->as_nasyncplans == 0 && !append->ps.plan->parallel_aware;
	const PartitionPruneState *pruning = append->as_prune_state;
	bool		leaves_out = pruning != NULL && pruning->do_exec_prune;

	if (!one_by_one || leaves_out)
		return false;
	found->tables = MemoryContextAllocZero(context, sizeof(Table) * Max(append->as_nplans, 1));
	for (int i = 0; i < append->as_nplans; i++)
	{
		Table	   *table = &found->tables[i];

		table->scan = scan_of_plan(append->appendplans[i]);
		if (table->scan == NULL)
			return false;
		table->before = found->total;
		table->blocks = RelationGetNumberOfBlocks(table->scan->ss.ss_currentRelation);
		found->total += table->blocks;
	}
	found->append = append;
	return found->total <= PG_UINT32_MAX;
}

static bool
find_shared(GatherState *gather, Driver *found)
{
	SeqScanState *scan = scan_of_plan(outerPlanState(gather));

#ifdef PG_HAVE_ATOMIC_U64_SIMULATION
	/* To read the position would take a spinlock, which a signal handler must not do. */
	return false;
#endif
	if (scan == NULL || !scan->ss.ps.plan->parallel_aware)
		return false;
	found->gather = gather;
	found->scan = scan;
	return true;
}

/* Finds the scan that drives the plan. Returns false if there is none, or if it is not known. */
static bool
find(PlanState *plan, Driver *found, MemoryContext context)
{
	PlanState  *node = go_down(plan, found);

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SeqScanState:
			found->scan = (SeqScanState *) node;
			return is_heap(&found->scan->ss);
		case T_AppendState:
			return find_tables((AppendState *) node, found, context);
		case T_BitmapHeapScanState:
			found->bitmap = (BitmapHeapScanState *) node;
			return is_heap(&found->bitmap->ss);
		case T_GatherState:
			return found->n_joins == 0 && find_shared((GatherState *) node, found);
		default:
			return false;
	}
}

/* ---- bitmaps and segments, from their first row on ---- */

/* Returns how many pages are in the bitmap. For a page this takes much less time than to read it. */
static uint64
count_pages(TIDBitmap *bitmap)
{
	KwjBitmapIterator iterator;
	uint64		n = 0;

	kwj_bitmap_begin(iterator, bitmap);
	while (kwj_bitmap_next(iterator))
	{
		n++;
		CHECK_FOR_INTERRUPTS();
	}
	kwj_bitmap_end(iterator);
	return n;
}

/* PostgreSQL calls this before it unmaps the segment of a parallel plan. */
static void
forget_segment(dsm_segment *segment, Datum arg)
{
	kwj_position_forget();
}

/* Returns whether the scan can be watched, now that it has begun. */
static bool
prepare(void)
{
	dsm_segment *segment;

	if (driver.bitmap != NULL)
	{
		driver.total = driver.bitmap->tbm != NULL && driver.bitmap->pstate == NULL ?
			count_pages(driver.bitmap->tbm) : 0;
		return driver.total > 0 && driver.total <= PG_UINT32_MAX;
	}
	/* Without a segment, the workers' share of the work is in the leader's own memory. */
	segment = driver.gather->pei != NULL ? driver.gather->pei->pcxt->seg : NULL;
	if (segment == NULL)
		return false;
	on_dsm_detach(segment, forget_segment, (Datum) 0);
	return true;
}

static void
watch(void)
{
	kwj_position_watch(position_of_driver, look);
}

static TupleTableSlot *
first_row(PlanState *node)
{
	TupleTableSlot *row;

	node->ExecProcNode = replaced;
	row = node->ExecProcNode(node);
	if (!TupIsNull(row) && prepare())
		watch();
	return row;
}

/* Has first_row() called for the first row of the node. */
static void
wait_for_first_row(PlanState *node)
{
	replaced = node->ExecProcNode;
	node->ExecProcNode = first_row;
}

/* ---- to run a plan ---- */

static bool
is_expected(const QueryDesc *query)
{
	Assert(kwj_scan_expected != NULL);
	if (OidIsValid(checked_table))
		return query->operation == CMD_SELECT &&
			list_member_oid(query->plannedstmt->relationOids, checked_table);
	return query->operation != CMD_SELECT || query->dest->mydest == DestIntoRel;
}

/*
 * Sets `driver` to the scan to be watched while this plan runs. Returns false if there is none. If the
 * compiler inlined this function, it would warn that PG_TRY may clobber its variables.
 */
static pg_noinline bool
find_driver(const QueryDesc *query)
{
	Driver		found = {0};

	if (!is_expected(query))
		return false;
	position_of_driver = kwj_scan_expected;
	/* Plans that run within this one, or after it, are not the statement. */
	kwj_scan_expected = NULL;
	/* WITH queries that change rows may do most of the work, and run after the scan. */
	if (query->plannedstmt->hasModifyingCTE ||
		!find(query->planstate, &found, query->estate->es_query_cxt))
		return false;
	driver = found;
	return true;
}

static void
begin(void)
{
	if (driver.bitmap != NULL)
		wait_for_first_row(&driver.bitmap->ss.ps);
	else if (driver.gather != NULL)
		wait_for_first_row(&driver.gather->ps);
	else
		watch();
}

void
kwj_scan_run(ExecutorRun_hook_type run, KWJ_EXECUTOR_RUN_PARAMETERS)
{
	if (!find_driver(queryDesc))
	{
		run(KWJ_EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	PG_TRY();
	{
		begin();
		run(KWJ_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		kwj_position_forget();
	}
	PG_END_TRY();
}

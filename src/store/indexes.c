/*
 * src/store/indexes.c
 *	  Opens the indexes of our tables, so that rows can be written.
 *
 * Caller: kwj_table_open and kwj_table_open_jobs. kwjobs.job has a dozen partial indexes.
 * PostgreSQL copies what it knows of each index whenever a table is opened for writing, and
 * prepares each predicate anew; for one job this costs more than all writing of rows. So each
 * process keeps an entry for each index, from which it takes both.
 *
 * Most partial indexes are for jobs that wait. A worker mostly writes rows of jobs that it begins or
 * that have succeeded (KWJ_WORKED), and a session that is about to commit only rows of jobs that it
 * has done (KWJ_RECORDS). For them, to open all indexes, with a lock on each, takes longer than to
 * write the row. Besides, before version 18 a process can take only 16 locks on relations by the
 * fast path; with all indexes, a worker would take more. So the process has PostgreSQL's planner
 * prove once for each partial index that its predicate cannot be true for any such row, and then
 * does not open it. An index that a user adds is opened as any other.
 *
 * An entry is valid until PostgreSQL tells this process that the index has changed or is dropped
 * (forget). The process looks an entry up after it has locked the table and the index, so the entry
 * is as new as what ExecOpenIndices would read. Commands that change the flags of an index without
 * locking out writers, such as CREATE INDEX CONCURRENTLY, wait for all transactions that have locked
 * the table before. An index that is not opened needs only what never changes, its predicate.
 *
 * Prepared predicates are kept only if nothing else can change what they mean, that is if they use
 * only operators and functions that PostgreSQL brings. Only an index that a user has added can have
 * other predicates. PostgreSQL may have put the body of a user's SQL function in the place of its
 * call; it keeps that form itself, in its relation cache, until the index changes.
 *
 * The state of a predicate must not keep anything in the memory of the execution in which it was
 * evaluated first. A hashed IN would, but only the planner makes those, for queries.
 *
 * Process: any with a transaction. Locks: RowExclusiveLock on the indexes that are opened; for
 * KWJ_RECORDS only if it is free. Some commands lock an index but not its table, such as ALTER
 * INDEX ... SET TABLESPACE.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/executor.h"
#include "job/status.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "store/indexes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * There is room for N_ENTRIES entries. The OID of an index gives a first place, and the entry of the index
 * is in this place or in one of the next ones, N_TRIES in all. Our tables have far fewer indexes, but
 * REINDEX CONCURRENTLY gives them other OIDs, so two indexes may have the same first place. If other
 * indexes have all N_TRIES places, the process fills the entry of this index anew each time.
 */
#define N_ENTRIES	256
#define N_TRIES		8

/* Whether a row of one kind can be in an index. */
typedef enum Need
{
	NOT_KNOWN,
	NEEDED,
	NEEDED_BY_ALL,				/* its predicate is true for each of these rows */
	NEEDLESS					/* its predicate cannot be true for these rows */
} Need;

typedef struct Entry
{
	Oid			index;
	bool		is_valid;		/* false from a change of the index until the entry is filled anew */
	MemoryContext context;		/* has all of info */
	IndexInfo  *info;			/* with the prepared predicate, if it is kept. Executions write into
								 * theirs, so they get copies. */
	Need		need[KWJ_N_ROWS];	/* for each kind of rows */
} Entry;

static Entry entries[N_ENTRIES];

/* See kwj_indexes_changes(). */
static uint64 n_changes = 0;

/* The table that was opened last for KWJ_RECORDS. */
static Oid	table_of_records = InvalidOid;

/* The columns that are NULL in rows of KWJ_RECORDS, besides those that are NULL after each success. */
static const char *const null_in_records[] = {"key", "queue", "queued", "serial_key", "line"};

/* ---- the entries ---- */

/* Returns the entry of the index; if there is none, the place for it. */
static Entry *
place_of(Oid index)
{
	Entry	   *unused = NULL;

	for (int i = 0; i < N_TRIES; i++)
	{
		Entry	   *entry = &entries[(index + i) % N_ENTRIES];

		if (entry->index == index)
			return entry;
		if (unused == NULL && !entry->is_valid)
			unused = entry;
	}
	return unused != NULL ? unused : &entries[index % N_ENTRIES];
}

/* Relation cache callback: one relation, or all for InvalidOid, may have changed. */
static void
forget(Datum arg, Oid relation)
{
	if (!OidIsValid(relation))
	{
		for (int i = 0; i < N_ENTRIES; i++)
			entries[i].is_valid = false;
		n_changes++;
	}
	else if (relation == table_of_records)
		n_changes++;
	else if (place_of(relation)->index == relation)
	{
		place_of(relation)->is_valid = false;
		n_changes++;
	}
}

/* Returns the entry, or NULL if there is none that is valid. */
static Entry *
find_entry(Oid index)
{
	Entry	   *entry = place_of(index);

	return entry->index == index && entry->is_valid && entry->info != NULL ? entry : NULL;
}

/*
 * Returns the place for the entry of the index, which is to be filled. What was in it stays in
 * memory until the transaction ends, because tables that it has open may still use it.
 */
static Entry *
empty_entry(Oid index)
{
	Entry	   *entry = place_of(index);

	n_changes++;
	if (entry->context != NULL)
		MemoryContextSetParent(entry->context, TopTransactionContext);
	*entry = (Entry) {.index = index};
	return entry;
}

/* ---- prepared predicates ---- */

static bool
is_no_server_function(Oid function, void *context)
{
	return function >= FirstGenbkiObjectId;
}

/* Returns whether the expression has something in it whose meaning could change. */
static bool
may_change(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_Var:
		case T_Const:
		case T_BoolExpr:
		case T_NullTest:
		case T_RelabelType:
			break;
		case T_OpExpr:
		case T_FuncExpr:
		case T_ScalarArrayOpExpr:
			if (check_functions_in_node(node, is_no_server_function, NULL))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, may_change, context);
}

/* Prepares the predicate, as ExecPrepareQual does, in the context. */
static ExprState *
prepare(List *predicate, MemoryContext context)
{
	Expr	   *planned = expression_planner((Expr *) predicate);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ExprState  *state = ExecInitQual((List *) copyObject(planned), NULL);

	MemoryContextSwitchTo(caller);
	return state;
}

/*
 * Fills an entry for the index, which is open. An entry without info is not used, so it does no harm
 * if an error comes before the end. If PostgreSQL tells of a change meanwhile, the entry is used by
 * this caller, who has the index open, but by no other.
 */
static Entry *
fill_entry(Relation index)
{
	Entry	   *entry;
	MemoryContext caller;
	IndexInfo  *info;

	/*
	 * This may evaluate functions of users, and so open our tables once more. PostgreSQL keeps the
	 * results in its relation cache, from which BuildIndexInfo copies them.
	 */
	list_free_deep(RelationGetIndexExpressions(index));
	list_free_deep(RelationGetIndexPredicate(index));

	entry = empty_entry(RelationGetRelid(index));
	entry->is_valid = true;
	entry->context = AllocSetContextCreate(TopMemoryContext, "kwjobs index",
										   ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(entry->context);
	info = BuildIndexInfo(index);
	MemoryContextSwitchTo(caller);
	if (info->ii_Predicate != NIL && !may_change((Node *) info->ii_Predicate, NULL))
		info->ii_PredicateState = prepare(info->ii_Predicate, entry->context);
	entry->info = info;
	return entry;
}

/* ---- which indexes rows of one kind cannot be in ---- */

static Expr *
column(Relation table, const char *name)
{
	AttrNumber	number = get_attnum(RelationGetRelid(table), name);
	Oid			type;
	int32		typmod;
	Oid			collation;

	if (number == InvalidAttrNumber)
		elog(ERROR, "table \"%s\" has no column \"%s\"", RelationGetRelationName(table), name);
	get_atttypetypmodcoll(RelationGetRelid(table), number, &type, &typmod, &collation);
	return (Expr *) makeVar(1, number, type, typmod, collation, 0);
}

static Node *
null_test(Relation table, const char *name, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = column(table, name);
	test->nulltesttype = type;
	test->location = -1;
	return (Node *) test;
}

/* Returns a clause: the job has succeeded. */
static Expr *
has_succeeded(Relation table)
{
	Const	   *succeeded = makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
									  CStringGetTextDatum(kwj_status_name(KWJ_SUCCEEDED)),
									  false, false);
	Expr	   *equal = make_opclause(TextEqualOperator, BOOLOID, false, column(table, "status"),
									  (Expr *) succeeded, InvalidOid, DEFAULT_COLLATION_OID);

	((OpExpr *) equal)->opfuncid = F_TEXTEQ;
	return equal;
}

/* Returns the clauses that are true of all rows of jobs that a worker begins (write_rows in claim.c). */
static List *
facts_of_begin(Relation table)
{
	return list_make2(null_test(table, "rank", IS_NULL),
					  null_test(table, "active_attempt", IS_NOT_NULL));
}

/* Returns the clauses that are true of all rows of jobs that have succeeded (end_job in end.c). */
static List *
facts_of_success(Relation table)
{
	return list_make4(null_test(table, "rank", IS_NULL),
					  null_test(table, "active_attempt", IS_NULL),
					  null_test(table, "finished", IS_NOT_NULL),
					  has_succeeded(table));
}

/* Returns the clauses that are true of all rows of KWJ_RECORDS. */
static List *
facts_of_records(Relation table)
{
	List	   *facts = facts_of_success(table);

	for (int i = 0; i < lengthof(null_in_records); i++)
		facts = lappend(facts, null_test(table, null_in_records[i], IS_NULL));
	return facts;
}

/* Returns a list of lists of clauses: each row of the kind has all those of one list. */
static List *
make_facts(Relation table, KwjRows rows)
{
	if (rows == KWJ_RECORDS)
		return list_make1(facts_of_records(table));
	Assert(rows == KWJ_WORKED);
	return list_make2(facts_of_begin(table), facts_of_success(table));
}

static bool
is_false(List *predicate, const List *all_facts)
{
	ListCell   *lc;

	foreach(lc, all_facts)
		if (!predicate_refuted_by(predicate, lfirst(lc), true))
			return false;
	return true;
}

static bool
is_true(List *predicate, const List *all_facts)
{
	ListCell   *lc;

	foreach(lc, all_facts)
		if (!predicate_implied_by(predicate, lfirst(lc), false))
			return false;
	return true;
}

static Need
find_need(List *predicate, const List *all_facts)
{
	if (predicate == NIL || is_true(predicate, all_facts))
		return NEEDED_BY_ALL;
	return is_false(predicate, all_facts) ? NEEDLESS : NEEDED;
}

/*
 * Finds out for each open index whether a row of this kind can be in it, or is in it for certain, and
 * notes the result in the index's entry. The next kwj_indexes_open does not open the indexes that no
 * such row can be in.
 *
 * While this process finds that out, another session may change an index. PostgreSQL then tells this
 * process, and `forget` marks the entry as not valid. For such an entry nothing is noted here; it is
 * filled anew the next time that the index is opened.
 */
static void
find_needs(const ResultRelInfo *info, KwjRows rows)
{
	List	   *facts = make_facts(info->ri_RelationDesc, rows);

	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		List	   *predicate = info->ri_IndexRelationInfo[i]->ii_Predicate;
		Need		need = find_need(predicate, facts);
		Entry	   *entry = find_entry(RelationGetRelid(info->ri_IndexRelationDescs[i]));

		if (entry != NULL)
			entry->need[rows] = need;
	}
}

static bool
is_needless(Oid index, KwjRows rows)
{
	const Entry *entry = find_entry(index);

	return entry != NULL && entry->need[rows] == NEEDLESS;
}

#ifdef USE_ASSERT_CHECKING
static bool
is_null(Relation table, TupleTableSlot *row, const char *name)
{
	return row->tts_isnull[get_attnum(RelationGetRelid(table), name) - 1];
}

static bool
is_success(Relation table, TupleTableSlot *row)
{
	Datum		status = row->tts_values[get_attnum(RelationGetRelid(table), "status") - 1];

	return is_null(table, row, "rank") && is_null(table, row, "active_attempt") &&
		!is_null(table, row, "finished") && !is_null(table, row, "status") &&
		kwj_status_from_name(TextDatumGetCString(status)) == KWJ_SUCCEEDED;
}

bool
kwj_indexes_take(Relation table, TupleTableSlot *row, KwjRows rows)
{
	if (rows == KWJ_ALL_ROWS)
		return true;
	if (rows == KWJ_WORKED)
		return is_success(table, row) ||
			(is_null(table, row, "rank") && !is_null(table, row, "active_attempt"));
	for (int i = 0; i < lengthof(null_in_records); i++)
		if (!is_null(table, row, null_in_records[i]))
			return false;
	return is_success(table, row);
}
#endif

/* ---- to open them ---- */

/*
 * Locks the index for a session that is about to commit. If another session has locked it, this
 * raises an error, because this session must not wait (lifecycle/session_job.c).
 */
static void
lock_at_once(Oid index)
{
	if (!ConditionalLockRelationOid(index, RowExclusiveLock))
		elog(ERROR, "index %u is locked", index);
}

/* Returns whether a trigger could change a row before it is written. Foreign keys have none of these. */
static bool
may_change_rows(const TriggerDesc *triggers)
{
	return triggers != NULL &&
		(triggers->trig_insert_before_row || triggers->trig_update_before_row);
}

static Relation
open_index(Oid index, KwjRows rows)
{
	if (rows == KWJ_RECORDS)
		lock_at_once(index);
	return index_open(index, rows == KWJ_RECORDS ? NoLock : RowExclusiveLock);
}

static IndexInfo *
copy_info(const Entry *entry, KwjRows rows)
{
	IndexInfo  *copy = palloc(sizeof(IndexInfo));

	*copy = *entry->info;
	copy->ii_Context = CurrentMemoryContext;
	/* For KWJ_WORKED the predicate stays, because the worker may write other rows later (kwj_indexes_try_rest). */
	if (rows == KWJ_RECORDS && entry->need[rows] == NEEDED_BY_ALL)
		copy->ii_Predicate = NIL;
	return copy;
}

/* Adds the index to the open ones. Returns the index's entry. */
static const Entry *
add_index(ResultRelInfo *info, Relation index, KwjRows rows)
{
	Entry	   *entry = find_entry(RelationGetRelid(index));

	if (entry == NULL)
		entry = fill_entry(index);
	info->ri_IndexRelationInfo[info->ri_NumIndices] = copy_info(entry, rows);
	info->ri_IndexRelationDescs[info->ri_NumIndices++] = index;
	return entry;
}

static bool
is_open(const ResultRelInfo *info, Oid index)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
		if (RelationGetRelid(info->ri_IndexRelationDescs[i]) == index)
			return true;
	return false;
}

/* Makes room for n open indexes, besides those that are open already. */
static void
make_room(ResultRelInfo *info, int n)
{
	Relation   *open = palloc0(sizeof(Relation) * (info->ri_NumIndices + n + 1));
	IndexInfo **infos = palloc0(sizeof(IndexInfo *) * (info->ri_NumIndices + n + 1));

	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		open[i] = info->ri_IndexRelationDescs[i];
		infos[i] = info->ri_IndexRelationInfo[i];
	}
	info->ri_IndexRelationDescs = open;
	info->ri_IndexRelationInfo = infos;
}

void
kwj_indexes_open(ResultRelInfo *info, KwjRows rows)
{
	List	   *indexes = RelationGetIndexList(info->ri_RelationDesc);
	bool		leaves_out = rows != KWJ_ALL_ROWS && !may_change_rows(info->ri_TrigDesc);
	bool		is_all_known = true;
	ListCell   *lc;

	Assert(IsTransactionState());
	Assert(info->ri_NumIndices == 0);
	make_room(info, list_length(indexes));
	if (rows == KWJ_RECORDS)
		table_of_records = RelationGetRelid(info->ri_RelationDesc);
	foreach(lc, indexes)
	{
		Oid			index = lfirst_oid(lc);

		if (leaves_out && is_needless(index, rows))
			continue;
		if (add_index(info, open_index(index, rows), rows)->need[rows] == NOT_KNOWN)
			is_all_known = false;
	}
	list_free(indexes);
	if (leaves_out && !is_all_known)
		find_needs(info, rows);
}

void
kwj_indexes_open_again(ResultRelInfo *info, const Oid *indexes)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		info->ri_IndexRelationDescs[i] = open_index(indexes[i], KWJ_RECORDS);
		/* What an insertion keeps here is freed with the transaction. */
		info->ri_IndexRelationInfo[i]->ii_Context = CurrentMemoryContext;
		info->ri_IndexRelationInfo[i]->ii_AmCache = NULL;
	}
}

uint64
kwj_indexes_changes(void)
{
	return n_changes;
}

bool
kwj_indexes_try_rest(ResultRelInfo *info)
{
	List	   *indexes = RelationGetIndexList(info->ri_RelationDesc);
	bool		is_free = true;
	ListCell   *lc;

	/* There may be more indexes than when the table was opened: CREATE INDEX CONCURRENTLY adds one. */
	make_room(info, list_length(indexes));
	foreach(lc, indexes)
	{
		if (is_open(info, lfirst_oid(lc)))
			continue;
		is_free = ConditionalLockRelationOid(lfirst_oid(lc), RowExclusiveLock);
		if (!is_free)
			break;
		(void) add_index(info, index_open(lfirst_oid(lc), NoLock), KWJ_ALL_ROWS);
	}
	list_free(indexes);
	return is_free;
}

/* ---- writing entries without an executor state (EState) ---- */

/* Returns whether the row is in this partial index. */
static bool
is_in(const IndexInfo *info, TupleTableSlot *row)
{
	ExprContext *context = CreateStandaloneExprContext();
	ExprState  *state = info->ii_PredicateState;
	bool		is;

	context->ecxt_scantuple = row;
	is = ExecQual(state != NULL ? state : prepare(info->ii_Predicate, CurrentMemoryContext), context);
	FreeExprContext(context, true);
	return is;
}

static void
insert_entry(Relation table, Relation index, IndexInfo *info, TupleTableSlot *row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	Assert(info->ii_Expressions == NIL && info->ii_ExclusionOps == NULL);
	Assert(index->rd_index->indimmediate);
	FormIndexDatum(info, row, NULL, values, isnull);
	(void) index_insert(index, values, isnull, &row->tts_tid, table,
						index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
}

void
kwj_indexes_insert(ResultRelInfo *info, TupleTableSlot *row)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		IndexInfo  *of_index = info->ri_IndexRelationInfo[i];

		if (of_index->ii_ReadyForInserts && (of_index->ii_Predicate == NIL || is_in(of_index, row)))
			insert_entry(info->ri_RelationDesc, info->ri_IndexRelationDescs[i], of_index, row);
	}
}

void
kwj_indexes_close(ResultRelInfo *info)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		kwj_index_insert_cleanup(info->ri_IndexRelationDescs[i], info->ri_IndexRelationInfo[i]);
		index_close(info->ri_IndexRelationDescs[i], NoLock);
	}
}

void
kwj_indexes_init(void)
{
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

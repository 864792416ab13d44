/*
 * src/store/record_indexes.c
 *	  Opens the indexes that the row of a job which a session has done can be in.
 *
 * Caller: kwj_table_open_for_records, in a session that is about to commit. kwjobs.job has a dozen
 * partial indexes, most of them for jobs that wait, run or have a key. To open all of them, with a
 * lock on each, takes longer than to insert the row, and this happens for each statement that
 * kwjobs.track makes a job.
 *
 * The first time, the session opens all indexes, and has PostgreSQL's planner prove for each
 * partial one that its predicate is false for every such row. From then on it leaves these out. An
 * index cannot get another predicate, so what was proved stays true as long as the index exists;
 * PostgreSQL tells this process if one of them is changed or dropped, and the session then begins
 * anew. An index that a user adds is opened as any other.
 *
 * Process: any with a transaction. Locks: RowExclusiveLock on the indexes that are opened, if it is
 * free. Some commands lock an index but not its table, such as ALTER INDEX ... SET TABLESPACE.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "job/status.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "store/record_indexes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* The columns that are NULL in all these rows, and that decide about partial indexes. */
static const char *const null_columns[] = {
	"rank", "active_attempt", "key", "queue", "queued", "serial_key", "line"
};

/* The indexes that are left out. It is valid only if is_known is true. */
static List *left_out = NIL;
static bool is_known = false;

/* Relation cache callback: one of the indexes, or InvalidOid for any relation, has changed. */
static void
forget(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || list_member_oid(left_out, relation))
		is_known = false;
}

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

/* Returns what is true of all these rows: a list of clauses. */
static List *
make_facts(Relation table)
{
	Const	   *succeeded = makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
									  CStringGetTextDatum(kwj_status_name(KWJ_SUCCEEDED)),
									  false, false);
	Expr	   *has_succeeded = make_opclause(TextEqualOperator, BOOLOID, false,
											  column(table, "status"), (Expr *) succeeded,
											  InvalidOid, DEFAULT_COLLATION_OID);
	List	   *facts = list_make1(has_succeeded);

	((OpExpr *) has_succeeded)->opfuncid = F_TEXTEQ;
	facts = lappend(facts, null_test(table, "finished", IS_NOT_NULL));
	for (int i = 0; i < lengthof(null_columns); i++)
		facts = lappend(facts, null_test(table, null_columns[i], IS_NULL));
	return facts;
}

/*
 * Locks the index. If another session has locked it, this raises an error, because a session that
 * is about to commit must not wait (lifecycle/session_job.c).
 */
static void
lock(Oid index)
{
	if (!ConditionalLockRelationOid(index, RowExclusiveLock))
		elog(ERROR, "index %u is locked", index);
}

/* Opens the indexes, without those that are left out. */
static void
open_indexes(ResultRelInfo *info)
{
	List	   *indexes = RelationGetIndexList(info->ri_RelationDesc);
	ListCell   *lc;

	info->ri_IndexRelationDescs = palloc0(sizeof(Relation) * Max(list_length(indexes), 1));
	info->ri_IndexRelationInfo = palloc0(sizeof(IndexInfo *) * Max(list_length(indexes), 1));
	foreach(lc, indexes)
	{
		Relation	index;

		if (list_member_oid(left_out, lfirst_oid(lc)))
			continue;
		lock(lfirst_oid(lc));
		index = index_open(lfirst_oid(lc), NoLock);
		info->ri_IndexRelationDescs[info->ri_NumIndices] = index;
		info->ri_IndexRelationInfo[info->ri_NumIndices++] = BuildIndexInfo(index);
	}
	list_free(indexes);
}

/* Finds out which of the open indexes are left out from now on. */
static void
find_needless(const ResultRelInfo *info)
{
	List	   *facts = make_facts(info->ri_RelationDesc);

	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		List	   *predicate = info->ri_IndexRelationInfo[i]->ii_Predicate;
		MemoryContext old;

		if (predicate == NIL || !predicate_refuted_by(predicate, facts, true))
			continue;
		old = MemoryContextSwitchTo(TopMemoryContext);
		left_out = lappend_oid(left_out, RelationGetRelid(info->ri_IndexRelationDescs[i]));
		MemoryContextSwitchTo(old);
	}
}

void
kwj_record_indexes_init(void)
{
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

void
kwj_record_indexes_open(ResultRelInfo *info)
{
	bool		knew = is_known;

	if (!knew)
	{
		list_free(left_out);
		left_out = NIL;
	}
	open_indexes(info);
	if (knew)
		return;
	find_needless(info);
	/*
	 * The open indexes are locked, so none of them has changed meanwhile. After an error before
	 * this, the session begins anew.
	 */
	is_known = true;
}

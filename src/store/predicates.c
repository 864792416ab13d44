/*
 * src/store/predicates.c
 *	  The prepared predicates of the partial indexes of our tables.
 *
 * Caller: kwj_table_open. To prepare a predicate costs about ten times as much as to evaluate it.
 * kwjobs.job has many partial indexes, and PostgreSQL would prepare all of their predicates anew
 * for each job. So each process keeps them, until it exits.
 *
 * An entry is used only while the index has the same predicate, so nothing has to be known of
 * changes of the index. Nothing else can change what a predicate means if it uses only operators
 * and functions that PostgreSQL brings. Only an index that a user has added can have other
 * predicates; those are not kept.
 *
 * The state of a predicate must not keep anything in the memory of the execution in which it was
 * evaluated first. A hashed IN would, but only the planner makes those, for queries.
 *
 * Process: any with a transaction. Locks: none.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "store/predicates.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * Our tables have fewer partial indexes. If there are more entries, some are of indexes that were
 * dropped.
 */
#define MOST_ENTRIES	64

typedef struct Entry
{
	Oid			index;
	List	   *predicate;		/* as BuildIndexInfo returned it */
	ExprState  *state;
} Entry;

static HTAB *entries = NULL;
static MemoryContext entries_context = NULL;

static void
make_entries(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Entry)};

	entries_context = AllocSetContextCreate(TopMemoryContext, "kwjobs index predicates",
											ALLOCSET_SMALL_SIZES);
	control.hcxt = entries_context;
	entries = hash_create("kwjobs index predicates", MOST_ENTRIES, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Forget all entries. The tables that the transaction has open may use them until it ends. */
static void
forget_entries(void)
{
	MemoryContextSetParent(entries_context, TopTransactionContext);
	entries = NULL;
	entries_context = NULL;
}

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

/* Prepares the predicate, as ExecPrepareQual does, in the context of the entries. */
static ExprState *
prepare(List *predicate)
{
	Expr	   *planned = expression_planner((Expr *) predicate);
	MemoryContext caller = MemoryContextSwitchTo(entries_context);
	ExprState  *state = ExecInitQual((List *) copyObject(planned), NULL);

	MemoryContextSwitchTo(caller);
	return state;
}

static void
fill_entry(Entry *entry, List *predicate)
{
	MemoryContext caller;

	/* An entry without a state is not used. So it does no harm if an error comes before the end. */
	entry->state = NULL;
	caller = MemoryContextSwitchTo(entries_context);
	entry->predicate = copyObject(predicate);
	MemoryContextSwitchTo(caller);
	entry->state = prepare(predicate);
}

/* Returns the prepared predicate of an index; NULL if it cannot be kept. */
static ExprState *
prepared(Oid index, List *predicate)
{
	Entry	   *entry;
	bool		found;

	if (entries != NULL)
	{
		entry = hash_search(entries, &index, HASH_FIND, NULL);
		if (entry != NULL && entry->state != NULL && equal(entry->predicate, predicate))
			return entry->state;
	}
	if (may_change((Node *) predicate, NULL))
		return NULL;
	if (entries != NULL && hash_get_num_entries(entries) >= MOST_ENTRIES)
		forget_entries();
	if (entries == NULL)
		make_entries();
	entry = hash_search(entries, &index, HASH_ENTER, &found);
	fill_entry(entry, predicate);
	return entry->state;
}

void
kwj_predicates_set(ResultRelInfo *info)
{
	Assert(IsTransactionState());
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		IndexInfo  *index = info->ri_IndexRelationInfo[i];

		Assert(index->ii_PredicateState == NULL);
		if (index->ii_Predicate != NIL)
			index->ii_PredicateState =
				prepared(RelationGetRelid(info->ri_IndexRelationDescs[i]), index->ii_Predicate);
	}
}

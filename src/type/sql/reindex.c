/*
 * src/type/sql/reindex.c
 *	  REINDEX INDEX and REINDEX TABLE CONCURRENTLY as the statement of a job.
 *
 * The statement builds a new index beside each old one, named ..._ccnew, swaps the two, and drops
 * the old one, which is named ..._ccold by then. If the statement is cut short, one of the two
 * stays, invalid. So the job remembers which indexes were invalid before:
 *
 *    1  note      commit the table and its invalid indexes as the checkpoint
 *    2  reindex   run the statement; its last transaction also marks the job as succeeded
 *    a later attempt: drop the invalid indexes with such a name that 1 has not noted, then 2
 *    the revert: drop these indexes
 *
 * Partitions and TOAST tables are included.
 *
 * Process: worker. Locks: ShareUpdateExclusiveLock on the tables and their TOAST tables while the
 * worker looks for such indexes and drops them. REINDEX CONCURRENTLY takes the same lock, so if
 * another process is building an index now, the worker waits for it and does not drop the index. If
 * the statement itself would refuse the role before it locks the table, the worker notes and locks
 * nothing. Each attempt checks this anew, because the table may have been dropped, or the role's
 * rights revoked, since the last attempt.
 *
 * If the worker dies before 1 is committed, the next attempt begins with 1; if it dies later, with
 * the drop.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "job/invalid.h"
#include "job/json.h"
#include "job/relation.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "type/sql/execute.h"
#include "type/sql/index.h"
#include "type/sql/messages.h"
#include "type/sql/parse.h"
#include "type/sql/reindex.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

ReindexStmt *
kwj_sql_concurrent_reindex(List *statements)
{
	Node	   *node = linitial_node(RawStmt, statements)->stmt;

	if (list_length(statements) > 1 || !IsA(node, ReindexStmt) ||
		((ReindexStmt *) node)->relation == NULL ||
		!kwj_sql_is_on(((ReindexStmt *) node)->params, "concurrently"))
		return NULL;
	return (ReindexStmt *) node;
}

/* Returns the table whose indexes the statement rebuilds; InvalidOid if there is none. */
static Oid
table_of(const ReindexStmt *stmt)
{
	Oid			relation = RangeVarGetRelid(stmt->relation, NoLock, true);

	if (OidIsValid(relation) && stmt->kind == REINDEX_OBJECT_INDEX)
		return IndexGetRelation(relation, true);
	return relation;
}

/*
 * Returns whether the table exists and the role may reindex it. The statement itself checks the
 * same before it locks the table.
 */
static bool
may_reindex(Oid table)
{
	switch (get_rel_relkind(table))
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_TOASTVALUE:
		case RELKIND_PARTITIONED_TABLE:
			return kwj_may_maintain(table);
		default:
			return false;
	}
}

/*
 * Returns the table and its partitions. The statement rebuilds the indexes of partitions, too,
 * whoever owns them.
 */
static List *
tree_of(Oid table)
{
	/* REINDEX of an ordinary table does not include the tables that inherit from it. */
	if (get_rel_relkind(table) != RELKIND_PARTITIONED_TABLE)
		return list_make1_oid(table);
	return find_all_inheritors(table, NoLock, NULL);
}

/*
 * Locks all tables in ShareUpdateExclusiveLock, each before its TOAST table, in the order in which
 * the statement locks them.
 */
static void
lock_tree(Oid table)
{
	ListCell   *lc;

	/* Lock the table first, so that no partition is attached or detached afterwards. */
	kwj_sql_lock_table(table);
	foreach(lc, tree_of(table))
	{
		Oid			toast;

		kwj_sql_lock_table(lfirst_oid(lc));
		toast = kwj_toast_table(lfirst_oid(lc));
		if (OidIsValid(toast))
			kwj_sql_lock_table(toast);
	}
}

/* Returns the invalid indexes of the table, its partitions, and their TOAST tables. */
static List *
find_invalid(Oid table)
{
	List	   *indexes = NIL;
	ListCell   *lc;

	foreach(lc, tree_of(table))
		indexes = kwj_add_invalid_indexes(indexes, lfirst_oid(lc));
	return indexes;
}

static bool
has_name_of_leftover(Oid index)
{
	const char *name = get_rel_name(index);

	return name != NULL && kwj_is_reindex_name(name);
}

static bool
was_there(const KwjAttempt *attempt, Oid index)
{
	int			n;
	int64	   *before = kwj_json_int64s(attempt->checkpoint, "invalid", &n);

	for (int i = 0; i < n; i++)
		if ((Oid) before[i] == index)
			return true;
	return false;
}

/* Returns the invalid indexes that the job's attempts have left. */
static List *
find_left(const KwjAttempt *attempt, Oid table)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, find_invalid(table))
		if (has_name_of_leftover(lfirst_oid(lc)) && !was_there(attempt, lfirst_oid(lc)))
			left = lappend_oid(left, lfirst_oid(lc));
	return left;
}

/*
 * Returns whether the role may drop the index. A role that may REINDEX a table cannot always do so:
 * the index of a TOAST table is in the schema pg_toast, which only superusers may use.
 */
static bool
may_drop(Oid index)
{
	return kwj_owns_relation(index) && kwj_may_use_schema(get_rel_namespace(index));
}

/* Warns of these indexes, which the role may not drop, in the log and in the job's messages. */
static void
warn_of(List *left)
{
	ListCell   *lc;

	kwj_sql_messages_begin();
	PG_TRY();
	{
		foreach(lc, left)
		{
			char	   *name = kwj_name_of_relation(lfirst_oid(lc));

			ereport(WARNING,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("an earlier attempt has left the invalid index %s", name),
					 errhint("A superuser, or its owner if allowed to use its schema, can type "
							 "DROP INDEX CONCURRENTLY %s.", name)));
		}
	}
	PG_FINALLY();
	{
		kwj_sql_messages_end();
	}
	PG_END_TRY();
}

/*
 * Drops one index that the job's attempts have left, in a transaction without a snapshot. Returns
 * false if there is none that the role may drop. In that case it warns, once, of those that
 * remain.
 */
static bool
drop_one(const KwjAttempt *attempt, MemoryContext context)
{
	Oid			table = (Oid) kwj_json_int64(attempt->checkpoint, "table");
	List	   *left;
	ListCell   *lc;

	if (!may_reindex(table))
		return false;
	lock_tree(table);
	left = find_left(attempt, table);
	foreach(lc, left)
	{
		if (!may_drop(lfirst_oid(lc)))
			continue;
		kwj_sql_drop_index(kwj_name_of_relation(lfirst_oid(lc)), context);
		return true;
	}
	if (left != NIL)
		warn_of(left);
	return false;
}

void
kwj_sql_drop_reindexed(KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;
	bool		more = attempt->checkpoint != NULL;

	while (more)
	{
		kwj_sql_begin();
		more = drop_one(attempt, caller);
		CommitTransactionCommand();
		MemoryContextSwitchTo(caller);
	}
}

static Jsonb *
state_of(Oid table, List *invalid)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"table\": %u, \"invalid\": [", table);
	foreach(lc, invalid)
		appendStringInfo(&buf, "%s%u", lc == list_head(invalid) ? "" : ", ", lfirst_oid(lc));
	appendStringInfoString(&buf, "]}");
	return kwj_json_parse(buf.data);
}

KwjRequest
kwj_sql_prepare_reindex(KwjAttempt *attempt, const ReindexStmt *stmt)
{
	MemoryContext caller = CurrentMemoryContext;
	KwjRequest	request = KWJ_REQUEST_NONE;
	Oid			table;

	if (attempt->checkpoint != NULL)
	{
		kwj_sql_drop_reindexed(attempt);
		return request;
	}
	kwj_attempt_begin(attempt);
	table = table_of(stmt);
	if (OidIsValid(table) && may_reindex(table))
		request = kwj_attempt_checkpoint(attempt, state_of(table, find_invalid(table)), 0,
										 attempt->rows, false);
	else
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	MemoryContextSwitchTo(caller);
	return request;
}

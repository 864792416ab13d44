/*
 * src/type/sql/index.c
 *	  CREATE INDEX CONCURRENTLY as the statement of a job.
 *
 * It commits three times, and when it is cut short in between, an invalid index stays: it
 * slows every INSERT down, serves no query, and its name is taken. So the name is
 * committed before the statement begins, together with the fact that there is no such
 * index yet; later attempts and the revert drop an invalid index of that name. The last
 * of its transactions, which makes the index valid, is also the one that says that the
 * job has succeeded.
 *
 * Process: worker. Locks: while it looks and drops, ShareUpdateExclusiveLock on the table,
 * as CREATE INDEX CONCURRENTLY itself: one that somebody else runs is waited for, not
 * taken for a dead one. Nothing is noted or locked for a role that the statement would refuse
 * before it locks; rights, and the table itself, may have gone since the attempt before.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "compat.h"
#include "job/json.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "parser/parse_target.h"
#include "storage/lmgr.h"
#include "type/sql/execute.h"
#include "type/sql/index.h"
#include "type/sql/parse.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* What the checkpoint says. */
typedef struct Noted
{
	char	   *index;
	Oid			table;
} Noted;

IndexStmt *
kwj_sql_concurrent_index(List *statements)
{
	Node	   *node = linitial_node(RawStmt, statements)->stmt;

	if (list_length(statements) > 1 || !IsA(node, IndexStmt) ||
		!((IndexStmt *) node)->concurrent)
		return NULL;
	return (IndexStmt *) node;
}

/*
 * Who has the lock may be building an index CONCURRENTLY, and then waits for every snapshot that
 * is older: while this waits for the lock, it has none, not even that of the catalogs.
 */
void
kwj_sql_lock_table(Oid table)
{
	InvalidateCatalogSnapshot();
	LockRelationOid(table, ShareUpdateExclusiveLock);
}

/* What the statement asks for before it locks the table. False if there is no such table. */
static bool
may_index(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	bool		may;

	if (!HeapTupleIsValid(tuple))
		return false;
	may = kwj_owns_relation(table) &&
		(allowSystemTableMods || !IsSystemClass(table, (Form_pg_class) GETSTRUCT(tuple)));
	ReleaseSysCache(tuple);
	return may;
}

static bool
read_note(const KwjAttempt *attempt, Noted *noted)
{
	if (attempt->checkpoint == NULL)
		return false;
	noted->index = kwj_json_text(attempt->checkpoint, "index");
	noted->table = (Oid) kwj_json_int64(attempt->checkpoint, "table");
	return true;
}

/* The index of that name on that table; *valid: it can be used. */
static Oid
find_index(const Noted *noted, bool *valid)
{
	Oid			schema = get_rel_namespace(noted->table);
	Oid			index = InvalidOid;
	HeapTuple	tuple = NULL;

	if (OidIsValid(schema))
		index = get_relname_relid(noted->index, schema);
	if (OidIsValid(index))
		tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	if (((Form_pg_index) GETSTRUCT(tuple))->indrelid != noted->table)
		index = InvalidOid;
	*valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);
	return index;
}

/*
 * In a transaction without a snapshot. The drop commits on its way, so its text and tree are in a
 * context that outlives the transaction.
 */
static void
drop(const Noted *noted, MemoryContext context)
{
	MemoryContext transaction = MemoryContextSwitchTo(context);
	char	   *schema = get_namespace_name(get_rel_namespace(noted->table));
	char	   *text = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
								quote_qualified_identifier(schema, noted->index));
	List	   *statements = kwj_sql_parse(text, "statement");

	MemoryContextSwitchTo(transaction);
	(void) kwj_sql_run(text, statements);
}

void
kwj_sql_drop_invalid_index(KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;
	Noted		noted;
	bool		valid;

	if (!read_note(attempt, &noted))
		return;
	kwj_sql_begin();
	if (may_index(noted.table))
	{
		kwj_sql_lock_table(noted.table);
		if (OidIsValid(find_index(&noted, &valid)) && !valid)
			drop(&noted, caller);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

/* The names of the columns, as PostgreSQL names an index after them. */
static char *
joined_columns(const IndexStmt *stmt)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, stmt->indexParams)
	{
		IndexElem  *element = lfirst(lc);
		const char *name = element->indexcolname ? element->indexcolname :
			element->name ? element->name : FigureIndexColname(element->expr);

		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "_" : "", name ? name : "expr");
		if (buf.len >= NAMEDATALEN)
			break;
	}
	return buf.data;
}

/*
 * The table and the name of the index that the statement will make; false if there is no
 * table, the role has no right to it, or the name is taken: what the statement says then is right.
 */
static bool
choose_name(const IndexStmt *stmt, Noted *noted)
{
	Oid			schema;

	noted->table = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(noted->table) || !may_index(noted->table))
		return false;
	schema = get_rel_namespace(noted->table);
	noted->index = stmt->idxname ? stmt->idxname :
		ChooseRelationName(get_rel_name(noted->table), joined_columns(stmt), "idx",
						   schema, false);
	return !OidIsValid(get_relname_relid(noted->index, schema));
}

static Jsonb *
state_of(const Noted *noted)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"index\": ");
	escape_json(&buf, noted->index);
	appendStringInfo(&buf, ", \"table\": %u}", noted->table);
	return kwj_json_parse(buf.data);
}

static KwjIndexVerdict
note_index(KwjAttempt *attempt, IndexStmt *stmt, KwjRequest *request)
{
	MemoryContext caller = CurrentMemoryContext;
	Noted		noted;

	kwj_attempt_begin(attempt);
	if (!choose_name(stmt, &noted))
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(caller);
		return KWJ_INDEX_BUILD;
	}
	stmt->idxname = MemoryContextStrdup(caller, noted.index);
	*request = kwj_attempt_checkpoint(attempt, state_of(&noted), 0, attempt->rows, false);
	MemoryContextSwitchTo(caller);
	return *request == KWJ_REQUEST_NONE ? KWJ_INDEX_BUILD : KWJ_INDEX_REQUESTED;
}

static bool
is_there(const Noted *noted)
{
	MemoryContext caller = CurrentMemoryContext;
	bool		valid;
	bool		there;

	kwj_sql_begin();
	there = OidIsValid(find_index(noted, &valid)) && valid;
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return there;
}

KwjIndexVerdict
kwj_sql_prepare_index(KwjAttempt *attempt, IndexStmt *stmt, KwjRequest *request)
{
	Noted		noted;

	if (!read_note(attempt, &noted))
		return note_index(attempt, stmt, request);
	kwj_sql_drop_invalid_index(attempt);
	if (is_there(&noted))
		return KWJ_INDEX_THERE;
	stmt->idxname = noted.index;
	return KWJ_INDEX_BUILD;
}

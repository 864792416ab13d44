/*
 * src/type/sql/index.c
 *	  CREATE INDEX CONCURRENTLY as the statement of a job.
 *
 * The statement commits three times on its way. If it is cut short after the first commit, it
 * leaves an invalid index, which slows down every INSERT, serves no query, and keeps its name
 * taken. So the job remembers the name, to find the index again:
 *
 *    1  note      commit the name of the index as the checkpoint, unless the name is taken
 *    2  build     run the statement, with that name; its last transaction makes the index valid,
 *                 and also marks the job as succeeded
 *    a later attempt: drop the index of that name if it is invalid, then 2
 *    the revert: drop the index of that name if it is invalid
 *
 * Process: worker. Locks: ShareUpdateExclusiveLock on the table while the worker looks for the
 * index and drops it. CREATE INDEX CONCURRENTLY takes the same lock, so if another process is
 * building the index now, the worker waits for it and does not drop the index. If the statement
 * itself would refuse the role before it locks the table, the worker notes and locks nothing. Each
 * attempt checks this anew, because the table may have been dropped, or the role's rights revoked,
 * since the last attempt.
 *
 * If the worker dies before 1 is committed, the next attempt begins with 1; if it dies later, with
 * the drop. An invalid index of that name can then be only the job's, or one that somebody has
 * made since.
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
#include "mb/pg_wchar.h"
#include "nodes/value.h"
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

/* What the checkpoint holds. */
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
 * A process that has the lock may be building an index CONCURRENTLY, and then waits for all older
 * snapshots. So while this process waits for the lock, it has no snapshot, not even a catalog
 * snapshot.
 */
void
kwj_sql_lock_table(Oid table)
{
	InvalidateCatalogSnapshot();
	LockRelationOid(table, ShareUpdateExclusiveLock);
}

/*
 * Returns whether the table exists and the role may build an index on it. The statement itself
 * checks the same before it locks the table.
 */
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

/* Returns the index of that name on that table; *valid: it can be used. */
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

void
kwj_sql_drop_index(const char *name, MemoryContext context)
{
	MemoryContext transaction = MemoryContextSwitchTo(context);
	char	   *text = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s", name);
	List	   *statements = kwj_sql_parse(text, "statement");

	MemoryContextSwitchTo(transaction);
	(void) kwj_sql_run(text, statements, NULL, None_Receiver);
}

/* Returns the quoted name of the index, with its schema. */
static char *
quoted_name(const Noted *noted)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(noted->table)), noted->index);
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
			kwj_sql_drop_index(quoted_name(&noted), caller);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

/*
 * Returns the list of names (String nodes) with that of one more column. PostgreSQL gives each column of an
 * index a name of its own, and therefore adds a number to a name that is taken.
 */
static List *
add_column_name(List *names, const IndexElem *element)
{
	const char *name = element->indexcolname ? element->indexcolname :
		element->name ? element->name : FigureIndexColname(element->expr);
	Node	   *chosen;

	if (name == NULL)
		name = "expr";
	chosen = (Node *) makeString(pstrdup(name));
	for (int i = 1; list_member(names, chosen); i++)
	{
		char	   *number = psprintf("%d", i);
		int			most = NAMEDATALEN - 1 - strlen(number);

		chosen = (Node *) makeString(psprintf("%.*s%s", pg_mbcliplen(name, strlen(name), most), name, number));
	}
	return lappend(names, chosen);
}

/* Returns the names of the columns, joined as PostgreSQL does to name an index. */
static char *
joined_columns(const IndexStmt *stmt)
{
	List	   *names = NIL;
	StringInfoData buf;
	ListCell   *lc;

	foreach(lc, list_concat_copy(stmt->indexParams, stmt->indexIncludingParams))
		names = add_column_name(names, lfirst(lc));
	initStringInfo(&buf);
	foreach(lc, names)
	{
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "_" : "", strVal(lfirst(lc)));
		if (buf.len >= NAMEDATALEN)
			break;
	}
	return buf.data;
}

/*
 * Gets the table and the name of the index that the statement will build. Returns false if there
 * is no such table, the role may not build an index on it, or the name is taken: then the
 * statement itself raises the right error, or has nothing to do.
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

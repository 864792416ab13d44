/*
 * src/type/export/source.c
 *	  What an EXPORT reads: tables, or a query.
 *
 * Callers: validate.c in the session that creates the job; export.c and parallel.c in the worker.
 * Locks: AccessShareLock on the tables, until the end of the transaction, as COPY takes it.
 *
 * A plain table is given to COPY by its name. Everything else that has rows (partitioned and foreign
 * tables, views, tables whose rows another extension keeps) is a query for COPY. The columns are
 * always named, because COPY leaves out generated columns of tables, and a query would not.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "executor/spi.h"
#include "job/catalog_row.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "optimizer/plancat.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "type/columns.h"
#include "type/export/source.h"
#include "type/export/stage.h"
#include "type/files/directory.h"
#include "type/import/keeper.h"
#include "type/sql/parse.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

void
kwj_export_check_may_write_files(void)
{
	kwj_check_may_use_files(ROLE_PG_WRITE_SERVER_FILES, "EXPORT to a file of the server", NULL);
}

char *
kwj_export_check_query(const char *query)
{
	List	   *statements;
	RawStmt    *statement;

	if (query[strspn(query, " \t\r\n;")] == '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the query of an EXPORT must not be empty"),
				errhint("Type EXPORT INTO CSV 'directory' FROM SELECT ..."));
	statements = kwj_sql_parse(query, "query");
	statement = linitial_node(RawStmt, statements);
	if (list_length(statements) != 1)
		ereport(ERROR,
				errcode(ERRCODE_SYNTAX_ERROR),
				errmsg("EXPORT takes one query, and these are %d", list_length(statements)),
				errhint("Type one EXPORT for each query."));
	if (!IsA(statement->stmt, SelectStmt) || ((SelectStmt *) statement->stmt)->intoClause != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("EXPORT takes a query that reads: SELECT, VALUES, TABLE or WITH"),
				errhint("Run the statement as a job by kwjobs.submit, and then export its table."));
	return kwj_sql_statement_text(query, statement);
}

/* ---- tables ---- */

static bool
has_rows(char relkind)
{
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_VIEW:
		case RELKIND_MATVIEW:
			return true;
		default:
			return false;
	}
}

static void
check_is_table(Relation rel)
{
	if (!has_rows(rel->rd_rel->relkind))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("cannot export \"%s\"", RelationGetRelationName(rel)),
				errdetail_internal("%s", kwj_relation_kind(rel->rd_rel->relkind)),
				errhint("Name a table or a view, or type a query."));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot export temporary table \"%s\"", RelationGetRelationName(rel)),
				errdetail("The job runs in another process, which cannot see the temporary tables of this session."),
				errhint("Use an unlogged table, or COPY."));
}

/* Returns whether parallel workers may not call the output function of the type. */
static bool
is_unsafe_type(Oid type)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	return func_parallel(output) != PROPARALLEL_SAFE;
}

/* Sets the names and types of the columns that COPY writes: all but generated ones. */
static void
find_columns(Relation rel, KwjExportItem *item)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated)
			continue;
		item->columns = lappend(item->columns, pstrdup(NameStr(att->attname)));
		item->is_unsafe |= is_unsafe_type(att->atttypid);
		item->types = lappend(item->types, format_type_with_typemod(att->atttypid, att->atttypmod));
	}
}

char *
kwj_export_column_list(const KwjExportItem *item)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	foreach(lc, item->columns)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_identifier(lfirst(lc)));
	return list.data;
}

/* Returns about how many rows the table has, with its partitions. */
static double
estimate_rows(Relation rel)
{
	double		total = 0;
	List	   *tables;
	ListCell   *lc;

	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind) && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return 0;
	tables = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(RelationGetRelid(rel), NoLock, NULL) : list_make1_oid(RelationGetRelid(rel));
	foreach(lc, tables)
	{
		Relation	part = try_relation_open(lfirst_oid(lc), AccessShareLock);
		BlockNumber pages;
		double		tuples;
		double		visible;

		if (part == NULL)
			continue;
		if (RELKIND_HAS_STORAGE(part->rd_rel->relkind))
		{
			estimate_rel_size(part, NULL, &pages, &tuples, &visible);
			total += tuples;
		}
		relation_close(part, NoLock);
	}
	return total;
}

/* Returns whether another extension keeps rows of the table somewhere else. */
static bool
is_kept_elsewhere(Relation rel)
{
	KwjKept		kept;

	return kwj_find_kept(list_make1_oid(RelationGetRelid(rel)), &kept);
}

/*
 * Returns whether the table is where another extension keeps rows of one of its ancestors, as the chunks
 * of a hypertable of TimescaleDB. The rows of that ancestor are its own and theirs.
 */
static bool
is_part_of_kept(Relation rel)
{
	KwjKept		kept;

	return kwj_find_kept(list_make1_oid(RelationGetRelid(rel)), &kept) &&
		kept.relid != RelationGetRelid(rel);
}

static KwjExportItem *
make_table_item(Relation rel)
{
	KwjExportItem *item = palloc0(sizeof(KwjExportItem));
	const char *name = kwj_qualified_name(rel);
	bool		is_plain = rel->rd_rel->relkind == RELKIND_RELATION && !is_kept_elsewhere(rel);
	char	   *columns;

	item->table = RelationGetRelid(rel);
	item->schema = get_namespace_name(RelationGetNamespace(rel));
	item->name = pstrdup(RelationGetRelationName(rel));
	item->path = "";
	find_columns(rel, item);
	columns = kwj_export_column_list(item);
	if (!is_plain)
		item->source = psprintf("(SELECT %s FROM %s)", columns, name);
	else if (item->columns == NIL)
		item->source = pstrdup(name);
	else
		item->source = psprintf("%s (%s)", name, columns);
	item->estimate = estimate_rows(rel);
	/* Only of a heap it is known that all its rows are in these blocks. */
	if (is_plain && rel->rd_tableam == GetHeapamTableAmRoutine())
	{
		item->blocks = RelationGetNumberOfBlocks(rel);
		item->from = psprintf("ONLY %s", name);
	}
	return item;
}

/* ---- the whole database ---- */

/* Returns the OIDs of the tables of the database that have rows of their own, in the order of their names. */
static List *
database_tables(void)
{
	List	   *tables = NIL;
	MemoryContext caller = CurrentMemoryContext;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	/*
	 * A partitioned table is exported as a whole, so its partitions are left out. So are tables of
	 * extensions, which CREATE EXTENSION makes, foreign tables, whose rows are elsewhere, and tables
	 * of other sessions.
	 */
	if (SPI_execute("SELECT c.oid FROM pg_catalog.pg_class AS c"
					" JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
					" WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
					" AND c.relpersistence OPERATOR(pg_catalog.<>) 't'"
					" AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'"
					" AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'"
					" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d"
					"  WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
					"  AND d.objid OPERATOR(pg_catalog.=) c.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')"
					" ORDER BY n.nspname, c.relname", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of the database");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			table = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
														   1, &isnull));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		tables = lappend_oid(tables, table);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return tables;
}

/* Returns the name of the directory of a schema, which is not that of another file of the export. */
static char *
schema_directory(const char *schema)
{
	if (strcmp(schema, KWJ_MANIFEST) == 0 || strcmp(schema, KWJ_META) == 0)
		return psprintf("%%%02X%s", schema[0], schema + 1);
	return kwj_directory_name_for(schema);
}

/* Returns the item of one of several tables, which has a directory of its own. */
static KwjExportItem *
make_item_in_schema(Relation rel)
{
	KwjExportItem *item = make_table_item(rel);

	item->path = psprintf("%s/%s", schema_directory(item->schema), kwj_directory_name_for(item->name));
	return item;
}

static List *
database_items(const KwjExportSpec *spec)
{
	List	   *items = NIL;
	ListCell   *lc;

	if (strcmp(spec->name, get_database_name(MyDatabaseId)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot export database \"%s\" from database \"%s\"", spec->name,
					   get_database_name(MyDatabaseId)),
				errhint("Connect to database \"%s\" and type the statement there.", spec->name));
	foreach(lc, database_tables())
	{
		Relation	rel = try_relation_open(lfirst_oid(lc), AccessShareLock);

		/* The snapshot is older than the lock: the table was dropped in between. */
		if (rel == NULL)
			continue;
		if (!is_part_of_kept(rel))
			items = lappend(items, make_item_in_schema(rel));
		relation_close(rel, NoLock);
	}
	return items;
}

/* Returns the items of tables that were named. spec->names is empty while the job is being created. */
static List *
named_items(const KwjExportSpec *spec)
{
	List	   *items = NIL;

	for (int i = 0; i < list_length(spec->tables); i++)
	{
		const char *name = i < list_length(spec->names) ? list_nth(spec->names, i) : NULL;
		Relation	rel = kwj_open_table(list_nth_oid(spec->tables, i), name, AccessShareLock, "EXPORT");

		check_is_table(rel);
		items = lappend(items, make_item_in_schema(rel));
		relation_close(rel, NoLock);
	}
	return items;
}

List *
kwj_export_items(const KwjExportSpec *spec)
{
	KwjExportItem *item;
	Relation	rel;

	Assert(ActiveSnapshotSet());
	if (spec->kind == KWJ_EXPORT_DATABASE)
		return database_items(spec);
	if (spec->kind == KWJ_EXPORT_TABLES)
		return named_items(spec);
	if (spec->kind == KWJ_EXPORT_QUERY)
	{
		item = palloc0(sizeof(KwjExportItem));
		/* The line end is for a query that ends with a comment. */
		item->source = psprintf("(%s\n)", spec->query);
		item->path = "";
		return list_make1(item);
	}
	rel = kwj_open_table(spec->table, spec->name, AccessShareLock, "EXPORT");
	check_is_table(rel);
	item = make_table_item(rel);
	relation_close(rel, NoLock);
	return list_make1(item);
}

/* ---- what is locked ---- */

/* Adds the relations that are behind the query of the item. */
static List *
add_relations_of_query(List *relations, const KwjExportItem *item)
{
	char	   *text = pnstrdup(item->source + 1, strlen(item->source) - 2);
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(text));
	List	   *queries = kwj_analyze_and_rewrite(raw, text);
	List	   *oids;
	List	   *items;
	bool		has_row_security;
	ListCell   *lc;

	extract_query_dependencies((Node *) queries, &oids, &items, &has_row_security);
	foreach(lc, oids)
		relations = list_concat_unique_oid(relations, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
	return relations;
}

List *
kwj_export_relations(List *items)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, items)
	{
		const KwjExportItem *item = lfirst(lc);

		if (item->source[0] == '(')
			relations = add_relations_of_query(relations, item);
		else
			relations = list_append_unique_oid(relations, item->table);
	}
	/* The order in which other transactions lock several tables is not known; this one is stable. */
	list_sort(relations, list_oid_cmp);
	return relations;
}

/*
 * Returns the number of the file in which the relation has its rows, by what the snapshot sees in pg_class;
 * NULL: what is committed now. Returns InvalidOid if there is none.
 */
static Oid
file_of(Oid relid, Snapshot snapshot)
{
	HeapTuple	row = kwj_catalog_row(RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid, snapshot);

	return HeapTupleIsValid(row) ? ((Form_pg_class) GETSTRUCT(row))->relfilenode : InvalidOid;
}

bool
kwj_export_lock_late(List *relations)
{
	ListCell   *lc;

	foreach(lc, relations)
	{
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
		if (file_of(lfirst_oid(lc), GetActiveSnapshot()) != file_of(lfirst_oid(lc), NULL))
			return false;
	}
	return true;
}

/* ---- rights ---- */

static void
add_hint(void *arg)
{
	const KwjExportItem *item = arg;
	const char *role;

	switch (geterrcode())
	{
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			role = quote_identifier(GetUserNameFromId(GetUserId(), true));
			if (OidIsValid(item->table))
				errhint("Ask the owner of the table for: GRANT SELECT ON %s TO %s",
						quote_qualified_identifier(item->schema, item->name), role);
			else
				errhint("Role %s, which owns the job, needs this right.", role);
			break;
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
			errhint("EXPORT only reads: run the statement as a job by kwjobs.submit, and then export its table.");
			break;
		case ERRCODE_UNTRANSLATABLE_CHARACTER:
			errhint("Choose a charset that has the character, such as UTF8.");
			break;
	}
}

void
kwj_export_push_hint(ErrorContextCallback *callback, const KwjExportItem *item)
{
	callback->callback = add_hint;
	callback->arg = unconstify(KwjExportItem *, item);
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/*
 * EXPLAIN plans the query and checks the rights of its tables, as the query itself would, and those
 * that views need.
 */
void
kwj_export_check_may_read(const KwjExportItem *item)
{
	ErrorContextCallback callback;
	char	   *query = item->source[0] == '(' ? item->source :
		psprintf("SELECT %s FROM ONLY %s", kwj_export_column_list(item),
				 quote_qualified_identifier(item->schema, item->name));

	kwj_export_push_hint(&callback, item);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute(psprintf("EXPLAIN (COSTS false) %s", query), false, 0) < 0)
		elog(ERROR, "could not plan a query");
	SPI_finish();
	error_context_stack = callback.previous;
}

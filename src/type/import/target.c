/*
 * src/type/import/target.c
 *	  The table that an IMPORT fills, and the storage in which its rows lie.
 *
 * Process: session (when the job is created), worker. Locks: RowExclusiveLock on the target, as
 * COPY takes it; AccessShareLock on a partition that is seen for the first time, for a moment.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "parser/parse_relation.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "type/columns.h"
#include "type/files/directory.h"
#include "type/import/keeper.h"
#include "type/import/statement.h"
#include "type/import/target.h"
#include "type/source/source.h"
#include "job/json.h"
#include "job/relation.h"
#include "lifecycle/parts.h"

void
kwj_import_check_may_read_files(void)
{
	kwj_check_may_use_files(ROLE_PG_READ_SERVER_FILES, "IMPORT from a file of the server", NULL);
}

void
kwj_import_check_may_read(const List *locations)
{
	ListCell   *lc;

	foreach(lc, locations)
	{
		if (kwj_source_needs_no_role(lfirst(lc)))
			continue;
		kwj_import_check_may_read_files();
		break;
	}
}

/*
 * Returns whether COPY puts rows into the relation: into a table, a partitioned or a foreign one, too, and
 * into a view if a trigger takes each row that is inserted there.
 */
static bool
is_fillable(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
			return true;
		case RELKIND_VIEW:
			return rel->trigdesc != NULL && rel->trigdesc->trig_insert_instead_row;
		default:
			return false;
	}
}

/* Refuses a relation into which COPY puts no rows, and a temporary table, which the worker could not see. */
static void
check_is_table(Relation rel)
{
	char		relkind = rel->rd_rel->relkind;

	if (!is_fillable(rel))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("cannot import into \"%s\"", RelationGetRelationName(rel)),
				errdetail_internal("%s", kwj_relation_kind(relkind)),
				relkind == RELKIND_VIEW ?
				errhint("Create an INSTEAD OF INSERT trigger for each row, or import into a table and copy its rows from there with INSERT ... SELECT.") :
				errhint("Import into a table and copy its rows from there with INSERT ... SELECT."));
	if (IsCatalogRelation(rel))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied: \"%s\" is a system catalog",
					   RelationGetRelationName(rel)),
				errhint("Import into a table of your own."));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot import into temporary table \"%s\"",
					   RelationGetRelationName(rel)),
				errdetail("The job runs in another process, which cannot see the temporary tables of this session."),
				errhint("Use an unlogged table, or COPY."));
}

/* Returns the names of the columns, for an error about one. */
static char *
column_names(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->attgenerated)
			continue;
		if (buf.len > 200)
		{
			appendStringInfoString(&buf, ", ...");
			break;
		}
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
						 quote_identifier(NameStr(att->attname)));
	}
	return buf.data;
}

static AttrNumber
column_number(Relation rel, const char *name)
{
	AttrNumber	number = kwj_find_column(rel, name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_COLUMN),
				errmsg("column \"%s\" of table \"%s\" does not exist",
					   name, RelationGetRelationName(rel)),
				errhint("Columns that can be imported: %s.", column_names(rel)));
	if (TupleDescAttr(RelationGetDescr(rel), number - 1)->attgenerated)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				errmsg("column \"%s\" is a generated column", name),
				errdetail("Generated columns cannot be imported: they are computed from the others."),
				errhint("Columns that can be imported: %s.", column_names(rel)));
	return number;
}

/*
 * Returns the numbers of the columns with these names; NIL: of all columns that can be imported.
 */
List *
kwj_import_column_numbers(Relation rel, List *names)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *numbers = NIL;
	ListCell   *lc;

	if (names == NIL)
	{
		for (int i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			if (!att->attisdropped && !att->attgenerated)
				numbers = lappend_int(numbers, att->attnum);
		}
		return numbers;
	}

	foreach(lc, names)
		numbers = kwj_add_column(numbers, column_number(rel, lfirst(lc)), lfirst(lc),
								 "List each column once, in the order of the fields in the files.");
	return numbers;
}

/* Returns the present names of these columns. before: their names in the job, for an error. */
List *
kwj_import_column_names(Relation rel, List *numbers, List *before)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, numbers)
	{
		char	   *name = kwj_column_name(rel, lfirst_int(lc));

		if (name == NULL)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of table \"%s\" does not exist any more",
						   (char *) list_nth(before, foreach_current_index(lc)),
						   RelationGetRelationName(rel)),
					errdetail("An IMPORT fills the columns that the table had when the job was created."),
					errhint("Columns that can be imported: %s. Type IMPORT again with those that the files have.",
							column_names(rel)));
		names = lappend(names, name);
	}
	return names;
}

Relation
kwj_import_lock_target(Oid target, const char *table)
{
	Relation	rel = try_relation_open(target, RowExclusiveLock);

	if (rel != NULL)
	{
		check_is_table(rel);
		return rel;
	}
	if (table != NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("table %s does not exist any more", table),
				errhint("Create a table and type IMPORT again."));
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_TABLE),
			errmsg("relation with OID %u does not exist", target),
			errhint("Give the name of a table."));
}

/*
 * The executor calls this, as an error context callback, when it raises an error while a statement begins.
 * If a right is missing, the error gets a hint with the GRANT, arg, that gives it.
 */
static void
hint_at_grant(void *arg)
{
	if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("Ask the owner of the table for: %s", (const char *) arg);
}

/* Asks for the right that COPY would need: INSERT on the table or on each column. */
static void
require_insert(ParseNamespaceItem *nsitem, List *numbers)
{
	Bitmapset  *set = NULL;
	ListCell   *lc;

	foreach(lc, numbers)
		set = bms_add_member(set, lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber);
	kwj_nsitem_permissions(nsitem)->requiredPerms = ACL_INSERT;
	kwj_nsitem_permissions(nsitem)->insertedCols = set;
}

QueryDesc *
kwj_import_begin(ParseState *pstate, Relation rel, List *numbers, const char *text)
{
	ErrorContextCallback callback;
	QueryDesc  *statement;

	require_insert(addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock,
												 NULL, false, false),
				   numbers);
	callback.callback = hint_at_grant;
	callback.arg = psprintf("GRANT INSERT ON %s TO %s", kwj_qualified_name(rel),
							quote_identifier(GetUserNameFromId(GetUserId(), false)));
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	statement = kwj_import_begin_statement(pstate, CMD_INSERT, text);
	error_context_stack = callback.previous;

	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("IMPORT is not supported with row-level security"),
				errdetail("Row-level security policies of table \"%s\" apply to role \"%s\".",
						  RelationGetRelationName(rel),
						  GetUserNameFromId(GetUserId(), false)),
				errhint("Use INSERT statements, or import as a role that the policies do not apply to."));
	return statement;
}

/* Returns the index of the first item that is not before relid. */
static int
storage_index(const KwjStorageMap *map, Oid relid)
{
	int			low = 0;
	int			high = map->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (map->items[middle].relid < relid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const KwjStorage *
kwj_storage_find(const KwjStorageMap *map, Oid relid)
{
	int			i = storage_index(map, relid);

	return i < map->n && map->items[i].relid == relid ? &map->items[i] : NULL;
}

static void
storage_add(KwjStorageMap *map, const KwjStorage *item)
{
	int			i = storage_index(map, item->relid);

	if (map->n == map->size)
	{
		map->size = Max(16, map->size * 2);
		map->items = map->items == NULL ?
			MemoryContextAlloc(map->context, map->size * sizeof(KwjStorage)) :
			repalloc(map->items, map->size * sizeof(KwjStorage));
	}
	memmove(&map->items[i + 1], &map->items[i], (map->n - i) * sizeof(KwjStorage));
	map->items[i] = *item;
	map->n++;
}

/*
 * Returns whether tables with this access method are heaps. The revert of an import finds the rows
 * to delete by their xmin; only of heaps it is known that xmin is the transaction that has inserted
 * the row.
 */
static bool
is_heap(Oid access_method)
{
	HeapTuple	tuple = SearchSysCache1(AMOID, ObjectIdGetDatum(access_method));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_am) GETSTRUCT(tuple))->amhandler == F_HEAP_TABLEAM_HANDLER;
	ReleaseSysCache(tuple);
	return result;
}

#define HINT_NONE	"Type WITH revert = 'none' if the rows may stay when the job fails or is canceled."

static void
check_can_be_reverted(Form_pg_class form)
{
	switch (form->relkind)
	{
		case RELKIND_FOREIGN_TABLE:
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					form->relispartition ?
					errmsg("cannot import into a table with foreign partition \"%s\"", NameStr(form->relname)) :
					errmsg("cannot import into foreign table \"%s\"", NameStr(form->relname)),
					errdetail("Rows in a foreign table could not be removed if the job is canceled."),
					errhint(HINT_NONE));
			break;
		case RELKIND_VIEW:
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot import into view \"%s\"", NameStr(form->relname)),
					errdetail("What its trigger does could not be undone if the job is canceled."),
					errhint(HINT_NONE));
			break;
		default:
			if (!is_heap(form->relam))
				ereport(ERROR,
						errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot import into table \"%s\", which is not a heap", NameStr(form->relname)),
						errdetail("Rows of other table access methods could not be removed if the job is canceled."),
						errhint(HINT_NONE));
			break;
	}
}

static void
note_table(KwjStorageMap *map, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	KwjStorage	item;
	Form_pg_class form;
	Relation	rel;

	if (!HeapTupleIsValid(tuple))
		return;					/* a partition that was dropped just now */
	form = (Form_pg_class) GETSTRUCT(tuple);
	item.relid = relid;
	item.relfilenode = form->relfilenode;
	if (form->relkind != RELKIND_PARTITIONED_TABLE)
		check_can_be_reverted(form);
	ReleaseSysCache(tuple);

	if (!OidIsValid(item.relfilenode) || kwj_storage_find(map, relid) != NULL)
		return;
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return;
	item.blocks = RelationGetNumberOfBlocks(rel);
	relation_close(rel, AccessShareLock);
	storage_add(map, &item);
}

static void
refuse_kept(const KwjKept *kept, Relation target)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("cannot import into table \"%s\", whose rows are kept by %s",
				   RelationGetRelationName(target), kept->extension),
			errdetail("IMPORT would write rows into %s itself, where %s looks for none.",
					  kwj_name_of_relation(kept->relid), kept->extension),
			errhint(HINT_NONE));
}

List *
kwj_import_tables_of(Relation target)
{
	return target->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ?
		find_all_inheritors(RelationGetRelid(target), NoLock, NULL) :
		list_make1_oid(RelationGetRelid(target));
}

bool
kwj_import_is_elsewhere(Relation target)
{
	List	   *tables = kwj_import_tables_of(target);
	KwjKept		kept;
	ListCell   *lc;

	if (kwj_find_kept(tables, &kept))
		return true;
	foreach(lc, tables)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_class form;
		bool		plain;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_class) GETSTRUCT(tuple);
		plain = form->relkind == RELKIND_PARTITIONED_TABLE ||
			(form->relkind == RELKIND_RELATION && is_heap(form->relam));
		ReleaseSysCache(tuple);
		if (!plain)
			return true;
	}
	return false;
}

/* Checks that its wrapper lets rows be inserted into a foreign table, as COPY does when the first one comes. */
static void
check_foreign_table(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	FdwRoutine *routine;

	if (rel == NULL)
		return;
	routine = GetFdwRoutineForRelation(rel, false);
	if (routine->ExecForeignInsert == NULL ||
		(routine->IsForeignRelUpdatable != NULL &&
		 (routine->IsForeignRelUpdatable(rel) & (1 << CMD_INSERT)) == 0))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("foreign table \"%s\" does not allow inserts", RelationGetRelationName(rel)),
				errhint("Import into another table, or detach it if it is a partition."));
	relation_close(rel, AccessShareLock);
}

void
kwj_import_check_elsewhere(Relation target)
{
	ListCell   *lc;

	foreach(lc, kwj_import_tables_of(target))
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			check_foreign_table(lfirst_oid(lc));
}

void
kwj_storage_note(KwjStorageMap *map, Relation target)
{
	List	   *tables = kwj_import_tables_of(target);
	KwjKept		kept;
	ListCell   *lc;

	if (kwj_find_kept(tables, &kept))
		refuse_kept(&kept, target);
	foreach(lc, tables)
		note_table(map, lfirst_oid(lc));
	list_free(tables);
}

void
kwj_storage_write(const KwjStorageMap *map, StringInfo json)
{
	appendStringInfoString(json, "\"storage\": [");
	for (int i = 0; i < map->n; i++)
		appendStringInfo(json, "%s%u, %u, %u", i > 0 ? ", " : "",
						 map->items[i].relid, map->items[i].relfilenode,
						 map->items[i].blocks);
	appendStringInfoChar(json, ']');
}

void
kwj_storage_read(KwjStorageMap *map, Jsonb *state)
{
	int			n;
	int64	   *numbers = kwj_json_int64s(state, "storage", &n);

	for (int i = 0; i + 2 < n; i += 3)
	{
		KwjStorage	item;

		item.relid = (Oid) numbers[i];
		item.relfilenode = (Oid) numbers[i + 1];
		item.blocks = (BlockNumber) numbers[i + 2];
		if (kwj_storage_find(map, item.relid) == NULL)
			storage_add(map, &item);
	}
}

int
kwj_import_read_storage(KwjAttempt *attempt, KwjStorageMap *map)
{
	KwjStorageMap planned = {.context = CurrentMemoryContext};
	Jsonb	   *plan = kwj_parts_state(attempt);
	ListCell   *lc;

	if (plan != NULL)
	{
		kwj_storage_read(&planned, plan);
		kwj_storage_read(map, plan);
	}
	foreach(lc, kwj_pieces_states(attempt, "storage"))
		kwj_storage_read(map, lfirst(lc));
	return planned.n;
}

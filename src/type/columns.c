/*
 * src/type/columns.c
 *	  What job types that work on one table have in common: its name and its columns.
 *
 * Callers: type/import, type/export, type/backup and type/stats. Process: the session that creates a
 * job, and the worker that runs it. Locks: the one that kwj_open_table() is asked for. For the other
 * functions, the caller has locked the table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "job/json.h"
#include "type/columns.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

Relation
kwj_open_table(Oid table, const char *name, LOCKMODE mode, const char *statement)
{
	Relation	rel = try_relation_open(table, mode);

	if (rel == NULL && name != NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("table %s does not exist any more", name),
				errdetail("It was dropped after the job was created."),
				errhint("If there is a new table of this name, type %s again.", statement));
	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", table),
				errhint("Give the name of a table."));
	return rel;
}

char *
kwj_qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

AttrNumber
kwj_find_column(Relation rel, const char *name)
{
	AttrNumber	number = get_attnum(RelationGetRelid(rel), name);

	return number > 0 ? number : InvalidAttrNumber;
}

List *
kwj_add_column(List *numbers, AttrNumber number, const char *name, const char *hint)
{
	if (list_member_int(numbers, number))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_COLUMN),
				errmsg("column \"%s\" specified more than once", name),
				errhint("%s", hint));
	return lappend_int(numbers, number);
}

char *
kwj_column_name(Relation rel, int number)
{
	TupleDesc	desc = RelationGetDescr(rel);

	/*
	 * The table may have fewer columns than that: if the table of the job was dropped, its OID may
	 * belong to another table by now.
	 */
	if (number < 1 || number > desc->natts || TupleDescAttr(desc, number - 1)->attisdropped)
		return NULL;
	return pstrdup(NameStr(TupleDescAttr(desc, number - 1)->attname));
}

List *
kwj_payload_columns(Jsonb *payload)
{
	List	   *numbers = NIL;
	int			n;
	int64	   *array = kwj_json_int64s(payload, "numbers", &n);

	for (int i = 0; i < n; i++)
		numbers = lappend_int(numbers, (int) array[i]);
	return numbers;
}

const char *
kwj_relation_kind(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "It is a view.";
		case RELKIND_MATVIEW:
			return "It is a materialized view.";
		case RELKIND_SEQUENCE:
			return "It is a sequence.";
		case RELKIND_FOREIGN_TABLE:
			return "It is a foreign table.";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "It is an index.";
		case RELKIND_COMPOSITE_TYPE:
			return "It is a composite type.";
		case RELKIND_TOASTVALUE:
			return "It is a TOAST table.";
		default:
			return "It is not a table.";
	}
}

/*
 * src/type/stats/target.c
 *	  The table of which a job collects statistics, its columns and its partitions.
 *
 * Callers: stats.c, object.c. Process: session (when the job is created), worker. Locks: the one on
 * the table that the caller asks for.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "compat.h"
#include "miscadmin.h"
#include "statistics/statistics.h"
#include "type/stats/target.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

char *
kwj_stats_qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* Returns what a relation is that is no table; NULL: statistics can be collected of it. */
static const char *
other_kind(char relkind)
{
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_MATVIEW:
		case RELKIND_FOREIGN_TABLE:
			return NULL;
		case RELKIND_VIEW:
			return "view";
		case RELKIND_SEQUENCE:
			return "sequence";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "index";
		case RELKIND_COMPOSITE_TYPE:
			return "composite type";
		case RELKIND_TOASTVALUE:
			return "TOAST table";
		default:
			return "relation";
	}
}

static void
check_is_table(Relation rel)
{
	const char *kind = other_kind(rel->rd_rel->relkind);

	if (kind != NULL)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("cannot create statistics on %s \"%s\"", kind, RelationGetRelationName(rel)),
				errhint("Name a table, a materialized view or a foreign table."));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot create statistics on temporary table \"%s\" in a job",
					   RelationGetRelationName(rel)),
				errdetail("The job runs in another process, which cannot see the temporary tables of this session."),
				errhint("Type ANALYZE %s in this session.",
						quote_identifier(RelationGetRelationName(rel))));
}

/* ANALYZE has the same rule. It would only warn, and collect nothing. */
static void
check_right(Relation rel)
{
	if (kwj_may_maintain(RelationGetRelid(rel)) ||
		(kwj_owns_database(MyDatabaseId) && !rel->rd_rel->relisshared))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to collect statistics of table \"%s\"",
				   RelationGetRelationName(rel)),
			errdetail("As for ANALYZE, it takes the owner of the table or of the database%s.",
					  KWJ_HAS_MAINTAIN ? ", or the privilege MAINTAIN on the table" : ""),
			KWJ_HAS_MAINTAIN ?
			errhint("Ask the owner of the table for: GRANT MAINTAIN ON %s TO %s",
					kwj_stats_qualified_name(rel),
					quote_identifier(GetUserNameFromId(GetUserId(), false))) :
			errhint("Ask the owner of the table, %s, to type the statement.",
					quote_identifier(GetUserNameFromId(rel->rd_rel->relowner, false))));
}

Relation
kwj_stats_open(Oid table, const char *name, LOCKMODE mode)
{
	Relation	rel = try_relation_open(table, mode);

	if (rel == NULL && name != NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("table %s does not exist any more", name),
				errdetail("It was dropped after the job was created."),
				errhint("If there is a new table of this name, type CREATE STATISTICS again."));
	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("relation with OID %u does not exist", table),
				errhint("Give the name of a table."));
	check_is_table(rel);
	check_right(rel);
	return rel;
}

static void
no_such_column(Relation rel, const char *name, bool any_more)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_COLUMN),
			errmsg("column \"%s\" of table \"%s\" does not exist%s", name,
				   RelationGetRelationName(rel), any_more ? " any more" : ""),
			any_more ?
			errhint("Type CREATE STATISTICS again, with columns that the table has.") :
			errhint("To see the columns of the table, type \\d %s in psql.",
					kwj_stats_qualified_name(rel)));
}

static AttrNumber
column_number(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || strcmp(NameStr(att->attname), name) != 0)
			continue;
		if (kwj_is_virtual(att))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot create statistics on virtual generated column \"%s\"", name),
					errdetail("PostgreSQL does not store its values, and collects no statistics of it."),
					errhint("Name the columns from which it is computed."));
		return att->attnum;
	}
	no_such_column(rel, name, false);
	return InvalidAttrNumber;
}

List *
kwj_stats_column_numbers(Relation rel, List *names)
{
	List	   *numbers = NIL;
	ListCell   *lc;

	if (list_length(names) > STATS_MAX_DIMENSIONS)
		ereport(ERROR,
				errcode(ERRCODE_TOO_MANY_COLUMNS),
				errmsg("cannot create statistics on more than %d columns together",
					   STATS_MAX_DIMENSIONS),
				errhint("Leave the columns out: then statistics of each column are collected."));
	foreach(lc, names)
	{
		int			number = column_number(rel, lfirst(lc));

		if (list_member_int(numbers, number))
			ereport(ERROR,
					errcode(ERRCODE_DUPLICATE_COLUMN),
					errmsg("column \"%s\" specified more than once", (char *) lfirst(lc)),
					errhint("Name each column once."));
		numbers = lappend_int(numbers, number);
	}
	return numbers;
}

List *
kwj_stats_column_names(Relation rel, List *numbers, List *before)
{
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, numbers)
	{
		int			n = lfirst_int(lc);

		/* By now, another table may have the OID. */
		if (n > desc->natts || TupleDescAttr(desc, n - 1)->attisdropped)
			no_such_column(rel, list_nth(before, foreach_current_index(lc)), true);
		names = lappend(names, pstrdup(NameStr(TupleDescAttr(desc, n - 1)->attname)));
	}
	return names;
}

List *
kwj_stats_partitions(Relation rel)
{
	List	   *partitions;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return NIL;
	partitions = find_all_inheritors(RelationGetRelid(rel), NoLock, NULL);
	partitions = list_delete_oid(partitions, RelationGetRelid(rel));
	list_sort(partitions, list_oid_cmp);
	return partitions;
}

/*
 * src/type/stats/target.c
 *	  The table of which a job collects statistics, its columns and its partitions.
 *
 * Caller: stats.c. Process: session (when the job is created), worker. Locks: the one on
 * the table that the caller asks for.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "compat.h"
#include "miscadmin.h"
#include "statistics/statistics.h"
#include "type/columns.h"
#include "type/stats/target.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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

/*
 * Raises an error if the role may not ANALYZE the table. ANALYZE has the same rule, but would only
 * warn and leave the table out, and the job would succeed without statistics.
 */
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
					kwj_qualified_name(rel),
					quote_identifier(GetUserNameFromId(GetUserId(), false))) :
			errhint("Ask the owner of the table, %s, to type the statement.",
					quote_identifier(GetUserNameFromId(rel->rd_rel->relowner, false))));
}

Relation
kwj_stats_open(Oid table, const char *name, LOCKMODE mode)
{
	Relation	rel = kwj_open_table(table, name, mode, "CREATE STATISTICS");

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
					kwj_qualified_name(rel)));
}

static AttrNumber
column_number(Relation rel, const char *name)
{
	AttrNumber	number = kwj_find_column(rel, name);

	if (number == InvalidAttrNumber)
		no_such_column(rel, name, false);
	if (kwj_is_virtual(TupleDescAttr(RelationGetDescr(rel), number - 1)))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot create statistics on virtual generated column \"%s\"", name),
				errdetail("PostgreSQL does not store its values, and collects no statistics of it."),
				errhint("Name the columns from which it is computed."));
	return number;
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
		numbers = kwj_add_column(numbers, column_number(rel, lfirst(lc)), lfirst(lc),
								 "Name each column once.");
	return numbers;
}

List *
kwj_stats_column_names(Relation rel, List *numbers, List *before)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, numbers)
	{
		char	   *name = kwj_column_name(rel, lfirst_int(lc));

		if (name == NULL)
			no_such_column(rel, list_nth(before, foreach_current_index(lc)), true);
		names = lappend(names, name);
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

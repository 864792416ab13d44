/*
 * src/type/stats/object.c
 *	  The extended statistics object of a job that collects statistics of several columns together.
 *
 * Caller: stats.c. Process: session (check), worker (check and create). Locks:
 * ShareUpdateExclusiveLock on the table until the end of the transaction, by CREATE STATISTICS.
 *
 * The worker creates the object in the transaction of the job's last ANALYZE, which fills it and
 * marks the job as succeeded. So there is an object if and only if the job has succeeded, and there
 * is nothing to revert.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_statistic_ext.h"
#include "compat.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "type/columns.h"
#include "type/stats/object.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Returns whether the object is about these columns of the table, and about nothing else. */
static bool
fits(HeapTuple object, Relation rel, List *columns)
{
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(object);
	bool		has_no_expressions;

	(void) SysCacheGetAttr(STATEXTOID, object, Anum_pg_statistic_ext_stxexprs, &has_no_expressions);
	if (form->stxrelid != RelationGetRelid(rel) || !has_no_expressions ||
		form->stxkeys.dim1 != list_length(columns))
		return false;
	for (int i = 0; i < form->stxkeys.dim1; i++)
		if (!list_member_int(columns, form->stxkeys.values[i]))
			return false;
	return true;
}

/* Returns whether the object is there. Errors: 42710 if the name belongs to another one. */
static bool
is_there(Relation rel, const char *name, List *columns)
{
	HeapTuple	object = SearchSysCache2(STATEXTNAMENSP, CStringGetDatum(name),
										 ObjectIdGetDatum(RelationGetNamespace(rel)));
	bool		fit;

	if (!HeapTupleIsValid(object))
		return false;
	fit = fits(object, rel, columns);
	ReleaseSysCache(object);
	if (!fit)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("statistics object \"%s\" already exists in schema \"%s\"", name,
					   get_namespace_name(RelationGetNamespace(rel))),
				errdetail("It is about another table, other columns or expressions."),
				errhint("Choose another name, or type DROP STATISTICS %s.",
						quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), name)));
	return true;
}

static void
check_rights(Relation rel)
{
	Oid			schema = RelationGetNamespace(rel);

	if (IsCatalogRelation(rel))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied: \"%s\" is a system catalog", RelationGetRelationName(rel)),
				errdetail("Statistics of several columns together need a statistics object of the table."),
				errhint("Name one column or none."));
	if (!kwj_owns_relation(RelationGetRelid(rel)))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("must be owner of table %s", RelationGetRelationName(rel)),
				errdetail("Statistics of several columns together need a statistics object of the table."),
				errhint("Name one column or none."));
	if (!kwj_may_create_in_schema(schema))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for schema %s", get_namespace_name(schema)),
				errdetail("Statistics of several columns together need a statistics object in the schema of the table."),
				errhint("Ask an administrator for: GRANT CREATE ON SCHEMA %s TO %s",
						quote_identifier(get_namespace_name(schema)),
						quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

static void
check_types(Relation rel, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), lfirst_int(lc) - 1);

		if (!att->attisdropped && !OidIsValid(lookup_type_cache(att->atttypid, TYPECACHE_LT_OPR)->lt_opr))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("column \"%s\" cannot be used in statistics of several columns",
						   NameStr(att->attname)),
					errdetail("Its type %s has no default btree operator class.",
							  format_type_be(att->atttypid)),
					errhint("Leave the column out."));
	}
}

bool
kwj_stats_check_object(Relation rel, const char *name, List *columns)
{
	if (is_there(rel, name, columns))
		return true;
	check_rights(rel);
	check_types(rel, columns);
	return false;
}

void
kwj_stats_create_object(Relation rel, const char *name, List *columns, List *names)
{
	StringInfoData command;
	const char *separator = " ON ";
	ListCell   *lc;

	if (kwj_stats_check_object(rel, name, columns))
		return;
	initStringInfo(&command);
	appendStringInfo(&command, "CREATE STATISTICS %s",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), name));
	foreach(lc, names)
	{
		appendStringInfo(&command, "%s%s", separator, quote_identifier(lfirst(lc)));
		separator = ", ";
	}
	appendStringInfo(&command, " FROM %s", kwj_qualified_name(rel));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute(command.data, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not create a statistics object");
	SPI_finish();
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	pfree(command.data);
}

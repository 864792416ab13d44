/*
 * src/type/import/keeper.c
 *	  Tables whose rows another extension keeps elsewhere.
 *
 * Process: session (when the job is created), worker. Locks: AccessShareLock on the catalogs of
 * these extensions, for a moment.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "type/import/keeper.h"

/*
 * The catalog in which each extension lists the tables that it keeps, by OID or by schema and name.
 * A chunk of TimescaleDB inherits from its hypertable, so the list of hypertables is enough.
 */
static const struct
{
	const char *extension;
	const char *schema;
	const char *catalog;
	const char *oid_column;		/* or NULL; then it has these: */
	const char *schema_column;
	const char *name_column;
}			keepers[] =
{
	{"Citus", "pg_catalog", "pg_dist_partition", "logicalrelid", NULL, NULL},
	{"TimescaleDB", "_timescaledb_catalog", "hypertable", NULL, "schema_name", "table_name"},
};

/* Opens the catalog of a keeper. Returns NULL if this database has none that can be trusted. */
static Relation
open_catalog(int keeper)
{
	Oid			schema = get_namespace_oid(keepers[keeper].schema, true);
	Oid			relid = OidIsValid(schema) ?
		get_relname_relid(keepers[keeper].catalog, schema) : InvalidOid;
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;

	if (rel == NULL)
		return NULL;
	/* A catalog that an ordinary role has made would let that role stop the imports of others. */
	if (rel->rd_rel->relkind == RELKIND_RELATION && superuser_arg(rel->rd_rel->relowner))
		return rel;
	relation_close(rel, AccessShareLock);
	return NULL;
}

/*
 * Gets a column of a row as an OID or a name. Returns false if there is no such column, or it is
 * NULL.
 */
static bool
get_column(Relation catalog, HeapTuple tuple, const char *column, Oid type, Datum *value)
{
	TupleDesc	desc = RelationGetDescr(catalog);
	bool		isnull;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || strcmp(NameStr(att->attname), column) != 0)
			continue;
		if (att->atttypid != type && !(type == OIDOID && att->atttypid == REGCLASSOID))
			return false;
		*value = heap_getattr(tuple, att->attnum, desc, &isnull);
		return !isnull;
	}
	return false;
}

/* Returns the table that a row of a keeper's catalog names; InvalidOid if there is none. */
static Oid
table_of_row(int keeper, Relation catalog, HeapTuple tuple)
{
	Datum		schema;
	Datum		name;
	Oid			namespace_oid;

	if (keepers[keeper].oid_column != NULL)
		return get_column(catalog, tuple, keepers[keeper].oid_column, OIDOID, &name) ?
			DatumGetObjectId(name) : InvalidOid;
	if (!get_column(catalog, tuple, keepers[keeper].schema_column, NAMEOID, &schema) ||
		!get_column(catalog, tuple, keepers[keeper].name_column, NAMEOID, &name))
		return InvalidOid;
	namespace_oid = get_namespace_oid(NameStr(*DatumGetName(schema)), true);
	return OidIsValid(namespace_oid) ?
		get_relname_relid(NameStr(*DatumGetName(name)), namespace_oid) : InvalidOid;
}

/* Returns whether a keeper has one of these tables, which are sorted. */
static bool
find_in_catalog(int keeper, Relation catalog, const Oid *relids, int n, KwjKept *kept)
{
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid = table_of_row(keeper, catalog, tuple);

		CHECK_FOR_INTERRUPTS();
		found = OidIsValid(relid) &&
			bsearch(&relid, relids, n, sizeof(Oid), oid_cmp) != NULL;
		if (found)
			kept->relid = relid;
	}
	systable_endscan(scan);
	kept->extension = keepers[keeper].extension;
	return found;
}

/* Adds the direct parents of this table, unless they are in the list already. */
static List *
add_parents(List *ancestors, Oid relid)
{
	Relation	catalog = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		ancestors = list_append_unique_oid(ancestors,
										   ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return ancestors;
}

/* Returns these tables and all their ancestors, sorted. */
static Oid *
with_ancestors(List *relids, int *n)
{
	List	   *ancestors = NIL;
	ListCell   *lc;
	Oid		   *sorted;

	foreach(lc, relids)
		ancestors = add_parents(ancestors, lfirst_oid(lc));
	/* The list grows during this loop. */
	for (int i = 0; i < list_length(ancestors); i++)
		ancestors = add_parents(ancestors, list_nth_oid(ancestors, i));

	sorted = palloc(sizeof(Oid) * (list_length(relids) + list_length(ancestors) + 1));
	*n = 0;
	foreach(lc, relids)
		sorted[(*n)++] = lfirst_oid(lc);
	foreach(lc, ancestors)
		sorted[(*n)++] = lfirst_oid(lc);
	qsort(sorted, *n, sizeof(Oid), oid_cmp);
	list_free(ancestors);
	return sorted;
}

bool
kwj_find_kept(List *relids, KwjKept *kept)
{
	Oid		   *sorted = NULL;
	bool		found = false;
	int			n = 0;

	for (int i = 0; i < lengthof(keepers) && !found; i++)
	{
		Relation	catalog = open_catalog(i);

		if (catalog == NULL)
			continue;
		if (sorted == NULL)
			sorted = with_ancestors(relids, &n);
		found = find_in_catalog(i, catalog, sorted, n, kept);
		relation_close(catalog, AccessShareLock);
	}
	return found;
}

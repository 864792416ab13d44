/*
 * src/coordinator/leftover.c
 *	  What to do with the INVALID indexes that a failed CONCURRENTLY command has left.
 *
 * Caller: record.c. Process: coordinator, in a transaction. The session whose command has failed
 * could not look into catalogs any more. Locks: AccessShareLock on pg_index, for a moment; none on
 * the table, because the coordinator must not wait for one. So the index may be gone, or being
 * built again, when somebody reads the hint.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "coordinator/leftover.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* A hint names no more indexes than this. */
#define MOST_INDEXES	5

/* Returns whether REINDEX CONCURRENTLY has made the name: i_ccnew, i_ccold, i_ccnew1, ... */
static bool
is_of_reindex(const char *name)
{
	return strstr(name, "_ccnew") != NULL || strstr(name, "_ccold") != NULL;
}

/* Returns the index as it has to be typed if it is one that is left; NULL otherwise. */
static char *
name_if_left(Form_pg_index row, Oid wanted)
{
	char	   *name;
	char	   *schema;

	if (row->indisvalid || (OidIsValid(wanted) && row->indexrelid != wanted))
		return NULL;
	name = get_rel_name(row->indexrelid);
	schema = get_namespace_name(get_rel_namespace(row->indexrelid));
	if (name == NULL || schema == NULL || (!OidIsValid(wanted) && !is_of_reindex(name)))
		return NULL;
	return quote_qualified_identifier(schema, name);
}

/* What the hint is made of. */
typedef struct Hint
{
	StringInfoData names;
	StringInfoData commands;
	int			n;
} Hint;

static void
add(Hint *hint, const char *name)
{
	appendStringInfo(&hint->names, "%s%s", hint->n > 0 ? ", " : "", name);
	appendStringInfo(&hint->commands, "%sDROP INDEX CONCURRENTLY %s", hint->n > 0 ? "; " : "", name);
	hint->n++;
}

static void
look_at_table(Hint *hint, Oid table, Oid wanted)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(pg_index, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (hint->n < MOST_INDEXES && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char	   *name = name_if_left((Form_pg_index) GETSTRUCT(tuple), wanted);

		if (name != NULL)
			add(hint, name);
	}
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
}

/* Returns the TOAST table; InvalidOid if there is none. */
static Oid
toast_of(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			toast = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		toast = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
		ReleaseSysCache(tuple);
	}
	return toast;
}

char *
kwj_leftover_hint(Oid table, Oid wanted)
{
	Hint		hint = {.n = 0};
	Oid			toast = OidIsValid(wanted) ? InvalidOid : toast_of(table);

	initStringInfo(&hint.names);
	initStringInfo(&hint.commands);
	look_at_table(&hint, table, wanted);
	if (OidIsValid(toast))
		look_at_table(&hint, toast, wanted);
	if (hint.n == 0)
		return NULL;
	return psprintf("%s %s left INVALID: not used by queries, but perhaps kept up to date by each write. To clean up, type %s.",
					hint.names.data, hint.n == 1 ? "was" : "were", hint.commands.data);
}

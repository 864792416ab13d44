/*
 * src/coordinator/leftover.c
 *	  What to do with the INVALID indexes that a failed CONCURRENTLY command has left.
 *
 * Caller: record.c. Process: coordinator, in a transaction. The session whose command has failed
 * could not look into catalogs any more. Locks: AccessShareLock on pg_index, for a moment; none on
 * the table, because the coordinator must not wait for one. So the index may be gone, or being built
 * again, when somebody reads the hint.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_index.h"
#include "coordinator/leftover.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

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

char *
kwj_leftover_hint(Oid table, Oid wanted)
{
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	StringInfoData names;
	StringInfoData commands;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;

	initStringInfo(&names);
	initStringInfo(&commands);
	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(pg_index, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (n < MOST_INDEXES && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char	   *name = name_if_left((Form_pg_index) GETSTRUCT(tuple), wanted);

		if (name == NULL)
			continue;
		appendStringInfo(&names, "%s%s", n > 0 ? ", " : "", name);
		appendStringInfo(&commands, "%sDROP INDEX CONCURRENTLY %s", n > 0 ? "; " : "", name);
		n++;
	}
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);
	if (n == 0)
		return NULL;
	return psprintf("%s was left INVALID: no query uses it, but writes may have to keep it up to date. To remove it, type %s.",
					names.data, commands.data);
}

/*
 * src/job/databases.c
 *	  The databases of the server, as the shared catalog pg_database has them.
 *
 * Process: the launcher, which is connected to no database, and sessions.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "compat.h"
#include "job/databases.h"

bool
kwj_accepts_connections(Form_pg_database database)
{
	return database->datallowconn && database->datconnlimit != DATCONNLIMIT_INVALID_DB;
}

List *
kwj_connectable_databases(void)
{
	List	   *oids = NIL;
	Relation	rel = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (kwj_accepts_connections(database))
			oids = lappend_oid(oids, database->oid);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return oids;
}

char *
kwj_database_name(Oid dboid)
{
	char	   *name = get_database_name(dboid);

	return name != NULL ? name : psprintf("OID %u", dboid);
}

/*
 * src/lifecycle/collection.c
 *	  The collector of automatic statistics: what other processes than the coordinator tell it.
 *
 * Callers: track/autovacuum.c and process/launcher.c, when it may be time for a look;
 * type/stats, in the worker that has collected. Locks: kwj_shared->lock for moments.
 */
#include "postgres.h"

#include "lifecycle/collection.h"
#include "pgstat.h"
#include "shared/changes.h"
#include "store/collected.h"
#include "utils/fmgrprotos.h"

static int64
counter(PGFunction get, Oid dboid)
{
	return DatumGetInt64(DirectFunctionCall1(get, ObjectIdGetDatum(dboid)));
}

int64
kwj_database_changes(Oid dboid)
{
	return counter(pg_stat_get_db_tuples_inserted, dboid) +
		counter(pg_stat_get_db_tuples_updated, dboid) +
		counter(pg_stat_get_db_tuples_deleted, dboid);
}

void
kwj_collection_tell(Oid dboid)
{
	if (pgstat_track_counts)
		kwj_shared_changes_counted(dboid, kwj_database_changes(dboid), kwj_collection_rows);
}

int64
kwj_collection_changes(Oid relid)
{
	return kwj_store_table_changes(relid);
}

void
kwj_collection_done(Oid relid, int64 changes)
{
	kwj_store_collected(relid, changes);
}

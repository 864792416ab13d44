/*
 * src/lifecycle/collection.c
 *	  The collector of automatic statistics: what its coordinator and other processes share.
 *
 * Callers: coordinator/collect.c, which is the collector; track/autovacuum.c, in autovacuum workers,
 * and process/launcher.c, when rows may have changed; type/stats, in the worker that collects the
 * statistics. Locks: kwj_shared->lock for moments.
 */
#include "postgres.h"

#include "lifecycle/collection.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "shared/looked.h"
#include "store/collected.h"
#include "utils/fmgrprotos.h"

/* The settings by which the collector chooses tables. */
typedef struct Settings
{
	bool		enabled;
	double		fraction;
	int			rows;
	bool		autovacuum;
} Settings;

bool
kwj_collection_settings_changed(void)
{
	static Settings before = {.enabled = false};
	Settings	now = {
		.enabled = kwj_collection_enabled,
		.fraction = kwj_collection_fraction,
		.rows = kwj_collection_rows,
		.autovacuum = AutoVacuumingActive(),
	};
	bool		has_changed = now.fraction != before.fraction || now.rows != before.rows ||
		now.autovacuum != before.autovacuum;
	bool		was_enabled = before.enabled;

	before = now;
	return now.enabled != was_enabled || (now.enabled && has_changed);
}

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

/*
 * src/lifecycle/collection.h
 *	  The collector of automatic statistics: what its coordinator and other processes share.
 *	  doc/developers/collector.md explains it.
 */
#ifndef KWJ_LIFECYCLE_COLLECTION_H
#define KWJ_LIFECYCLE_COLLECTION_H

#include "kwjobs.h"

/*
 * Returns whether the collector was switched on or off since this process called this function last,
 * or whether, while it is on, a setting has changed by which it chooses tables. The first call returns
 * whether it is on. Process: coordinator and launcher; each calls this in one place.
 */
extern bool kwj_collection_settings_changed(void);

/*
 * Returns how many rows PostgreSQL has counted as inserted, updated or deleted in the database,
 * catalogs included. What sessions have done in the last seconds may be missing.
 */
extern int64 kwj_database_changes(Oid dboid);

/*
 * Has the coordinator of the database look for stale tables, if enough rows have changed there since
 * its last look. Process: autovacuum worker, launcher.
 */
extern void kwj_collection_tell(Oid dboid);

/*
 * The worker that collects the statistics of a table calls these in a transaction that
 * kwj_attempt_begin has started. The first one returns how many changes the table has now. The
 * second one notes that the statistics were collected when the table had this many.
 */
extern int64 kwj_collection_changes(Oid relid);
extern void kwj_collection_done(Oid relid, int64 changes);

#endif

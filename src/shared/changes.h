/*
 * src/shared/changes.h
 *	  Shared memory: how many rows had changed in a database when its collector last looked.
 *
 * Each function takes kwj_shared->lock for a moment, and raises no error.
 */
#ifndef KWJ_SHARED_CHANGES_H
#define KWJ_SHARED_CHANGES_H

#include "kwjobs.h"

/*
 * Notes that the collector of this database has looked when PostgreSQL had counted so many changed
 * rows there. Process: coordinator.
 */
extern void kwj_shared_changes_looked(int64 changes);

/*
 * PostgreSQL has counted so many changed rows in the database: if there are at least `enough` more
 * than at the last look, or fewer, has the coordinator look. A database in which nobody has looked
 * since the server's start counts as changed. Process: autovacuum worker, launcher.
 */
extern void kwj_shared_changes_counted(Oid dboid, int64 changes, int64 enough);

/* Returns whether the collector is to look, since the last call. Process: coordinator. */
extern bool kwj_shared_take_changes(void);

#endif

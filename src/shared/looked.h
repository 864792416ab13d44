/*
 * src/shared/looked.h
 *	  Shared memory: how many rows of a database had changed when its collector last looked, and when its
 *	  coordinator last looked whether a schedule is due, and at the clock. This stays there when the
 *	  coordinator leaves.
 *
 * Each function takes kwj_shared->lock for a moment, and raises no error.
 */
#ifndef KWJ_SHARED_LOOKED_H
#define KWJ_SHARED_LOOKED_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Notes that the collector of this database has looked when PostgreSQL had counted `changes`
 * changed rows there. Process: coordinator.
 */
extern void kwj_shared_changes_looked(int64 changes);

/*
 * Has the coordinator of the database look if PostgreSQL has counted at least `enough` more changed rows there
 * than at the collector's last look, or fewer than then. A database whose collector has not looked since the
 * server's start counts as changed. changes: how many rows PostgreSQL has counted. Process: autovacuum worker,
 * launcher.
 */
extern void kwj_shared_changes_counted(Oid dboid, int64 changes, int64 enough);

/* Returns whether kwj_shared_changes_counted has asked for a look since the last call. Process: coordinator. */
extern bool kwj_shared_take_changes(void);

/*
 * Notes when the coordinator that calls this has looked whether a schedule of its database is due, for
 * kwjobs.health. now: the time of the look, as kwj_clock() has told it. Process: coordinator.
 */
extern void kwj_shared_schedules_looked(TimestampTz now);

/*
 * Returns when the coordinator of this database last looked whether a schedule is due, by kwj_clock(). Returns
 * 0 if no coordinator of it has looked since the server's start, or if those of so many other databases have
 * looked since that they have taken its place. Process: sessions.
 */
extern TimestampTz kwj_shared_schedules_last_look(void);

/* Notes what the clock shows, for the next coordinators of this database. Process: coordinator. */
extern void kwj_shared_clock_looked(TimestampTz now);

/*
 * Returns what the clock has shown at the last such look of a coordinator of this database; 0 as
 * kwj_shared_schedules_last_look. Process: coordinator.
 */
extern TimestampTz kwj_shared_clock_last_look(void);

#endif

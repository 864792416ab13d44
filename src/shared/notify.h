/*
 * src/shared/notify.h
 *	  Telling coordinators that there is something for them. Any process.
 */
#ifndef KWJ_SHARED_NOTIFY_H
#define KWJ_SHARED_NOTIFY_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Have a coordinator look at this database, even if there is none: for sessions that have made it, or have made the
 * extension or a job there. Wakes the launcher.
 */
extern void kwj_shared_want_coordinator(Oid dboid);

/* A transaction of this process changed a job (see shared/wakeup.h). */
extern void kwj_wake_my_coordinator(TimestampTz lowest_rank);

/* A transaction of this process could not tell jobs that depend on one that is over. */
extern void kwj_note_overlooked(void);

/* Who may connect to what has changed: wake the coordinators with jobs of roles that may not. */
extern void kwj_shared_wake_refused(void);

#endif

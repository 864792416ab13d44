/*
 * src/shared/notify.h
 *	  Telling coordinators that there is something to do.
 *
 * Process: any. Each function takes kwj_shared->lock exclusively for a moment, and raises no error,
 * so that it may be called when a transaction has ended.
 */
#ifndef KWJ_SHARED_NOTIFY_H
#define KWJ_SHARED_NOTIFY_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Has a coordinator look at the database; if none runs there, wakes the launcher to start one. For
 * sessions that have created the database, the extension, or a job there.
 */
extern void kwj_shared_want_coordinator(Oid dboid);

/*
 * A transaction of this process has changed jobs of this database (see shared/wakeup.h).
 * lowest_rank: the lowest rank of the jobs that it has created; DT_NOBEGIN: anything may have
 * changed, and row locks may have gone.
 */
extern void kwj_wake_my_coordinator(TimestampTz lowest_rank);

/*
 * A job is over, and a transaction of this process could not mark that in the jobs that depend on
 * it.
 */
extern void kwj_note_overlooked(void);

/*
 * The rules which role may connect to which database have changed: wakes the coordinators with jobs
 * of roles that may not connect.
 */
extern void kwj_shared_wake_refused(void);

#endif

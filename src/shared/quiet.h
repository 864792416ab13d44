/*
 * src/shared/quiet.h
 *	  Quiet databases: those in which nothing has happened since their coordinator left.
 *
 * A session that lists the jobs of the server need not ask a quiet database whose jobs have all
 * ended before the time to which the list looks back.
 */
#ifndef KWJ_SHARED_QUIET_H
#define KWJ_SHARED_QUIET_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Takes those databases out of an array of *n that are quiet, and in which no job has ended at or
 * after this time. Takes kwj_shared->lock for a moment; raises no error.
 */
extern void kwj_quiet_leave_out(Oid *databases, int *n, TimestampTz from);

/*
 * This process has committed rows of jobs in its database, of which nobody is told otherwise. Takes
 * kwj_shared->lock for a moment; raises no error.
 */
extern void kwj_quiet_ends(void);

/*
 * Process: coordinator. Returns a number that changes with each kwj_forget_quiet() for its database,
 * to be read before it looks at the tables, for kwj_note_quiet().
 */
extern uint32 kwj_quiet_changes(void);

/* ---- only for src/shared; the caller holds kwj_shared->lock exclusively ---- */

/*
 * The coordinator of this database leaves. All jobs are over, and the last one has ended at
 * `newest`, as of when kwj_quiet_changes() was `changes`. Does nothing if anything may have happened
 * since.
 */
extern void kwj_note_quiet(Oid dboid, TimestampTz newest, uint32 changes);

#endif

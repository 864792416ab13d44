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
 * Ends the quiet of the database of this session, which has committed the rows of jobs that it has
 * done itself. No coordinator is needed for that, so kwj_need_coordinator() does not do it. Takes
 * kwj_shared->lock for a moment; raises no error.
 */
extern void kwj_quiet_ends(void);

/*
 * Process: coordinator. Returns a number that changes with each kwj_forget_quiet() for its database.
 * A coordinator that is about to leave calls this before it looks at the tables, and gives the number
 * to kwj_note_quiet(), which sees by it whether anything has happened meanwhile.
 */
extern uint32 kwj_quiet_changes(void);

/* ---- only for src/shared; the caller holds kwj_shared->lock exclusively ---- */

/*
 * Notes that the database is quiet: its coordinator leaves, and has found that all jobs are over, the
 * last of which ended at `newest`. changes: what kwj_quiet_changes() had returned before. Does nothing
 * if anything may have happened since.
 */
extern void kwj_note_quiet(Oid dboid, TimestampTz newest, uint32 changes);

#endif

/*
 * src/coordinator/leave.h
 *	  When the coordinator of a database leaves.
 */
#ifndef KWJ_COORDINATOR_LEAVE_H
#define KWJ_COORDINATOR_LEAVE_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * The coordinator calls this after a pass, outside a transaction. If it may leave, it exits here.
 * Otherwise this returns when to ask again; DT_NOEND: after the next pass.
 *
 * busy: this process has something to do now. certain: it was a full pass. due: when something has
 * to be done even if nobody asks, apart from deleting old jobs.
 *
 * The coordinator leaves when it had nothing to do for kwjobs.coordinator_idle_timeout, no worker
 * is left and nothing is due soon. It also exits, even if jobs wait, when another database
 * needs its place, or when the clock was set back; then it waits at most LINGER_MS, for workers that
 * it has started and that have yet to attach. Its successor goes on from the tables.
 *
 * Process: coordinator. Locks: kwj_shared->lock for moments.
 */
extern TimestampTz kwj_leave_or_stay(bool busy, bool certain, TimestampTz due);

#endif

/*
 * src/coordinator/leave.h
 *	  When the coordinator of a database leaves.
 */
#ifndef KWJ_COORDINATOR_LEAVE_H
#define KWJ_COORDINATOR_LEAVE_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * After a pass: leave, which does not return, or stay. busy: there is something that this process has to do now.
 * certain: the pass looked at everything. due: when something has to be done even if nobody asks, apart from deleting
 * old jobs. Returns when to ask again; DT_NOEND: after the next pass.
 *
 * The coordinator leaves when nothing was to be done for kwjobs.coordinator_idle_timeout, no worker is left and nothing is due soon;
 * and, whatever there is to do, when another database needs its place. Then it waits only for workers that it has started and that
 * have yet to attach, for some seconds at most. Its successor goes on from the tables.
 *
 * Process: coordinator, outside a transaction. Locks: that of shared memory, for moments.
 */
extern TimestampTz kwj_leave_or_stay(bool busy, bool certain, TimestampTz due);

#endif

/*
 * src/shared/held.h
 *	  Shared memory: that holds on jobs have changed.
 *
 * A hold is a row of kwjobs.hold, or, for the whole server, of a shared catalog. Shared memory only
 * counts the changes, so that a process that has read the rows knows whether it has to read them
 * again.
 */
#ifndef KWJ_SHARED_HELD_H
#define KWJ_SHARED_HELD_H

#include "kwjobs.h"

/*
 * Process: any. The number of changes so far, of holds in any database. A process notes it before
 * the snapshot with which it reads the holds. No lock.
 */
extern uint32 kwj_shared_hold_changes(void);

/*
 * Process: any. Returns whether a hold that concerns this database has changed since
 * kwj_shared_hold_changes() had this value. While no hold of any database has, this is one look at
 * shared memory; else it takes kwj_shared->lock.
 */
extern bool kwj_shared_holds_changed_since(uint32 as_of);

/*
 * Called when a transaction that has changed holds has committed and its changes are visible.
 * Counts the change, and empties the list from which workers claim jobs themselves. A worker that
 * has a claim from before reads the holds before it begins the job. everywhere: the hold on the
 * server has changed; this counts for all databases, their coordinators are woken, and the launcher
 * starts those that are missing. Takes kwj_shared->lock exclusively; raises no error.
 */
extern void kwj_note_holds_changed(bool everywhere);

/*
 * Process: coordinator, before it takes the snapshot of a pass. Notes the present number of
 * changes; the claims and the list of ready jobs of this pass carry it.
 */
extern void kwj_shared_note_holds(void);

/* Returns the value of kwj_shared_hold_changes() as of that call. */
extern uint32 kwj_shared_holds_noted(void);

/*
 * Process: worker. Returns whether holds that concern its database have changed since its job was
 * claimed, so that it has to read them before it begins the job.
 */
extern bool kwj_shared_may_be_held(void);

#endif

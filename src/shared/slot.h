/*
 * src/shared/slot.h
 *	  Helpers for one slot. Only src/shared includes this file.
 *
 * The caller holds kwj_shared->lock: exclusively for kwj_set_job(), kwj_free_slot(),
 * kwj_unassign_slot(), kwj_take_assignments_back(), kwj_reserve_slot() and kwj_team_lose(); not at
 * all for kwj_my_slot() and kwj_set_my_slot(); at least shared for the others. None of them raises
 * an error.
 * kwj_reserve_slot() is in slots.c, kwj_team_lose() in team.c, the others are in slot.c.
 */
#ifndef KWJ_SHARED_SLOT_H
#define KWJ_SHARED_SLOT_H

#include "shared/memory.h"

/*
 * Returns whether one more job of the role may run, see shared/slot.c. The job of slot `except`, if
 * that is not NULL, does not count, because the new job will replace it.
 */
extern bool kwj_may_run_one_more(Oid role, const KwjSlot *except);

/*
 * Gives the slot a job (job_id 0: none), and resets all fields that belong to its last job.
 * handed_over: the claim is committed already.
 */
extern void kwj_set_job(KwjSlot *slot, int64 job_id, int32 attempt, const char *job_type,
						bool handed_over);

/*
 * Marks the slot as free, because its worker is gone, and wakes the coordinators that may use it.
 */
extern void kwj_free_slot(KwjSlot *slot);

/*
 * Takes back the job that is assigned to the slot and not handed over. The worker, if it has attached, is
 * idle then; otherwise the slot is free.
 */
extern void kwj_unassign_slot(KwjSlot *slot);

/*
 * Called when the coordinator of the database exits. Takes back the jobs that it has assigned and
 * not handed over, and frees the slots whose workers have not attached, because the next
 * coordinator could not tell whether the postmaster was asked for these workers. If such a worker
 * still starts, it finds its slot gone, and exits.
 */
extern void kwj_take_assignments_back(Oid dboid);

/*
 * Finds an idle worker of the role in this database or, if may_start, reserves a free slot; see
 * kwj_shared_assign(). Returns NULL if there is none. *limited: the reason is
 * kwjobs.max_workers_per_role.
 */
extern KwjSlot *kwj_reserve_slot(Oid role, bool may_start, bool others_first, bool *limited);

/* Returns the slot of this process; NULL if it is no attached worker. Needs no lock. */
extern KwjSlot *kwj_my_slot(void);
extern void kwj_set_my_slot(KwjSlot *slot);

/* Takes the slot's worker, which exits, out of its team, if it is in one. */
extern void kwj_team_lose(KwjSlot *slot);

/* Returns the number of slots that have a worker, or wait for one to attach. */
extern int	kwj_count_in_use(void);

/* Returns the number of slots in use that have no idle worker (kwj_is_idle). */
extern int	kwj_count_busy(void);

/* Returns whether the slot's worker is attached, has no job, and is not about to exit. */
extern bool kwj_is_idle(const KwjSlot *slot);

/* Returns whether the slot's attempt stands still for the PAUSE that was delivered to it. */
extern bool kwj_slot_stands(KwjSlot *slot);

/*
 * Returns the note that the attempt's worker exited before it began the work; NULL if there is
 * none.
 */
extern KwjUnbegun *kwj_find_unbegun(Oid dboid, int64 job_id, int32 attempt);

#endif

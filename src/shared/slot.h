/*
 * src/shared/slot.h
 *	  Helpers for one slot. Only src/shared includes this file.
 *
 * The caller holds kwj_shared->lock: exclusively for kwj_set_job(), kwj_free_slot() and
 * kwj_take_assignments_back(), at least shared for the others. None of them raises an error.
 */
#ifndef KWJ_SHARED_SLOT_H
#define KWJ_SHARED_SLOT_H

#include "shared/memory.h"

/*
 * Returns whether one more job of the role may run, see shared/slot.c. except: a slot whose job
 * does not count, because the new job is to replace it; NULL: all count.
 */
extern bool kwj_may_run_one_more(Oid role, const KwjSlot *except);

/*
 * Gives the slot a job (job_id 0: none), and resets all that belongs to its last one. handed_over:
 * the claim is committed already.
 */
extern void kwj_set_job(KwjSlot *slot, int64 job_id, int32 attempt, const char *job_type,
						bool handed_over);

/*
 * Marks the slot as free, because its worker is gone, and wakes the coordinators that may use it.
 */
extern void kwj_free_slot(KwjSlot *slot);

/*
 * The coordinator of the database exits: takes back the jobs that it has assigned and not handed
 * over, and frees the slots whose workers have not attached. The next coordinator could not tell
 * whether the postmaster was asked for such a worker; if the worker still comes, it finds its slot
 * gone, and exits.
 */
extern void kwj_take_assignments_back(Oid dboid);

/*
 * Finds an idle worker of the role in this database or, if may_start, reserves a free slot; see
 * kwj_shared_assign(). Returns NULL if there is none; *limited: because of
 * kwjobs.max_workers_per_role.
 */
extern KwjSlot *kwj_reserve_slot(Oid role, bool may_start, bool others_first, bool *limited);

/* The slot of this process; NULL: it is no worker, or has not attached. Needs no lock. */
extern KwjSlot *kwj_my_slot(void);
extern void kwj_set_my_slot(KwjSlot *slot);

/* The slot's worker exits: takes it out of its team. */
extern void kwj_team_lose(KwjSlot *slot);

/* Number of slots that have a worker, or wait for one to attach. */
extern int	kwj_count_in_use(void);

/* Number of slots that have a job, or a worker that has yet to attach or is about to exit. */
extern int	kwj_count_busy(void);

/* Returns whether the slot's worker is attached, has no job, and is not about to exit. */
extern bool kwj_is_idle(const KwjSlot *slot);

/*
 * Finds the note that the attempt's worker exited before it began the work. NULL if there is
 * none.
 */
extern KwjUnbegun *kwj_find_unbegun(Oid dboid, int64 job_id, int32 attempt);

#endif

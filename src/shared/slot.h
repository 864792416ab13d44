/*
 * src/shared/slot.h
 *	  Pieces for one slot. The caller holds the lock. Included by src/shared only.
 */
#ifndef KWJ_SHARED_SLOT_H
#define KWJ_SHARED_SLOT_H

#include "shared/memory.h"

/* See shared/slots.c. */
extern bool kwj_may_run_one_more(Oid role, const KwjSlot *except);

/* A new job, or none (0), for the slot: nothing of the last one is left. */
extern void kwj_set_job(KwjSlot *slot, int64 job_id, int32 attempt, const char *job_type,
						bool handed_over);

/* A slot has no worker any more. */
extern void kwj_free_slot(KwjSlot *slot);

/*
 * This coordinator leaves: what it has assigned and not handed over is nobody's, nor is a slot whose
 * worker has not attached. The next coordinator could not tell whether the postmaster was asked for
 * that worker; if it still comes, it finds its slot gone, and leaves.
 */
extern void kwj_take_assignments_back(Oid dboid);

/* How many slots have a worker, or wait for one to attach. */
extern int	kwj_count_in_use(void);

/* How many slots have a job, or a worker that is about to leave. */
extern int	kwj_count_busy(void);

/* Whether its worker is attached, without a job, and not about to leave. */
extern bool kwj_is_idle(const KwjSlot *slot);

/* The attempt, if its worker has left before the work began; NULL if not. */
extern KwjUnbegun *kwj_find_unbegun(Oid dboid, int64 job_id, int32 attempt);

#endif

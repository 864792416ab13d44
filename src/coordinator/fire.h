/*
 * src/coordinator/fire.h
 *	  Schedules: acts on those that are due, and notes how their runs have ended.
 */
#ifndef KWJ_COORDINATOR_FIRE_H
#define KWJ_COORDINATOR_FIRE_H

#include "kwjobs.h"
#include "store/due.h"
#include "utils/timestamp.h"

/*
 * Acts on the schedules that are due, as far as this process knows, in transactions of its own. Not to
 * be called before the coordinator is at home (store/home.h). Raises no error.
 */
extern void kwj_fire_due(void);

/*
 * Returns behind which time a full pass has to look for the first schedule that is due: those before
 * it are due, but others have locked them, or they are set aside.
 */
extern TimestampTz kwj_fire_behind(void);

/* A full pass has found the first schedule that is due, and whether there are runs that may have ended. */
extern void kwj_fire_note(const KwjToDo *todo, bool news);

/* Transactions of others have ended: those that have locked schedules may be among them. */
extern void kwj_fire_unlocked(void);

/*
 * Notes how runs have ended, if a round through them is under way, in transactions of its own. Raises no
 * error.
 */
extern void kwj_fire_note_ends(void);

/* Returns when a pass is to follow, because a schedule is due or a round through the runs goes on. */
extern TimestampTz kwj_fire_next(void);

#endif

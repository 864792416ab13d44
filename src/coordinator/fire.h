/*
 * src/coordinator/fire.h
 *	  Schedules: creates the jobs of those that are due, and notes how these jobs, their runs, have ended.
 */
#ifndef KWJ_COORDINATOR_FIRE_H
#define KWJ_COORDINATOR_FIRE_H

#include "kwjobs.h"
#include "store/due.h"
#include "utils/timestamp.h"

/*
 * Acts on the schedules that are due, in transactions of its own. If kwj_fire_note() has said that none is
 * due yet, returns at once. The coordinator must be at home (store/home.h). Returns an upper bound of how many
 * schedules this has acted on; as many jobs may be new. Raises no error.
 */
extern int	kwj_fire_due(void);

/*
 * Returns a time for kwj_store_look(): a full pass looks for the first schedule that is due later than this.
 * Those that are due earlier have to wait, because other transactions have locked them, or because they are
 * set aside.
 */
extern TimestampTz kwj_fire_behind(void);

/*
 * A full pass calls this with what it has found: when the first schedule is due, and whether there are runs
 * whose end was not noted. news: something may have changed since the last pass, so runs may have ended.
 */
extern void kwj_fire_note(const KwjToDo *todo, bool news);

/* The coordinator calls this when other transactions have ended, as these may have locked schedules. */
extern void kwj_fire_unlocked(void);

/*
 * Notes how runs have ended, in transactions of its own. If a round through the runs whose end was not noted is
 * under way or due, this makes one step of the round. jobs_wait: jobs wait to start, so the step may come later
 * (RUNS_LATEST_MS). Raises no error.
 */
extern void kwj_fire_note_ends(bool jobs_wait);

/* Returns when the next pass has to come, because then a schedule is due or a round through the runs goes on. */
extern TimestampTz kwj_fire_next(void);

#endif

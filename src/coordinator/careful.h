/*
 * src/coordinator/careful.h
 *	  Steps of the coordinator that concern one job, and jobs that it has to leave alone for a
 *	  while.
 *
 * Process: coordinator, outside a transaction.
 */
#ifndef KWJ_COORDINATOR_CAREFUL_H
#define KWJ_COORDINATOR_CAREFUL_H

#include "job/isolate.h"
#include "store/store.h"

/*
 * Runs the step for this job in a transaction of its own. what: what the step does, in the
 * negative, as in "the job could not be started". If the step raises an error twice, the job ends
 * with that error (kwj_break_job). If the error may pass, as for lack of memory, or the job cannot
 * even be ended, the job is set aside for a while, during which the step is not run.
 *
 * Returns whether the step was committed. Raises no error of the step.
 */
extern bool kwj_careful_step(int64 job_id, const char *what, KwjStep step, void *arg);

/*
 * As kwj_careful_step(). Also calls `committed` right after the commit of the step; no interrupt
 * comes in between (kwj_isolate_then).
 */
extern bool kwj_careful_step_then(int64 job_id, const char *what, KwjStep step, KwjStep committed,
								  void *arg);

/* Returns the jobs that are set aside now. The array is palloc'd in CurrentMemoryContext. */
extern KwjJobs kwj_careful_set_aside(void);

/*
 * Forgets the jobs whose time came before `before`, except those that were set aside again. The
 * caller has looked at all of them.
 */
extern void kwj_careful_end_pass(TimestampTz before);

/* Returns when the next of the jobs that are set aside is due; DT_NOEND: there is none. */
extern TimestampTz kwj_careful_next(void);

#endif

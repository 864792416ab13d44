/*
 * src/coordinator/careful.h
 *	  Steps of the coordinator that concern one job, and jobs that it has to leave alone.
 *
 * Process: coordinator, outside a transaction.
 */
#ifndef KWJ_COORDINATOR_CAREFUL_H
#define KWJ_COORDINATOR_CAREFUL_H

#include "job/isolate.h"
#include "store/store.h"

/*
 * Run the step for this job in a transaction of its own. If it raises an error twice, the job ends with
 * that (kwj_break_job); what says what could not be done, as in "the job could not be started". An
 * error that may pass, as for lack of memory, or a job that cannot even be ended, has the job set
 * aside for a while: the step is not run before that is over.
 *
 * Returns whether the step went through.
 */
extern bool kwj_careful_step(int64 job_id, const char *what, KwjStep step, void *arg);

/* The same; `committed` follows upon the commit of the step, as in kwj_isolate_then. */
extern bool kwj_careful_step_then(int64 job_id, const char *what, KwjStep step, KwjStep committed,
								  void *arg);

/*
 * The jobs that are set aside now. The array lives in CurrentMemoryContext.
 */
extern KwjJobs kwj_careful_set_aside(void);

/*
 * All jobs for which it was time before `before` have been looked at: those that are not set aside again
 * are out of the way.
 */
extern void kwj_careful_end_pass(TimestampTz before);

/* When one of them is to be looked at again; DT_NOEND: there is none. */
extern TimestampTz kwj_careful_next(void);

#endif

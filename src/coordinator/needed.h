/*
 * src/coordinator/needed.h
 *	  What has to end or to start before a job that is waited for can end.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_NEEDED_H
#define KWJ_COORDINATOR_NEEDED_H

#include "store/store.h"

/* So many jobs of an owner and type are told of each job that is waited for. */
#define KWJ_NEEDED_STEP		100

/*
 * Go on with the search for what these jobs need: themselves and all that they depend on, as far as it
 * is not over. It takes a bounded number of rows a call; false: it is to be called again. by: what may
 * start until then counts as startable.
 */
extern bool kwj_needed_search(KwjJobs waited_for, TimestampTz by);

/*
 * What the search has found, as of now, and the end of the search: a list of KwjNeeded, palloc'd. It has
 * all that runs, and of what is startable some jobs of each owner and type.
 */
extern List *kwj_needed_result(TimestampTz by);

/* Forget what was found. */
extern void kwj_needed_reset(void);

#endif

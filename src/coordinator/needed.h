/*
 * src/coordinator/needed.h
 *	  What has to end or to start before a job that is waited for can end.
 *
 * Process: coordinator, in a transaction. Used by deadlock.c only.
 */
#ifndef KWJ_COORDINATOR_NEEDED_H
#define KWJ_COORDINATOR_NEEDED_H

#include "store/store.h"

/* How many startable jobs of an owner and type are returned for each job that is waited for. */
#define KWJ_NEEDED_STEP		100

/*
 * Goes on with the search for what these jobs need: the jobs themselves and all that they depend
 * on, directly or not, as far as that is not over. Reads a bounded number of rows; false: call it
 * again. by: a job that may start until then counts as startable.
 */
extern bool kwj_needed_search(KwjJobs waited_for, TimestampTz by);

/*
 * Ends the search and returns what it has found, as the rows say now: a palloc'd list of KwjNeeded.
 * It has all jobs that run, of the startable jobs some of each owner and type, and of the jobs that
 * wait for a place some of each owner, type and queue.
 */
extern List *kwj_needed_result(TimestampTz by);

/* Ends the search and drops what it has found. Needs no transaction. */
extern void kwj_needed_reset(void);

#endif

/*
 * src/store/again.h
 *	  Jobs that run again, or at another time than they would.
 */
#ifndef KWJ_STORE_AGAIN_H
#define KWJ_STORE_AGAIN_H

#include "kwjobs.h"
#include "store/jobs.h"

/*
 * Make a job pending again that has failed or was canceled, in the name of the current user. The
 * caller has locked its row. Its attempts go on counting, and what max_attempts counts begins
 * anew. Jobs that failed only because this one did are pending again, too. *dependents: how many
 * these are. Errors: 23505 if another job that is not over has its key.
 */
extern void kwj_store_retry(int64 job_id, const char *reason, int *dependents);

/*
 * A change of a job that waits. Options that are not set stay as they are. A timeout that is set
 * to 0, and tags that are set to NULL, are taken away from the job.
 */
typedef struct KwjChange
{
	bool		is_set[KWJ_OPTION_COUNT];
	KwjNewJob	values;			/* of the options that are set; else 0 or NULL */
} KwjChange;

/* Change a job that waits, whose row the caller has locked. */
extern void kwj_store_alter(int64 job_id, const KwjChange *change);

/*
 * Let a pending job, whose row the caller has locked, start now. Returns false if it waits for
 * other jobs.
 */
extern bool kwj_store_run_now(int64 job_id);

/*
 * Make a revert-failed job, whose row the caller has locked, a failed one with the error that it
 * failed with.
 */
extern void kwj_store_close(int64 job_id, const char *reason);

#endif

/*
 * src/store/again.h
 *	  Jobs that a user lets run again, or at another time than planned.
 */
#ifndef KWJ_STORE_AGAIN_H
#define KWJ_STORE_AGAIN_H

#include "kwjobs.h"
#include "store/jobs.h"

/*
 * Make a job that has failed or was canceled pending again, in the name of the current user. The
 * caller has locked its row. The numbers of its attempts go on; the count for max_attempts starts
 * at 0. Jobs that failed only because this one did not succeed become pending again, too, each with
 * an event; *dependents becomes their number. Errors: 23505 if another unfinished job of the owner
 * has the same key.
 */
extern void kwj_store_retry(int64 job_id, const char *reason, int *dependents);

/*
 * A change of a job that waits. Options that are not set stay as they are. A timeout that is set
 * to 0, and tags or a window that are set to NULL, are taken away from the job.
 */
typedef struct KwjChange
{
	bool		is_set[KWJ_OPTION_COUNT];
	KwjNewJob	values;			/* 0 or NULL in options that are not set */
} KwjChange;

/*
 * Change a job that waits, whose row the caller has locked. Returns what has changed, as an object
 * of the options, each with an array of its old and its new value; NULL if nothing has.
 */
extern Jsonb *kwj_store_alter(int64 job_id, const KwjChange *change);

/*
 * Let a pending job, whose row the caller has locked, start now. Returns false if it waits for
 * other jobs.
 */
extern bool kwj_store_run_now(int64 job_id);

/* Returns whether kwj_store_run_now() would let the job start, without a lock. */
extern bool kwj_store_may_run_now(int64 job_id);

/*
 * Make a revert-failed job, whose row the caller has locked, a failed one. Its error becomes the
 * one that made the job revert, if that is known.
 */
extern void kwj_store_close(int64 job_id, const char *reason);

#endif

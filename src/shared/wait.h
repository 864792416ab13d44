/*
 * src/shared/wait.h
 *	  Where processes wait for a job, and who wakes them.
 */
#ifndef KWJ_SHARED_WAIT_H
#define KWJ_SHARED_WAIT_H

#include "kwjobs.h"
#include "storage/condition_variable.h"

/* Whether a wait can go on. */
typedef enum KwjWaitVerdict
{
	KWJ_WAIT_GOES_ON,
	KWJ_WAIT_HINDERS,			/* a command waits for this database's waits to end */
	KWJ_WAIT_DEADLOCK,			/* the job waits for others that wait */
	KWJ_WAIT_ALONE,				/* no worker may run beside the one that waits */
} KwjWaitVerdict;

/* Where waiters of a job wait. */
extern ConditionVariable *kwj_wait_place(int64 job_id);

/* Wake the sessions that wait for this job; 0: for any. */
extern void kwj_wake_waiters(int64 job_id);

#endif

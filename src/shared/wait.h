/*
 * src/shared/wait.h
 *	  Where processes wait for jobs to end, and how they are woken.
 *
 * Process: any. Condition variables only; kwj_shared->lock is not taken.
 */
#ifndef KWJ_SHARED_WAIT_H
#define KWJ_SHARED_WAIT_H

#include "kwjobs.h"
#include "storage/condition_variable.h"

/* Whether a wait for a job can go on, or why it ends with an error. */
typedef enum KwjWaitVerdict
{
	KWJ_WAIT_GOES_ON,
	KWJ_WAIT_HINDERS,			/* a lockout needs the sessions of this database to stop waiting */
	/* jobs that wait have all the workers that the awaited job could get */
	KWJ_WAIT_DEADLOCK,
	/* the waiting job itself has the only worker that the awaited job could get */
	KWJ_WAIT_ALONE,
} KwjWaitVerdict;

/* Returns the condition variable on which processes wait for this job. Other jobs share it. */
extern ConditionVariable *kwj_wait_place(int64 job_id);

/* Wakes all processes that wait for this job (0: for any job). They look at the job's row again. */
extern void kwj_wake_waiters(int64 job_id);

#endif

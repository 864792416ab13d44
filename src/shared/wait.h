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

/* Returns whether a wait can go on, or with which error it ends. */
typedef enum KwjWaitVerdict
{
	KWJ_WAIT_GOES_ON,
	KWJ_WAIT_HINDERS,			/* a command waits for the sessions of this database to stop waiting */
	/* the attempt waits for a job that can get no worker but those of waiting jobs */
	KWJ_WAIT_DEADLOCK,
	/* the job that it waits for could run only in the waiting attempt's own worker */
	KWJ_WAIT_ALONE,
} KwjWaitVerdict;

/* The condition variable on which processes wait for this job, and for others that share it. */
extern ConditionVariable *kwj_wait_place(int64 job_id);

/* Wakes all processes that wait for this job; 0: for any job. They look at the job's row again. */
extern void kwj_wake_waiters(int64 job_id);

#endif

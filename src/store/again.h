/*
 * src/store/again.h
 *	  Jobs that run again, or at another time than they would.
 */
#ifndef KWJ_STORE_AGAIN_H
#define KWJ_STORE_AGAIN_H

#include "kwjobs.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/*
 * Make a job pending again that has failed or was canceled, in the name of the current user. The caller
 * has locked its row. Its attempts go on counting, and what max_attempts counts begins anew. Jobs that
 * failed only because this one did are pending again, too. *dependents: how many these are. Errors:
 * 23505 if another job that is not over has its key.
 */
extern void kwj_store_retry(int64 job_id, const char *reason, int *dependents);

/* A change of a job that waits. */
typedef struct KwjChange
{
	const char *description;	/* NULL: it stays, as all that follows */
	bool		has_priority;
	int			priority;
	int			max_attempts;	/* 0: it stays */
	int64		retry_delay_ms; /* 0: it stays */
	bool		has_timeout;
	int64		timeout_ms;		/* 0: the job has none any more */
	bool		has_run_at;
	TimestampTz run_at;
	const char *on_failure;		/* NULL: it stays */
	bool		has_tags;
	ArrayType  *tags;			/* NULL: the job has none any more */
} KwjChange;

/* Change a job that waits, whose row the caller has locked. */
extern void kwj_store_alter(int64 job_id, const KwjChange *change);

/* Let a pending job, whose row the caller has locked, start now. Returns false if it waits for other jobs. */
extern bool kwj_store_run_now(int64 job_id);

/* Make a revert-failed job, whose row the caller has locked, a failed one with the error that it failed with. */
extern void kwj_store_close(int64 job_id, const char *reason);

#endif

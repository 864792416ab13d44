/*
 * src/store/end.h
 *	  The end of an attempt, and what becomes of its job.
 */
#ifndef KWJ_STORE_END_H
#define KWJ_STORE_END_H

#include "kwjobs.h"
#include "job/status.h"
#include "job/transcript.h"
#include "storage/itemptr.h"
#include "store/job_tables.h"
#include "store/store.h"
#include "utils/jsonb.h"

/* How an attempt ends. The columns are explained in kwjobs--1.0.sql. */
typedef struct KwjEnd
{
	int64		job_id;
	int32		attempt;
	ItemPointer job_place;		/* last known ctid of the job's row; NULL: not known */
	ItemPointer attempt_place;	/* last known ctid of the attempt's row; NULL: not known */
	const char *attempt_status;	/* "succeeded", "failed", "crashed", ... */
	KwjStatus	status;			/* new status of the job */
	bool		unless_canceled;	/* if a CANCEL is committed, change nothing and return false */
	const char *revert_to;		/* status after the revert; set with KWJ_REVERTING */
	int64		delay_ms;		/* ms until the next attempt may start */
	int32		retries;		/* new value of the column */
	bool		has_crashes;	/* else the column keeps its value */
	int32		crashes;
	const char *note;			/* new running_status, or NULL */
	Jsonb	   *result;			/* of the job, or NULL: keep the old one */
	const KwjError *error;		/* error of the attempt, or NULL */
	bool		job_error;		/* also store the error in the job's row */
	bool		has_rows;		/* else the checkpoint's count is used */
	int64		rows;
	KwjTranscript transcript;	/* of the attempt */
} KwjEnd;

/*
 * End the attempt in the current transaction, which needs an active snapshot. The job's row is
 * locked before anything is read, so that no session can add a dependency on the job unnoticed.
 * Returns false, and changes nothing, if this is not the job's active attempt any more, or with
 * unless_canceled, if a CANCEL was committed first.
 *
 * tables: the open tables, which are then changed as the current user. NULL: the function opens
 * them itself and changes them as the extension's owner.
 *
 * The caller arms the wake-up for the job (shared/wakeup.h); this function arms those for the jobs
 * that depend on it. Errors: 55000 if, with unless_canceled, kwjobs does not know the job's status;
 * 22003 if a counter overflows.
 */
extern bool kwj_store_end(KwjJobTables *tables, const KwjEnd *end);

/*
 * The job will never be reverted: delete the list of its transactions, and its pieces. Needs an
 * active snapshot.
 */
extern void kwj_store_forget_work(int64 job_id);

#endif

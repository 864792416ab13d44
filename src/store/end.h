/*
 * src/store/end.h
 *	  The end of an attempt, and what becomes of its job: the one way for all of them.
 */
#ifndef KWJ_STORE_END_H
#define KWJ_STORE_END_H

#include "kwjobs.h"
#include "job/status.h"
#include "storage/itemptr.h"
#include "store/job_tables.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/jsonb.h"

typedef struct KwjEnd
{
	int64		job_id;
	int32		attempt;
	ItemPointer job_place;		/* where the rows were last; NULL: not known */
	ItemPointer attempt_place;
	const char *attempt_status;
	KwjStatus	status;			/* of the job from now on */
	bool		unless_canceled;	/* false is returned if a CANCEL was committed first */
	const char *revert_to;		/* with KWJ_REVERTING: "failed", "canceled"; else NULL */
	int64		delay_ms;		/* until the next attempt is due */
	int32		retries;
	bool		has_crashes;	/* else their count stays as it is */
	int32		crashes;
	const char *note;			/* running_status, or NULL */
	Jsonb	   *result;			/* or NULL */
	const KwjError *error;		/* of the attempt, or NULL */
	bool		job_error;		/* it is the job's error too */
	bool		has_rows;		/* else those of the checkpoint */
	int64		rows;
	ArrayType  *tags;			/* of the attempt's statements, or NULL */
	ArrayType  *messages;		/* or NULL */
} KwjEnd;

/*
 * End the attempt, in the current transaction and with an active snapshot. The job's row is locked first, if it is not
 * yet, so that no dependency on a job that is over goes unseen. False, and nothing is changed, if the job is not this
 * attempt's any more.
 *
 * tables: those that are open already, which the caller changes as the role that it is; NULL: they are changed with
 * rights of kwjobs's own.
 *
 * Errors: 55000 if the row of the job says nothing that kwjobs knows, with unless_canceled.
 */
extern bool kwj_store_end(KwjJobTables *tables, const KwjEnd *end);

#endif

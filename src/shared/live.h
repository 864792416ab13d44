/*
 * src/shared/live.h
 *	  What runs now, and how far it is: for sessions.
 */
#ifndef KWJ_SHARED_LIVE_H
#define KWJ_SHARED_LIVE_H

#include "kwjobs.h"
#include "job/progress.h"
#include "utils/timestamp.h"

/*
 * A copy of an attempt's slot and progress. The units of done and total are the job type's (IMPORT:
 * bytes).
 */
typedef struct KwjLive
{
	Oid			dboid;
	int64		job_id;
	int32		attempt;
	int			part;			/* of the attempt; 0: its first worker */
	Oid			owner;
	int			pid;
	uint64		done;
	uint64		total;
	uint64		rows;
	KwjRequest	request;
	bool		reverting;
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	int			encoding;		/* of running_status; undefined if that is empty */
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* when the attempt got its worker */
} KwjLive;

/* The share of the attempt's work that is done, 0 to 1; 0 if the total is not known yet. */
extern double kwj_live_fraction(const KwjLive *live);

/*
 * Copies the attempts that run in this database, or everywhere, into an array of kwj_worker_slots;
 * returns their number. Takes kwj_shared->lock, shared, and each slot's spinlock.
 */
extern int	kwj_shared_live(KwjLive *live, bool everywhere);

/*
 * The same for this database, with one entry for each attempt: of an attempt that several workers
 * carry, done and rows are the sums of all parts and of the pieces that are done, and the rest is
 * that of its first part.
 */
extern int	kwj_shared_live_attempts(KwjLive *live);

#endif

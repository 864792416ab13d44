/*
 * src/shared/live.h
 *	  What runs now, and how far it is: for sessions.
 */
#ifndef KWJ_SHARED_LIVE_H
#define KWJ_SHARED_LIVE_H

#include "kwjobs.h"
#include "job/progress.h"
#include "utils/timestamp.h"

typedef struct KwjLive
{
	Oid			dboid;
	int64		job_id;
	int32		attempt;
	Oid			owner;
	int			pid;
	uint64		done;
	uint64		total;
	uint64		rows;
	KwjRequest	request;
	bool		reverting;
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	int			encoding;		/* of running_status, if that is not empty */
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* the attempt began */
} KwjLive;

/* Between 0 and 1. */
extern double kwj_live_fraction(const KwjLive *live);

/*
 * Progress of the attempts of this database, or of all; returns their number (array of
 * kwj_worker_slots).
 */
extern int	kwj_shared_live(KwjLive *live, bool everywhere);

#endif

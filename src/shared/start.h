/*
 * src/shared/start.h
 *	  The start of the server: its facts, and which databases have yet to record it as a job.
 */
#ifndef KWJ_SHARED_START_H
#define KWJ_SHARED_START_H

#include "kwjobs.h"
#include "access/transam.h"
#include "access/xlogdefs.h"
#include "utils/timestamp.h"

typedef struct KwjServerStart
{
	/* Facts from before recovery. The postmaster writes them before there are other processes. */
	TimestampTz began;
	TimestampTz last_sign;		/* when pg_control was last written: at the stop, if it was clean */
	bool		clean;			/* according to pg_control, the last shutdown was an orderly one */
	bool		standby;		/* there was a standby.signal */
	bool		archive_recovery;	/* there was a recovery.signal */
	int			setups;			/* number of times that this postmaster has set up shared memory */
	XLogRecPtr	from_lsn;		/* where recovery begins, if there is any */
	TimeLineID	from_timeline;

	/*
	 * Facts from when the server accepts writes. The launcher writes them, under
	 * kwj_shared->lock.
	 */
	int64		job_id;			/* of the RESTART job; 0: these facts are not written yet */
	TimestampTz ready;
	TimestampTz ready_for_schedules;	/* the same time by kwj_clock */
	XLogRecPtr	to_lsn;
	TimeLineID	to_timeline;
	FullTransactionId next_xid; /* an extension with a younger xid was created after the start */
	bool		announced;		/* all databases have recorded the start */
} KwjServerStart;

/*
 * Process: postmaster, each time that it sets up shared memory. Fills in the facts from before
 * recovery.
 */
extern void kwj_shared_start_begin(KwjServerStart *start);

/*
 * Process: launcher. Fills in the facts from when the server accepts writes, unless an earlier
 * launcher has done so. Returns whether there may be databases that have not recorded the start.
 */
extern bool kwj_shared_start_ready(const KwjServerStart *ready);

/*
 * Process: launcher. Returns whether the attempts that were active when the server was started had
 * been ended by an orderly stop of the server.
 */
extern bool kwj_shared_follows_orderly_stop(void);

/*
 * Process: launcher. Returns whether a coordinator runs in the database and has recorded the start,
 * or did not have to.
 */
extern bool kwj_shared_has_recorded_start(Oid dboid);

/* Process: launcher. Notes that all databases that existed at the start have recorded it, or have no kwjobs. */
extern void kwj_shared_start_announced(void);

/*
 * Sets *down to when the server was stopped before its last start; 0: that is not known, because it was not
 * stopped in order. Sets *ready to when it accepted writes again, by kwj_clock; 0: it does not yet.
 */
extern void kwj_shared_start_times(TimestampTz *down, TimestampTz *ready);

/*
 * Process: coordinator. kwj_shared_start_to_record returns whether this database has yet to record
 * the start; if so, it copies the facts. When the RESTART job is committed, the coordinator calls
 * kwj_shared_start_recorded.
 */
extern bool kwj_shared_start_to_record(KwjServerStart *start);
extern void kwj_shared_start_recorded(void);

#endif

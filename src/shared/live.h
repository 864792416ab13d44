/*
 * src/shared/live.h
 *	  The attempts that run now, and their progress, for sessions that show them.
 */
#ifndef KWJ_SHARED_LIVE_H
#define KWJ_SHARED_LIVE_H

#include "kwjobs.h"
#include "job/progress.h"
#include "nodes/pg_list.h"
#include "shared/wait_counts.h"
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
	bool		stands;			/* it stands still for the PAUSE in request */
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	int			encoding;		/* of running_status; undefined if running_status is empty */
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* when the attempt got its worker */
	int			slot;			/* of this worker, for kwj_sight_of_slot() */
	KwjNewFile	file;			/* this and the next two: of the statement that runs */
	uint32		scan_block;
	uint32		scan_blocks;	/* 0: not known */
	KwjWaitCounts waits;		/* what the worker, or each worker of the attempt, waits for at this moment */
	KwjStatement statement;		/* count is 0 if the worker has noted none */
} KwjLive;

/* Returns the share of the work that is done, 0 to 1; 0 if the total is not known yet. */
extern double kwj_live_fraction(const KwjLive *live);

/*
 * Copies the attempts that run in this database, or in all databases, into an array of
 * kwj_worker_slots, with one entry for each worker; of two that have the same part, only the later one
 * counts. Returns the number of entries. Takes kwj_shared->lock, shared, and each slot's spinlock.
 */
extern int	kwj_shared_live(KwjLive *live, bool everywhere);

/*
 * As kwj_shared_live for this database, but with one entry for each attempt. If several workers
 * carry the attempt, done, rows and waits are the sums over all parts and the pieces that are done,
 * total is the team's, and the other fields are copied from the part with the lowest number.
 */
extern int	kwj_shared_live_attempts(KwjLive *live);

/*
 * Copies the attempt of this job that runs now into *live, as kwj_shared_live_attempts returns it.
 * Returns false if no worker has the job now.
 */
extern bool kwj_shared_live_of(int64 job_id, KwjLive *live);

/*
 * Returns copies of the messages (KwjMessages *) that the job's workers in this database have
 * written, palloc'd. The attempt that they are of may have ended meanwhile. Takes no lock.
 */
extern List *kwj_shared_messages(int64 job_id);

#endif

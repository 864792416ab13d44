/*
 * src/shared/start.h
 *	  The start of the server: its facts, and which databases have yet to record it.
 */
#ifndef KWJ_SHARED_START_H
#define KWJ_SHARED_START_H

#include "kwjobs.h"
#include "access/transam.h"
#include "access/xlogdefs.h"
#include "utils/timestamp.h"

typedef struct KwjServerStart
{
	/* before recovery; written by the postmaster, before there are other processes */
	TimestampTz began;
	bool		clean;			/* pg_control: the server was shut down in order */
	bool		standby;		/* there is a standby.signal */
	bool		archive_recovery;	/* there is a recovery.signal */
	int			setups;			/* how often this postmaster has set up shared memory */
	XLogRecPtr	from_lsn;		/* where recovery begins, if there is any */
	TimeLineID	from_timeline;

	/* once the server accepts writes; written by the launcher, under the lock */
	int64		job_id;			/* 0: it does not yet */
	TimestampTz ready;
	XLogRecPtr	to_lsn;
	TimeLineID	to_timeline;
	FullTransactionId next_xid; /* what is younger came after the start */
	bool		announced;		/* all databases have recorded it */
} KwjServerStart;

/* Process: postmaster, each time that it has made shared memory. */
extern void kwj_shared_start_begin(KwjServerStart *start);

/* Fill in the second part of the facts, if nobody has; returns !announced. */
extern bool kwj_shared_start_ready(const KwjServerStart *ready);

/* Whether what runs according to the tables was ended when this server was stopped in order. */
extern bool kwj_shared_follows_orderly_stop(void);

/* Whether the coordinator that is in that database has recorded the start, or did not have to. */
extern bool kwj_shared_has_recorded_start(Oid dboid);

/* All databases that there were at the start have recorded it, or have no kwjobs. */
extern void kwj_shared_start_announced(void);

/* Since when the server accepts writes. */
extern TimestampTz kwj_shared_ready_since(void);

/* Whether this coordinator's database is to record the start; if so, a copy of it. */
extern bool kwj_shared_start_to_record(KwjServerStart *start);
extern void kwj_shared_start_recorded(void);

#endif

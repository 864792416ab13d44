/*
 * src/store/standing.h
 *	  How a job stands: what kwjobs.why tells of it.
 */
#ifndef KWJ_STORE_STANDING_H
#define KWJ_STORE_STANDING_H

#include "job/status.h"
#include "kwjobs.h"
#include "utils/timestamp.h"

/* All texts are palloc'd, and NULL if the column is NULL or empty. Times are 0 if there is none. */
typedef struct KwjStanding
{
	char	   *job_type;
	Oid			owner;
	KwjStatus	status;
	bool		active;			/* an attempt runs */
	int32		attempts;
	bool		of_session;		/* a session has done the job, or autovacuum */
	TimestampTz due;
	TimestampTz run_at;
	bool		ready;			/* it has a rank */
	char	   *noted;			/* why it does not run, if that was noted in its row */
	int			n_depends_on;	/* how many jobs it waits for, at most 2 are counted */
	int64		depends_on;		/* one of them */
	char	   *window;			/* the hours in which it may run */
	int64		in_vain;		/* attempts that its window or PAUSE has interrupted, and that left no checkpoint */
	char	   *in_line;		/* which job of its line it waits for, as running_status says it */
	int64		first;			/* that job */
	int64		before;			/* how many jobs of its role and type start before it; bounded */
	char	   *paused;			/* who has paused it, and why, as running_status says it */
	char	   *request_user;	/* the last control request; the name of now */
	char	   *request_reason;
	TimestampTz request_time;
	TimestampTz modified;
	TimestampTz finished;
	char	   *error;			/* the job's error, or that of its last attempt */
	char	   *error_hint;
	char	   *error_file;		/* where the job's error was found */
	int64		error_line;		/* 0: not in a certain line */
} KwjStanding;

/* No more jobs than this are counted in KwjStanding.before. */
#define KWJ_MOST_BEFORE		1000

/*
 * Reads the job with the latest snapshot. Returns false if there is no such row.
 *
 * Process: sessions. Locks: AccessShareLock on our tables, until the end of the transaction.
 */
extern bool kwj_store_standing(int64 job_id, KwjStanding *standing);

#endif

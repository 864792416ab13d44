/*
 * src/function/watch.h
 *	  What a job's process does, and how far it is, at the moment of a look.
 */
#ifndef KWJ_FUNCTION_WATCH_H
#define KWJ_FUNCTION_WATCH_H

#include "kwjobs.h"
#include "job/counts.h"
#include "job/new_file.h"
#include "shared/sight.h"
#include "utils/timestamp.h"

/* A job that runs, as the slot of its worker or the place of a session's job describes it. */
typedef struct KwjWatched
{
	int64		job_id;
	int32		attempt;
	int			pid;			/* 0: no process has it */
	const char *own_words;		/* the running_status that the job has reported; "": none */
	double		own_fraction;	/* the fraction that it has reported; below 0: none */
	uint64		own_counters;	/* a number that changes when the job reports that it has moved */
	TimestampTz began;			/* when the attempt began */
	bool		began_at_0;		/* nothing was done before this attempt */
	TimestampTz noted;			/* when the job last noted that it moves; 0: never */
	int			statement;		/* which statement of the job's text runs, from 1; 0: not known */
	int			statements;		/* how many the text has; 0: not known */
	KwjCounts	counts;			/* what PostgreSQL's counters say of this statement */
	const KwjNewFile *file;		/* of the table that this statement writes */
	uint32		scan_block;		/* where the scan is that drives this statement */
	uint32		scan_blocks;	/* of how many blocks; 0: not known */
	KwjSight   *sight;			/* where looks note what they have seen */
} KwjWatched;

/* What the columns of these names show. */
typedef struct KwjShown
{
	char	   *running_status; /* NULL: nothing */
	double		fraction;		/* below 0: NULL */
	TimestampTz moved;			/* 0: NULL */
	TimestampTz eta;			/* 0: NULL */
} KwjShown;

/*
 * Returns a new context, in which the caller looks at one job, and which it resets after each job:
 * for a job that waits for a lock, PostgreSQL allocates some arrays of the size of max_connections.
 */
extern MemoryContext kwj_watch_context(void);

/*
 * Looks at the process. Needs a transaction. Takes the locks that job/backend.h, blocker.h and
 * command.h name, and the spinlock of the sight. Texts are palloc'd, or those of *job.
 */
extern KwjShown kwj_watch(const KwjWatched *job);

#endif

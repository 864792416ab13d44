/*
 * src/function/watch.h
 *	  What a job's process does, and how far it is, at the moment of a look.
 */
#ifndef KWJ_FUNCTION_WATCH_H
#define KWJ_FUNCTION_WATCH_H

#include "kwjobs.h"
#include "job/counts.h"
#include "shared/sight.h"
#include "utils/timestamp.h"

/* A job that runs, as its own slot or place in shared memory tells. */
typedef struct KwjWatched
{
	int64		job_id;
	int32		attempt;
	int			pid;			/* 0: no process has it */
	const char *own_words;		/* running_status; "": none */
	double		own_fraction;	/* below 0: none */
	uint64		own_counters;	/* change when the job has moved */
	TimestampTz began;			/* the attempt */
	bool		began_at_0;		/* nothing was done before this attempt */
	TimestampTz noted;			/* when the job last noted that it moves; 0: never */
	int			statement;		/* of a text with several statements, the one that runs; else 0 */
	int			statements;
	KwjCounts	counts;			/* of its statement */
	KwjSight   *sight;			/* what the last look has seen */
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
 * Returns a new context for what the look at one job allocates. For a job that waits for a lock,
 * PostgreSQL allocates some arrays of the size of max_connections, so the caller resets the context
 * after each job.
 */
extern MemoryContext kwj_watch_context(void);

/*
 * Looks at the process. Needs a transaction. Takes the locks that function/backend.h, blocker.h and
 * command.h name, and the spinlock of the sight. Texts are palloc'd, or those of *job.
 */
extern KwjShown kwj_watch(const KwjWatched *job);

#endif

/*
 * src/shared/sight.h
 *	  What the last look at a running job has seen: so that the next look shows no smaller fraction,
 *	  and can tell that the job has moved.
 *
 * A slot of a worker and a place of a session's job have one each. Only sessions that look at jobs
 * write it, and only when they look.
 */
#ifndef KWJ_SHARED_SIGHT_H
#define KWJ_SHARED_SIGHT_H

#include "kwjobs.h"
#include "shared/wait_counts.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

/* What a look has seen of a job's process. */
typedef struct KwjSeen
{
	Oid			dboid;			/* ids are the same in a copied database */
	int64		job_id;
	int32		attempt;
	uint64		counters;		/* a hash of all that changes when the job moves */
	double		fraction;		/* below 0: not known */
	TimestampTz at;				/* when */
} KwjSeen;

typedef struct KwjSight
{
	slock_t		mutex;			/* protects all of it */
	KwjSeen		last;			/* of the last look; its fraction is the highest that was shown */
	TimestampTz moved;			/* of the last look that saw other counters; 0: none did */
	TimestampTz first_at;		/* of the first look that saw a fraction; 0: none did */
	double		first_fraction;
	/* The attempt whose workers sessions have looked at, and what its workers waited for when they did. */
	Oid			waits_dboid;
	int64		waits_job_id;
	int32		waits_attempt;
	KwjWaitCounts waits;
} KwjSight;

/* What is known after a look. */
typedef struct KwjKnown
{
	double		fraction;		/* to be shown; below 0: not known */
	TimestampTz moved;			/* as in KwjSight */
	TimestampTz first_at;
	double		first_fraction;
} KwjKnown;

/* Notes what a look has seen, and returns what is known now. Takes the spinlock. */
extern KwjKnown kwj_sight_look(KwjSight *sight, const KwjSeen *seen);

/*
 * Adds what this session's look has found the workers of an attempt waiting for. Returns what the looks of all
 * sessions at that attempt have found. Takes the spinlock.
 */
extern KwjWaitCounts kwj_sight_add_waits(KwjSight *sight, Oid dboid, int64 job_id, int32 attempt,
										 const KwjWaitCounts *waits);

/* Returns the sight of a slot of a worker, and of a place of a session's job. */
extern KwjSight *kwj_sight_of_slot(int slot);
extern KwjSight *kwj_sight_of_place(int place);

#endif

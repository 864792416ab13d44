/*
 * src/job/position.h
 *	  How far a scan is that this process runs, for sessions that look at its job.
 *
 * The slot of a worker and the place of a session's job have a KwjPosition each. The process that
 * runs the job writes it again and again while a scan runs; sessions that look at the job read it.
 */
#ifndef KWJ_JOB_POSITION_H
#define KWJ_JOB_POSITION_H

#include "kwjobs.h"
#include "port/atomics.h"

/* A position in shared memory. The atomics need no lock. */
typedef struct KwjPosition
{
	pg_atomic_uint32 block;		/* how many blocks the scan has read */
	pg_atomic_uint32 blocks;	/* of how many; 0: not known */
	pg_atomic_uint32 looks;		/* how often a session has looked; it overflows */
} KwjPosition;

/* What a look at a scan finds out. */
typedef enum KwjPositionAnswer
{
	KWJ_POSITION_KNOWN,			/* block and blocks are set */
	KWJ_POSITION_NOT_NOW,		/* not at this moment: what was known stays */
	KWJ_POSITION_NOT_KNOWN		/* what was known is wrong */
} KwjPositionAnswer;

/*
 * A function that looks at the scan. It is called in a signal handler: it may read memory of this
 * process, and do nothing else.
 */
typedef KwjPositionAnswer (*KwjPositionLook) (uint32 *block, uint32 *blocks);

/*
 * From now on calls the function again and again, and writes what it finds out into the position,
 * which is in shared memory. Replaces what was watched before. Never shows a smaller block than it
 * has shown, and nothing of less than 32 blocks, as one of them would be a large part. Errors: FATAL,
 * if other extensions have taken all of PostgreSQL's timeouts.
 */
extern void kwj_position_watch(KwjPosition *position, KwjPositionLook look);

/* Returns whether this function is called again and again now. */
extern bool kwj_position_is_watched(KwjPositionLook look);

/* Stops calling the function. The position keeps what it has. If nothing is watched, does nothing. */
extern void kwj_position_forget(void);

/* Reads a position, and notes that somebody has looked. *blocks is 0 if it is not known. */
extern void kwj_position_read(KwjPosition *position, uint32 *block, uint32 *blocks);

/* Initializes a position in new shared memory, as not known. Process: postmaster. */
extern void kwj_position_init(KwjPosition *position);

/* Makes the position not known, for the next job or statement. */
extern void kwj_position_reset(KwjPosition *position);

#endif

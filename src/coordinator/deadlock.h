/*
 * src/coordinator/deadlock.h
 *	  Ends waits of jobs for jobs that can get no worker, because waiting jobs occupy all of
 *	  them.
 */
#ifndef KWJ_COORDINATOR_DEADLOCK_H
#define KWJ_COORDINATOR_DEADLOCK_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * A job that found no background worker slot is tried again after this time at the latest. kwjobs.test_haste does
 * not make it shorter, because a lack of slots counts only if it lasts for half a second.
 */
#define KWJ_NO_ROOM_LONGEST_MS	5000

/*
 * If jobs of this database wait for each other, or for a job that could only get workers which such
 * jobs occupy, ends the wait of one of them with an error, and puts the jobs that the others wait
 * for first among the jobs that may start. The coordinator calls this outside a transaction, when
 * every job that can have a worker has one. Does nothing if no job waits.
 *
 * no_room: the postmaster has had no slot for a worker for some time, nor has it now. news:
 * something may have changed since the last look; if not, this only goes on with a look that is
 * under way. Returns true if the next pass has to follow at once, either because a wait was ended
 * or because the look goes on (a job may depend on very many others). *next becomes the time of the
 * next look, if that is earlier.
 *
 * Process: coordinator. Locks: the extension (shared) and the rows of the jobs that are put first,
 * in a transaction of its own; kwj_shared->lock for moments.
 */
extern bool kwj_deadlock_end_one(bool no_room, bool news, TimestampTz *next);

/*
 * Notes that there is a slot for a background worker, or was one. So the server is not full, and counts as full
 * only if later looks find that (ALONE_MS in deadlock.c).
 */
extern void kwj_deadlock_note_room(void);

#endif

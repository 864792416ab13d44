/*
 * src/coordinator/deadlock.h
 *	  Jobs that wait for jobs which can get no worker, because waiting ones keep them all.
 */
#ifndef KWJ_COORDINATOR_DEADLOCK_H
#define KWJ_COORDINATOR_DEADLOCK_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * If jobs of this database wait for each other, or for a job that could get only workers that such
 * jobs keep, end the wait of one of them, and put what the others wait for first among the jobs that may start.
 * Call it outside of transactions, when all who can have a worker have one. no_room: the server has had no
 * background worker slot for some time, nor now. True if a wait was ended, so that another pass has to see who
 * is next. Without jobs that wait it does nothing.
 *
 * What the jobs wait for may depend on very many others: then it looks at some of them, and returns
 * true, too, to go on in the next pass. news: something may have changed since the last look; else it
 * only goes on with that. *next becomes the time of the next look, if that is to be earlier.
 *
 * Process: coordinator. Locks: that of shared memory, for moments.
 */
extern bool kwj_deadlock_end_one(bool no_room, bool news, TimestampTz *next);

#endif

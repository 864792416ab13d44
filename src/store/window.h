/*
 * src/store/window.h
 *	  What the coordinator does with jobs that have a window, once they are due: it lets those start
 *	  whose window is open, and gives the others the time when theirs opens as their new due time.
 */
#ifndef KWJ_STORE_WINDOW_H
#define KWJ_STORE_WINDOW_H

#include "kwjobs.h"
#include "store/store.h"
#include "utils/timestamp.h"

/* A job that waits, and is not to start before a time. */
typedef struct KwjPutOff
{
	int64		job_id;
	TimestampTz due;
	const char *note;			/* why, as running_status; NULL: its window is closed */
} KwjPutOff;

/*
 * Puts off these jobs, whose rows the caller has locked: each gets its new due time, and loses its place
 * in the order of jobs that may start. A job that has never begun also leaves the line of its serial key.
 * Wakes the sessions that wait for these jobs. Process: coordinator.
 */
extern void kwj_store_put_off(const KwjPutOff *jobs, int n);

/*
 * Looks at the windows of these jobs, which are due by `now`. A job whose window is closed is put off. A
 * job whose window is open gets a place in the order of jobs that may start, unless it has a serial key
 * or a queue: then its id comes into *serial, and the caller lets it enter its line. A job whose row
 * another transaction has locked stays as it is. Returns how many of the jobs may start or enter now.
 * Process: coordinator.
 */
extern int	kwj_store_open_windows(KwjJobs jobs, TimestampTz now, KwjJobs *serial);

/* What is known of how long the next attempt of a job will take. */
typedef struct KwjExpected
{
	bool		has_checkpoint;	/* an attempt of it has written one */
	int64		timeout_ms;		/* of the job; 0: none */
	/*
	 * The longest of the last runs of the same owner's jobs with the same type and key, or without a
	 * key with the same description; 0: there are none among the last that have ended.
	 */
	int64		usual_ms;
} KwjExpected;

/* Returns what is known of how long the job will take. Process: coordinator. */
extern KwjExpected kwj_store_expected(int64 job_id);

#endif

/*
 * src/store/window.h
 *	  Jobs with a window: which of those that are due may start now, and when the others are due.
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
 * Put off these jobs, whose rows the caller has locked: they are due at that time, and lose their place
 * in the order. A job that has never begun also leaves the line of its serial key. Wakes sessions that
 * wait for them. Process: coordinator.
 */
extern void kwj_store_put_off(const KwjPutOff *jobs, int n);

/*
 * Give a place in the order to those of these jobs, which have a window and are due by `now`, whose
 * window is open, and put off the others. Jobs with a serial key or a queue get no place here: *serial
 * has those that may enter their lines. Jobs whose rows other transactions have locked are left as they
 * are. Returns how many may start or enter. Process: coordinator.
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

/* Find out what is known. Process: coordinator. */
extern KwjExpected kwj_store_expected(int64 job_id);

#endif

/*
 * src/job/progress.h
 *	  Live progress of the attempt that this process runs, and the request (PAUSE, CANCEL) for it.
 *
 * The progress and the request are in the worker's slot in shared memory (shared/slot.h). A job
 * type may write progress as often as it likes: that costs a spinlock and a short copy. Readers
 * take the same spinlock, so a row of SHOW JOBS never mixes values of two calls.
 */
#ifndef KWJ_JOB_PROGRESS_H
#define KWJ_JOB_PROGRESS_H

#include "kwjobs.h"
#include "job/counts.h"
#include "job/new_file.h"
#include "job/position.h"
#include "port/atomics.h"
#include "storage/spin.h"

#define KWJ_RUNNING_STATUS_LEN 128

typedef enum KwjRequest
{
	KWJ_REQUEST_NONE,
	KWJ_REQUEST_PAUSE,
	KWJ_REQUEST_CANCEL,
	/*
	 * The job's window has closed. An attempt obeys it like a PAUSE, but no user has asked for it, and the
	 * job's row does not have it. coordinator/window.c decides which attempts get it.
	 */
	KWJ_REQUEST_CLOSE,
} KwjRequest;

/*
 * A statement of a SQL job. The worker notes a statement only if the job has several, or if its only
 * one is a utility statement.
 */
typedef struct KwjStatement
{
	int			number;			/* from 1 */
	int			count;			/* of the job's text; 0: none is noted */
	KwjCounts	counts;
} KwjStatement;

/* The part of a worker's slot that the running job type writes. The atomics need no lock. */
typedef struct KwjProgress
{
	pg_atomic_uint32 request;	/* KwjRequest; written by the coordinator, read by the worker */
	pg_atomic_uint32 interrupted;	/* bool: the coordinator has sent SIGINT for the request */
	pg_atomic_uint32 reverting; /* bool: the attempt reverts the job */
	/* bool: the attempt obeys PAUSE where it stands, so it need not be interrupted */
	pg_atomic_uint32 stands;
	/* bool: the attempt will obey each PAUSE where it stands, as soon as it can */
	pg_atomic_uint32 will_stand;
	KwjPosition scan;			/* of the scan from which the statement gets its rows */

	/* protected by mutex */
	slock_t		mutex;
	uint64		done;			/* units of work that are done (IMPORT: bytes) */
	uint64		total;			/* units altogether; 0: not known yet */
	uint64		rows;			/* rows handled so far, by all attempts */
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	int			encoding;		/* encoding of running_status: the worker's database's */
	/* which statement of a SQL job runs, for sessions that look at the job */
	KwjStatement statement;
	KwjNewFile	file;			/* of the table that the statement writes */
} KwjProgress;

/*
 * Set where this process writes its progress. The worker calls this before it runs attempts, and
 * with NULL afterwards. When nothing is attached, the functions below do nothing.
 */
extern void kwj_progress_attach(KwjProgress *progress);

/* Note that an attempt begins, and whether it reverts its job. */
extern void kwj_progress_begin(bool reverting);

/* Set how much is done; units as in KwjProgress. */
extern void kwj_progress_set(uint64 done, uint64 total, uint64 rows);

/* Set the column running_status: one line, clipped to fit. */
extern void kwj_progress_set_status(const char *text);

/* Copies the running_status into a text of KWJ_RUNNING_STATUS_LEN bytes. */
extern void kwj_progress_get_status(char *text);

/* Set the progress and the running_status at once, so that readers see them together. */
extern void kwj_progress_set_all(uint64 done, uint64 total, uint64 rows, const char *text);

/* Note which statement of the job begins; KwjStatement says when the worker calls this. */
extern void kwj_progress_begin_statement(int number, int count, KwjCounts counts);

/* Returns what the counters say of the statement that was noted last for this attempt. */
extern KwjCounts kwj_progress_counts(void);

/* Note the file of the table that the statement writes. */
extern void kwj_progress_set_file(const KwjNewFile *file);

/* Returns where to write how far the scan is that drives the statement; NULL: nowhere. */
extern KwjPosition *kwj_progress_scan(void);

/* Forgets the last statement, its file and its scan. The caller holds the spinlock. */
static inline void
kwj_progress_forget_statement(KwjProgress *progress)
{
	progress->statement = (KwjStatement) {0};
	progress->file.state = KWJ_FILE_NONE;
	kwj_position_reset(&progress->scan);
}

/*
 * Returns the request for this attempt. A job type calls this at every convenient point; if there
 * is a request, it ends its step at the next checkpoint.
 */
extern KwjRequest kwj_progress_request(void);

/*
 * Notes whether the attempt stands still now for a PAUSE (kwj_attempt_stand, lifecycle/stand.h). Returns
 * whether this has changed.
 */
extern bool kwj_progress_stand(bool stands);

/* Notes that this attempt obeys each PAUSE by standing still (kwj_attempt_will_stand). */
extern void kwj_progress_will_stand(void);

/*
 * Returns whether the coordinator has interrupted this attempt because of a request. This stays
 * true when the request is taken back, since the signal may not have arrived yet.
 */
extern bool kwj_progress_interrupted(void);

#endif

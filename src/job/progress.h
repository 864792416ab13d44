/*
 * src/job/progress.h
 *	  Live progress of the attempt that this process runs, and the request
 *	  (pause, cancel) that waits for it.
 *
 * Both live in the worker's slot in shared memory (shared/shared.c). A
 * job type writes progress as often as it likes: a spinlock and a short copy. What
 * it writes in one call is read as a whole, so that a row of SHOW JOBS is of one
 * moment.
 */
#ifndef KWJ_JOB_PROGRESS_H
#define KWJ_JOB_PROGRESS_H

#include "kwjobs.h"
#include "port/atomics.h"
#include "storage/spin.h"

#define KWJ_RUNNING_STATUS_LEN 128

typedef enum KwjRequest
{
	KWJ_REQUEST_NONE,
	KWJ_REQUEST_PAUSE,
	KWJ_REQUEST_CANCEL,
} KwjRequest;

/* The part of a worker's slot that the running job type writes. */
typedef struct KwjProgress
{
	pg_atomic_uint32 request;	/* KwjRequest; written by the coordinator */
	pg_atomic_uint32 interrupted;	/* the coordinator has interrupted the attempt */
	pg_atomic_uint32 reverting; /* whether the attempt reverts the job */

	/* read and written under mutex */
	slock_t		mutex;
	uint64		done;			/* units of work done (IMPORT: bytes) */
	uint64		total;			/* of so many; 0: not known yet */
	uint64		rows;			/* rows handled so far, all attempts */
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	int			encoding;		/* of running_status: that of the worker's database */
} KwjProgress;

/*
 * Where this process's progress goes. The worker calls it before it runs an
 * attempt, and with NULL afterwards.
 */
extern void kwj_progress_attach(KwjProgress *progress);

/* An attempt begins. The following are no-ops when nothing is attached. */
extern void kwj_progress_begin(bool reverting);

/* Tell how much is done. */
extern void kwj_progress_set(uint64 done, uint64 total, uint64 rows);

/* One line for the column running_status, clipped to fit. */
extern void kwj_progress_set_status(const char *text);

/* Both, of one moment. */
extern void kwj_progress_set_all(uint64 done, uint64 total, uint64 rows, const char *text);

/*
 * The request that waits for this attempt. A job type looks at it at every
 * convenient place and then ends its step at the next checkpoint.
 */
extern KwjRequest kwj_progress_request(void);

/*
 * Whether the attempt was interrupted because of a request. It stays true when the request is
 * taken back, as the interrupt may be on its way.
 */
extern bool kwj_progress_interrupted(void);

#endif

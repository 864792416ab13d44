/*
 * src/job/current.h
 *	  The attempt that this process runs now.
 */
#ifndef KWJ_JOB_CURRENT_H
#define KWJ_JOB_CURRENT_H

#include "kwjobs.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"

typedef struct KwjAttempt
{
	int64		job_id;
	int32		attempt;		/* number, from 1 */
	const char *job_type;
	Oid			owner;			/* the role that this process is connected as */
	const Oid  *authority;		/* by whose right it runs as the owner: see lifecycle/authority.h */
	int			n_authority;
	bool		reverting;		/* revert() runs, not execute() */
	Jsonb	   *payload;		/* what the job is to do; never changes */
	Jsonb	   *checkpoint;		/* state of the last checkpoint, or NULL */
	int64		rows;			/* rows as of the last checkpoint */
	int64		timeout_ms;		/* what it may take; 0: no limit */

	/* kwj_attempt_complete found a CANCEL, which may be of its own transaction */
	bool		canceled;
	/* the work ends with an error because it has found a request */
	bool		stopped;

	/* where the rows of the job and of the attempt were last */
	ItemPointerData job_place;
	ItemPointerData attempt_place;

	/*
	 * Where an error is in the input; a job type sets these before it lets an
	 * error escape (allocated in the context of payload, which is reset after the
	 * attempt), so that the job's row can tell. NULL / 0: not known.
	 */
	char	   *error_file;
	int64		error_line;
	char	   *error_column;
} KwjAttempt;

/* The attempt that this process runs now; NULL if it runs none. */
extern KwjAttempt *kwj_attempt_current(void);
extern void kwj_attempt_set_current(KwjAttempt *attempt);

#endif

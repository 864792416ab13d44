/*
 * src/job/current.h
 *	  The attempt that this process runs now.
 */
#ifndef KWJ_JOB_CURRENT_H
#define KWJ_JOB_CURRENT_H

#include "kwjobs.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* An attempt, as the worker that runs it has loaded it (kwj_store_load, kwj_store_claim). */
typedef struct KwjAttempt
{
	int64		job_id;
	int32		attempt;		/* its number, from 1 */
	int			part;			/* the part that this worker runs; 0: the first or only one */
	const char *job_type;
	Oid			owner;			/* the role as which this process is connected */
	const char *queue;			/* NULL: none */
	const Oid  *authority;		/* by whose right it runs as owner: lifecycle/authority.h */
	int			n_authority;
	bool		reverting;		/* the type's revert() runs, not execute() */
	Jsonb	   *payload;		/* what the job is to do; never changes */
	Jsonb	   *checkpoint;		/* state of the last checkpoint, or NULL */
	int64		rows;			/* rows as of the last checkpoint */
	int64		timeout_ms;		/* ms that it may take; 0: no limit */

	TimestampTz began;			/* when its first part began; 0: its type has no parts */
	int64		planned;		/* how many pieces are planned, see lifecycle/parts.h */
	/*
	 * What the functions of a type with parts keep in this process from one call to the next;
	 * NULL at first. Allocate it in the context of payload.
	 */
	void	   *kept;

	/* kwj_attempt_succeed_and_claim found a CANCEL, perhaps one that this transaction has made */
	bool		canceled;
	/*
	 * Set by work that cannot begin, because other jobs have now what it needs: a text for running_status that
	 * says so, in the memory context of payload. The work then raises an error, and the worker takes the claim
	 * back, so that the job waits, and no attempt is counted. NULL: the work lacks nothing.
	 */
	char	   *lacks;
	/* the work ended with an error because it found a request */
	bool		stopped;
	/* what running_status says if the attempt ends by a PAUSE; a constant, NULL: nothing */
	const char *pause_note;

	/* last known ctids of the rows of the job and of the attempt */
	ItemPointerData job_place;
	ItemPointerData attempt_place;

	/*
	 * Where in the input an error is; NULL / 0: not known. A job type sets these before it lets an
	 * error escape, and the end of the attempt writes them into the job's row. Allocate the strings
	 * in the context of payload, which is reset after the attempt.
	 */
	char	   *error_file;
	int64		error_line;
	char	   *error_column;
} KwjAttempt;

/* Returns the attempt that this process runs now; NULL if it runs none. */
extern KwjAttempt *kwj_attempt_current(void);
/* The worker calls this when an attempt begins, and with NULL when it ends. */
extern void kwj_attempt_set_current(KwjAttempt *attempt);

#endif

/*
 * src/type/type.h
 *	  What a job type is: a directory, and one line in the table of type.c.
 */
#ifndef KWJ_TYPE_TYPE_H
#define KWJ_TYPE_TYPE_H

#include "job/current.h"
#include "job/progress.h"
#include "job/status.h"
#include "lifecycle/parts.h"
#include "lifecycle/submit.h"

/*
 * Where the work of a type can stop so that the next attempt goes on from there. The coordinator goes
 * by this when the window of a job closes (coordinator/window.c).
 */
typedef enum KwjPauses
{
	/*
	 * Nowhere: an attempt that is cut short has worked in vain. It is not asked to stop for a window,
	 * and need not know KWJ_REQUEST_CLOSE, except where the user asks for that (window_end = 'stop').
	 */
	KWJ_PAUSES_NEVER,
	KWJ_PAUSES_SOMETIMES,		/* it depends on the job whether it writes checkpoints */
	KWJ_PAUSES_ALWAYS,			/* at checkpoints, which come one soon after the other */
} KwjPauses;

typedef struct KwjType
{
	const char *name;			/* as in column job_type */
	KwjPauses	pauses;
	bool		pausable;
	bool		cancelable;
	bool		reverts_at_length;	/* kwjobs.max_timeout does not limit the revert */
	bool		reverts_in_new_session; /* a revert gets a worker that has run no other job */
	/*
	 * The key of the payload that has the path of what each job makes, and what must not be there before it
	 * runs. NULL: there is none.
	 */
	const char *makes;

	/*
	 * Checks the arguments of a new job and sets its payload, the arguments by which it can be created in
	 * another database (store/jobs.h), and its description if it has none.
	 * The caller has set the options that all types have, the owner among them. Before the type
	 * does anything as the owner, it has to check that the current user may (kwj_check_may_own).
	 * NULL: only kwjobs itself creates jobs of this type.
	 *
	 * Process: session, in a transaction, as the current user. Raises an error with a hint if an
	 * argument is wrong.
	 */
	void		(*validate) (Jsonb *arguments, KwjNewJob *job);

	/*
	 * Runs the job, from attempt->checkpoint if there is one, until it has succeeded, or until a
	 * request stops it. Returns KWJ_REQUEST_NONE if the job has succeeded, else the request, as
	 * kwj_attempt_checkpoint and kwj_attempt_succeed return it. After an error, the worker aborts
	 * the transaction and settles the attempt.
	 *
	 * Process: worker, outside a transaction.
	 */
	KwjRequest	(*execute) (KwjAttempt *attempt);	/* NULL: nothing executes it */

	/*
	 * Instead of execute, if several workers may carry an attempt together (parts->used). NULL: one
	 * worker does.
	 */
	const KwjParts *parts;

	/*
	 * Undoes what the attempts of the job have committed; it is not called if there is nothing to
	 * revert. It has to be repeatable, because after a crash it is run again. Ends with
	 * kwj_attempt_reverted, or with an error: then the job becomes revert-failed, unless the error
	 * is retryable.
	 *
	 * Process: worker, outside a transaction.
	 */
	void		(*revert) (KwjAttempt *attempt);	/* NULL: there is never anything to undo */
} KwjType;

/*
 * Returns whether jobs of this type can be paused, resumed, retried or canceled at all. For an
 * unknown type, the answer is always true.
 */
extern bool kwj_type_allows(const char *name, KwjVerb verb);

/* Returns whether there is a type of that name. */
extern bool kwj_type_exists(const char *name);

/*
 * Returns whether workers execute jobs of this type. If not, the process that does the work records
 * it as a job. Errors: 42704 if there is no such type.
 */
extern bool kwj_type_is_executed(const char *name);

/* Returns the names of all types, separated by commas, palloc'd. */
extern char *kwj_type_names(void);

/* Returns the type of that name. Errors: 42704 if there is none. */
extern const KwjType *kwj_type_by_name(const char *name);

#endif

/*
 * src/type/type.h
 *	  What a job type is: a directory, and one line in the table of type.c.
 */
#ifndef KWJ_TYPE_TYPE_H
#define KWJ_TYPE_TYPE_H

#include "job/current.h"
#include "job/progress.h"
#include "job/status.h"
#include "lifecycle/submit.h"

typedef struct KwjType
{
	const char *name;			/* as in column job_type */
	bool		pausable;
	bool		cancelable;
	bool		reverts_at_length;	/* kwjobs.max_timeout is not for its revert */
	bool		reverts_in_new_session; /* nothing that a job has left may be there */

	/*
	 * Check the arguments of a new job and set its payload, and its description if it has none. The options of all
	 * jobs are set already, its owner among them, whose right to that role the type checks before it does anything
	 * as that role (kwj_check_may_own). NULL: only kwjobs makes jobs of this type.
	 *
	 * Process: session, in a transaction, as the current user. Errors: those of bad arguments, with hints.
	 */
	void		(*validate) (Jsonb *arguments, KwjNewJob *job);

	/*
	 * Run the job, from attempt->checkpoint if there is one, to its end, or to
	 * the checkpoint after which a request is pending.
	 *
	 * Process: worker, outside a transaction. Ends by returning what the last
	 * kwj_attempt_checkpoint or kwj_attempt_succeed returned, or by an error:
	 * the worker aborts the transaction and settles the attempt.
	 */
	KwjRequest	(*execute) (KwjAttempt *attempt);	/* NULL: nothing executes it */

	/*
	 * Undo what committed checkpoints did; not called if there is none. Must be repeatable: a crash runs it
	 * again. Ends with kwj_attempt_reverted, or by an error (the job becomes
	 * revert-failed unless the error is retryable).
	 *
	 * Process: worker, outside a transaction.
	 */
	void		(*revert) (KwjAttempt *attempt);	/* NULL: there is never anything to undo */
} KwjType;

/* Returns whether a job of this type can be paused, resumed, canceled at all. One of an unknown type can. */
extern bool kwj_type_allows(const char *name, KwjVerb verb);

/* Returns whether there is a type of that name. */
extern bool kwj_type_exists(const char *name);

/* The names of all types, separated by commas; palloc'd. */
extern char *kwj_type_names(void);

/* The type of that name. Errors: 42704 if there is none. */
extern const KwjType *kwj_type_by_name(const char *name);

#endif

/*
 * src/job/status.c
 *	  Names of statuses, and the one table of legal control statements.
 *
 * Callers: src/lifecycle/control.c in sessions, for the table; all code that reads or writes a
 * status, for the names. The functions here are pure. The states of a job, and the processes that
 * make the transitions:
 *
 *     pending --claim--> running --success-------------------> succeeded
 *        ^                 |
 *        +------retry------+--error--------> reverting ------> failed or canceled (see revert_to)
 *                          |                  ^     |
 *                          |           RESUME |     +--error-> revert-failed
 *                          |                  +--------------------+
 *                          +--error, nothing to revert-------> failed
 *                          +--error, on_failure = 'pause'----> paused
 *
 *     pending, running, reverting --PAUSE---> pause-requested --settled--> paused
 *     pause-requested, paused     --RESUME--> reverting if it was being reverted, running if an
 *                                             attempt still runs, else pending
 *     running, reverting, whose attempt can stand still:
 *         --PAUSE--> pause-requested --it stands--> paused, with its attempt
 *     pending, running, paused    --CANCEL--> cancel-requested --settled--> reverting, or canceled
 *                                                                  if there is nothing to revert
 *
 *     failed, canceled            --RETRY--> pending
 *
 *     claim     coordinator or worker; src/store/claim.c
 *     PAUSE, RESUME, CANCEL, RETRY     session; src/lifecycle/control.c, which asks kwj_verdict()
 *     success, error, retry     worker, or the coordinator if the worker is gone;
 *               src/lifecycle/attempt.c, src/lifecycle/settle.c, src/store/end.c; if the rows are
 *               broken, src/lifecycle/broken.c
 *     it stands the coordinator: kwj_store_stand, src/store/due.c
 *     settled   if an attempt runs, like success and error; else by the coordinator:
 *               kwj_store_settle_idle, src/store/due.c
 *
 * Locks: every transition is made under the lock of the job's row (FOR NO KEY UPDATE), which is
 * kept until the end of the transaction. If a process dies before its commit, the status stays as
 * it was, and the coordinator or its successor goes on from there: it settles requests, and ends
 * attempts that have no worker.
 */
#include "postgres.h"

#include "job/status.h"

static const char *const status_names[KWJ_STATUS_COUNT] = {
	[KWJ_PENDING] = "pending",
	[KWJ_RUNNING] = "running",
	[KWJ_PAUSED] = "paused",
	[KWJ_PAUSE_REQUESTED] = "pause-requested",
	[KWJ_CANCEL_REQUESTED] = "cancel-requested",
	[KWJ_REVERTING] = "reverting",
	[KWJ_SUCCEEDED] = "succeeded",
	[KWJ_FAILED] = "failed",
	[KWJ_CANCELED] = "canceled",
	[KWJ_REVERT_FAILED] = "revert-failed",
	[KWJ_UNKNOWN_STATUS] = "unknown",
};

static const char *const verb_names[KWJ_VERB_COUNT] = {
	[KWJ_PAUSE] = "PAUSE",
	[KWJ_RESUME] = "RESUME",
	[KWJ_CANCEL] = "CANCEL",
	[KWJ_RETRY] = "RETRY",
};

typedef struct Transition
{
	KwjVerdict	verdict;
	KwjStatus	next;			/* for KWJ_CHANGE */
} Transition;

#define TO(status)	{KWJ_CHANGE, status}
#define SAME		{KWJ_NO_CHANGE, 0}
#define NO			{KWJ_REFUSE, 0}

/*
 * Rows: current status. Columns: PAUSE, RESUME, CANCEL, RETRY. Four cells depend on more than the
 * status: RESUME of pending, paused and pause-requested, and CANCEL of paused. kwj_verdict()
 * handles these.
 */
static const Transition transitions[KWJ_STATUS_COUNT][KWJ_VERB_COUNT] = {
	[KWJ_PENDING] = {TO(KWJ_PAUSE_REQUESTED), NO, TO(KWJ_CANCEL_REQUESTED), NO},
	[KWJ_RUNNING] = {TO(KWJ_PAUSE_REQUESTED), SAME, TO(KWJ_CANCEL_REQUESTED), NO},
	[KWJ_PAUSED] = {SAME, TO(KWJ_PENDING), TO(KWJ_CANCEL_REQUESTED), NO},
	[KWJ_PAUSE_REQUESTED] = {SAME, TO(KWJ_PENDING), NO, NO},
	[KWJ_CANCEL_REQUESTED] = {NO, NO, SAME, NO},
	[KWJ_REVERTING] = {TO(KWJ_PAUSE_REQUESTED), SAME, NO, NO},
	[KWJ_SUCCEEDED] = {NO, NO, NO, NO},
	[KWJ_FAILED] = {NO, NO, NO, TO(KWJ_PENDING)},
	[KWJ_CANCELED] = {NO, NO, SAME, TO(KWJ_PENDING)},
	[KWJ_REVERT_FAILED] = {NO, TO(KWJ_REVERTING), NO, NO},
	[KWJ_UNKNOWN_STATUS] = {NO, NO, NO, NO},
};

const char *
kwj_status_name(KwjStatus status)
{
	return status_names[status];
}

KwjStatus
kwj_status_from_name(const char *name)
{
	for (int i = 0; name != NULL && i < KWJ_UNKNOWN_STATUS; i++)
		if (strcmp(name, status_names[i]) == 0)
			return (KwjStatus) i;
	return KWJ_UNKNOWN_STATUS;
}

bool
kwj_status_is_terminal(KwjStatus status)
{
	return status == KWJ_SUCCEEDED || status == KWJ_FAILED ||
		status == KWJ_CANCELED || status == KWJ_REVERT_FAILED;
}

const char *
kwj_verb_name(KwjVerb verb)
{
	return verb_names[verb];
}

bool
kwj_verb_from_name(const char *name, KwjVerb *verb)
{
	for (int i = 0; i < KWJ_VERB_COUNT; i++)
		if (pg_strcasecmp(name, verb_names[i]) == 0)
		{
			*verb = (KwjVerb) i;
			return true;
		}
	return false;
}

/* Returns the status that a job gets when its pause ends: the one that it had before. */
static KwjStatus
status_of_going_on(const KwjControlled *job)
{
	if (job->reverting)
		return KWJ_REVERTING;
	return job->active ? KWJ_RUNNING : KWJ_PENDING;
}

KwjVerdict
kwj_verdict(KwjVerb verb, const KwjControlled *job, KwjStatus *next)
{
	const Transition *t = &transitions[job->status][verb];

	/* A job that was paused while it was being reverted can be resumed, but not canceled. */
	if (job->status == KWJ_PAUSED && job->reverting && verb == KWJ_CANCEL)
		return KWJ_REFUSE;

	/* A job that is pending and has run before was resumed already, or waits for a retry. */
	if (job->status == KWJ_PENDING && verb == KWJ_RESUME && job->started)
		return KWJ_NO_CHANGE;

	*next = t->next;
	if (verb == KWJ_RESUME &&
		(job->status == KWJ_PAUSED || job->status == KWJ_PAUSE_REQUESTED))
		*next = status_of_going_on(job);
	return t->verdict;
}

KwjLeftOut
kwj_left_out(KwjVerb verb, KwjStatus status, bool all)
{
	if (verb == KWJ_RETRY)
		return status == KWJ_FAILED || status == KWJ_CANCELED ? KWJ_NOT_LEFT_OUT : KWJ_LEFT_NOT_FAILED;
	switch (status)
	{
		case KWJ_SUCCEEDED:
		case KWJ_FAILED:
		case KWJ_CANCELED:
			return KWJ_LEFT_OVER;
		case KWJ_REVERT_FAILED:
			return verb == KWJ_RESUME ? KWJ_NOT_LEFT_OUT : KWJ_LEFT_OVER;
		case KWJ_CANCEL_REQUESTED:
			return verb == KWJ_CANCEL ? KWJ_NOT_LEFT_OUT : KWJ_LEFT_CANCELING;
		case KWJ_REVERTING:
			return verb == KWJ_CANCEL ? KWJ_LEFT_REVERTING :
				verb == KWJ_RESUME ? KWJ_LEFT_GOING : KWJ_NOT_LEFT_OUT;
		case KWJ_PENDING:
		case KWJ_RUNNING:
			return verb == KWJ_RESUME ? KWJ_LEFT_GOING : KWJ_NOT_LEFT_OUT;
		case KWJ_PAUSE_REQUESTED:
			return all && verb == KWJ_CANCEL ? KWJ_LEFT_PAUSING : KWJ_NOT_LEFT_OUT;
		case KWJ_PAUSED:
		case KWJ_UNKNOWN_STATUS:
			return KWJ_NOT_LEFT_OUT;
	}
	return KWJ_NOT_LEFT_OUT;
}

/*
 * src/job/status.c
 *	  The names of statuses and the one table of legal control statements.
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
};

typedef struct Transition
{
	KwjVerdict	verdict;
	KwjStatus	next;			/* with KWJ_CHANGE */
} Transition;

#define TO(status)	{KWJ_CHANGE, status}
#define SAME		{KWJ_NO_CHANGE, 0}
#define NO			{KWJ_REFUSE, 0}

/*
 * Rows: current status. Columns: PAUSE, RESUME, CANCEL. kwj_verdict has the
 * four cells that need more than the status.
 */
static const Transition transitions[KWJ_STATUS_COUNT][KWJ_VERB_COUNT] = {
	[KWJ_PENDING] = {TO(KWJ_PAUSE_REQUESTED), NO, TO(KWJ_CANCEL_REQUESTED)},
	[KWJ_RUNNING] = {TO(KWJ_PAUSE_REQUESTED), SAME, TO(KWJ_CANCEL_REQUESTED)},
	[KWJ_PAUSED] = {SAME, TO(KWJ_PENDING), TO(KWJ_CANCEL_REQUESTED)},
	[KWJ_PAUSE_REQUESTED] = {SAME, TO(KWJ_PENDING), NO},
	[KWJ_CANCEL_REQUESTED] = {NO, NO, SAME},
	[KWJ_REVERTING] = {TO(KWJ_PAUSE_REQUESTED), SAME, NO},
	[KWJ_SUCCEEDED] = {NO, NO, NO},
	[KWJ_FAILED] = {NO, NO, NO},
	[KWJ_CANCELED] = {NO, NO, SAME},
	[KWJ_REVERT_FAILED] = {NO, TO(KWJ_REVERTING), NO},
	[KWJ_UNKNOWN_STATUS] = {NO, NO, NO},
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

/* What a job that is not to stop any more goes on as. */
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

	/* The revert that was paused goes on with RESUME; it cannot be canceled. */
	if (job->status == KWJ_PAUSED && job->reverting && verb == KWJ_CANCEL)
		return KWJ_REFUSE;

	/* A job that was resumed, or is retried, waits as pending: resumed already. */
	if (job->status == KWJ_PENDING && verb == KWJ_RESUME && job->started)
		return KWJ_NO_CHANGE;

	*next = t->next;
	if (verb == KWJ_RESUME &&
		(job->status == KWJ_PAUSED || job->status == KWJ_PAUSE_REQUESTED))
		*next = status_of_going_on(job);
	return t->verdict;
}

KwjLeftOut
kwj_left_out(KwjVerb verb, KwjStatus status)
{
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
		case KWJ_PAUSED:
		case KWJ_PAUSE_REQUESTED:
		case KWJ_UNKNOWN_STATUS:
			return KWJ_NOT_LEFT_OUT;
	}
	return KWJ_NOT_LEFT_OUT;
}

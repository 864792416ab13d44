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
 * three cells that need more than the status.
 */
static const Transition transitions[KWJ_STATUS_COUNT][KWJ_VERB_COUNT] = {
	[KWJ_PENDING] = {TO(KWJ_PAUSE_REQUESTED), NO, TO(KWJ_CANCEL_REQUESTED)},
	[KWJ_RUNNING] = {TO(KWJ_PAUSE_REQUESTED), SAME, TO(KWJ_CANCEL_REQUESTED)},
	[KWJ_PAUSED] = {SAME, TO(KWJ_PENDING), TO(KWJ_CANCEL_REQUESTED)},
	[KWJ_PAUSE_REQUESTED] = {SAME, NO, NO},
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

KwjVerdict
kwj_verdict(KwjVerb verb, KwjStatus status, bool reverting, bool started,
			KwjStatus *next)
{
	const Transition *t = &transitions[status][verb];

	/* A revert that was paused goes on as a revert, and is no more to cancel. */
	if (status == KWJ_PAUSED && reverting)
	{
		if (verb == KWJ_CANCEL)
			return KWJ_REFUSE;
		if (verb == KWJ_RESUME)
		{
			*next = KWJ_REVERTING;
			return KWJ_CHANGE;
		}
	}

	/* A job that was resumed, or is retried, waits as pending: resumed already. */
	if (status == KWJ_PENDING && verb == KWJ_RESUME && started)
		return KWJ_NO_CHANGE;

	*next = t->next;
	return t->verdict;
}

/*
 * src/job/status.h
 *	  Statuses of a job, and which control statement is legal in which status.
 *
 * The names are the specification's. status.c has the state diagram and the table of legal control
 * statements.
 */
#ifndef KWJ_JOB_STATUS_H
#define KWJ_JOB_STATUS_H

#include "kwjobs.h"

typedef enum KwjStatus
{
	KWJ_PENDING,
	KWJ_RUNNING,
	KWJ_PAUSED,
	KWJ_PAUSE_REQUESTED,
	KWJ_CANCEL_REQUESTED,
	KWJ_REVERTING,
	KWJ_SUCCEEDED,
	KWJ_FAILED,
	KWJ_CANCELED,
	KWJ_REVERT_FAILED,
	KWJ_UNKNOWN_STATUS,			/* a user has written another text into the row */
} KwjStatus;

#define KWJ_STATUS_COUNT (KWJ_UNKNOWN_STATUS + 1)

typedef enum KwjVerb
{
	KWJ_PAUSE,
	KWJ_RESUME,
	KWJ_CANCEL,
	KWJ_RETRY,
} KwjVerb;

#define KWJ_VERB_COUNT (KWJ_RETRY + 1)

typedef enum KwjVerdict
{
	KWJ_CHANGE,					/* legal: the status becomes *next */
	KWJ_NO_CHANGE,				/* legal: already so */
	KWJ_REFUSE,					/* illegal in this status */
} KwjVerdict;

/* Returns the name of the status, such as "pause-requested". */
extern const char *kwj_status_name(KwjStatus status);

/* Returns the status with that name; KWJ_UNKNOWN_STATUS for any other text and for NULL. */
extern KwjStatus kwj_status_from_name(const char *name);

/* Returns whether a job with this status is over. */
extern bool kwj_status_is_terminal(KwjStatus status);

/* Returns the name of the verb: "PAUSE", "RESUME", "CANCEL" or "RETRY". */
extern const char *kwj_verb_name(KwjVerb verb);

/* Get the verb with that name, in upper or lower case. Returns false if there is none. */
extern bool kwj_verb_from_name(const char *name, KwjVerb *verb);

/* The properties of a job by which kwj_verdict() decides. */
typedef struct KwjControlled
{
	KwjStatus	status;
	bool		reverting;		/* revert_to is set: the job is, or will be, reverted */
	bool		started;		/* it has run before */
	bool		active;			/* it has an active attempt */
} KwjControlled;

/* Decide what a control statement does to a job; *next becomes the new status for KWJ_CHANGE. */
extern KwjVerdict kwj_verdict(KwjVerb verb, const KwjControlled *job, KwjStatus *next);

/* Why a statement on many jobs leaves out one of them. */
typedef enum KwjLeftOut
{
	KWJ_NOT_LEFT_OUT,
	KWJ_LEFT_OVER,				/* the job is over */
	KWJ_LEFT_CANCELING,			/* a CANCEL is committed, so the job will be over */
	KWJ_LEFT_REVERTING,			/* CANCEL: its changes are being reverted already */
	KWJ_LEFT_PAUSING,			/* CANCEL: a PAUSE is committed, and has not taken effect yet */
	KWJ_LEFT_GOING,				/* RESUME: it runs or waits for a worker already */
	KWJ_LEFT_NOT_FAILED,		/* RETRY: the job has neither failed nor been canceled */
	KWJ_LEFT_IMPOSSIBLE,		/* all jobs: not for this type, or for jobs of sessions */
	KWJ_LEFT_COMMITTING,		/* CANCEL: a session has done the job, but not committed it yet */
} KwjLeftOut;

#define KWJ_LEFT_OUT_COUNT (KWJ_LEFT_COMMITTING + 1)

/*
 * Returns why a statement on many jobs leaves out a job with this status, or KWJ_NOT_LEFT_OUT. Jobs
 * may end while the statement gathers their ids, so the statement leaves out jobs on which it would
 * have no effect. all: the statement is for all jobs (CANCEL ALL JOBS), so it must not fail because
 * of one job.
 */
extern KwjLeftOut kwj_left_out(KwjVerb verb, KwjStatus status, bool all);

#endif

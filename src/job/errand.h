/*
 * src/job/errand.h
 *	  An errand: a statement that changes a job of another database, and is on its way there.
 *
 * doc/developers/server_list.md has the way of an errand, from the session to the other database.
 */
#ifndef KWJ_JOB_ERRAND_H
#define KWJ_JOB_ERRAND_H

#include "postgres.h"

#include "job/status.h"
#include "lib/stringinfo.h"

/* What an errand asks for: a verb (KwjVerb, with the same number), or what a function does. */
typedef enum KwjDeed
{
	KWJ_DEED_PAUSE = KWJ_PAUSE,
	KWJ_DEED_RESUME = KWJ_RESUME,
	KWJ_DEED_CANCEL = KWJ_CANCEL,
	KWJ_DEED_RETRY = KWJ_RETRY,
	KWJ_DEED_LOOK,				/* only look whether there is such a job; such an errand is not sent */
	KWJ_DEED_RUN_NOW,
	KWJ_DEED_ALTER,
	KWJ_DEED_CLOSE,
	KWJ_DEED_DELETE,
} KwjDeed;

#define KWJ_DEED_COUNT	(KWJ_DEED_DELETE + 1)

/* Returns whether the deed is a verb. */
#define kwj_is_verb(deed)	((deed) < KWJ_DEED_LOOK)

typedef struct KwjErrand
{
	/* the order of errands; no other errand of the server has this number; 0: not sent yet */
	int64		number;
	int64		job_id;
	KwjDeed		deed;
	bool		many;			/* of a statement on many jobs, which leaves jobs out */
	bool		all;			/* of a statement on all jobs (PAUSE ALL JOBS); then many is true, too */
	Oid			role;			/* who asks: the current user, and the user of the session */
	Oid			session;
	char	   *reason;			/* NULL: none */
	char	   *change;			/* KWJ_DEED_ALTER: what is to change (kwj_change_text); else NULL */
} KwjErrand;

/* Returns the name of the deed in kwjobs.errand: PAUSE, RUN_NOW. */
extern const char *kwj_deed_name(KwjDeed deed);

/* Gets the deed with this name, in upper or lower case. Returns false if there is none. */
extern bool kwj_deed_from_name(const char *name, KwjDeed *deed);

/* Returns how messages name what the user has typed, palloc'd: PAUSE JOB 5, kwjobs.run_now(5). */
extern char *kwj_deed_text(KwjDeed deed, int64 job_id);

typedef enum KwjErrandOutcome
{
	KWJ_ERRAND_NOT_DONE,		/* nobody has looked at it yet */
	KWJ_ERRAND_DONE,			/* it has taken effect; of a check: it could */
	KWJ_ERRAND_LEFT_OUT,		/* a statement on many jobs leaves the job out: left_out says why */
	KWJ_ERRAND_REFUSED,			/* it is an error, of which the result has the texts */
	KWJ_ERRAND_LOCKED,			/* another transaction keeps the job locked: try again */
	KWJ_ERRAND_NO_JOB,			/* there is no such job */
} KwjErrandOutcome;

/* What has become of an errand, in memory that two processes share. Its texts are bounded. */
typedef struct KwjErrandResult
{
	int32		outcome;		/* KwjErrandOutcome */
	int32		left_out;		/* KwjLeftOut; of KWJ_DEED_DELETE: KwjDeletable */
	int32		error_code;		/* packed as elog.h does */
	char		message[1000];	/* the texts are in the encoding of the database that has the job */
	char		detail[1000];	/* "": none, as of the next */
	char		hint[1000];
} KwjErrandResult;

/* Appends the errand to the buffer. */
extern void kwj_errand_put(StringInfo buffer, const KwjErrand *errand);

/*
 * Takes the next errand out of a buffer, which another database has filled; its texts are palloc'd,
 * in that database's encoding. Errors: 08P01 if the buffer is not what kwj_errand_put() makes.
 */
extern void kwj_errand_take(StringInfo buffer, KwjErrand *errand);

/*
 * Converts the texts of a result of another database to the encoding of this one, within their
 * bounds. Needs a transaction.
 */
extern void kwj_errand_result_from_encoding(KwjErrandResult *result, int encoding);

/* Sets the result to the error; texts that are too long are clipped. */
extern void kwj_errand_refuse(KwjErrandResult *result, const ErrorData *edata);

#endif

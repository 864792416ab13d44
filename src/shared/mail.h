/*
 * src/shared/mail.h
 *	  Mails: what the coordinator of one database has for that of another.
 *
 * A mail has errands (job/errand.h), and gets their results. It stays in shared memory when its
 * sender leaves, because the two coordinators may have to take turns in one place: the next
 * coordinator of the sender's database finds it there.
 */
#ifndef KWJ_SHARED_MAIL_H
#define KWJ_SHARED_MAIL_H

#include "kwjobs.h"
#include "job/errand.h"
#include "storage/dsm.h"
#include "utils/timestamp.h"

/* A mail has at most so many errands. */
#define KWJ_MAIL_ERRANDS	50

typedef enum KwjMailState
{
	KWJ_MAIL_NONE,
	KWJ_MAIL_SENT,
	KWJ_MAIL_TAKEN,				/* the coordinator of the target is at work on it */
	KWJ_MAIL_ANSWERED,			/* all results are there */
} KwjMailState;

/* The beginning of a mail's segment. */
typedef struct KwjMailHead
{
	uint64		magic;
	Oid			source;			/* the database that has sent it */
	int32		encoding;		/* of the reasons */
	int64		oldest;			/* no errand of the source with a lower number is on its way */
	int32		n;				/* how many errands there are */
	int32		results_encoding;	/* of the texts of the results */
	Size		size;			/* of the errands, as kwj_errand_put() packs them */
	KwjErrandResult results[KWJ_MAIL_ERRANDS];
	/* followed by the errands */
} KwjMailHead;

/* Returns the errands of a mail as a buffer to read from. Errors: XX000 if its head is broken. */
extern StringInfoData kwj_mail_errands(dsm_segment *segment);

/* ---- the database that sends ---- */

/* What this database has sent. */
typedef struct KwjMailInfo
{
	KwjMailState state;
	Oid			target;
	dsm_handle	segment;
	TimestampTz sent;
} KwjMailInfo;

/* Looks at the mail that this database has sent last. Takes kwj_shared->lock for a moment. */
extern KwjMailInfo kwj_mail_look(void);

/*
 * Sends a mail from this database, which has none on its way, to the target, and has the launcher
 * start the coordinator there. Returns false if all places are taken. Needs a transaction. Errors:
 * those of dsm_create().
 */
extern bool kwj_mail_send(Oid target, int64 oldest, const StringInfoData *errands, int n);

/*
 * Takes back the mail of this database, unless the target is at work on it. Returns whether it did.
 */
extern bool kwj_mail_end(void);

/* ---- the target ---- */

/* Takes a mail that was sent to this database. Returns false if there is none. */
extern bool kwj_mail_take(Oid *source, dsm_handle *segment);

/* The results of the mail from this source are there. Wakes the coordinator of the source. */
extern void kwj_mail_answer(Oid source);

/* ---- only for src/shared; the caller holds kwj_shared->lock ---- */

/* Returns whether a mail waits for this database, or the answer to its own mail. */
extern bool kwj_has_mail(Oid dboid);

/* The coordinator of this database exits: mails that it has not answered are for its successor. */
extern void kwj_mails_put_back(Oid dboid);

/* The database was dropped: its mails are no use, and those to it have to be taken back. */
extern void kwj_forget_mails_of(Oid dboid);

#endif

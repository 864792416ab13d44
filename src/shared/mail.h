/*
 * src/shared/mail.h
 *	  Mails, by which the coordinator of one database sends errands to that of another.
 *
 * The errands (job/errand.h) are for the other database. The coordinator there writes their results into the
 * mail. The mail stays in shared memory when its sender leaves, because the two coordinators may have to take
 * turns in one place: the next coordinator of the sender's database finds it there.
 */
#ifndef KWJ_SHARED_MAIL_H
#define KWJ_SHARED_MAIL_H

#include "kwjobs.h"
#include "job/errand.h"
#include "storage/dsm.h"
#include "utils/timestamp.h"

/* A mail has at most this many errands. */
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
	int64		oldest;			/* the source has no errand for the target with a lower number */
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
 * Sends a mail with n errands, as kwj_errand_put() packs them, from this database, which has none on
 * its way, to the target. Wakes the coordinator there, or has the launcher start one. Returns false if
 * all places are taken. Needs a transaction. Errors: those of dsm_create().
 */
extern bool kwj_mail_send(Oid target, int64 oldest, const StringInfoData *errands, int n);

/*
 * Frees the place and the segment of the mail that this database has sent, whether it was answered or not,
 * unless the coordinator of the target is at work on it. Returns whether it has freed them.
 */
extern bool kwj_mail_end(void);

/*
 * As kwj_mail_end(), but does nothing if a coordinator of the target has taken the mail: if this
 * returns true, no errand takes effect by this mail.
 */
extern bool kwj_mail_take_back(void);

/* ---- the target ---- */

/*
 * Takes a mail that was sent to this database. *segment is where its errands are. Returns false if
 * there is none.
 */
extern bool kwj_mail_take(Oid *source, dsm_handle *segment);

/*
 * Says that the mail from this source is answered: this process, which has taken the mail, has written
 * all its results into the segment. Wakes the coordinator of the source to read them, or has the
 * launcher start one.
 */
extern void kwj_mail_answer(Oid source);

/* ---- only for src/shared; the caller holds kwj_shared->lock ---- */

/* Returns whether a mail waits for this database, or the answer to its own mail. */
extern bool kwj_has_mail(Oid dboid);

/*
 * Makes the mails that the coordinator of this database has taken and not answered SENT again, because
 * it exits: its successor takes them.
 */
extern void kwj_mails_put_back(Oid dboid);

/*
 * Frees the place of the mail that this database had sent, because it was dropped. Wakes the
 * coordinators that have sent it a mail: they refuse the errands of that mail (errands_out.c).
 */
extern void kwj_forget_mails_of(Oid dboid);

#endif

/*
 * src/shared/mail.c
 *	  Mails, by which the coordinator of one database sends errands to that of another.
 *
 * Process: coordinators. Locks: kwj_shared->lock for moments, for the places (KwjMail). Nothing in
 * a segment is protected by a lock: the source writes it before it is SENT, and only the target
 * writes to it while it is TAKEN.
 *
 *   (none) --source: kwj_mail_send--> SENT --target: kwj_mail_take--> TAKEN
 *            SENT  --source: kwj_mail_end, when nobody takes it; kwj_mail_take_back--> (none)
 *            TAKEN --target: kwj_mail_answer--> ANSWERED --source: kwj_mail_end--> (none)
 *            TAKEN --the target's coordinator exits--> SENT
 *
 * A database has one mail on its way at a time. The segment is pinned, so that it stays when no
 * process is attached to it.
 *
 * WHO DIES WHERE. If a coordinator ends, its successor goes on where the picture says: it finds the
 * mail by its database. After a crash, the server has new shared memory and no mail; the errands
 * are rows of kwjobs.errand, and are sent again. If the source was dropped, the next process that
 * looks for a place frees the segment (ORPHANED).
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/mail.h"
#include "shared/memory.h"
#include "utils/memutils.h"

#define KWJ_MAIL_MAGIC	UINT64CONST(0x6b776a6d61696c31)

/* Returns the number of the source's mail; for InvalidOid, of a free place. -1: there is none. */
static int
find_mail_of(Oid source)
{
	for (int i = 0; i < KWJ_MAILS; i++)
		if (kwj_shared->mails[i].source == source)
			return i;
	return -1;
}

/* Returns the number of a mail to this target in this state; -1: there is none. */
static int
find_mail_to(Oid target, KwjMailState state)
{
	for (int i = 0; i < KWJ_MAILS; i++)
		if (OidIsValid(kwj_shared->mails[i].source) && kwj_shared->mails[i].target == target &&
			kwj_shared->mails[i].state == state)
			return i;
	return -1;
}

StringInfoData
kwj_mail_errands(dsm_segment *segment)
{
	KwjMailHead *head = dsm_segment_address(segment);
	Size		room = dsm_segment_map_length(segment);
	StringInfoData errands = {0};

	if (room < sizeof(KwjMailHead) || head->magic != KWJ_MAIL_MAGIC ||
		head->size > room - sizeof(KwjMailHead) || head->size > MaxAllocSize ||
		head->n < 0 || head->n > KWJ_MAIL_ERRANDS)
		elog(ERROR, "broken mail of another database");
	errands.data = (char *) (head + 1);
	errands.len = (int) head->size;
	return errands;
}

KwjMailInfo
kwj_mail_look(void)
{
	KwjMailInfo info = {KWJ_MAIL_NONE};
	int			i;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	i = find_mail_of(MyDatabaseId);
	if (i >= 0)
		info = (KwjMailInfo) {kwj_shared->mails[i].state, kwj_shared->mails[i].target,
			kwj_shared->mails[i].segment, kwj_shared->mails[i].sent};
	LWLockRelease(kwj_shared->lock);
	return info;
}

/*
 * Takes a place that is free. *orphan: the segment of a mail whose source was dropped, and which had
 * this place; DSM_HANDLE_INVALID: none. Returns false if no place is free.
 */
static bool
take_place(const KwjMail *mail, dsm_handle *orphan)
{
	int			i;

	*orphan = DSM_HANDLE_INVALID;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(find_mail_of(mail->source) < 0);
	i = find_mail_of(InvalidOid);
	if (i >= 0)
	{
		*orphan = kwj_shared->mails[i].segment;
		kwj_shared->mails[i] = *mail;
		kwj_shared->n_mails++;
		kwj_need_coordinator(mail->target);
	}
	LWLockRelease(kwj_shared->lock);
	return i >= 0;
}

bool
kwj_mail_send(Oid target, int64 oldest, const StringInfoData *errands, int n)
{
	dsm_segment *segment = dsm_create(sizeof(KwjMailHead) + errands->len, 0);
	KwjMailHead *head = dsm_segment_address(segment);
	KwjMail		mail = {MyDatabaseId, target, KWJ_MAIL_SENT, dsm_segment_handle(segment),
	GetCurrentTimestamp()};
	dsm_handle	orphan;
	bool		sent;

	Assert(n <= KWJ_MAIL_ERRANDS);
	memset(head, 0, sizeof(*head));
	head->magic = KWJ_MAIL_MAGIC;
	head->source = MyDatabaseId;
	head->encoding = GetDatabaseEncoding();
	head->oldest = oldest;
	head->n = n;
	head->size = errands->len;
	memcpy(head + 1, errands->data, errands->len);
	dsm_pin_segment(segment);
	sent = take_place(&mail, &orphan);
	if (orphan != DSM_HANDLE_INVALID)
		dsm_unpin_segment(orphan);
	if (!sent)
		dsm_unpin_segment(mail.segment);
	dsm_detach(segment);
	return sent;
}

/*
 * Ends the mail that this database has sent. only_sent: but only if nobody has taken it. Returns whether it has
 * ended it.
 */
static bool
end_mail(bool only_sent)
{
	dsm_handle	segment = DSM_HANDLE_INVALID;
	int			i;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	i = find_mail_of(MyDatabaseId);
	if (i >= 0 && kwj_shared->mails[i].state != KWJ_MAIL_TAKEN &&
		(!only_sent || kwj_shared->mails[i].state == KWJ_MAIL_SENT))
	{
		segment = kwj_shared->mails[i].segment;
		memset(&kwj_shared->mails[i], 0, sizeof(KwjMail));
		kwj_shared->n_mails--;
	}
	LWLockRelease(kwj_shared->lock);
	if (segment == DSM_HANDLE_INVALID)
		return false;
	dsm_unpin_segment(segment);
	return true;
}

bool
kwj_mail_end(void)
{
	return end_mail(false);
}

bool
kwj_mail_take_back(void)
{
	return end_mail(true);
}

bool
kwj_mail_take(Oid *source, dsm_handle *segment)
{
	int			i;

	/* This reads without the lock, as kwj_ask_take() does, and for the same reason. */
	if (kwj_shared->n_mails == 0)
		return false;
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	i = find_mail_to(MyDatabaseId, KWJ_MAIL_SENT);
	if (i >= 0)
	{
		*source = kwj_shared->mails[i].source;
		*segment = kwj_shared->mails[i].segment;
		kwj_shared->mails[i].state = KWJ_MAIL_TAKEN;
	}
	LWLockRelease(kwj_shared->lock);
	return i >= 0;
}

void
kwj_mail_answer(Oid source)
{
	int			i;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	i = find_mail_of(source);
	if (i >= 0 && kwj_shared->mails[i].target == MyDatabaseId &&
		kwj_shared->mails[i].state == KWJ_MAIL_TAKEN)
	{
		kwj_shared->mails[i].state = KWJ_MAIL_ANSWERED;
		kwj_need_coordinator(source);
	}
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_has_mail(Oid dboid)
{
	int			mine;

	Assert(kwj_holds_lock(LW_SHARED));
	if (kwj_shared->n_mails == 0)
		return false;
	mine = find_mail_of(dboid);
	return find_mail_to(dboid, KWJ_MAIL_SENT) >= 0 ||
		(mine >= 0 && kwj_shared->mails[mine].state == KWJ_MAIL_ANSWERED);
}

void
kwj_mails_put_back(Oid dboid)
{
	int			i;

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	while ((i = find_mail_to(dboid, KWJ_MAIL_TAKEN)) >= 0)
		kwj_shared->mails[i].state = KWJ_MAIL_SENT;
}

void
kwj_forget_mails_of(Oid dboid)
{
	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	for (int i = 0; i < KWJ_MAILS; i++)
	{
		KwjMail    *mail = &kwj_shared->mails[i];

		if (!OidIsValid(mail->source))
			continue;
		if (mail->source == dboid)
		{
			/* ORPHANED: the handle stays, for take_place(). */
			mail->source = InvalidOid;
			mail->state = KWJ_MAIL_NONE;
			kwj_shared->n_mails--;
		}
		else if (mail->target == dboid)
			kwj_need_coordinator(mail->source);
	}
}

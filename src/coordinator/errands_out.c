/*
 * src/coordinator/errands_out.c
 *	  Sending the errands of this database to the databases that have the jobs.
 *
 * Process: coordinator, in each pass; coordinator.c calls this. Locks: kwj_shared->lock for moments
 * (shared/mail.c); the rows of errands, in short transactions.
 *
 *   no mail   --errands are due-----------------> sent: at most KWJ_MAIL_ERRANDS, to one database
 *   sent      --not taken within TAKE_MS--------> no mail; the errands are tried again later
 *             --the target was dropped----------> no mail; the errands are refused
 *             --answered------------------------> no mail; each errand is over, refused, or tried again
 *
 * This process does not wait. It may even leave while a mail is on its way: the target's coordinator
 * wakes the launcher when it has answered, and the successor finds the mail. Nothing here is kept in
 * this process but the time of the next look. If it dies between the target's commit and its own,
 * the successor finds the answer in the mail; after a crash of the server, the errands are sent
 * again, and the target knows which ones it has done.
 */
#include "postgres.h"

#include "compat.h"
#include "coordinator/errands_out.h"
#include "job/isolate.h"
#include "job/test_gate.h"
#include "miscadmin.h"
#include "shared/mail.h"
#include "shared/wait.h"
#include "store/errands.h"
#include "utils/memutils.h"

/* How long a mail may wait for the target's coordinator, which may have to wait for its turn. */
#define TAKE_MS		10000
/* When to try again if all places for mails are taken, or after an error. */
#define AGAIN_MS	1000

/* When errands are due, as far as this process knows; DT_NOEND: there are none. */
static TimestampTz next_due = DT_NOEND;

static TimestampTz
in_ms(int ms)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

/* ---- what has become of a mail ---- */

/* A mail that is over. */
typedef struct Settling
{
	const KwjMailInfo *info;
	const char *silent;			/* why its errands have got no result, and are sent again; or NULL */
	bool		dropped;		/* the target was dropped: they are refused */
	int64		numbers[KWJ_MAIL_ERRANDS];
	int			n;
} Settling;

static void
settle_one(const Settling *settling, const KwjErrand *errand, KwjErrandResult *result)
{
	if (settling->silent != NULL)
	{
		kwj_store_errand_again(errand->number, settling->silent, true);
		return;
	}
	switch ((KwjErrandOutcome) result->outcome)
	{
		case KWJ_ERRAND_DONE:
		case KWJ_ERRAND_LEFT_OUT:
			kwj_store_errand_over(errand->number);
			break;
		case KWJ_ERRAND_REFUSED:
		case KWJ_ERRAND_NO_JOB:
			kwj_store_errand_refused(errand->number, result);
			break;
		case KWJ_ERRAND_LOCKED:
			kwj_store_errand_again(errand->number, result->message[0] != '\0' ? result->message :
								   "an errand before it waits for the same job", false);
			break;
		case KWJ_ERRAND_NOT_DONE:
			kwj_store_errand_again(errand->number, "the other database did not look at it", false);
			break;
	}
}

/* Sets the result of an errand for a database that was dropped. */
static void
refuse_dropped(KwjErrandResult *result)
{
	memset(result, 0, sizeof(*result));
	result->outcome = KWJ_ERRAND_REFUSED;
	result->error_code = ERRCODE_UNDEFINED_DATABASE;
	strlcpy(result->message, "the database was dropped", sizeof(result->message));
	strlcpy(result->hint, "SHOW JOBS lists the jobs that there are.", sizeof(result->hint));
}

/* A step of kwj_isolate(): writes into kwjobs.errand what has become of each errand. */
static void
settle(void *arg)
{
	Settling   *settling = arg;
	dsm_segment *segment = dsm_attach(settling->info->segment);
	KwjMailHead *mail;
	StringInfoData packed;

	if (segment == NULL)
		elog(ERROR, "the segment of a mail is gone");
	packed = kwj_mail_errands(segment);
	mail = dsm_segment_address(segment);
	for (int i = 0; i < mail->n; i++)
	{
		KwjErrand	errand;
		KwjErrandResult result = mail->results[i];

		kwj_errand_take(&packed, &errand);
		kwj_errand_result_from_encoding(&result, mail->results_encoding);
		if (settling->dropped)
			refuse_dropped(&result);
		settle_one(settling, &errand, &result);
		settling->numbers[settling->n++] = errand.number;
	}
	kwj_test_gate(4928);
	dsm_detach(segment);
}

/* Notes what has become of the mail's errands, and ends the mail. Returns whether the mail is over. */
static bool
end_mail(const KwjMailInfo *info, const char *silent, bool dropped)
{
	Settling	settling = {info, silent, dropped};

	if (kwj_isolate(settle, &settling) != NULL)
		return false;
	/* Sessions wait for the numbers of their errands. */
	for (int i = 0; i < settling.n; i++)
		kwj_wake_waiters(settling.numbers[i]);
	next_due = DT_NOBEGIN;
	/* If the target has taken the mail in the last moment, it is not over: its answer comes. */
	return kwj_mail_end();
}

/* A step of kwj_isolate(): sets the target to InvalidOid if that database was dropped. */
static void
look_for_target(void *arg)
{
	Oid		   *target = arg;

	if (get_database_name(*target) == NULL)
		*target = InvalidOid;
}

/*
 * Looks at the mail that was sent. Returns whether it is over; if not, *again becomes the time to
 * look again.
 */
static bool
look_at_mail(const KwjMailInfo *info, TimestampTz *again)
{
	TimestampTz until = TimestampTzPlusMilliseconds(info->sent, TAKE_MS);
	Oid			target = info->target;

	*again = DT_NOEND;
	if (info->state == KWJ_MAIL_ANSWERED)
	{
		if (end_mail(info, NULL, false))
			return true;
		*again = in_ms(AGAIN_MS);
		return false;
	}
	if (info->state == KWJ_MAIL_TAKEN)
		return false;
	*again = until;
	if (kwj_isolate(look_for_target, &target) == NULL && !OidIsValid(target))
		return end_mail(info, NULL, true);
	return until <= GetCurrentTimestamp() &&
		end_mail(info, "the coordinator of the other database did not take it in time", false);
}

/* ---- errands that are withdrawn ---- */

/* What the two steps below are told, and find out, about errands of this database that are to be withdrawn. */
typedef struct Withdrawing
{
	Oid			target;			/* of the mail that is on its way; InvalidOid: there is none */
	KwjWithdrawn found;
	MemoryContext context;		/* has the numbers */
	int64	   *numbers;		/* of the errands that were withdrawn */
	int			n;
} Withdrawing;

/* A step of kwj_isolate(): looks whether there are errands to withdraw. */
static void
look_for_withdrawn(void *arg)
{
	Withdrawing *withdrawing = arg;

	withdrawing->found = kwj_store_look_for_withdrawn(withdrawing->target);
}

/* A step of kwj_isolate(): withdraws these errands, except for those that may be in the mail. */
static void
refuse_withdrawn(void *arg)
{
	Withdrawing *withdrawing = arg;
	MemoryContext old = MemoryContextSwitchTo(withdrawing->context);

	withdrawing->numbers = kwj_store_withdraw_errands(withdrawing->target, &withdrawing->n);
	MemoryContextSwitchTo(old);
}

static Oid
target_of(const KwjMailInfo *info)
{
	return info->state == KWJ_MAIL_NONE ? InvalidOid : info->target;
}

/*
 * Takes the mail back if an errand in it may be one that is withdrawn, unless the target is at work on
 * it: then the errand may take effect. The other errands of the mail are sent again. Returns whether
 * there is anything to withdraw.
 */
static bool
look_at_withdrawn(KwjMailInfo *info)
{
	Withdrawing withdrawing = {target_of(info)};

	if (kwj_isolate(look_for_withdrawn, &withdrawing) != NULL || !withdrawing.found.any)
		return false;
	if (withdrawing.found.of_target && kwj_mail_take_back())
		info->state = KWJ_MAIL_NONE;
	return true;
}

/*
 * Withdraws the errands that are to be withdrawn, except for those that may be in the mail, and wakes the
 * sessions that wait for them.
 */
static void
withdraw(const KwjMailInfo *info)
{
	Withdrawing withdrawing = {.target = target_of(info), .context = CurrentMemoryContext};

	if (kwj_isolate(refuse_withdrawn, &withdrawing) == NULL)
		for (int i = 0; i < withdrawing.n; i++)
			kwj_wake_waiters(withdrawing.numbers[i]);
}

/* ---- sending ---- */

/*
 * A step of kwj_isolate(): sends the errands that are due for one database. The argument points to
 * the database to which this one has sent the mail before.
 */
static void
send_some(void *arg)
{
	KwjErrandBatch batch = kwj_store_due_errands(KWJ_MAIL_ERRANDS, *(Oid *) arg);
	StringInfoData packed;
	ListCell   *lc;

	next_due = batch.next;
	if (batch.errands == NIL)
		return;
	kwj_test_gate(4927);
	initStringInfo(&packed);
	foreach(lc, batch.errands)
		kwj_errand_put(&packed, lfirst(lc));
	/* If the mail is sent, its answer is waited for, whether other errands are due or not. */
	next_due = kwj_mail_send(batch.database, batch.oldest, &packed, list_length(batch.errands)) ?
		DT_NOBEGIN : in_ms(AGAIN_MS);
}

TimestampTz
kwj_errands_send(bool any)
{
	MemoryContext context;
	MemoryContext caller;
	TimestampTz again = DT_NOEND;
	bool		withdraws;
	KwjMailInfo info;

	/* Mostly there are none. */
	if (!any && next_due == DT_NOEND)
		return DT_NOEND;
	context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs errands", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	info = kwj_mail_look();
	withdraws = look_at_withdrawn(&info);
	if (info.state != KWJ_MAIL_NONE && look_at_mail(&info, &again))
		info.state = KWJ_MAIL_NONE;
	if (withdraws)
		withdraw(&info);
	if (info.state == KWJ_MAIL_NONE)
	{
		if (kwj_isolate(send_some, &info.target) != NULL)
			next_due = in_ms(AGAIN_MS);
		info = kwj_mail_look();
		again = info.state == KWJ_MAIL_NONE ? next_due :
			TimestampTzPlusMilliseconds(info.sent, TAKE_MS);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return again;
}

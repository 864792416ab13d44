/*
 * src/coordinator/errands_in.c
 *	  Doing what sessions of other databases ask of the jobs of this database.
 *
 * Process: coordinator; coordinator.c calls this after each pass, and blocked.c while this process
 * waits for a lock. Each errand is done in a transaction of its own, as the role that has asked:
 * this process checks again whether that role has the server's admin role, as it is set here, and
 * then calls what PAUSE JOB and its like call.
 *
 * Locks: the row of the job, and what else the statement locks, in that transaction. This process
 * never waits for a session: if a row is locked, or anything else takes longer than LOCK_MS, the
 * errand is LOCKED, and the source sends it again later.
 *
 * Exactly once: the same transaction writes kwjobs.errand_done. If this process dies after it, the
 * successor finds the mail SENT again, and that the errand was done. After a crash of the server,
 * the source sends it again. The commit does not wait for the disk; store/errands.c says why it need
 * not.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "coordinator/errands_in.h"
#include "job/databases.h"
#include "job/encoding.h"
#include "job/isolate.h"
#include "job/role.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "lifecycle/admin.h"
#include "lifecycle/deeds.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "process/process.h"
#include "shared/mail.h"
#include "store/errands.h"
#include "store/events.h"
#include "store/query.h"
#include "type/type.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* How long an errand may wait for a lock, other than that of the job's row. */
#define LOCK_MS		"50ms"
/* How many mails this process answers between two passes, so that jobs start meanwhile. */
#define MAILS_STEP	2

/* An errand that is being done, and the mail that has brought it. */
typedef struct Doing
{
	const KwjMailHead *mail;
	KwjErrand  *errand;
} Doing;

/* Errors: 42501 if the role that has asked may not control the jobs of this database. */
static void
check_right(Oid role)
{
	if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)) && kwj_has_admin_role(role))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" does not have the admin role of the server", kwj_role_name(role)),
			 errhint("What counts is kwjobs.admin_role as it is set in database \"%s\", or for the server.",
					 kwj_database_name(MyDatabaseId))));
}

/* Calls what the statement calls, as the role that has asked. */
static void
control_as(KwjErrand *errand)
{
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(errand->role, security | SECURITY_LOCAL_USERID_CHANGE);
	kwj_store_act_for(errand->session);
	kwj_deed_do(errand, kwj_type_allows);
	kwj_store_act_for(InvalidOid);
	SetUserIdAndSecContext(user, security);
}

/* Does the errand, and notes that it is done. */
static void
carry_out(const Doing *doing)
{
	KwjErrand  *errand = doing->errand;

	check_right(errand->role);
	if (errand->reason != NULL)
		errand->reason = kwj_text_from_encoding(errand->reason, doing->mail->encoding);
	if (errand->change != NULL)
		errand->change = kwj_text_from_encoding(errand->change, doing->mail->encoding);
	control_as(errand);
	kwj_store_errand_done(errand->number, doing->mail->source, doing->mail->oldest);
}

/* A step of kwj_isolate_quietly(): does the errand, unless it was done before. */
static void
do_errand(void *arg)
{
	Doing	   *doing = arg;
	KwjErrand  *errand = doing->errand;

	kwj_set_locally("synchronous_commit", "off");
	kwj_set_locally("lock_timeout", LOCK_MS);
	/*
	 * kwj_isolate_quietly() holds cancels back, and with them the end of lock_timeout. If this
	 * process waited here, the source would, too, with all that it has for other databases.
	 */
	RESUME_CANCEL_INTERRUPTS();
	kwj_store_never_wait(true);
	if (!kwj_process_lock_extension())
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("database \"%s\" does not have kwjobs any more", kwj_database_name(MyDatabaseId)),
				 errhint("SHOW JOBS lists the jobs that there are.")));
	if (!kwj_store_errand_was_done(errand->number))
		carry_out(doing);
	HOLD_CANCEL_INTERRUPTS();
	kwj_test_gate(4929);
}

static void
do_one(const KwjMailHead *mail, KwjErrand *errand, KwjErrandResult *result)
{
	Doing		doing = {mail, errand};
	ErrorData  *edata = kwj_isolate_quietly(do_errand, &doing);

	/* An error has left these as they were. */
	kwj_store_never_wait(false);
	kwj_store_act_for(InvalidOid);
	if (edata == NULL)
	{
		result->outcome = KWJ_ERRAND_DONE;
		return;
	}
	kwj_errand_refuse(result, edata);
	if (kwj_error_is_passing(edata))
		result->outcome = KWJ_ERRAND_LOCKED;
	else
		ereport(LOG,
				(errmsg("%s, which a session of another database has asked for, failed: %s",
						kwj_deed_text(errand->deed, errand->job_id), edata->message)));
}

/* Returns whether an earlier errand of the mail about this job is LOCKED, so that this one waits. */
static bool
is_behind(const KwjErrand *errands, const KwjMailHead *mail, int i)
{
	for (int k = 0; k < i; k++)
		if (errands[k].job_id == errands[i].job_id && mail->results[k].outcome == KWJ_ERRAND_LOCKED)
			return true;
	return false;
}

/* Does the errands of a mail, in their order. */
static void
do_all(dsm_segment *segment)
{
	StringInfoData packed = kwj_mail_errands(segment);
	KwjMailHead *mail = dsm_segment_address(segment);
	KwjErrand  *errands = palloc(sizeof(KwjErrand) * KWJ_MAIL_ERRANDS);

	mail->results_encoding = GetDatabaseEncoding();
	for (int i = 0; i < mail->n; i++)
	{
		memset(&mail->results[i], 0, sizeof(KwjErrandResult));
		kwj_errand_take(&packed, &errands[i]);
		if (is_behind(errands, mail, i))
			mail->results[i].outcome = KWJ_ERRAND_LOCKED;
		else
			do_one(mail, &errands[i], &mail->results[i]);
		CHECK_FOR_INTERRUPTS();
	}
}

bool
kwj_errands_do(void)
{
	Oid			source;
	dsm_handle	handle;
	int			n = 0;

	while (n < MAILS_STEP && kwj_mail_take(&source, &handle))
	{
		MemoryContext context = AllocSetContextCreate(TopMemoryContext, "kwjobs errands",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext caller = MemoryContextSwitchTo(context);
		dsm_segment *segment = dsm_attach(handle);

		n++;
		if (segment != NULL)
		{
			do_all(segment);
			dsm_detach(segment);
		}
		kwj_mail_answer(source);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
	}
	return n > 0;
}

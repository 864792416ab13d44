/*
 * src/lifecycle/deeds.c
 *	  What an errand asks for, in the database that has the job.
 *
 * Process: the coordinator, for sessions of other databases: src/coordinator/answer.c checks errands,
 * errands_in.c does them. Locks: those of the statements and functions that are called.
 */
#include "postgres.h"

#include "lifecycle/alter.h"
#include "lifecycle/change.h"
#include "lifecycle/deeds.h"
#include "lifecycle/delete.h"

static void
read_change(const KwjErrand *errand, KwjChange *change)
{
	kwj_change_from_text(errand->change ? errand->change : "{}", change);
}

int
kwj_deed_would(const KwjErrand *errand, KwjControlledJob *job, KwjTypeAllows allows)
{
	KwjChange	change;

	if (kwj_is_verb(errand->deed))
		return kwj_control_would(errand, job, allows);
	if (errand->deed == KWJ_DEED_DELETE)
		return kwj_delete_would(errand->job_id, errand->many, job);
	read_change(errand, &change);
	kwj_alter_would(errand->deed, errand->job_id, &change, job);
	return 0;
}

static void
alter(const KwjErrand *errand)
{
	KwjChange	change;

	read_change(errand, &change);
	kwj_alter(errand->job_id, &change);
}

static void
control(const KwjErrand *errand, KwjTypeAllows allows)
{
	KwjVerb		verb = (KwjVerb) errand->deed;
	int64		job_id = errand->job_id;

	if (errand->many)
		(void) kwj_control_many(KWJ_BY_STATEMENT, verb, &job_id, 1, errand->all, errand->reason, allows);
	else
		kwj_control(KWJ_BY_STATEMENT, verb, job_id, errand->reason, allows);
}

static void
delete(const KwjErrand *errand)
{
	int64		job_id = errand->job_id;

	if (errand->many)
		(void) kwj_delete_many(&job_id, 1);
	else
		kwj_delete(job_id);
}

void
kwj_deed_do(const KwjErrand *errand, KwjTypeAllows allows)
{
	switch (errand->deed)
	{
		case KWJ_DEED_PAUSE:
		case KWJ_DEED_RESUME:
		case KWJ_DEED_CANCEL:
		case KWJ_DEED_RETRY:
			control(errand, allows);
			break;
		case KWJ_DEED_RUN_NOW:
			kwj_run_now(errand->job_id);
			break;
		case KWJ_DEED_ALTER:
			alter(errand);
			break;
		case KWJ_DEED_CLOSE:
			kwj_close(errand->job_id, errand->reason);
			break;
		case KWJ_DEED_DELETE:
			delete(errand);
			break;
		case KWJ_DEED_LOOK:
			elog(ERROR, "an errand that only looks was sent");
	}
}

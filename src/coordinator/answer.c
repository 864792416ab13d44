/*
 * src/coordinator/answer.c
 *	  Answering sessions of other databases that list or control the jobs of the server.
 *
 * Process: coordinator; coordinator.c calls this after each pass, and blocked.c while this process
 * waits for a lock. Locks: AccessShareLock on the tables of kwjobs, in a transaction for each
 * question; kwj_shared->lock for moments (shared/ask.c).
 *
 * This process checks what the role that asks may see: members of the admin role see everybody's
 * jobs, all others see nothing. What counts is kwjobs.admin_role as it is set in this database, not as
 * ALTER DATABASE has set it in the database of the session. The role is looked up by its OID, which
 * is the same in all databases. This process reads the jobs as that role.
 *
 * An answer is made as a whole and is then sent piece by piece, whenever there is room in its
 * queue. So this process waits only moments for a session. If a session does not read, this process
 * keeps the answer in memory until SEND_MS is over, and then drops it. An error in one answer ends
 * that answer only.
 *
 * If the session dies, sending fails, and the answer is dropped. If this process dies, its end of
 * the queue is closed, which the session sees.
 */
#include "postgres.h"

#include "compat.h"
#include "coordinator/answer.h"
#include "job/errand.h"
#include "job/isolate.h"
#include "job/test_gate.h"
#include "lifecycle/admin.h"
#include "lifecycle/control.h"
#include "lifecycle/deeds.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "process/process.h"
#include "shared/ask.h"
#include "storage/latch.h"
#include "store/errands.h"
#include "store/listing.h"
#include "type/type.h"
#include "utils/memutils.h"

/*
 * How long this process tries to send an answer. Then it drops the answer, because the session seems
 * to be stopped. As long as it has an answer to send, it does not leave for lack of work.
 */
#define SEND_MS			5000

/* How many questions this process answers between two passes, so that jobs start meanwhile. */
#define QUESTIONS_STEP	2

/* How long this process waits for sessions to read their answers before it makes another pass. */
#define PATIENCE_MS		20

typedef struct Answer
{
	MemoryContext context;		/* has this struct and all that it points to */
	dsm_handle	handle;
	int			number;			/* of the queue */
	dsm_segment *segment;
	shm_mq_handle *queue;
	KwjAnswer	head;
	KwjListing	listing;		/* of jobs; or the message of an error */
	KwjErrandResult *results;	/* of a check, head.n_rows of them */
	StringInfoData message;
	TimestampTz until;
} Answer;

static List *answers = NIL;		/* those that are not sent yet; in TopMemoryContext */

static void
drop(Answer *answer)
{
	if (answer->segment != NULL)
		dsm_detach(answer->segment);
	MemoryContextDelete(answer->context);
}

static void
put_text(StringInfo message, const char *text, int32 length)
{
	appendBinaryStringInfo(message, (char *) &length, sizeof(length));
	appendBinaryStringInfo(message, text, length);
}

static void
fill(Answer *answer)
{
	ListCell   *lc;

	/* The head is at the beginning, but is known only at the end. */
	initStringInfo(&answer->message);
	appendBinaryStringInfo(&answer->message, (char *) &answer->head, sizeof(KwjAnswer));
	if (answer->head.kind == KWJ_ANSWER_CHECKED)
		appendBinaryStringInfo(&answer->message, (char *) answer->results,
							   sizeof(KwjErrandResult) * answer->head.n_rows);
	foreach(lc, answer->listing.jobs)
	{
		const char *job = lfirst(lc);
		int32		length = strlen(job);

		if (answer->message.len + length > KWJ_ANSWER_BYTES)
		{
			answer->listing.more = true;
			break;
		}
		put_text(&answer->message, job, length);
		answer->head.n_rows++;
	}
	answer->head.more = answer->listing.more;
	memcpy(answer->message.data, &answer->head, sizeof(KwjAnswer));
}

/* ---- checking errands ---- */

/* A job that a question is about: how it stands, or will after the errands checked so far. */
typedef struct Checked
{
	int64		job_id;
	bool		found;
	KwjControlledJob job;
} Checked;

static Checked *
checked_job(List **jobs, int64 job_id)
{
	ListCell   *lc;
	Checked    *checked;

	foreach(lc, *jobs)
		if (((Checked *) lfirst(lc))->job_id == job_id)
			return lfirst(lc);
	checked = palloc0(sizeof(Checked));
	checked->job_id = job_id;
	checked->found = kwj_control_look(job_id, &checked->job);
	*jobs = lappend(*jobs, checked);
	return checked;
}

/* One errand that is checked. */
typedef struct Checking
{
	const KwjErrand *errand;
	Checked    *checked;
	KwjErrandResult *result;
} Checking;

/* A step of kwj_isolate_within_quietly(): raises the error with which the statement would fail. */
static void
check_one(void *arg)
{
	Checking   *checking = arg;
	int			left_out = kwj_deed_would(checking->errand, &checking->checked->job, kwj_type_allows);

	checking->result->outcome = left_out == 0 ? KWJ_ERRAND_DONE : KWJ_ERRAND_LEFT_OUT;
	checking->result->left_out = left_out;
}

static void
check(const KwjErrand *errand, List **jobs, KwjErrandResult *result)
{
	Checking	checking = {errand, checked_job(jobs, errand->job_id), result};
	ErrorData  *edata;

	/*
	 * If the errand was done already, the job shows its effect. The database that has sent it does not know
	 * that yet.
	 */
	result->outcome = KWJ_ERRAND_DONE;
	if (errand->number != 0 && kwj_store_errand_was_done(errand->number))
		return;
	result->outcome = KWJ_ERRAND_NO_JOB;
	if (!checking.checked->found || checking.checked->job.is_deleted)
		return;
	result->outcome = KWJ_ERRAND_DONE;
	if (errand->deed == KWJ_DEED_LOOK)
		return;
	edata = kwj_isolate_within_quietly(check_one, &checking);
	if (edata != NULL)
		kwj_errand_refuse(result, edata);
}

static void
check_all(Answer *answer, const KwjQuestion *question)
{
	StringInfoData errands = kwj_ask_errands(answer->segment);
	List	   *jobs = NIL;

	answer->results = palloc0(sizeof(KwjErrandResult) * Max(question->n_errands, 1));
	for (int i = 0; i < question->n_errands; i++)
	{
		KwjErrand	errand;

		kwj_errand_take(&errands, &errand);
		check(&errand, &jobs, &answer->results[i]);
	}
	answer->head.n_rows = question->n_errands;
	answer->head.kind = KWJ_ANSWER_CHECKED;
}

/* ---- answers ---- */

/* Reads what the question asks for: jobs, how jobs stand, ids of jobs, or the messages or reasons of a job. */
static void
read_jobs(Answer *answer, const KwjQuestion *question)
{
	int			n_ids = Min(question->n_ids, KWJ_ASKED_IDS);

	switch (question->kind)
	{
		case KWJ_ASK_OUTCOME:
			kwj_store_list_outcomes(question->role, question->ids, n_ids, &answer->listing);
			break;
		case KWJ_ASK_ALL:
			kwj_store_list_all(question->role, question->verb, question->job_type, KWJ_ASKED_ALL,
							   &answer->listing);
			break;
		case KWJ_ASK_MESSAGES:
			kwj_store_list_messages(question->role, question->ids[0], KWJ_ASKED_ALL, &answer->listing);
			break;
		case KWJ_ASK_WHY:
			kwj_store_list_why(question->role, question->ids[0], &answer->listing);
			break;
		default:
			kwj_store_list_jobs(question->role, question->automatic,
								Min(question->window, kwj_show_window), question->ids, n_ids,
								KWJ_ANSWER_ROWS, &answer->listing);
	}
	answer->head.kind = KWJ_ANSWER_JOBS;
}

/* A step of kwj_isolate(): attaches to the question, and finds the answer. */
static void
look_up(void *arg)
{
	Answer	   *answer = arg;
	KwjQuestion *question;
	MemoryContext old = MemoryContextSwitchTo(answer->context);

	answer->segment = kwj_ask_attach(answer->handle, answer->number, &question, &answer->queue);
	if (answer->segment == NULL)
		;
	else if (!kwj_process_lock_extension())
		answer->head.kind = KWJ_ANSWER_NO_EXTENSION;
	else if (!kwj_has_admin_role(question->role))
		answer->head.kind = KWJ_ANSWER_REFUSED;
	else if (question->kind == KWJ_ASK_CHECK)
		check_all(answer, question);
	else
	{
		kwj_test_gate(4926);
		read_jobs(answer, question);
	}
	MemoryContextSwitchTo(old);
}

static Answer *
begin(dsm_handle handle, int number)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "kwjobs answer",
												  ALLOCSET_DEFAULT_SIZES);
	Answer	   *answer = MemoryContextAllocZero(context, sizeof(Answer));

	answer->context = context;
	answer->handle = handle;
	answer->number = number;
	answer->head.encoding = GetDatabaseEncoding();
	return answer;
}

/* Finds the answer to a question, and puts it into the list of those to send. */
static void
find(dsm_handle handle, int number)
{
	Answer	   *answer = begin(handle, number);
	MemoryContext caller = MemoryContextSwitchTo(answer->context);
	ErrorData  *edata = kwj_isolate(look_up, answer);

	if (edata != NULL)
	{
		answer->head.n_rows = 0;
		answer->head.kind = KWJ_ANSWER_FAILED;
		answer->listing.jobs = list_make1(edata->message);
	}
	if (answer->segment == NULL)
		drop(answer);
	else
	{
		fill(answer);
		answer->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SEND_MS);
		MemoryContextSwitchTo(TopMemoryContext);
		answers = lappend(answers, answer);
	}
	MemoryContextSwitchTo(caller);
}

/* Sends what fits into the queue. Returns whether the answer is done with. */
static bool
send_piece(Answer *answer)
{
	return kwj_shm_mq_send(answer->queue, answer->message.len, answer->message.data, true) !=
		SHM_MQ_WOULD_BLOCK || GetCurrentTimestamp() >= answer->until;
}

static void
send_some(void)
{
	ListCell   *lc;

	foreach(lc, answers)
	{
		Answer	   *answer = lfirst(lc);

		if (!send_piece(answer))
			continue;
		drop(answer);
		answers = foreach_delete_current(answers, lc);
	}
}

/*
 * Sends what fits into the queues. Then this process waits for the sessions to read, for at most
 * PATIENCE_MS, and sends more. Without this wait, each piece that a session reads would set the
 * latch, and so would begin a pass.
 */
static void
send_all(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);
	bool		set = false;
	long		ms;

	for (;;)
	{
		send_some();
		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		if (answers == NIL || ms <= 0)
			break;
		if ((WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					   kwj_wait_event("KwjobsMain")) & WL_LATCH_SET) == 0)
			continue;
		set = true;
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	/*
	 * The latch that was reset above may have been set by somebody who wants a pass. Set it again,
	 * so that there is one.
	 */
	if (set)
		SetLatch(MyLatch);
}

/* Takes a few questions. Returns whether there was any. The next pass takes more. */
static bool
take_some(void)
{
	dsm_handle	segment;
	int			queue;
	int			n = 0;

	while (n < QUESTIONS_STEP && kwj_ask_take(&segment, &queue))
	{
		find(segment, queue);
		n++;
	}
	return n > 0;
}

bool
kwj_answer_is_sending(void)
{
	return answers != NIL;
}

TimestampTz
kwj_answer_questions(void)
{
	TimestampTz next = DT_NOEND;
	ListCell   *lc;
	bool		any = take_some();
	int			n = list_length(answers);

	send_all();
	/* This process may have stayed only for the questions, or only to send the answers. */
	if (any || list_length(answers) < n)
		return GetCurrentTimestamp();
	foreach(lc, answers)
		next = Min(next, ((Answer *) lfirst(lc))->until);
	return next;
}

void
kwj_answer_no_extension(void)
{
	while (take_some())
		;
	send_all();
}

/*
 * src/coordinator/answer.c
 *	  Answering sessions of other databases that list the jobs of the server.
 *
 * Process: coordinator, after each pass; coordinator.c calls this. Locks: AccessShareLock on the
 * tables of kwjobs, in a transaction for each question; kwj_shared->lock for moments (shared/ask.c).
 *
 * This process acts as the owner of the extension, so it has to check itself what the role that
 * asks may see: members of the admin role see everybody's jobs, all others see nothing. What counts
 * is kwjobs.admin_role as it is in this database.
 * The role is looked up by its OID, which is the same in all databases. What ALTER DATABASE has set
 * kwjobs.admin_role to in the database of the session does not count here.
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
#include "job/isolate.h"
#include "job/test_gate.h"
#include "lifecycle/admin.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "process/process.h"
#include "shared/ask.h"
#include "storage/latch.h"
#include "store/listing.h"
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
	KwjListing	listing;
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
	else
	{
		kwj_test_gate(4926);
		kwj_store_list_jobs(question->automatic, Min(question->window, kwj_show_window),
							question->ids, question->n_ids, KWJ_ANSWER_ROWS, &answer->listing);
		answer->head.kind = KWJ_ANSWER_JOBS;
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

/* Finds the answer to a question and puts it into the list of those to send. */
static void
find(dsm_handle handle, int number)
{
	Answer	   *answer = begin(handle, number);
	MemoryContext caller = MemoryContextSwitchTo(answer->context);
	ErrorData  *edata = kwj_isolate(look_up, answer);

	if (edata != NULL)
	{
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
	(void) take_some();
	send_all();
}

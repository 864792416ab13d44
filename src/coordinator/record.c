/*
 * src/coordinator/record.c
 *	  Rows of jobs that sessions have done, but have not recorded: their transaction was rolled
 *	  back, or they have left the row to the coordinator.
 *
 * Process: coordinator, in the transaction of a pass (coordinator.c), or job by job (singly.c).
 * Locks: kwjobs.job in RowExclusiveLock until the end of the transaction; kwj_shared->lock for
 * moments. lifecycle/session_job.c says when a session leaves the row to the coordinator.
 *
 *   ENDED: several rows in one subtransaction
 *     -> inserted                      at commit: WRITTEN; at rollback: ENDED, as before
 *     -> error: one by one
 *          -> error that may pass      stays ENDED, tried again after AGAIN_MS
 *          -> any other error          the job is dropped, and counted as unrecorded
 *
 * So neither a row that cannot be written nor a trigger that a user has put on our table keeps
 * the coordinator from its other work.
 *
 * If this process exits before the commit, the rows are rolled back, and at_transaction_end() is
 * called for that as for any rollback. After the commit, it was called already.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/collect.h"
#include "coordinator/leftover.h"
#include "coordinator/record.h"
#include "job/isolate.h"
#include "lifecycle/broken.h"
#include "lifecycle/session_job.h"
#include "lifecycle/session_record.h"
#include "shared/session_jobs.h"
#include "shared/wait.h"
#include "store/record.h"

/* How many jobs are recorded in one pass. */
#define RECORD_STEP			32
/* When to try again after an error that may pass. */
#define AGAIN_MS			5000
/*
 * How often to look whether prepared transactions have ended. Mostly the session that ends one
 * looks itself (session/utility_hook.c), but it may exit before it does.
 */
#define LOOK_PREPARED_MS	60000

/* The jobs whose rows this transaction has inserted. */
static int64 inserted[RECORD_STEP];
static int	n_inserted = 0;

/* Some of the jobs that have ended. */
typedef struct Ended
{
	const KwjSessionJob *jobs;
	int			n;
} Ended;

static void
note_inserted(int64 job_id)
{
	Assert(n_inserted < RECORD_STEP);
	inserted[n_inserted++] = job_id;
	kwj_shared_session_job_inserted(job_id, GetTopFullTransactionId());
}

/* Undoes note_inserted() for all jobs but the first n_before. */
static void
forget_inserted(int n_before)
{
	while (n_inserted > n_before)
		kwj_shared_session_job_unwritten(inserted[--n_inserted]);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		forget_inserted(0);
	if (event != XACT_EVENT_COMMIT)
		return;
	for (int i = 0; i < n_inserted; i++)
	{
		kwj_shared_session_job_written(inserted[i]);
		kwj_wake_waiters(inserted[i]);
	}
	n_inserted = 0;
}

void
kwj_record_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}

static void
insert_rows(void *arg)
{
	const Ended *ended = arg;
	KwjRecords *records = kwj_store_open_records();

	for (int i = 0; i < ended->n; i++)
	{
		KwjRecord	record;

		kwj_session_job_record(&ended->jobs[i], &record);
		if (OidIsValid(ended->jobs[i].left_table))
		{
			char	   *hint = kwj_leftover_hint(ended->jobs[i].left_table, ended->jobs[i].left_index);

			record.error_hint = hint ? hint : record.error_hint;
		}
		kwj_store_record(records, &record);
		note_inserted(ended->jobs[i].job_id);
		/* The user has canceled this run, which does not mean that there shall be no statistics. */
		if (OidIsValid(ended->jobs[i].analyzed) && ended->jobs[i].requested != 0 &&
			ended->jobs[i].outcome == KWJ_CANCELED)
			kwj_collect_canceled(ended->jobs[i].analyzed);
	}
	kwj_store_close_records(records);
}

/* Inserts the rows, all or none. Returns the error; NULL if there was none. */
static ErrorData *
try_insert(Ended ended)
{
	int			n_before = n_inserted;
	ErrorData  *edata = kwj_isolate_within(insert_rows, &ended);

	if (edata != NULL)
		forget_inserted(n_before);
	return edata;
}

/* Inserts the rows one by one. Returns when to try again; DT_NOEND if no error may pass. */
static TimestampTz
insert_singly(Ended ended)
{
	TimestampTz again = DT_NOEND;

	for (int i = 0; i < ended.n; i++)
	{
		ErrorData  *edata = try_insert((Ended) {&ended.jobs[i], 1});

		if (edata == NULL)
			continue;
		if (kwj_error_may_pass(edata))
		{
			again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), AGAIN_MS);
			continue;
		}
		kwj_shared_forget_session_job(ended.jobs[i].job_id);
		kwj_shared_count_unrecorded();
		kwj_wake_waiters(ended.jobs[i].job_id);
	}
	return again;
}

TimestampTz
kwj_record_session_jobs(void)
{
	bool		any_prepared = kwj_session_jobs_look_at_prepared();
	KwjSessionJob *jobs = palloc(sizeof(KwjSessionJob) * RECORD_STEP);
	Ended		ended = {jobs, kwj_shared_ended_session_jobs(jobs, RECORD_STEP)};
	TimestampTz again = DT_NOEND;

	if (any_prepared)
		again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_PREPARED_MS);
	if (ended.n > 0 && try_insert(ended) != NULL)
	{
		TimestampTz retry = insert_singly(ended);

		again = Min(again, retry);
	}
	else if (ended.n == RECORD_STEP)
		again = DT_NOBEGIN;
	return again;
}

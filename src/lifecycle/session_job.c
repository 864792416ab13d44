/*
 * src/lifecycle/session_job.c
 *	  Jobs that a session does itself: what happens to them when its transactions end.
 *
 * Callers: the code that does such a job, in its own session; control.c, wait.c and src/function in
 * sessions that look at it; src/coordinator/record.c; src/session/utility_hook.c after COMMIT
 * PREPARED. The states are drawn in shared/session_jobs.c. The transaction callbacks in this file
 * change them:
 *
 *     PRE_COMMIT      insert the rows of jobs that are DONE, if that can neither wait nor do harm
 *     COMMIT          DONE with a row -> WRITTEN; DONE without a row -> ENDED (succeeded)
 *     ABORT           all jobs of the session -> ENDED (failed, canceled)
 *     ABORT_SUB       the jobs of the subtransaction -> ENDED
 *     COMMIT_SUB      the jobs of the subtransaction now belong to its parent
 *     PRE_PREPARE     as PRE_COMMIT
 *     PREPARE         DONE -> PREPARED
 *
 * A job that is still RUNNING at PRE_COMMIT belongs to a statement that goes on in the next
 * transaction, so the callbacks leave it alone.
 *
 * The session leaves the row to the coordinator: in a READ ONLY transaction; in a transaction
 * without a transaction id, because the row would need one, and then the commit would wait for the
 * disk; in a SERIALIZABLE transaction, which the row could make fail; if kwjobs.job is locked or
 * has triggers; and after any error. Then the job is ENDED, and shows how it has ended, before its
 * row is there.
 *
 * Locks: kwj_shared->lock for moments, once for each transition; RowExclusiveLock on kwjobs.job,
 * only if it is available at once, from PRE_COMMIT to the end of the transaction.
 *
 * PostgreSQL calls the callbacks of this file when the session's transaction commits or aborts. At
 * COMMIT and ABORT an error would bring the server down, so they allocate no memory there and raise
 * no error. At PRE_COMMIT the session inserts the rows in a subtransaction: if that fails, the
 * user's transaction goes on. The session holds query cancels back meanwhile, because a cancel
 * would end the subtransaction and not the user's statement.
 *
 * If the session exits, its transaction is aborted, which runs the callbacks. If the session is
 * killed, see shared/session_jobs.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "compat.h"
#include "job/extension.h"
#include "job/isolate.h"
#include "job/secret.h"
#include "lifecycle/moved_jobs.h"
#include "lifecycle/session_job.h"
#include "lifecycle/session_record.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "shared/init.h"
#include "shared/quiet.h"
#include "shared/wait.h"
#include "shared/wakeup.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "store/record.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A CANCEL JOB of this transaction. */
typedef struct Cancel
{
	int64		job_id;
	Oid			by;
	char	   *reason;			/* NULL: none */
	SubTransactionId in;
	struct Cancel *next;		/* the CANCEL JOB before this one */
} Cancel;

/* The list begins with the latest CANCEL JOB. It is allocated in TopTransactionContext. */
static Cancel *cancels = NULL;

/*
 * False: the end of the transaction has nothing to do here. That is so for most transactions, and PostgreSQL
 * calls this file at the end of each, so it looks at nothing else then. It becomes true when the session begins
 * a job or types CANCEL JOB, and false when the end of a transaction has left no work (has_work).
 */
static bool may_have_work = false;

/* before_end() has found that the extension is gone, so there is no table for the rows. */
static bool extension_gone = false;

/* before_end() has inserted the rows of all jobs that were DONE, also of those that had moved. */
static bool have_rows = false;

/* See kwj_session_job_precede(); NULL: none. */
static KwjTransactionEnd preceding = NULL;

/* ---- the session's own jobs ---- */

static int
find_mine(int64 job_id)
{
	int			place = job_id == 0 ? -1 : kwj_my_first_session_job();

	while (place >= 0 && kwj_my_session_job(place)->job_id != job_id)
		place = kwj_my_next_session_job(place);
	return place;
}

bool
kwj_session_job_is_mine(int64 job_id)
{
	return find_mine(job_id) >= 0;
}

int64
kwj_session_job_begin(const KwjNewSessionJob *job)
{
	int64		job_id;

	Assert(IsTransactionState());
	if (!kwj_shared_ready() || !IsUnderPostmaster || IsInParallelMode() || !kwj_extension_exists())
		return 0;
	may_have_work = true;
	job_id = kwj_shared_begin_session_job(job, GetCurrentSubTransactionId());
	if (job_id == 0 && kwj_moved_jobs_make_room())
		job_id = kwj_shared_begin_session_job(job, GetCurrentSubTransactionId());
	if (job_id == 0)
		kwj_shared_count_unrecorded();
	return job_id;
}

void
kwj_session_job_update(int64 job_id, double fraction, const char *running_status)
{
	int			place = find_mine(job_id);

	if (place >= 0)
		kwj_my_session_job_update(place, fraction, running_status);
}

/*
 * Returns whether a message with this SQLSTATE may quote a value of the statement. Messages of the
 * classes below quote names at most. The exception is a syntax error, which quotes a part of the
 * text.
 */
static bool
may_quote_value(int sqlstate)
{
	static const int classes[] = {
		ERRCODE_FEATURE_NOT_SUPPORTED, ERRCODE_INVALID_TRANSACTION_STATE,
		ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST, ERRCODE_TRANSACTION_ROLLBACK,
		ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION, ERRCODE_INSUFFICIENT_RESOURCES,
		ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, ERRCODE_OPERATOR_INTERVENTION
	};

	for (int i = 0; i < lengthof(classes); i++)
		if (ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_TO_CATEGORY(classes[i]))
			return sqlstate == ERRCODE_SYNTAX_ERROR;
	return true;
}

/*
 * Returns the message or hint of an error, or a note in its place if it may have a secret in it: an
 * error may quote what the user has typed. text may be NULL.
 */
static const char *
showable(const char *text, bool is_secret)
{
	return text != NULL ? kwj_showable(text, is_secret) : NULL;
}

void
kwj_session_job_error(int64 job_id, const char *hint, bool has_secret)
{
	int			place = find_mine(job_id);
	MemoryContext old;
	ErrorData  *edata;
	bool		is_secret;

	if (place < 0)
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	edata = CopyErrorData();
	MemoryContextSwitchTo(old);
	is_secret = has_secret && may_quote_value(edata->sqlerrcode);
	kwj_my_session_job_error(place, edata->sqlerrcode, showable(edata->message, is_secret),
							 hint ? hint : showable(edata->hint, is_secret));
	FreeErrorData(edata);
}

void
kwj_session_job_leaves(int64 job_id, Oid table, Oid index)
{
	int			place = find_mine(job_id);

	if (place >= 0)
		kwj_my_session_job_leaves(place, table, index);
}

/*
 * CANCEL JOB has sent SIGINT for a statement whose work is done now. Obeys the signal if `obey` is
 * true, because a rollback undoes the work, and if this process can be interrupted here. Otherwise
 * drops the signal, because it must not cancel the next statement.
 */
static void
handle_cancel(bool obey)
{
	kwj_await_cancel();
	if (obey)
		CHECK_FOR_INTERRUPTS();
	QueryCancelPending = false;
}

void
kwj_session_job_done(int64 job_id, bool can_undo)
{
	int			place = find_mine(job_id);

	if (place < 0 || kwj_my_session_job(place)->state != KWJ_SESSION_RUNNING ||
		!kwj_my_session_job_done(place))
		return;
	/* If handle_cancel() raises this error, the job shows it. */
	kwj_my_session_job_error(place, ERRCODE_QUERY_CANCELED,
							 "canceling statement due to user request", NULL);
	handle_cancel(can_undo);
	kwj_my_session_job_error(place, 0, NULL, NULL);
}

void
kwj_session_job_finish(int64 job_id)
{
	int			place = find_mine(job_id);

	/* A CANCEL JOB that comes now is too late for the work, so the job has succeeded anyway. */
	if (place >= 0 && (RecoveryInProgress() ? kwj_my_session_job_gone(place) :
					   kwj_my_session_job_ended(place, true)))
		handle_cancel(true);
}

void
kwj_session_job_drop(int64 job_id, bool can_undo)
{
	int			place = find_mine(job_id);
	bool		signalled;

	if (place < 0)
		return;
	signalled = kwj_my_session_job_gone(place);
	/* Whoever waits for the job has to learn that there is none. */
	kwj_wake_waiters(job_id);
	if (signalled)
		handle_cancel(can_undo);
}

/* ---- rows ---- */

static bool
is_any_done(void)
{
	if (kwj_moved_jobs_any())
		return true;
	kwj_foreach_my_session_job(place)
		if (kwj_my_session_job(place)->state == KWJ_SESSION_DONE)
			return true;
	return false;
}

/*
 * Inserts the rows of all jobs that are DONE, which all get the same time as their end. Sets *arg, a bool, if
 * it has done so.
 */
static void
insert_rows(void *arg)
{
	bool	   *inserted = arg;
	TimestampTz now = GetCurrentTimestamp();
	KwjRecords *records;

	PushActiveSnapshot(GetTransactionSnapshot());
	records = kwj_store_try_records();
	if (records != NULL)
	{
		kwj_moved_jobs_insert(records, now);
		kwj_foreach_my_session_job(place)
		{
			KwjRecord	record;

			if (kwj_my_session_job(place)->state != KWJ_SESSION_DONE)
				continue;
			kwj_session_job_record(kwj_my_session_job(place), &record);
			kwj_session_job_succeeds(&record, now);
			kwj_store_record(records, &record);
		}
		kwj_store_close_records(records);
		*inserted = true;
	}
	PopActiveSnapshot();
}

/*
 * Inserts the rows in a subtransaction. Returns whether it has inserted them. What this allocates is
 * freed with the transaction, which ends now. The caller's context may live longer: that of a procedure
 * lives until the end of the procedure, which may commit many times.
 */
static bool
try_insert(void)
{
	volatile bool inserted = false;
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

	if (kwj_isolate_within_quietly(insert_rows, (void *) &inserted) != NULL)
		inserted = false;
	MemoryContextSwitchTo(caller);
	return inserted;
}

/* Returns whether inserting the rows does no harm to the current transaction. */
static bool
may_insert(void)
{
	return !XactReadOnly && !RecoveryInProgress() && !IsolationIsSerializable() &&
		!IsInParallelMode() && TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		(MyProc->statusFlags & PROC_IN_VACUUM) == 0;
}

/* The transaction is about to commit, or to be prepared. */
static void
before_end(bool prepares)
{
	extension_gone = have_rows = false;
	if (!is_any_done())
		return;
	extension_gone = !kwj_extension_exists();
	have_rows = !extension_gone && may_insert() && try_insert();
	if (!have_rows && !prepares)
		return;
	kwj_foreach_my_session_job(place)
		if (kwj_my_session_job(place)->state == KWJ_SESSION_DONE)
			kwj_my_session_job_decides(place, GetTopFullTransactionId(), have_rows);
}

/* ---- the ends of transactions ---- */

void
kwj_session_job_drop_cancel(bool signalled)
{
	if (signalled)
		handle_cancel(false);
}

static void
end_committed(int place)
{
	int64		job_id = kwj_my_session_job(place)->job_id;

	if (kwj_my_session_job(place)->has_row)
		kwj_my_session_job_written(place);
	else if (extension_gone || RecoveryInProgress())
		(void) kwj_my_session_job_gone(place);
	else
		(void) kwj_my_session_job_ended(place, true);
	kwj_wake_waiters(job_id);
}

static void
end_aborted(int place)
{
	const char *why = proc_exit_inprogress ?
		"transaction rolled back, as its session ended" : "transaction rolled back";

	if (kwj_my_session_job(place)->sqlstate == 0)
		kwj_my_session_job_error(place, ERRCODE_TRANSACTION_ROLLBACK, why, NULL);
	kwj_session_job_drop_cancel(RecoveryInProgress() ? kwj_my_session_job_gone(place) :
								kwj_my_session_job_ended(place, false));
}

/* Applies `end` to the jobs that are DONE; those that are RUNNING go on. */
static void
end_all_done(void (*end) (int place))
{
	int			place = kwj_my_first_session_job();

	while (place >= 0)
	{
		int			next = kwj_my_next_session_job(place);

		if (kwj_my_session_job(place)->state == KWJ_SESSION_DONE)
			end(place);
		place = next;
	}
}

/*
 * Ends the jobs of this subtransaction and of the subtransactions within it, which have higher
 * numbers. InvalidSubTransactionId, the lowest number, ends all jobs of this session.
 */
static void
end_all_aborted(SubTransactionId in)
{
	int			place = kwj_my_first_session_job();

	while (place >= 0)
	{
		int			next = kwj_my_next_session_job(place);

		if (kwj_my_session_job_in(place) >= in)
			end_aborted(place);
		place = next;
	}
}

static void
send_cancels(void)
{
	for (Cancel *cancel = cancels; cancel != NULL; cancel = cancel->next)
		kwj_shared_cancel_session_job(cancel->job_id, cancel->by, cancel->reason);
	cancels = NULL;
}

/* Returns whether the end of a transaction has to do something about a job of this session, or a CANCEL JOB. */
static bool
has_work(void)
{
	return kwj_my_first_session_job() >= 0 || cancels != NULL || kwj_moved_jobs_any();
}

static void
end_transaction(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_end(false);
			break;
		case XACT_EVENT_PRE_PREPARE:
			before_end(true);
			break;
		case XACT_EVENT_COMMIT:
			end_all_done(end_committed);
			kwj_moved_jobs_end(have_rows || extension_gone);
			if (have_rows)
				kwj_quiet_ends();
			send_cancels();
			break;
		case XACT_EVENT_PREPARE:
			end_all_done(kwj_my_session_job_prepared);
			kwj_moved_jobs_end(have_rows);
			cancels = NULL;
			break;
		case XACT_EVENT_ABORT:
			end_all_aborted(InvalidSubTransactionId);
			kwj_moved_jobs_end(false);
			cancels = NULL;
			break;
		default:
			break;
	}
}

/* Not inlined, so that at_transaction_end() stays short for all transactions without work. */
static pg_noinline void
do_work(XactEvent event)
{
	if (MyBackendType == B_AUTOVAC_WORKER && preceding != NULL)
		preceding(event);
	if (has_work())
		end_transaction(event);
	may_have_work = has_work();
	if (!may_have_work)
		extension_gone = have_rows = false;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (unlikely(may_have_work || MyBackendType == B_AUTOVAC_WORKER))
		do_work(event);
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
					  void *arg)
{
	if (!may_have_work)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		end_all_aborted(mine);
		kwj_moved_jobs_roll_back(mine);
		while (cancels != NULL && cancels->in >= mine)
			cancels = cancels->next;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		kwj_foreach_my_session_job(place)
			if (kwj_my_session_job_in(place) == mine)
				kwj_my_session_job_moves(place, parent);
		for (Cancel *cancel = cancels; cancel != NULL && cancel->in == mine; cancel = cancel->next)
			cancel->in = parent;
	}
}

void
kwj_session_job_precede(KwjTransactionEnd callback)
{
	Assert(preceding == NULL);
	preceding = callback;
}

void
kwj_session_job_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

/* ---- for those who look, wait and control ---- */

void
kwj_session_job_cancel_at_commit(int64 job_id, const char *reason)
{
	Cancel	   *cancel = MemoryContextAlloc(TopTransactionContext, sizeof(Cancel));

	cancel->job_id = job_id;
	cancel->by = GetUserId();
	cancel->reason = reason ? MemoryContextStrdup(TopTransactionContext, reason) : NULL;
	cancel->in = GetCurrentSubTransactionId();
	cancel->next = cancels;
	cancels = cancel;
	may_have_work = true;
	/* this transaction cannot wait for the job, nor be prepared */
	kwj_wakeup_at_end(job_id);
}

static bool
is_cancel_pending(int64 job_id)
{
	for (Cancel *cancel = cancels; cancel != NULL; cancel = cancel->next)
		if (cancel->job_id == job_id)
			return true;
	return false;
}

KwjStatus
kwj_session_job_status(const KwjSessionJob *job)
{
	if (job->state == KWJ_SESSION_ENDED)
		return job->outcome;
	/*
	 * A job in any other state counts as running, even if it is WRITTEN: the reader has not seen
	 * its row yet, because the row was committed, together with the work, after the reader's snapshot.
	 */
	if ((job->state == KWJ_SESSION_RUNNING && job->requested != 0) ||
		is_cancel_pending(job->job_id))
		return KWJ_CANCEL_REQUESTED;
	return KWJ_RUNNING;
}

static bool
removes_files(KwjCounts counts)
{
	return counts == KWJ_COUNTS_DROP || counts == KWJ_COUNTS_TRUNCATE;
}

char *
kwj_session_job_running_status(const KwjSessionJob *job)
{
	switch (job->state)
	{
		case KWJ_SESSION_DONE:
			return psprintf("waiting for the end of its transaction%s",
							removes_files(job->counts) ? "; COMMIT removes the files" : "");
		case KWJ_SESSION_PREPARED:
			return psprintf("waiting for COMMIT PREPARED or ROLLBACK PREPARED of transaction %u",
							XidFromFullTransactionId(job->xid));
		case KWJ_SESSION_RUNNING:
			return job->running_status[0] != '\0' ? pstrdup(job->running_status) : NULL;
		default:
			return NULL;
	}
}

bool
kwj_session_job_outcome(int64 job_id, KwjOutcome *outcome)
{
	KwjSessionJob *job = palloc(sizeof(KwjSessionJob));
	bool		found = kwj_shared_find_session_job(job_id, job) &&
		(job->awaited || kwj_shared_await_session_job(job_id));

	if (found)
		*outcome = (KwjOutcome) {
			.status = kwj_session_job_status(job),
			.fraction = job->fraction,
			.running_status = kwj_session_job_running_status(job),
			.error = pstrdup(""),
		};
	pfree(job);
	return found;
}

/* ---- prepared transactions ---- */

/* The most PREPARED jobs that one call looks at. */
#define PREPARED_LIMIT		64

static void
look_at_prepared(const KwjSessionJob *job)
{
	TransactionId xid = XidFromFullTransactionId(job->xid);

	if (TransactionIdIsInProgress(xid))
		return;
	kwj_shared_session_job_resolved(job->job_id, TransactionIdDidCommit(xid));
	kwj_wake_waiters(job->job_id);
}

bool
kwj_session_jobs_look_at_prepared(void)
{
	KwjSessionJob *jobs;
	int			n;

	if (!kwj_shared_ready() || !kwj_shared_any_session_job_left())
		return false;
	jobs = palloc(sizeof(KwjSessionJob) * PREPARED_LIMIT);
	n = kwj_shared_prepared_session_jobs(jobs, PREPARED_LIMIT);
	for (int i = 0; i < n; i++)
		look_at_prepared(&jobs[i]);
	pfree(jobs);
	return n > 0;
}

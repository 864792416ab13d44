/*
 * src/lifecycle/wait.c
 *	  Waiting for jobs to be over.
 *
 * Process: sessions, and workers whose statement waits for another job. Callers: SHOW JOB WHEN
 * COMPLETE (src/function/show.c), kwjobs.wait (src/function/wait.c), the hook that waits before
 * either of them in a query (src/session/wait_hook.c), and statements that wait for the job that
 * they have created (src/function/outcome.c).
 *
 *      prepare to sleep
 *         |
 *         v
 *      read the row --job over, or gone, or the time is up--> return
 *         |   ^
 *         |   +-- woken: the job has changed, or the next notice is due --+
 *         v                                                               |
 *      note the wait, check that the job can end --> give way --> sleep --+
 *
 * A wait sleeps on a condition variable. A transaction that changes the job broadcasts on it when
 * the transaction ends (shared/wakeup.h). So do a lockout (shared/lockout.h) and the coordinator
 * if they have to end the wait.
 *
 * Locks: AccessShareLock on kwjobs's tables, until the end of the transaction; none on rows. A
 * command that needs an exclusive lock on these tables ends the wait (KWJ_WAIT_HINDERS). While the
 * process sleeps, the wait holds no snapshot.
 *
 * A job of another database is waited for in the same way, but the session cannot read its row, and
 * asks the coordinator there instead (wait_elsewhere). If that database, its extension or the job is
 * gone, the wait ends; if its coordinator dies, the next one answers.
 *
 * A worker notes in its slot for which job its attempt waits, so that the coordinator sees when
 * jobs wait for each other. If the waiting worker dies, the note goes away with its slot. If the
 * worker of the other job dies, the coordinator settles that job's attempt, and the commit of that
 * wakes the waiting process. If the coordinator dies, its successor settles the attempt.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "job/current.h"
#include "job/databases.h"
#include "job/extension.h"
#include "job/ids.h"
#include "job/test_gate.h"
#include "lifecycle/control.h"
#include "lifecycle/elsewhere.h"
#include "lifecycle/errands.h"
#include "lifecycle/give_way.h"
#include "lifecycle/session_job.h"
#include "lifecycle/wait.h"
#include "miscadmin.h"
#include "shared/job_id.h"
#include "shared/lockout.h"
#include "shared/session_jobs.h"
#include "shared/wait.h"
#include "shared/wakeup.h"
#include "shared/worker.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "store/jobs.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static void
report_verdict(KwjWaitVerdict verdict, int64 job_id)
{
	switch (verdict)
	{
		case KWJ_WAIT_GOES_ON:
			break;
		case KWJ_WAIT_HINDERS:
			/* The command waits for this session's locks on our tables. */
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the wait for job " INT64_FORMAT " ended before the job did", job_id),
					 errdetail("Extension %s is being dropped or altered.", KWJ_EXTENSION),
					 errhint("If the job is still there afterwards, type SHOW JOB WHEN COMPLETE " INT64_FORMAT ", or call kwjobs.wait again.",
							 job_id)));
			break;
		case KWJ_WAIT_DEADLOCK:
			ereport(ERROR,
					(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
					 errmsg("deadlock detected while waiting for job " INT64_FORMAT, job_id),
					 errdetail("It is held up by jobs that wait for jobs, this one among them."),
					 errhint("Submit jobs with depends_on instead of waiting for them in a job, or raise kwjobs.max_workers and what limits it.")));
			break;
		case KWJ_WAIT_ALONE:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("job " INT64_FORMAT " cannot get a worker while this job waits for it", job_id),
					 errdetail("This job keeps the only worker that it could get."),
					 errhint("Submit jobs with depends_on instead of waiting for them in a job, or raise kwjobs.max_workers and what limits it.")));
			break;
	}
}

/*
 * Raises an error if the job cannot end while this process waits, or if nothing would wake this
 * process then.
 */
static void
check_can_end(int64 job_id)
{
	kwj_check_primary("SHOW JOB WHEN COMPLETE");
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot wait for job " INT64_FORMAT " in single-user mode", job_id),
				 errdetail("A job needs a process of its own."),
				 errhint("Start the server, then type SHOW JOB WHEN COMPLETE " INT64_FORMAT ".", job_id)));
	if (kwj_wakeup_is_armed(job_id) || kwj_session_job_is_mine(job_id))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for job " INT64_FORMAT " in the transaction that created or controlled it",
						job_id),
				 errdetail("The job can go on only after the end of the transaction."),
				 errhint("COMMIT first.")));

	if (kwj_attempt_current() != NULL && kwj_attempt_current()->job_id == job_id)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job " INT64_FORMAT " cannot wait for itself", job_id),
				 errdetail("It is over only when its statement is."),
				 errhint("Leave kwjobs.current_job() out of the jobs that are waited for.")));

	report_verdict(kwj_waits_must_end() ? KWJ_WAIT_HINDERS : kwj_my_wait_verdict(), job_id);
}

/*
 * Sleeps until the condition variable is broadcast, which several jobs share, or until the time;
 * DT_NOEND: without a limit.
 */
static void
sleep_until(ConditionVariable *place, TimestampTz time)
{
	if (time != DT_NOEND)
	{
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), time);

		if (ms > 0)
			ConditionVariableTimedSleep(place, ms, kwj_wait_event("KwjobsJobComplete"));
	}
	else
		ConditionVariableSleep(place, kwj_wait_event("KwjobsJobComplete"));
}

/* The beginning of a reason, by which two of them are compared. */
#define KWJ_TOLD_LEN	512

/*
 * A reason that may pass in a moment is told if it is still there TELL_AFTER_MS, or
 * kwjobs.progress_interval if that is less, after the wait began. Then the session looks again
 * every kwjobs.progress_interval, or every LOOK_AGAIN_MS if that is 0, because no process wakes it
 * when the reason changes. It may look much more often, because other jobs share the condition
 * variable, and each look may find another reason; so it tells at most one in each such interval.
 */
#define TELL_AFTER_MS	1000
#define LOOK_AGAIN_MS	5000

/* What the client was told of a job that does not run. */
typedef struct Telling
{
	bool		tells;
	TimestampTz passing_due;	/* from when on to tell reasons that may pass in a moment */
	TimestampTz staying_due;	/* from when on to tell the others */
	int			interval_ms;	/* how often to look at the reason, and to tell it at most */
	TimestampTz next_look;		/* DT_NOEND: the job runs */
	char		told[KWJ_TOLD_LEN];
} Telling;

/*
 * A wait whose timeout ends before passing_due is told nothing, because its result has the reason.
 */
static void
begin_telling(Telling *telling, TimestampTz until)
{
	telling->interval_ms = kwj_progress_interval > 0 ? kwj_progress_interval : LOOK_AGAIN_MS;
	telling->staying_due = GetCurrentTimestamp();
	telling->passing_due = TimestampTzPlusMilliseconds(telling->staying_due,
													   Min(TELL_AFTER_MS, telling->interval_ms));
	telling->tells = until > telling->passing_due;
	telling->told[0] = '\0';
}

/*
 * Tells the client why the job does not run, when that changes, so that nobody waits in silence.
 * Such reasons are that it is paused, that its time has not come, or that all workers are taken.
 * Before passing_due, outcome has no reason that may pass in a moment, because the caller has not
 * read it.
 */
static void
tell_reason(int64 job_id, const KwjOutcome *outcome, TimestampTz now, Telling *telling)
{
	TimestampTz later = TimestampTzPlusMilliseconds(now, telling->interval_ms);

	telling->next_look = DT_NOEND;
	if (!telling->tells || !outcome->waits)
		return;
	if (now < telling->passing_due)
		telling->next_look = telling->passing_due;
	else if (outcome->running_status != NULL)
		telling->next_look = later;
	if (outcome->running_status == NULL ||
		now < (outcome->stays ? telling->staying_due : telling->passing_due) ||
		strncmp(telling->told, outcome->running_status, KWJ_TOLD_LEN - 1) == 0)
		return;
	strlcpy(telling->told, outcome->running_status, KWJ_TOLD_LEN);
	telling->passing_due = telling->staying_due = telling->next_look = later;
	ereport(NOTICE,
			(errmsg("job " INT64_FORMAT " does not run: %s", job_id, outcome->running_status),
			 errhint("SELECT kwjobs.why(" INT64_FORMAT ") says what to do.", job_id)));
}

/* ---- jobs of other databases ---- */

/*
 * A session that waits for a job of another database asks the coordinator there at most once in this
 * time: jobs share condition variables, so a broadcast may have been for another job.
 */
#define REST_MS		100
/* If the session got no answer, it asks again after this time. */
#define SILENT_MS	1000

/* Returns whether another database has the job, and which one. */
static bool
is_elsewhere(int64 job_id, Oid *database)
{
	KwjOutcome	here;

	if (!kwj_may_ask() || kwj_store_outcome(job_id, false, &here) ||
		kwj_session_job_outcome(job_id, &here))
		return false;
	kwj_errands_find(&job_id, 1, database);
	return OidIsValid(*database);
}

static void
check_may_wait_elsewhere(int64 job_id)
{
	if (kwj_attempt_current() != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a job cannot wait for job " INT64_FORMAT ", which is a job of another database",
						job_id),
				 errdetail("Nobody would notice if the two waited for each other."),
				 errhint("Wait in a session.")));
}

/* Sleeps until REST_MS after this session has looked, whether it is woken or not. */
static void
rest(TimestampTz looked)
{
	long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													 TimestampTzPlusMilliseconds(looked, REST_MS));

	if (ms > 0)
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, kwj_wait_event("KwjobsJobComplete"));
	CHECK_FOR_INTERRUPTS();
}

/*
 * Waits for a job of another database. The process that ends the job broadcasts on the job's
 * condition variable, which is in shared memory, so that it wakes this session, too. Then this session
 * asks the coordinator there how the job stands. Returns false if the job, its database or the
 * extension there is gone.
 */
static bool
wait_elsewhere(int64 job_id, Oid database, KwjOutcome *outcome, TimestampTz until)
{
	ConditionVariable *place = kwj_wait_place(job_id);
	/* It is reset before each question, because a long wait may bring many answers. */
	MemoryContext answer = AllocSetContextCreate(CurrentMemoryContext, "kwjobs outcome",
												 ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	KwjSeenElsewhere seen;

	check_may_wait_elsewhere(job_id);
	/* Prepare before the question: then no broadcast between its answer and the sleep is lost. */
	ConditionVariablePrepareToSleep(place);
	for (;;)
	{
		TimestampTz looked = GetCurrentTimestamp();
		bool		is_last = until != DT_NOEND && looked >= until;

		MemoryContextReset(answer);
		caller = MemoryContextSwitchTo(answer);
		seen = kwj_outcome_elsewhere(job_id, database, outcome);
		MemoryContextSwitchTo(caller);
		if (seen == KWJ_SEEN_GONE || (seen == KWJ_SEEN && outcome->over) || is_last)
			break;
		check_can_end(job_id);
		/* The catalog snapshot would hold back vacuum while the process sleeps. */
		InvalidateCatalogSnapshot();
		kwj_test_gate(4937);
		/*
		 * While it waited for the answer, this process has reset its latch. If there was a broadcast
		 * meanwhile, it must not sleep now.
		 */
		SetLatch(MyLatch);
		sleep_until(place, seen == KWJ_SEEN ? until :
					Min(until, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SILENT_MS)));
		rest(looked);
	}
	ConditionVariableCancelSleep();
	if (seen == KWJ_SEEN_SILENT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" does not say how job " INT64_FORMAT " stands",
						kwj_database_name(database), job_id),
				 errhint("Try again, or connect to that database and type the statement there.")));
	return seen == KWJ_SEEN;
}

/* ---- all jobs ---- */

/*
 * Returns the transaction that has written the row of a job that is over. A session inserts the row of its own
 * job in a subtransaction, whose number the row has; shared memory has the number of the whole transaction.
 */
static TransactionId
writer_of(int64 job_id, const KwjOutcome *outcome)
{
	KwjSessionJob *job = palloc(sizeof(KwjSessionJob));
	TransactionId writer = kwj_shared_find_session_job(job_id, job) && job->has_row ?
		XidFromFullTransactionId(job->xid) : outcome->written_by;

	pfree(job);
	return writer;
}

/*
 * Returns whether another transaction of this server has written the row of a job that is over, so that this
 * transaction may be about to release its locks. VACUUM leaves the number in a row that it freezes. So the
 * number may be so old that it looks like one that comes later; for PostgreSQL that transaction still runs.
 */
static bool
may_hold_locks(TransactionId writer)
{
	return TransactionIdIsNormal(writer) && !RecoveryInProgress() &&
		TransactionIdPrecedes(writer, ReadNextTransactionId()) &&
		!TransactionIdIsCurrentTransactionId(writer);
}

/*
 * Waits until the transaction that has ended the job has released its locks. A moment before that
 * transaction sends its invalidation messages, this session can see already that the job is over. Until
 * the messages have come, the session may not find a table that the job has created, or may still find
 * one that the job has dropped. The wait is short, and no deadlock can come of it: a transaction whose
 * changes others see needs no more locks.
 */
static void
wait_for_effects(int64 job_id, const KwjOutcome *outcome)
{
	TransactionId writer = writer_of(job_id, outcome);

	if (may_hold_locks(writer))
		XactLockTableWait(writer, NULL, NULL, XLTW_None);
	AcceptInvalidationMessages();
}

static bool
wait_for(int64 job_id, KwjOutcome *outcome, KwjWaitNotice notice, int interval_ms,
		 TimestampTz until)
{
	ConditionVariable *place = kwj_wait_place(job_id);
	bool		timed = notice != NULL && interval_ms > 0;
	TimestampTz notice_due = DT_NOEND;
	Telling		telling;
	MemoryContext look = AllocSetContextCreate(CurrentMemoryContext,
											   "kwjobs wait", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(look);
	bool		noted = false;
	bool		may_give_way = false;
	bool		found;

	begin_telling(&telling, until);
	if (timed)
		notice_due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), interval_ms);

	/* Prepare before the look at the row: then no broadcast between look and sleep is lost. */
	ConditionVariablePrepareToSleep(place);
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		bool		is_last = until != DT_NOEND && now >= until;

		MemoryContextReset(look);
		/*
		 * Look for the row first. If it is committed between the two calls, shared memory still has
		 * the job, see kwj_shared_find_session_job().
		 */
		found = kwj_store_outcome(job_id, is_last || now >= telling.passing_due, outcome) ||
			kwj_session_job_outcome(job_id, outcome);
		if (!found || outcome->over || is_last)
			break;
		if (!noted)
		{
			kwj_set_wait(job_id);
			may_give_way = kwj_may_give_way();
		}
		noted = true;
		check_can_end(job_id);
		tell_reason(job_id, outcome, now, &telling);
		if (timed && GetCurrentTimestamp() >= notice_due)
		{
			notice(job_id, outcome);
			notice_due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), interval_ms);
		}
		/* The catalog snapshot of this look would hold back vacuum while the process sleeps. */
		InvalidateCatalogSnapshot();
		if (may_give_way)
			kwj_give_way();
		sleep_until(place, Min(Min(notice_due, until), telling.next_look));
	}
	ConditionVariableCancelSleep();
	MemoryContextSwitchTo(old);
	if (found && outcome->over)
		wait_for_effects(job_id, outcome);
	return found;
}

bool
kwj_wait_for(int64 job_id, KwjOutcome *outcome, KwjWaitNotice notice, int interval_ms,
			 TimestampTz until)
{
	volatile bool found = false;
	Oid			database;

	memset(outcome, 0, sizeof(*outcome));
	if (is_elsewhere(job_id, &database))
		return wait_elsewhere(job_id, database, outcome, until);
	PG_TRY();
	{
		found = wait_for(job_id, outcome, notice, interval_ms, until);
	}
	PG_CATCH();
	{
		kwj_set_wait(0);
		PG_RE_THROW();
	}
	PG_END_TRY();
	kwj_set_wait(0);
	return found;
}

/*
 * Adds to `visible` those of the jobs that other databases have, if this session may ask them. Both
 * are bigint[].
 */
static ArrayType *
add_elsewhere(ArrayType *visible, ArrayType *job_ids)
{
	int			n_here;
	int			n;
	int			n_missing = 0;
	int64	   *here;
	int64	   *ids;
	int64	   *all;
	Oid		   *databases;

	if (!kwj_may_ask())
		return visible;
	here = kwj_ids_of_array(visible, &n_here);
	ids = kwj_ids_of_array(job_ids, &n);
	qsort(here, n_here, sizeof(int64), kwj_job_id_compare);
	for (int i = 0; i < n; i++)
		if (bsearch(&ids[i], here, n_here, sizeof(int64), kwj_job_id_compare) == NULL)
			ids[n_missing++] = ids[i];
	if (n_missing == 0)
		return visible;
	databases = palloc(sizeof(Oid) * n_missing);
	kwj_errands_find(ids, n_missing, databases);
	all = palloc(sizeof(int64) * (n_here + n_missing));
	memcpy(all, here, sizeof(int64) * n_here);
	for (int i = 0; i < n_missing; i++)
		if (OidIsValid(databases[i]))
			all[n_here++] = ids[i];
	return kwj_array_of_ids(all, n_here);
}

ArrayType *
kwj_visible_jobs(ArrayType *job_ids)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {PointerGetDatum(job_ids)};
	ArrayType  *visible;
	bool		isnull;

	/* Without this check, the view would raise the error, with the query below as its context. */
	kwj_check_may("SHOW");
	SPI_connect();
	if (SPI_execute_with_args("SELECT ARRAY(SELECT job_id FROM kwdb_internal.jobs"
							  " WHERE " KWJ_EXTENSION_EXISTS " AND job_id OPERATOR(pg_catalog.=) ANY ($1))",
							  1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read kwdb_internal.jobs");
	MemoryContextSwitchTo(caller);
	visible = DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0],
												   SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return add_elsewhere(visible, job_ids);
}

TimestampTz
kwj_wait_end(const Interval *timeout)
{
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());

	if (timeout == NULL)
		return DT_NOEND;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, now,
												   PointerGetDatum(timeout)));
}

ArrayType *
kwj_own_job(int64 job_id)
{
	Oid			owner;

	if (!kwj_find_owner(job_id, &owner))
		return add_elsewhere(kwj_array_of_ids(NULL, 0), kwj_array_of_ids(&job_id, 1));
	return kwj_array_of_ids(&job_id, kwj_is_visible_by(KWJ_BY_FUNCTION, owner) ? 1 : 0);
}

void
kwj_wait_for_all(ArrayType *job_ids, TimestampTz until)
{
	int			n;
	int64	   *ids = kwj_ids_of_array(job_ids, &n);

	for (int i = 0; i < n; i++)
	{
		KwjOutcome	outcome;

		(void) kwj_wait_for(ids[i], &outcome, NULL, 0, until);
	}
}

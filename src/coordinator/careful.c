/*
 * src/coordinator/careful.c
 *	  Steps of the coordinator that concern one job, and jobs that it has to leave alone for a
 *	  while.
 *
 * Process: coordinator, outside a transaction; singly.c and coordinator.c call this. Locks: rows of
 * kwjobs.job with SKIP LOCKED, until the end of the step's transaction; kwj_shared->lock for
 * moments, to tell sessions (shared/aside.h).
 *
 *   step: committed               -> the job is forgotten here
 *   step: two errors that may pass -> set aside for 1, 2, 4, ... up to 10 s, MAX_TRIES times
 *   step: two errors              -> the job ends as failed (kwj_break_job)
 *   the job cannot even be ended  -> set aside, again and again, until that works
 *
 * A job is set aside in this process's memory only, as its row cannot be written. A successor finds
 * out for itself.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/careful.h"
#include "lifecycle/broken.h"
#include "shared/aside.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* The first and the longest time for which a job is set aside. */
#define FIRST_MS			KWJ_WAIT_MS(1000)
#define LONGEST_MS			KWJ_WAIT_MS(10000)
/* How often a job with an error that may pass is set aside before it ends. */
#define MAX_TRIES			5

typedef struct SetAside
{
	int64		job_id;
	int			tries;
	TimestampTz again;
} SetAside;

static List *set_aside = NIL;	/* list of SetAside, in TopMemoryContext */

/* The jobs that were reported last, a ring buffer; 0: unused. */
static int64 reported[64];
static unsigned int n_reported = 0;

static SetAside *
find(int64 job_id)
{
	ListCell   *lc;

	foreach(lc, set_aside)
	{
		SetAside   *item = lfirst(lc);

		if (item->job_id == job_id)
			return item;
	}
	return NULL;
}

static void
forget(int64 job_id)
{
	SetAside   *item = find(job_id);

	if (item == NULL)
		return;
	set_aside = list_delete_ptr(set_aside, item);
	kwj_shared_set_aside(job_id, NULL);
	pfree(item);
}

/* Sets the job aside. Returns how often that has happened in a row. */
static int
put_aside(int64 job_id, const char *what, const ErrorData *edata)
{
	SetAside   *item = find(job_id);
	int			delay;

	if (item == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		item = palloc0(sizeof(SetAside));
		item->job_id = job_id;
		set_aside = lappend(set_aside, item);
		MemoryContextSwitchTo(old);
	}
	delay = FIRST_MS << Min(item->tries, 10);
	item->tries++;
	kwj_shared_set_aside(job_id, psprintf("left alone for now: %s: %s", what, edata->message));
	item->again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(delay, LONGEST_MS));
	return item->tries;
}

/*
 * Returns whether this coordinator has reported the job before. A job may be forgotten and at once
 * set aside again, because a step that finds its row locked by a session ends without an error.
 */
static bool
is_reported(int64 job_id)
{
	for (int i = 0; i < lengthof(reported); i++)
		if (reported[i] == job_id)
			return true;
	return false;
}

static void
report(int64 job_id, const char *what, const ErrorData *edata)
{
	reported[n_reported++ % lengthof(reported)] = job_id;
	ereport(LOG,
			(errmsg("kwjobs leaves job " INT64_FORMAT " alone for now", job_id),
			 errdetail("%s: %s", what, edata->message),
			 errhint("Its rows in schema kwjobs can be neither used nor changed. Other jobs go on; this one is tried again now and then.")));
}

/* Handles the error of a step that has failed twice. */
static void
handle(int64 job_id, const char *what, const ErrorData *edata)
{
	SetAside   *item = find(job_id);
	int			tries = item ? item->tries : 0;

	if (kwj_error_may_pass(edata) && tries < MAX_TRIES)
	{
		(void) put_aside(job_id, what, edata);
		return;
	}
	if (kwj_break_job(job_id, what, edata))
		forget(job_id);
	else if (put_aside(job_id, what, edata) == 1 && !is_reported(job_id))
		report(job_id, what, edata);
}

static void
name_job(void *arg)
{
	errcontext("kwjobs job " INT64_FORMAT, *(int64 *) arg);
}

bool
kwj_careful_step_then(int64 job_id, const char *what, KwjStep step, KwjStep committed, void *arg)
{
	ErrorContextCallback callback = {error_context_stack, name_job, &job_id};
	SetAside   *item = find(job_id);
	ErrorData  *edata;

	Assert(!IsTransactionState());
	if (item != NULL && item->again > GetCurrentTimestamp())
		return false;
	error_context_stack = &callback;
	/* The error of a job that was set aside is in the log already. */
	edata = kwj_isolate_then(step, committed, arg, item != NULL);
	/* Try again: a job does not end because of an error that happened once. */
	if (edata != NULL)
		edata = kwj_isolate_then(step, committed, arg, true);
	if (edata == NULL)
		forget(job_id);
	else
		handle(job_id, what, edata);
	error_context_stack = callback.previous;
	return edata == NULL;
}

bool
kwj_careful_step(int64 job_id, const char *what, KwjStep step, void *arg)
{
	return kwj_careful_step_then(job_id, what, step, NULL, arg);
}

KwjJobs
kwj_careful_set_aside(void)
{
	int64	   *ids = palloc(sizeof(int64) * Max(list_length(set_aside), 1));
	KwjJobs		jobs = {ids, 0};
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, set_aside)
	{
		SetAside   *item = lfirst(lc);

		if (item->again > now)
			ids[jobs.n++] = item->job_id;
	}
	return jobs;
}

void
kwj_careful_end_pass(TimestampTz before)
{
	ListCell   *lc;

	foreach(lc, set_aside)
	{
		SetAside   *item = lfirst(lc);

		if (item->again > before)
			continue;
		set_aside = foreach_delete_current(set_aside, lc);
		kwj_shared_set_aside(item->job_id, NULL);
		pfree(item);
	}
}

TimestampTz
kwj_careful_next(void)
{
	TimestampTz next = DT_NOEND;
	ListCell   *lc;

	foreach(lc, set_aside)
		next = Min(next, ((SetAside *) lfirst(lc))->again);
	return next;
}

/*
 * src/coordinator/retention.c
 *	  Keeps the history short.
 *
 * Process: coordinator, outside a transaction, after each pass; coordinator.c and leave.c call
 * this. Locks: the extension (shared), kwjobs.job, and rows of finished jobs with SKIP LOCKED, all
 * until the end of a step.
 *
 * A look finds the mark: the job up to which all are to be deleted. The limits by number and size
 * are turned into one such job, too. Then come steps, each a transaction of about STEP_MS between
 * two passes, until nothing is left up to the mark.
 *
 *   waiting --look_at has come, limits changed--> look --> deleting (a step a pass) --> waiting
 *
 * Looks are at least SPACING_MS apart, and farther if they take long, however many jobs end. If no
 * job ends and none gets too old, there is none.
 *
 * An error rolls the step back. The next steps take one job, until the job that cannot be deleted
 * is alone and is passed over. The state is in this process's memory: if it dies, its successor
 * looks anew, and nothing is lost.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/retention.h"
#include "job/isolate.h"
#include "job/transaction.h"
#include "pgstat.h"
#include "process/process.h"
#include "shared/notify.h"
#include "store/history.h"
#include "store/query.h"

/*
 * How long a step may take, as it delays claims. How many jobs fit depends on the machine and on
 * their size, so the number follows from the last step; the first one is small.
 */
#define STEP_MS				10
#define FIRST_STEP			100
#define LEAST_STEP			20
#define LARGEST_STEP		1000
/*
 * A job that has just ended is kept this long whatever the limits say, because a session that
 * waited for it still reads how it ended. So nothing is gained by looking more often.
 */
#define GRACE_MS			KWJ_WAIT_MS(10000)
#define SPACING_MS			GRACE_MS
/*
 * If the last look is this long ago, any call looks again: history may have been restored from a
 * dump.
 */
#define LOOK_AGAIN_MS		(60 * 60 * 1000)
/*
 * When users delete jobs, rows are added to kwjobs.history. A look adds at most this many of them
 * to the sums there.
 */
#define SUM_UP_ROWS			10000
/* Looks take at most one part in this many of the time. */
#define LOOK_SHARE			100

typedef struct Limits
{
	int			time;			/* seconds */
	int			rows;			/* 0: none */
	int			size;			/* kB; 0: none */
} Limits;

static Limits limits = {-1, -1, -1};	/* as of the last call */
static TimestampTz look_at = DT_NOBEGIN;	/* no look before this */
static TimestampTz wake_at = DT_NOEND;	/* a look is due then even if no job ends */
static TimestampTz looked_at = DT_NOBEGIN;	/* when the last look began */
static bool deleting = false;	/* there may be more jobs up to the mark */
static int	step = FIRST_STEP;	/* how many jobs a step deletes */
static TimestampTz from;		/* finished: where the next step begins */
static TimestampTz reached;		/* how far the last step came */
static KwjHistoryMark mark;

/* Returns whether a setting has changed since the last call. A new value takes effect at once. */
static bool
limits_changed(void)
{
	Limits		now = {kwj_retention_time, kwj_retention_rows, kwj_retention_size};
	bool		changed = memcmp(&now, &limits, sizeof(now)) != 0;

	limits = now;
	return changed;
}

/* Returns how many finished jobs may stay; false if there is no limit by number or size. */
static bool
rows_to_keep(int64 *keep)
{
	*keep = PG_INT64_MAX;
	if (limits.rows > 0)
		*keep = limits.rows;
	if (limits.size > 0)
	{
		double		fit = limits.size * 1024.0 / kwj_store_finished_size();

		*keep = Min(*keep, (int64) fit);
	}
	return *keep < PG_INT64_MAX;
}

static bool
is_later(const KwjHistoryMark *a, const KwjHistoryMark *b)
{
	return a->finished > b->finished ||
		(a->finished == b->finished && a->job_id > b->job_id);
}

/*
 * Finds the mark. Returns when something more will have to be deleted even if no job ends until
 * then.
 */
static TimestampTz
look(TimestampTz now)
{
	TimestampTz settled = TimestampTzPlusMilliseconds(now, -GRACE_MS);
	int64		age = Max(limits.time * INT64CONST(1000), GRACE_MS);
	TimestampTz expired = TimestampTzPlusMilliseconds(now, -age);
	KwjHistoryMark surplus;
	TimestampTz next;
	int64		keep;

	mark.finished = expired;
	mark.job_id = PG_INT64_MAX;
	next = kwj_store_oldest_after(expired);
	if (next != DT_NOEND)
		next = TimestampTzPlusMilliseconds(next, age);

	if (rows_to_keep(&keep) && kwj_store_surplus(keep, &surplus))
	{
		if (surplus.finished > settled)
		{
			surplus.finished = settled;
			surplus.job_id = PG_INT64_MAX;
			next = now;
		}
		if (is_later(&surplus, &mark))
			mark = surplus;
	}
	return next;
}

/* Looks, and sets when to look again. */
static void
look_and_schedule(void)
{
	TimestampTz began = GetCurrentTimestamp();
	TimestampTz next = look(began);
	TimestampTz ended = GetCurrentTimestamp();
	int64		spacing = Max(SPACING_MS, (ended - began) / 1000 * LOOK_SHARE);
	TimestampTz earliest = TimestampTzPlusMilliseconds(ended, spacing);

	deleting = true;
	looked_at = began;
	from = DT_NOBEGIN;
	wake_at = next == DT_NOEND ? DT_NOEND : Max(next, earliest);

	/*
	 * A job that ends from now on is the youngest. If the number of jobs is limited, it makes
	 * another one surplus at once; else nothing has to go before its own time has come.
	 */
	look_at = TimestampTzPlusMilliseconds(ended, LOOK_AGAIN_MS);
	if (limits.rows > 0 || limits.size > 0)
		look_at = earliest;
	else if (wake_at != DT_NOEND)
		look_at = Min(look_at, wake_at);
	else
		look_at = Min(look_at,
					  TimestampTzPlusMilliseconds(earliest, limits.time * INT64CONST(1000)));
}

/* The commit need not wait for the disk: what a crash loses is done again. */
static void
set_for_step(void)
{
	kwj_set_locally("synchronous_commit", "off");
	/*
	 * The plans that are made here, also for ON DELETE CASCADE, are kept. If they were made while a
	 * table is small, they would read all of it for each job when it is large.
	 */
	kwj_set_locally("enable_seqscan", "off");
}

/* Deletes up to the mark, as many jobs as a step may. Returns whether there may be more. */
static bool
take_step(void)
{
	TimestampTz began = GetCurrentTimestamp();
	int64		n;
	int64		us;
	bool		more;

	reached = from;
	n = kwj_store_forget(&reached, &mark, step);
	us = Max(GetCurrentTimestamp() - began, 1);
	more = n == step;

	/* A step that was not full tells little about the time for each job. */
	if (more)
	{
		int64		fit = step * INT64CONST(1000) * STEP_MS / us;

		step = Max(LEAST_STEP, Min(fit, Min(2 * step, LARGEST_STEP)));
	}
	return more;
}

/* What the transaction of a step has found. */
typedef struct Step
{
	bool		looked;
	bool		more;
	bool		blocked;		/* another process has locked the table of jobs: this step did nothing */
} Step;

static void
look_and_step(void *arg)
{
	Step	   *result = arg;

	set_for_step();
	result->more = false;
	if (!kwj_process_lock_extension())
		return;
	result->blocked = !kwj_store_try_lock_jobs();
	if (result->blocked)
		return;
	if (!deleting)
	{
		look_and_schedule();
		(void) kwj_store_sum_up(SUM_UP_ROWS);
	}
	result->looked = true;
	result->more = take_step();
}

/*
 * A job that cannot be deleted is tried again after each look, and is reported once in
 * LOOK_AGAIN_MS.
 */
static void
report(const ErrorData *edata)
{
	static TimestampTz reported = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(reported, now, LOOK_AGAIN_MS))
		return;
	reported = now;
	ereport(LOG,
			(errmsg("kwjobs cannot delete a job that is over and past its retention"),
			 errdetail("%s", edata->message),
			 errhint("What kwjobs has stored of this job cannot be used. Others are deleted.")));
}

/*
 * The step was rolled back because of an error. The next ones take one job, until the job that
 * cannot be deleted is alone and is passed over.
 */
static void
handle_error(const Step *failed, const ErrorData *edata)
{
	deleting = failed->looked;
	if (!failed->looked)
		look_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_AGAIN_MS);
	else if (step > 1)
		step = 1;
	else
	{
		deleting = reached != DT_NOBEGIN;
		from = reached + 1;
	}
	if (!deleting || step == 1)
		report(edata);
}

TimestampTz
kwj_retention_due(TimestampTz since)
{
	/* The last look did not see jobs that have ended since, which have a time of their own. */
	if (!deleting && looked_at < since)
	{
		look_at = DT_NOBEGIN;
		return kwj_retention_run();
	}
	return deleting ? GetCurrentTimestamp() : wake_at;
}

TimestampTz
kwj_retention_run(void)
{
	Step		result = {0};
	ErrorData  *edata;

	Assert(!IsTransactionState());
	if (limits_changed())
	{
		look_at = DT_NOBEGIN;
		deleting = false;
	}
	if (!deleting && GetCurrentTimestamp() < look_at)
		return look_at;

	edata = kwj_isolate_quietly(look_and_step, &result);
	/* In its next pass this process, or its successor, waits for the lock, and answers sessions meanwhile (blocked.c). */
	if (edata == NULL && result.blocked)
	{
		kwj_wake_my_coordinator(DT_NOBEGIN);
		return GetCurrentTimestamp();
	}
	if (edata != NULL)
		handle_error(&result, edata);
	else
	{
		from = reached;
		deleting = result.more;
	}
	pgstat_report_stat(true);
	return deleting ? GetCurrentTimestamp() : wake_at;
}

/*
 * src/coordinator/fire.c
 *	  Schedules: creates the jobs of those that are due, and notes how these jobs, their runs, have ended.
 *
 * Process: coordinator, outside a transaction; coordinator.c calls this before and after each pass.
 * Locks: the extension (shared), rows of kwjobs.schedule with SKIP LOCKED, both until the end of each
 * transaction. doc/developers/schedules.md has the protocol.
 *
 *     waiting for next_run --due--> a batch of schedules, one transaction
 *         committed -> the pass that follows claims the jobs; a larger batch comes next, if more are due
 *         error     -> each schedule of the batch in a transaction of its own
 *             error -> refused: in another transaction, notes the error in place of a job
 *             error -> given up: paused, as its expression cannot be read any more
 *             error -> set aside for ASIDE_MS: its row cannot even be written; the log has it
 *             error that passes, such as a lock that could not be had -> set aside, too
 *
 * This process skips a schedule whose row another transaction has locked. Once it has skipped all schedules
 * that are due, it notes the time in `behind`, and does not look at schedules that are due before that time
 * until some transaction ends, which may have held the lock, or until ASIDE_MS have passed.
 *
 * If this process dies, PostgreSQL rolls its transaction back, and its successor finds the same schedules
 * due. What this process keeps in its memory is only what it has to look at next, and when.
 */
#include "postgres.h"

#include "coordinator/blocked.h"
#include "coordinator/fire.h"
#include "job/isolate.h"
#include "job/schedule_clock.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "lifecycle/due_times.h"
#include "miscadmin.h"
#include "process/process.h"
#include "shared/looked.h"
#include "store/query.h"
#include "utils/memutils.h"

/*
 * On how many schedules one transaction acts. If many schedules have become due together, the first transaction
 * acts on FIRST_BATCH of them, so that workers begin soon. Each later transaction acts on twice as many as the
 * one before it, because each costs a pass, too. The most is kwjobs.scheduler_max_jobs_per_iteration, or
 * MOST_BATCH if that is 0.
 */
#define FIRST_BATCH			50
#define MOST_BATCH			500
/*
 * A transaction that has taken this long leaves the other schedules of its batch to the next transaction. A
 * pass comes between the two, and begins jobs.
 */
#define BATCH_MS			100

/* How many runs whose end was not noted yet one transaction reads, and how much later the next one begins. */
#define RUNS_STEP			1000
#define RUNS_PAUSE_MS		100
/* Jobs that wait to start come before the ends of runs, but only for this long after a run may have ended. */
#define RUNS_LATEST_MS		1000

/* After an error in a batch, the coordinator looks for due schedules again after this time. */
#define AGAIN_MS			100
/*
 * ... and after this time if the error came before the coordinator knew which schedules are due, or in a round
 * through the runs.
 */
#define BLIND_MS			1000

/* A step waits this long at most for a lock, because a session may hold the lock for ever. */
#define LOCK_MS				"50ms"

/* How long this process sets a schedule aside, and leaves those alone that others have locked (see above). */
#define ASIDE_MS			KWJ_WAIT_MS(60 * 1000)

/*
 * If somebody sets the clock back by more than this, the clock was wrong before and is right now: then this
 * process counts the due times from now. If it is less, schedules wait until the clock has caught up.
 */
#define CORRECTION_US		(3 * USECS_PER_HOUR)
/* Of how many schedules one transaction counts the due times from now. */
#define CORRECTION_STEP		1000

/* A schedule that this process leaves alone until a time, because of an error. */
typedef struct SetAside
{
	int64		schedule_id;
	TimestampTz until;			/* by the server's clock */
} SetAside;

static TimestampTz next = DT_NOBEGIN;	/* the first next_run, by kwj_clock */
static int	batch_size = FIRST_BATCH;	/* of the next transaction, see FIRST_BATCH */
static TimestampTz behind = DT_NOBEGIN; /* see kwj_fire_behind */
static TimestampTz behind_until;		/* by the server's clock */
/* by the server's clock: when see_clock tries again after an error; DT_NOEND: there was none */
static TimestampTz clock_again = DT_NOEND;
static TimestampTz last_look = DT_NOBEGIN;	/* what kwj_clock said at the last look */
static List *set_aside = NIL;			/* of SetAside, in TopMemoryContext */

/*
 * In a round this process reads all runs whose end was not noted yet, in steps, and notes the end of those
 * that are over.
 */
static bool round_wanted = false;	/* runs may have ended since the last round began */
static bool round_runs = false; /* a round is under way */
static KwjRunPlace place;		/* the last run that it has read */
/* These times are by the server's clock. */
static TimestampTz runs_again = 0;	/* the next step of the round comes then, or later */
static TimestampTz runs_latest = 0; /* until then jobs that wait to start come before this step */
static TimestampTz runs_due = 0;	/* when this step comes, by the two times above */

/* ---- transactions ---- */

/* What a step, which is a transaction, is to do, and what it has done. Not each step uses each field. */
typedef struct Step
{
	TimestampTz now;			/* in: by kwj_clock */
	MemoryContext scratch;		/* in: the memory of the pass, for the results of a step */
	int64		schedule_id;	/* in: the schedule of act_on_one, refuse_one and give_up_one */
	const char *error;			/* in: why no job of that schedule could be created */
	bool		is_limit;		/* in: that was because of a limit */
	const KwjEndedRun *run;		/* in: the run of note_one_end */
	KwjJobs		due;			/* out: the schedules of the batch; go_back: how many it has changed */
	List	   *ended;			/* out: the runs that are over (KwjEndedRun) */
	TimestampTz next;			/* out: the first next_run that is later than `behind` */
} Step;

/*
 * Begins a step. Returns false if the extension is gone. The coordinator waits for the disk at the end
 * of the pass that follows (doc/developers/schedules.md says why that is early enough).
 */
static bool
begin_step(void)
{
	if (!kwj_process_lock_extension())
		return false;
	kwj_set_locally("synchronous_commit", "off");
	kwj_set_locally("lock_timeout", LOCK_MS);
	/* lock_timeout ends a wait by a query cancel, and kwj_isolate_then() holds these back until it ends. */
	RESUME_CANCEL_INTERRUPTS();
	kwj_store_lock_jobs();
	return true;
}

/*
 * Runs a step. Returns NULL or the error. The step raises an error where it would have to wait for the lock
 * of a job's row: kwj_submit_run() looks first whether a session has the key of the job, but a session may
 * take the key just after that look, and nobody knows when its transaction ends.
 */
static ErrorData *
run_step(KwjStep run, Step *step, bool quietly)
{
	ErrorData  *error;

	kwj_store_never_wait(true);
	error = kwj_isolate_then(run, NULL, step, quietly);
	/* This is done here, and not in the step, because an error leaves the step early. */
	kwj_store_never_wait(false);
	return error;
}

/* Copies the ids of the schedules that are set aside. */
static KwjJobs
list_set_aside(void)
{
	int64	   *ids = palloc(sizeof(int64) * Max(list_length(set_aside), 1));
	KwjJobs		jobs = {ids, 0};
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, set_aside)
	{
		SetAside   *item = lfirst(lc);

		if (item->until > now)
			ids[jobs.n++] = item->schedule_id;
		else
		{
			set_aside = foreach_delete_current(set_aside, lc);
			pfree(item);
		}
	}
	return jobs;
}

static void
put_aside(int64 schedule_id, const char *error)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	SetAside   *item = palloc(sizeof(SetAside));

	item->schedule_id = schedule_id;
	item->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ASIDE_MS);
	set_aside = lappend(set_aside, item);
	MemoryContextSwitchTo(old);
	ereport(LOG,
			(errmsg("kwjobs leaves schedule " INT64_FORMAT " alone for a minute", schedule_id),
			 errdetail("%s", error),
			 errhint("Other schedules go on; this one is tried again then, and its due times are not lost.")));
}

/* ---- schedules that are due ---- */

/* Locks and reads the schedule. Returns false if another transaction has locked it, or if it is not due any more. */
static bool
lock_due(int64 schedule_id, TimestampTz now, KwjSchedule *schedule)
{
	return kwj_store_schedule_lock(schedule_id, KWJ_SKIP_LOCKED, schedule) &&
		schedule->next_run != 0 && schedule->next_run <= now;
}

static void
act_on(int64 schedule_id, TimestampTz now)
{
	KwjSchedule schedule;

	if (lock_due(schedule_id, now, &schedule))
		kwj_due_times_act(&schedule, now);
}

/* Called by kwj_store_together. Frees the memory after each schedule, because the job of one may be large. */
static void
act_on_all(void *arg)
{
	const Step *step = arg;
	TimestampTz began = GetCurrentTimestamp();
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext of_schedule = AllocSetContextCreate(caller, "kwjobs schedule", ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < step->due.n && !TimestampDifferenceExceeds(began, GetCurrentTimestamp(), BATCH_MS); i++)
	{
		MemoryContextSwitchTo(of_schedule);
		act_on(step->due.ids[i], step->now);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(of_schedule);
	}
	MemoryContextDelete(of_schedule);
}

static int
most_in_batch(void)
{
	return kwj_scheduler_batch > 0 ? kwj_scheduler_batch : MOST_BATCH;
}

/* Acts on all schedules of a batch. Also if this raises an error, step->due has the schedules of the batch. */
static void
act_on_batch(void *arg)
{
	Step	   *step = arg;
	MemoryContext transaction;

	if (!begin_step())
		return;
	kwj_test_gate(4960);
	transaction = MemoryContextSwitchTo(step->scratch);
	step->due = kwj_store_schedules_due(step->now, Min(batch_size, most_in_batch()), list_set_aside());
	MemoryContextSwitchTo(transaction);
	kwj_store_together(act_on_all, step);
	step->next = kwj_store_schedules_next(behind);
	kwj_test_gate(4961);
}

static void
act_on_one(void *arg)
{
	const Step *step = arg;

	if (begin_step())
		act_on(step->schedule_id, step->now);
}

static void
refuse_one(void *arg)
{
	const Step *step = arg;
	KwjSchedule schedule;

	if (begin_step() && lock_due(step->schedule_id, step->now, &schedule))
		kwj_due_times_refuse(&schedule, step->now, step->error, step->is_limit);
}

static void
give_up_one(void *arg)
{
	const Step *step = arg;
	KwjSchedule schedule;

	if (begin_step() && kwj_store_schedule_lock(step->schedule_id, KWJ_SKIP_LOCKED, &schedule))
		kwj_due_times_give_up(&schedule, step->now, step->error);
}

/*
 * Acts on one schedule of a batch that has failed, so that an error of this one does not harm the others. Returns
 * false at an error that may pass.
 */
static bool
act_on_single(Step *step)
{
	static const KwjStep steps[] = {act_on_one, refuse_one, give_up_one};
	ErrorData  *error = NULL;
	bool		passing = false;

	for (int i = 0; i < lengthof(steps) && !passing; i++)
	{
		ErrorData  *last = run_step(steps[i], step, true);

		if (last == NULL)
			return true;
		/* The first error is the reason. */
		if (error == NULL)
			error = last;
		/* An error that may pass, such as that another process holds a lock, must not cost the due time. */
		passing = kwj_error_is_passing(last);
		step->error = error->message;
		step->is_limit = ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES;
	}
	put_aside(step->schedule_id, error->message);
	return !passing;
}

/*
 * Acts on the schedules of a batch that has failed, one after the other. If one of them has waited for the lock of
 * a table, the others would do so, too: after BATCH_MS they are left to the next batch, and a pass comes in between.
 */
static void
act_singly(Step *step)
{
	TimestampTz began = GetCurrentTimestamp();

	for (int i = 0; i < step->due.n; i++)
	{
		step->schedule_id = step->due.ids[i];
		if (!act_on_single(step) && TimestampDifferenceExceeds(began, GetCurrentTimestamp(), BATCH_MS))
			break;
	}
}

/* ---- clocks ---- */

static void
go_back(void *arg)
{
	Step	   *step = arg;
	KwjJobs		ahead;

	if (!begin_step())
		return;
	ahead = kwj_store_schedules_ahead(step->now + CORRECTION_US, GetCurrentTimestamp() + CORRECTION_US,
									  CORRECTION_STEP);
	for (int i = 0; i < ahead.n; i++)
	{
		KwjSchedule schedule;

		if (kwj_store_schedule_lock(ahead.ids[i], KWJ_SKIP_LOCKED, &schedule))
			kwj_due_times_go_back(&schedule, step->now, step->now + CORRECTION_US);
	}
	if (ahead.n > 0)
		ereport(LOG,
				(errmsg("kwjobs: the clock was set back; the due times of %d schedules are counted from now", ahead.n)));
	step->due.n = ahead.n;
}

/*
 * Counts due times from now for the schedules whose last due time, or whose last change, is more than
 * CORRECTION_US in the future. There can be some only if somebody has set the clock back by that much, since the
 * last look or before this process began.
 */
static void
see_clock(TimestampTz now)
{
	Step		step = {.now = now};

	if (clock_again != DT_NOEND && GetCurrentTimestamp() < clock_again)
		return;
	clock_again = DT_NOEND;
	if (last_look != DT_NOBEGIN && now > last_look - CORRECTION_US)
	{
		last_look = now;
		return;
	}
	last_look = now;
	kwj_blocked_wait();
	do
	{
		ErrorData  *error;

		step.due.n = 0;
		error = run_step(go_back, &step, false);
		/* At an error that may pass, such as that another process holds a lock, this process looks again. */
		if (error != NULL && kwj_error_is_passing(error))
		{
			last_look = DT_NOBEGIN;
			clock_again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BLIND_MS);
		}
		if (error != NULL)
			break;
	} while (step.due.n == CORRECTION_STEP);
}

/* ---- the calls of the coordinator ---- */

/*
 * If the schedules that are due and were left alone have been so for long enough, has this process look at
 * them again, although no transaction has ended that may have held their locks.
 */
static void
end_behind(void)
{
	if (behind != DT_NOBEGIN && GetCurrentTimestamp() >= behind_until)
		behind = next = DT_NOBEGIN;
}

int
kwj_fire_due(void)
{
	Step		step = {.now = kwj_clock(), .scratch = CurrentMemoryContext};
	ErrorData  *error;

	see_clock(step.now);
	if (!kwj_scheduler_enabled)
		return 0;
	kwj_shared_schedules_looked(step.now);
	end_behind();
	if (next > step.now)
		return 0;
	kwj_blocked_wait();
	step.next = DT_NOEND;
	error = run_step(act_on_batch, &step, true);
	if (error != NULL && step.due.n == 0)
		ereport(LOG,
				(errmsg("kwjobs could not look for schedules that are due: %s", error->message),
				 errhint("It tries again in a second.")));
	if (error != NULL)
	{
		act_singly(&step);
		next = TimestampTzPlusMilliseconds(step.now, step.due.n > 0 ? AGAIN_MS : BLIND_MS);
		return step.due.n;
	}
	next = step.next;
	batch_size = next > step.now ? FIRST_BATCH : Min(2 * batch_size, most_in_batch());
	if (step.due.n > 0 || next > step.now)
		return step.due.n;
	/* Others have locked the schedules that are due, or this process has set them aside. */
	behind = step.now;
	behind_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ASIDE_MS);
	next = DT_NOEND;
	return 0;
}

TimestampTz
kwj_fire_behind(void)
{
	return behind;
}

void
kwj_fire_unlocked(void)
{
	behind = DT_NOBEGIN;
}

void
kwj_fire_note(const KwjToDo *todo, bool news)
{
	next = todo->next_schedule;
	if (todo->runs && news && !round_wanted)
		runs_latest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RUNS_LATEST_MS);
	round_wanted = todo->runs && (round_wanted || news);
	round_runs &= todo->runs;
}

static void
note_end_of(const KwjEndedRun *run, TimestampTz now)
{
	KwjSchedule schedule;

	/* If another transaction has locked the schedule, its end wakes this process, which begins another round. */
	if (kwj_store_schedule_lock(run->schedule_id, KWJ_SKIP_LOCKED, &schedule))
		kwj_due_times_end(&schedule, run, now);
}

static void
note_ends(void *arg)
{
	Step	   *step = arg;
	MemoryContext transaction;
	ListCell   *lc;

	if (!begin_step())
		return;
	transaction = MemoryContextSwitchTo(step->scratch);
	step->ended = kwj_store_ended_runs(&place, RUNS_STEP);
	MemoryContextSwitchTo(transaction);
	kwj_test_gate(4962);
	foreach(lc, step->ended)
		note_end_of(lfirst(lc), step->now);
}

static void
note_one_end(void *arg)
{
	const Step *step = arg;

	if (begin_step())
		note_end_of(step->run, step->now);
}

/*
 * Makes a step of the round through the runs. If that raises an error, notes the end of each run in a transaction
 * of its own. Returns false at an error that may pass, such as that an index of the table is being built: then
 * another round has to follow, because nobody tells this process when the lock is released.
 */
static bool
take_round_step(Step *step)
{
	ErrorData  *error = run_step(note_ends, step, true);
	ListCell   *lc;

	if (error == NULL)
		return true;
	if (step->ended == NIL)
		return !kwj_error_is_passing(error);
	foreach(lc, step->ended)
	{
		step->run = lfirst(lc);
		error = run_step(note_one_end, step, false);
		if (error != NULL && kwj_error_is_passing(error))
			return false;
	}
	return true;
}

void
kwj_fire_note_ends(bool jobs_wait)
{
	Step		step = {.now = kwj_clock(), .scratch = CurrentMemoryContext};
	bool		may_wait = jobs_wait || (kwj_scheduler_enabled && next <= step.now);
	int			pause_ms = RUNS_PAUSE_MS;

	if (!round_runs && round_wanted)
	{
		round_runs = true;
		round_wanted = false;
		place = (KwjRunPlace) {0, 0};
	}
	runs_due = may_wait ? Max(runs_again, runs_latest) : runs_again;
	if (!round_runs || GetCurrentTimestamp() < runs_due)
		return;
	if (!take_round_step(&step))
	{
		round_wanted = true;
		pause_ms = BLIND_MS;
	}
	runs_again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause_ms);
	runs_due = may_wait ? Max(runs_again, runs_latest) : runs_again;
	round_runs = place.schedule_id != 0;
}

TimestampTz
kwj_fire_next(void)
{
	TimestampTz again = Min(clock_again, round_runs || round_wanted ? runs_due : DT_NOEND);

	if (!kwj_scheduler_enabled)
		return again;
	if (behind != DT_NOBEGIN)
		again = Min(again, behind_until);
	return Min(again, kwj_clock_to_wait_for(next));
}

/*
 * src/coordinator/fire.c
 *	  Schedules: acts on those that are due, and notes how their runs have ended.
 *
 * Process: coordinator, outside a transaction; coordinator.c calls this before and after each pass.
 * Locks: the extension (shared), rows of kwjobs.schedule with SKIP LOCKED, both until the end of each
 * transaction. doc/developers/schedules.md has the protocol.
 *
 *     waiting for next_run --due--> a batch of schedules, one transaction
 *         committed -> the pass that follows claims the jobs; another batch is due at once, or not
 *         error     -> each schedule of the batch in a transaction of its own
 *             error -> refused: in another transaction, notes the error in place of a job
 *             error -> given up: paused, as its expression cannot be read any more
 *             error -> set aside for ASIDE_S: its row cannot even be written; the log has it
 *
 * A schedule whose row another transaction has locked is skipped, and all that are due before `behind`
 * are left alone, until some transaction ends that may have held the lock, or for ASIDE_S.
 *
 * If this process dies, the open transaction is rolled back, and its successor finds the same schedules
 * due. It keeps nothing in its memory but what to look at next.
 */
#include "postgres.h"

#include "coordinator/blocked.h"
#include "coordinator/fire.h"
#include "job/schedule_clock.h"
#include "job/isolate.h"
#include "job/test_gate.h"
#include "lifecycle/due_times.h"
#include "process/process.h"
#include "store/query.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* How many schedules one transaction starts, if kwjobs.scheduler_max_jobs_per_iteration is 0. */
#define BATCH				500

/* How many runs are looked at in one transaction, and how long after the last time. */
#define RUNS_STEP			1000
#define RUNS_PAUSE_MS		100

/* After an error, the next look comes so much later. */
#define AGAIN_MS			100

/* How long a schedule is set aside, and what is locked left alone if nobody tells that it is free. */
#define ASIDE_S				60

/* The clock was not set back by mistake, but put right, if it was set back by more than this. */
#define CORRECTION_US		(3 * USECS_PER_HOUR)
#define CORRECTION_STEP		1000

/* A schedule that is set aside. */
typedef struct SetAside
{
	int64		schedule_id;
	TimestampTz until;			/* by the server's clock */
} SetAside;

static TimestampTz next = DT_NOBEGIN;	/* the first next_run, by kwj_clock */
static TimestampTz behind = DT_NOBEGIN; /* see kwj_fire_behind */
static TimestampTz behind_until;		/* by the server's clock */
static TimestampTz last_look = DT_NOBEGIN;	/* what kwj_clock said at the last look */
static List *set_aside = NIL;			/* of SetAside, in TopMemoryContext */

/* The round through the runs whose end was not noted. */
static bool round_wanted = false;
static bool round_runs = false;
static KwjRunPlace place;
static TimestampTz runs_again = 0;

/* ---- transactions ---- */

/* What a step is to do, and what it has done. */
typedef struct Step
{
	TimestampTz now;
	KwjJobs		due;			/* the schedules of a batch, in the memory of the pass */
	int64		schedule_id;	/* for a step for one schedule */
	const char *error;
	List	   *ended;			/* of KwjEndedRun */
	const KwjEndedRun *run;
	TimestampTz next;
	MemoryContext scratch;
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
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	kwj_store_lock_jobs();
	return true;
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
	item->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ASIDE_S * 1000);
	set_aside = lappend(set_aside, item);
	MemoryContextSwitchTo(old);
	ereport(LOG,
			(errmsg("kwjobs leaves schedule " INT64_FORMAT " alone for a minute", schedule_id),
			 errdetail("%s", error),
			 errhint("Its row can be neither used nor changed. Other schedules go on; this one is tried again.")));
}

/* ---- schedules that are due ---- */

static void
act_on(int64 schedule_id, TimestampTz now)
{
	KwjSchedule schedule;

	if (kwj_store_schedule_lock(schedule_id, KWJ_SKIP_LOCKED, &schedule) &&
		schedule.next_run != 0 && schedule.next_run <= now)
		kwj_due_times_act(&schedule, now);
}

/* For kwj_store_together. The memory of each schedule is freed, as its job may be large. */
static void
act_on_all(void *arg)
{
	const Step *step = arg;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext of_schedule = AllocSetContextCreate(caller, "kwjobs schedule", ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < step->due.n; i++)
	{
		MemoryContextSwitchTo(of_schedule);
		act_on(step->due.ids[i], step->now);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(of_schedule);
	}
	MemoryContextDelete(of_schedule);
}

/* Acts on all schedules of a batch. step->due has them, also if an error comes. */
static void
act_on_batch(void *arg)
{
	Step	   *step = arg;
	MemoryContext transaction;

	if (!begin_step())
		return;
	kwj_test_gate(4960);
	transaction = MemoryContextSwitchTo(step->scratch);
	step->due = kwj_store_schedules_due(step->now, kwj_scheduler_batch > 0 ? kwj_scheduler_batch : BATCH,
										list_set_aside());
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

	if (begin_step() && kwj_store_schedule_lock(step->schedule_id, KWJ_SKIP_LOCKED, &schedule) &&
		schedule.next_run != 0 && schedule.next_run <= step->now)
		kwj_due_times_refuse(&schedule, step->now, step->error);
}

static void
give_up_one(void *arg)
{
	const Step *step = arg;
	KwjSchedule schedule;

	if (begin_step() && kwj_store_schedule_lock(step->schedule_id, KWJ_SKIP_LOCKED, &schedule))
		kwj_due_times_give_up(&schedule, step->now, step->error);
}

/* Acts on a schedule of a batch that has failed, so that its error is no other one's. */
static void
act_singly(Step *step)
{
	static const KwjStep steps[] = {act_on_one, refuse_one, give_up_one};
	ErrorData  *error = NULL;

	for (int i = 0; i < lengthof(steps); i++)
	{
		ErrorData  *last = kwj_isolate_quietly(steps[i], step);

		if (last == NULL)
			return;
		/* The first error is the reason. */
		if (error == NULL)
			error = last;
		step->error = error->message;
	}
	put_aside(step->schedule_id, error->message);
}

/* ---- clocks ---- */

static void
go_back(void *arg)
{
	Step	   *step = arg;
	KwjJobs		ahead;

	if (!begin_step())
		return;
	ahead = kwj_store_schedules_ahead(step->now + CORRECTION_US, CORRECTION_STEP);
	for (int i = 0; i < ahead.n; i++)
	{
		KwjSchedule schedule;

		if (kwj_store_schedule_lock(ahead.ids[i], KWJ_SKIP_LOCKED, &schedule))
			kwj_due_times_go_back(&schedule, step->now);
	}
	if (ahead.n > 0)
		ereport(LOG,
				(errmsg("kwjobs: the clock was set back; the due times of %d schedules are counted from now", ahead.n)));
	step->due.n = ahead.n;
}

/*
 * If the clock was set back by more than a few hours since the last look, or this is the first one: takes
 * the schedules whose last due time is so far in the future.
 */
static void
see_clock(TimestampTz now)
{
	Step		step = {.now = now};

	if (last_look != DT_NOBEGIN && now > last_look - CORRECTION_US)
	{
		last_look = now;
		return;
	}
	last_look = now;
	do
	{
		step.due.n = 0;
		if (kwj_isolate(go_back, &step) != NULL)
			break;
	} while (step.due.n == CORRECTION_STEP);
}

/* ---- the calls of the coordinator ---- */

void
kwj_fire_due(void)
{
	Step		step = {.now = kwj_clock(), .scratch = CurrentMemoryContext};

	see_clock(step.now);
	if (!kwj_scheduler_enabled || next > step.now)
		return;
	kwj_blocked_wait();
	if (GetCurrentTimestamp() >= behind_until)
		behind = DT_NOBEGIN;
	step.next = DT_NOEND;
	if (kwj_isolate_quietly(act_on_batch, &step) != NULL)
	{
		for (int i = 0; i < step.due.n; i++)
		{
			step.schedule_id = step.due.ids[i];
			act_singly(&step);
		}
		next = TimestampTzPlusMilliseconds(step.now, AGAIN_MS);
		return;
	}
	next = step.next;
	if (step.due.n > 0 || next > step.now)
		return;
	/* All that are due are locked or set aside. */
	behind = step.now;
	behind_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ASIDE_S * 1000);
	next = DT_NOEND;
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
	round_wanted = todo->runs && (round_wanted || news);
	round_runs &= todo->runs;
}

static void
note_end_of(const KwjEndedRun *run, TimestampTz now)
{
	KwjSchedule schedule;

	/* If somebody has locked it, the end of that transaction begins another round. */
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

void
kwj_fire_note_ends(void)
{
	Step		step = {.now = kwj_clock(), .scratch = CurrentMemoryContext};
	ListCell   *lc;

	if (!round_runs && round_wanted)
	{
		round_runs = true;
		round_wanted = false;
		place = (KwjRunPlace) {0, 0};
	}
	if (!round_runs || GetCurrentTimestamp() < runs_again)
		return;
	if (kwj_isolate_quietly(note_ends, &step) != NULL)
		foreach(lc, step.ended)
		{
			step.run = lfirst(lc);
			(void) kwj_isolate(note_one_end, &step);
		}
	runs_again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RUNS_PAUSE_MS);
	round_runs = place.schedule_id != 0;
}

TimestampTz
kwj_fire_next(void)
{
	TimestampTz again = round_runs || round_wanted ? runs_again : DT_NOEND;

	if (!kwj_scheduler_enabled)
		return again;
	if (behind != DT_NOBEGIN)
		again = Min(again, behind_until);
	return Min(again, kwj_clock_to_wait_for(next));
}

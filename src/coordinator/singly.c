/*
 * src/coordinator/singly.c
 *	  Passes of the coordinator in which each job has transactions of its own.
 *
 * Process: coordinator, outside a transaction; coordinator.c calls this after a pass was rolled
 * back because of an error, and as long as a job is set aside. Locks: the extension (shared) and
 * rows of kwjobs.job with SKIP LOCKED, both until the end of each transaction; kwj_shared->lock for
 * moments.
 *
 * The steps are those of an ordinary pass (look_at_everything in coordinator.c), each for one job
 * by way of kwj_careful_step(). But no attempt gets more workers here (parts.c). The lists of jobs
 * are read, and workers assigned, in transactions that concern no single job: their errors end the
 * process.
 *
 * Of each list of jobs with something to do, a pass takes a piece, and the next pass goes on behind
 * it, so that jobs with which nothing can be done now, because others have locked their rows, do
 * not keep the jobs behind them waiting:
 *
 *   round:  begun at place P -> pieces up to the end of the list
 *           -> pieces from its head up to P -> complete
 *
 * As long as a round is under way, the next pass follows at once; another round begins with the
 * next pass for which there is a reason.
 *
 * Each claim is handed over after its own commit, with no interrupt in between. If this process
 * dies, assigned slots are taken back, and its successor begins with a full pass.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/adopt.h"
#include "coordinator/blocked.h"
#include "coordinator/careful.h"
#include "coordinator/claim.h"
#include "coordinator/fire.h"
#include "coordinator/record.h"
#include "coordinator/singly.h"
#include "coordinator/window.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "process/process.h"
#include "store/claim.h"
#include "store/dependency.h"
#include "store/home.h"
#include "store/line.h"
#include "store/query.h"
#include "store/queue.h"
#include "utils/snapmgr.h"

/* The most jobs of a list, and dependencies of a job, that are taken at once. */
#define SINGLE_STEP			200
#define DEPENDENCY_STEP		500

/* The context of a step for one job. */
typedef struct Single
{
	KwjPass    *pass;
	int64		job_id;
	KwjClaim   *claim;			/* for begin() and hand_over() */
	/* begin() has begun the attempt; false: the job may not start any more */
	bool		done;
	KwjList		list;			/* for list_all() and list_piece() */
	KwjJobs		jobs;
	KwjStep		step;
	MemoryContext scratch;		/* for what outlives the step */
} Single;

bool
kwj_singly_is_due(const KwjCoordinator *coordinator)
{
	return coordinator->job_by_job_until > GetCurrentTimestamp() || kwj_careful_next() != DT_NOEND;
}

/*
 * The commit need not wait for the disk, because what a crash loses is done again; run_pass() waits
 * at the end of the pass.
 */
static void
do_not_wait(void)
{
	kwj_set_locally("synchronous_commit", "off");
}

/* Runs the step with the extension locked, unless it is gone. */
static void
run_locked(void *arg)
{
	Single	   *single = arg;

	do_not_wait();
	MemoryContextSwitchTo(single->scratch);
	if (!kwj_process_lock_extension())
	{
		single->pass->no_extension = true;
		return;
	}
	kwj_store_lock_jobs();
	single->step(single);
}

/* Runs a step that concerns no single job. Its errors end the process. */
static void
run_step(Single *single, KwjStep step)
{
	single->step = step;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	run_locked(single);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(single->scratch);
}

/* ---- lists ---- */

static void
list_all(void *arg)
{
	Single	   *single = arg;
	KwjListPlace place = KWJ_LIST_HEAD;
	KwjListPlace end = KWJ_LIST_END;

	single->jobs = kwj_store_list(single->list, kwj_careful_set_aside(), PG_INT32_MAX, &place, end);
}

static void
begin_round(KwjSingleRound *round)
{
	round->stop = round->place;
	round->under_way = true;
	round->wrapped = round->outdated = false;
	round->began = GetCurrentTimestamp();
}

/* Reads up to limit jobs of the list into ids, up to where the round began; returns how many. */
static int
read_piece(Single *single, KwjSingleRound *round, int64 *ids, int limit)
{
	KwjListPlace head = KWJ_LIST_HEAD;
	KwjListPlace end = KWJ_LIST_END;
	KwjJobs		jobs = kwj_store_list(single->list, kwj_careful_set_aside(), limit, &round->place,
									  round->wrapped ? round->stop : end);

	memcpy(ids, jobs.ids, sizeof(int64) * jobs.n);
	if (jobs.n == limit)
		return jobs.n;
	if (round->wrapped)
	{
		round->place = round->stop;
		round->under_way = false;
		round->complete = round->began;
		return jobs.n;
	}
	round->place = head;
	round->wrapped = true;
	return jobs.n + read_piece(single, round, ids + jobs.n, limit - jobs.n);
}

static void
list_piece(void *arg)
{
	Single	   *single = arg;
	int64	   *ids = palloc(sizeof(int64) * SINGLE_STEP);

	single->jobs.n = read_piece(single, &single->pass->coordinator->singly[single->list], ids,
								SINGLE_STEP);
	single->jobs.ids = ids;
}

/* Takes the step for each of the jobs. what: see kwj_careful_step(). */
static void
take_steps(Single *single, const char *what, KwjStep step)
{
	KwjPass    *pass = single->pass;

	single->step = step;
	for (int i = 0; i < single->jobs.n && !pass->no_extension; i++)
	{
		single->job_id = single->jobs.ids[i];
		(void) kwj_careful_step(single->job_id, what, run_locked, single);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Takes the step for each job of the list's next piece. news: something may be new anywhere in the
 * list.
 */
static void
for_each(KwjPass *pass, bool news, KwjList list, const char *what, KwjStep step)
{
	KwjSingleRound *round = &pass->coordinator->singly[list];
	Single		single = {.pass = pass, .list = list, .scratch = CurrentMemoryContext};

	if (pass->no_extension)
		return;
	if (!round->under_way)
		begin_round(round);
	else
		round->outdated |= news;
	run_step(&single, list_piece);
	take_steps(&single, what, step);
	pass->again |= round->under_way || round->outdated;
}

/* ---- steps for one job ---- */

static void
adopt(void *arg)
{
	Single	   *single = arg;
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n = kwj_shared_workers(workers, &elsewhere);
	List	   *active = kwj_adopt_orphans(kwj_store_active(single->job_id), workers, n);

	kwj_windows_review(single->pass, active);
	single->pass->active = list_concat(single->pass->active, active);
}

/* Returns a window with entries of this one job only, from the first one. */
static KwjWindow
window_of(const Single *single, int limit)
{
	KwjWindow	window = {
		.limit = limit, .only = single->job_id,
		.first = PG_INT64_MIN, .second = PG_INT64_MIN
	};

	return window;
}

static void
settle_request(void *arg)
{
	Single	   *single = arg;
	KwjWindow	window = window_of(single, 1);

	kwj_store_settle_idle(&window);
	/*
	 * The window's place is behind the job only if the job was settled. Otherwise some of its
	 * dependencies were deleted, and others are left.
	 */
	single->pass->again |= window.fruitful && window.first == PG_INT64_MIN;
}

static void
tell_all(void *arg)
{
	KwjWindow	window = window_of(arg, DEPENDENCY_STEP);

	kwj_store_tell_waiting(&window);
}

static void
tell(void *arg)
{
	if (kwj_isolate_within_quietly(tell_all, arg) != NULL)
		kwj_store_stop_telling(((Single *) arg)->job_id);
}

/*
 * Looks at the dependencies of this one job, window by window, until something is done. It begins
 * with the first one each time, and the first windows may have only dependencies that are locked.
 * If the last window was full, there may be more behind it, and another pass follows at once.
 */
static void
look_through(Single *single, KwjLook look)
{
	KwjWindow	window = window_of(single, DEPENDENCY_STEP);

	do
		look(&window);
	while (!window.fruitful && window.n_read == window.limit);
	single->pass->again |= window.n_read == window.limit;
}

static void
meet(void *arg)
{
	look_through(arg, kwj_store_look_at_dependencies);
	look_through(arg, kwj_store_meet_dependencies);
}

static void
look_again(void *arg)
{
	kwj_store_look_again(((Single *) arg)->job_id);
}

static void
pass_turn(void *arg)
{
	KwjWindow	window = window_of(arg, 1);

	kwj_store_pass_turns(&window);
}

static void
free_line(void *arg)
{
	KwjWindow	window = window_of(arg, 1);

	kwj_store_free_lines(&window);
}

static void
promote(void *arg)
{
	KwjWindow	window = window_of(arg, 1);

	kwj_store_promote(GetCurrentTimestamp(), &window);
}

/* The steps of a pass, in their order. */
static const struct
{
	KwjList		list;
	const char *failure;		/* what could not be done, for the error */
	KwjStep		step;
}			steps[] =
{
	{KWJ_LIST_ACTIVE, "the attempt could not be ended", adopt},
	{KWJ_LIST_REQUESTED, "what was asked of the job could not be done", settle_request},
	{KWJ_LIST_UNTOLD, "the jobs that depend on this one could not be told of its end", tell},
	{KWJ_LIST_DEPENDENT, "the jobs on which this one depends could not be looked up", meet},
	{KWJ_LIST_LEFT, "the turn of the job could not be passed on", pass_turn},
	{KWJ_LIST_FREED, "the line that the job has left could not be looked at", free_line},
	{KWJ_LIST_DUE, "the job could not be made ready", promote},
};

/* Returns the time before which all entries of the lists have been looked at. */
static TimestampTz
complete_since(const KwjCoordinator *coordinator)
{
	TimestampTz since = DT_NOEND;

	for (int i = 0; i < lengthof(steps); i++)
		since = Min(since, coordinator->singly[steps[i].list].complete);
	return since;
}

bool
kwj_singly_find_overlooked(KwjCoordinator *coordinator)
{
	KwjPass		pass = {.coordinator = coordinator};
	bool		news = kwj_shared_take_overlooked();

	if (!news && !coordinator->singly[KWJ_LIST_OVERLOOKED].under_way &&
		!coordinator->singly[KWJ_LIST_OVERLOOKED].outdated)
		return false;
	kwj_blocked_wait();
	for_each(&pass, news, KWJ_LIST_OVERLOOKED,
			 "the end of a job on which this one depends could not be noted", look_again);
	coordinator->look_at_all = true;
	return pass.again;
}

/* ---- copies of a database ---- */

static void
pause_all_copied(void *arg)
{
	Single	   *single = arg;

	single->pass->paused = kwj_store_come_home(0);
	single->pass->came_home = true;
}

static void
pause_copied(void *arg)
{
	(void) kwj_store_come_home(((Single *) arg)->job_id);
}

void
kwj_singly_came_home(KwjPass *pass)
{
	if (!pass->came_home)
		return;
	pass->coordinator->at_home = true;
	if (pass->paused > 0)
		ereport(LOG,
				(errmsg(UINT64_FORMAT " jobs are paused because this database is a copy of another one",
						pass->paused),
				 errhint("RESUME JOB lets one run here, too, CANCEL JOB gives it up.")));
}

/*
 * Pauses the copied jobs, in one transaction or else one by one. A job that cannot be paused is
 * left alone. As long as there is one, at_home stays false, so that each pass tries again before it
 * looks for jobs that may start.
 */
static void
come_home(KwjPass *pass)
{
	Single		single = {
		.pass = pass, .list = KWJ_LIST_UNFINISHED, .step = pause_all_copied,
		.scratch = CurrentMemoryContext
	};

	if (kwj_isolate_quietly(run_locked, &single) == NULL)
	{
		kwj_singly_came_home(pass);
		return;
	}
	pass->came_home = false;
	run_step(&single, list_all);
	take_steps(&single, "the job could not be paused in this copy of its database", pause_copied);
}

/* ---- claims ---- */

/* Assigns workers to jobs that may start. */
static void
assign_jobs(void *arg)
{
	Single	   *single = arg;
	KwjWorkerInfo *workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	int			elsewhere;
	int			n = kwj_shared_workers(workers, &elsewhere);

	single->pass->from = DT_NOBEGIN;
	kwj_claim_assign(single->pass, workers, n, kwj_careful_set_aside());
}

static void
begin(void *arg)
{
	Single	   *single = arg;

	/* The job may be the one that crashes the server: its claim must be on disk before it runs. */
	kwj_set_locally("synchronous_commit", "local");
	kwj_test_gate(4924);
	single->done = kwj_store_lock_ready(single->claim->job_id);
	if (single->done)
		kwj_store_begin(list_make1(single->claim));
}

/* Runs when the claim is committed. */
static void
hand_over(void *arg)
{
	const Single *single = arg;

	if (single->done)
		kwj_shared_hand_over_one(single->claim->slot, single->claim->generation);
}

/*
 * Begins the attempts. Each is handed over with the commit of its claim, because the next claims
 * may take long: if this process were terminated meanwhile, an attempt would count of which no
 * worker has heard. A worker whose job could not begin gets another one in the next pass.
 */
static void
claim(KwjPass *pass)
{
	Single		single = {.pass = pass, .scratch = CurrentMemoryContext};
	ListCell   *lc;

	run_step(&single, assign_jobs);
	single.step = begin;
	foreach(lc, pass->claims)
	{
		single.claim = lfirst(lc);
		single.done = false;
		if (kwj_careful_step_then(single.claim->job_id, "the job could not be started",
								  run_locked, hand_over, &single) && single.done)
			continue;
		kwj_shared_take_back_one(single.claim->slot, single.claim->generation);
		pass->claims = foreach_delete_current(pass->claims, lc);
		pass->again = true;
	}
	pass->again |= kwj_claim_lacks_worker(pass->claims);
	kwj_shared_set_ready(&pass->ready);
}

static void
record_session_jobs(void *arg)
{
	Single	   *single = arg;
	TimestampTz again = kwj_record_session_jobs();

	if (again == DT_NOBEGIN)
		single->pass->again = true;
	else
		single->pass->record_again = again;
}

static void
fill_queues(void *arg)
{
	Single	   *single = arg;
	KwjFilled	filled = kwj_store_fill_queues();

	single->pass->again |= filled.more;
	if (filled.taken_back)
		single->pass->later = GetCurrentTimestamp();
}

static void
find_next_due(void *arg)
{
	Single	   *single = arg;
	KwjPass    *pass = single->pass;
	TimestampTz next = kwj_store_next_due(GetCurrentTimestamp());

	next = Min(next, pass->windows_next);
	kwj_store_look(GetCurrentTimestamp(), kwj_fire_behind(), &pass->todo);
	kwj_fire_note(&pass->todo, true);
	pass->coordinator->next_due = Min(next, Min(pass->refused_again, pass->record_again));
}

/* ---- the pass ---- */

/* Resets what this pass has found so far. */
static void
begin_anew(KwjPass *pass)
{
	KwjPass		anew = {
		.coordinator = pass->coordinator, .workers = pass->workers, .n_workers = pass->n_workers,
		.told = pass->told, .all = true, .news = true, .for_rounds = KWJ_ALL_NEWS,
		.later = DT_NOEND, .refused_again = DT_NOEND, .record_again = DT_NOEND,
		.windows_next = DT_NOEND, .next = DT_NOEND
	};

	*pass = anew;
	pass->coordinator->looked_at_all = GetCurrentTimestamp();
	pass->coordinator->rounds_are_stale = true;
}

void
kwj_singly_pass(KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;
	Single		single = {.pass = pass, .scratch = CurrentMemoryContext};
	bool		news = pass->news;

	begin_anew(pass);
	/* A coordinator that is to leave does nothing more, as its successor does all of it. */
	if (pass->told)
		return;
	kwj_blocked_wait();
	if (!coordinator->at_home)
		come_home(pass);
	for (int i = 0; i < lengthof(steps); i++)
		for_each(pass, news, steps[i].list, steps[i].failure, steps[i].step);
	/*
	 * If the row of one job raises an error here, no queue is filled in this pass. The cause is
	 * found when a step handles that job alone.
	 */
	single.step = fill_queues;
	if (!pass->no_extension)
		(void) kwj_isolate_quietly(run_locked, &single);
	if (!pass->no_extension)
		claim(pass);
	if (!pass->no_extension)
		run_step(&single, record_session_jobs);
	if (!pass->no_extension)
		run_step(&single, find_next_due);
	kwj_careful_end_pass(complete_since(coordinator));
	coordinator->next_due = Min(coordinator->next_due, kwj_careful_next());
	pass->next = coordinator->next_due;
}

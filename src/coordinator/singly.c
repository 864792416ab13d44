/*
 * src/coordinator/singly.c
 *	  Passes of the coordinator in which each job has transactions of its own.
 *
 * Process: coordinator. Locks: the extension, shared, and rows of kwjobs.job with SKIP LOCKED, both until
 * the end of each transaction.
 *
 * Of each list of jobs with which there is something to do, a pass takes a piece, and the next one goes on behind it,
 * so that jobs with which nothing can be done now, as others have their rows locked, do not keep those behind them
 * waiting. A round is over when it comes to where it has begun. As long as it is not, the next pass follows at once;
 * another round begins with the next pass for which there is a reason.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coordinator/adopt.h"
#include "coordinator/careful.h"
#include "coordinator/claim.h"
#include "coordinator/singly.h"
#include "miscadmin.h"
#include "process/process.h"
#include "store/claim.h"
#include "store/dependency.h"
#include "store/home.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

/* At most so many jobs of a list, and dependencies of one, at a time. */
#define SINGLE_STEP			200
#define DEPENDENCY_STEP		500

/* A step, and what it is for. */
typedef struct Single
{
	KwjPass    *pass;
	int64		job_id;
	KwjClaim   *claim;			/* of the steps of claim_singly */
	bool		done;			/* false: it may not begin any more */
	KwjList		list;			/* of list_piece */
	KwjJobs		jobs;
	KwjStep		step;
	MemoryContext scratch;		/* what outlives the step */
} Single;

bool
kwj_singly_is_due(const KwjCoordinator *coordinator)
{
	return coordinator->job_by_job_until > GetCurrentTimestamp() || kwj_careful_next() != DT_NOEND;
}

/* Nothing that is lost in a crash would not be done again; the end of the pass waits for the disk. */
static void
do_not_wait(void)
{
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Unless the extension is gone. */
static void
run_locked(void *arg)
{
	Single	   *single = arg;

	do_not_wait();
	MemoryContextSwitchTo(single->scratch);
	if (kwj_process_lock_extension())
		single->step(single);
	else
		single->pass->no_extension = true;
}

/* What concerns no single job: its errors end the process. */
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

/* Read up to limit jobs of the list, to where the round has begun; returns how many. */
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

/* Take the step for each of the jobs. */
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

/* Take the step for each job of the next piece of the list. news: there may be something new anywhere in it. */
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
	List	   *active = kwj_store_active(single->job_id);

	single->pass->active = list_concat(single->pass->active,
									   kwj_adopt_orphans(active, workers, n));
}

/* A window of all that there is of this one job. */
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
settle(void *arg)
{
	Single	   *single = arg;
	KwjWindow	window = window_of(single, 1);

	kwj_store_settle_idle(&window);
	/* its place is behind the job only if that is settled; else dependencies of it have gone, and others have yet to go */
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
 * The coordinator looks at what this one job depends on until it has done something, because dependencies that are locked stand
 * first each time. There may be more behind those with which it has done something.
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
promote(void *arg)
{
	KwjWindow	window = window_of(arg, 1);

	kwj_store_promote(GetCurrentTimestamp(), &window);
}

/* The steps of a pass, in their order. */
static const struct
{
	KwjList		list;
	const char *failure;		/* what could not be done, if there is an error */
	KwjStep		step;
}			steps[] =
{
	{KWJ_LIST_ACTIVE, "the attempt could not be ended", adopt},
	{KWJ_LIST_REQUESTED, "what was asked of the job could not be done", settle},
	{KWJ_LIST_UNTOLD, "the jobs that depend on this one could not be told of its end", tell},
	{KWJ_LIST_DEPENDENT, "the jobs on which this one depends could not be looked up", meet},
	{KWJ_LIST_DUE, "the job could not be made ready", promote},
};

/* All that was in the lists at this time has been looked at. */
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

	if (!news && !coordinator->singly[KWJ_LIST_OVERLOOKED].under_way)
		return false;
	for_each(&pass, news, KWJ_LIST_OVERLOOKED,
			 "the end of a job on which this one depends could not be noted", look_again);
	if (!pass.again)
		kwj_shared_overlooked_found();
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
 * In a copy of a database a job that cannot be paused is left alone; as long as there is one, this is not the
 * home of the jobs, so that each pass tries to pause it before it looks for jobs that may start.
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

/* Which of the jobs that may start get a worker. */
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

	/* it may be what takes the server down */
	(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	single->done = kwj_store_lock_ready(single->claim->job_id);
	if (single->done)
		kwj_store_begin(list_make1(single->claim));
}

/* Its claim is committed. */
static void
hand_over(void *arg)
{
	const Single *single = arg;

	if (single->done)
		kwj_shared_hand_over_one(single->claim->slot, single->claim->generation);
}

/*
 * Begin the attempts. The coordinator hands each over with the commit of its claim, because the next claims may take long: if it is
 * terminated meanwhile, no attempt counts that its worker never heard of. A worker whose job could not begin gets another
 * one in the next pass.
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
	kwj_shared_set_queue(&pass->queue);
}

static void
find_next_due(void *arg)
{
	Single	   *single = arg;

	TimestampTz next = kwj_store_next_due(GetCurrentTimestamp());

	single->pass->coordinator->next_due = Min(next, single->pass->refused_again);
}

/* ---- the pass ---- */

/* Forget what was found out before. */
static void
begin_anew(KwjPass *pass)
{
	KwjPass		anew = {
		.coordinator = pass->coordinator, .workers = pass->workers, .n_workers = pass->n_workers,
		.told = pass->told, .all = true, .news = true, .for_rounds = KWJ_ALL_NEWS,
		.later = DT_NOEND, .refused_again = DT_NOEND, .next = DT_NOEND
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
	/* the coordinator is to leave, and its successor does all of that */
	if (pass->told)
		return;
	if (!coordinator->at_home)
		come_home(pass);
	/* before looking: what a worker's commit holds up now is looked at after it */
	kwj_shared_watch(true);
	for (int i = 0; i < lengthof(steps); i++)
		for_each(pass, news, steps[i].list, steps[i].failure, steps[i].step);
	if (!pass->no_extension)
		claim(pass);
	if (!pass->no_extension)
		run_step(&single, find_next_due);
	kwj_careful_end_pass(complete_since(coordinator));
	coordinator->next_due = Min(coordinator->next_due, kwj_careful_next());
	pass->next = coordinator->next_due;
}

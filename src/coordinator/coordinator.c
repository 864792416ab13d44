/*
 * src/coordinator/coordinator.c
 *	  The coordinator of a database: claims due jobs, gives them to workers, settles what nobody
 *	  else can, keeps the history short.
 *
 * Process: coordinator. The launcher has the postmaster start one for each database in which
 * something is to be done; it connects as the bootstrap superuser. Locks: the extension (shared,
 * until the end of the transaction), rows of kwjobs.job with SKIP LOCKED, and kwj_shared->lock for
 * moments.
 *
 * The process runs passes until it leaves (leave.c). A pass is
 *
 *   fire_due          creates the jobs of schedules that are due (fire.c)
 *   begin_pass        take what is new from shared memory, before the snapshot
 *   look_at_once      one short transaction: the steps below, in their order
 *   commit            commit, publish the list of ready jobs, hand the claims over: all or nothing
 *   act               start workers, deliver requests; these have effects outside the tables
 *   end_deadlocks     end a wait of jobs for each other (deadlock.c)
 *   retention         a step of deleting old jobs, in a transaction of its own
 *   collect           looks whether statistics are to be collected, in a transaction of its own
 *
 * After a pass it answers sessions of other databases that list or control the jobs of the server
 * (answer.c), and does the errands that other databases have sent (errands_in.c). Before it deletes
 * old jobs, it sends the errands of its own database to the others (errands_out.c).
 *
 * Wake-ups only shorten the wait for the next pass: each full pass looks at the tables again. A
 * pass for which nothing is new but created jobs or idle workers is a short one (begin_pass). The
 * states that a claim goes through in shared memory are drawn in shared/memory.h, those of a job in
 * src/job/status.c.
 *
 * A pass does its work for many jobs at once. If that raises an error, the pass is rolled back, and
 * for a while the coordinator goes job by job, each in a transaction of its own (singly.c,
 * careful.c): the job whose rows are the cause ends with the error, and all others go on. It also
 * goes job by job as long as there is a job that it cannot even end. Only an error that has nothing
 * to do with a single job ends the process; the launcher starts the next one, later and later if
 * they die young.
 *
 * If this process dies before the commit, the claims are rolled back, and its exit callback takes
 * the assigned slots back. After the commit, the claims are handed over already. If it dies before
 * it has started the worker of one, the next coordinator takes that attempt back (adopt.c). The
 * next coordinator also delivers the requests, which it reads from the tables.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "coordinator/adopt.h"
#include "coordinator/answer.h"
#include "coordinator/blocked.h"
#include "coordinator/careful.h"
#include "coordinator/claim.h"
#include "coordinator/collect.h"
#include "coordinator/deadlock.h"
#include "coordinator/dispatch.h"
#include "coordinator/errands_in.h"
#include "coordinator/errands_out.h"
#include "coordinator/fire.h"
#include "coordinator/held.h"
#include "coordinator/leave.h"
#include "coordinator/parts.h"
#include "coordinator/put_off.h"
#include "coordinator/record.h"
#include "coordinator/retention.h"
#include "coordinator/singly.h"
#include "coordinator/window.h"
#include "job/noted.h"
#include "job/test_gate.h"
#include "job/transaction.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "process/process.h"
#include "process/room.h"
#include "process/server_start.h"
#include "shared/held.h"
#include "shared/launch.h"
#include "shared/listeners.h"
#include "shared/mail.h"
#include "shared/session_jobs.h"
#include "storage/ipc.h"
#include "store/claim.h"
#include "store/dependency.h"
#include "store/home.h"
#include "store/jobs.h"
#include "store/line.h"
#include "store/query.h"
#include "store/queue.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A short pass is followed by a full one after this at the latest. */
#define LOOK_AT_ALL_MS		KWJ_WAIT_MS(1000)

/*
 * If the postmaster has no slot for a worker, the coordinator tries again after NO_ROOM_FIRST_MS, then after twice
 * that time, and so on, up to KWJ_NO_ROOM_LONGEST_MS. The postmaster frees a slot only a moment after its worker has
 * exited. So the coordinator writes into the log that there is none only when it waits NO_ROOM_REPORT_MS or longer.
 */
#define NO_ROOM_FIRST_MS	10
#define NO_ROOM_REPORT_MS	500
/* How long the coordinator goes job by job after an error. */
#define JOB_BY_JOB_MS		KWJ_WAIT_MS(10000)

static void
promote_window(KwjWindow *window)
{
	kwj_store_promote(GetCurrentTimestamp(), window);
}

static void
init(KwjCoordinator *coordinator)
{
	memset(coordinator, 0, sizeof(*coordinator));
	coordinator->first_pass = coordinator->look_at_all = coordinator->busy = true;
	coordinator->job_by_job_until = DT_NOBEGIN;
	coordinator->settling.look = kwj_store_settle_idle;
	coordinator->telling.look = kwj_store_tell_waiting;
	coordinator->looking_up.look = kwj_store_look_at_dependencies;
	coordinator->meeting.look = kwj_store_meet_dependencies;
	coordinator->passing.look = kwj_store_pass_turns;
	coordinator->freeing.look = kwj_store_free_lines;
	coordinator->promoting.look = promote_window;
}

/* ---- the transaction of a pass ---- */

static bool
take_round(KwjPass *pass, KwjRound *round, KwjNews news)
{
	return kwj_round_step(round, news, &pass->again, &pass->later);
}

static bool
is_any_active(const KwjPass *pass)
{
	return pass->todo.active;
}

static void
adopt(KwjPass *pass)
{
	List	   *active = kwj_store_active(0);
	int			n_active = list_length(active);

	pass->active = kwj_adopt_orphans(active, pass->workers, pass->n_workers);
	kwj_windows_review(pass, pass->active);
	if (list_length(pass->active) == n_active)
		return;
	/* An attempt that was taken back may have left a request on a job that nobody runs now. */
	pass->todo.requested = true;
	/* A settled job may be due at once. */
	pass->changed = true;
}

static bool
is_any_requested(const KwjPass *pass)
{
	return pass->todo.requested;
}

static void
settle_requests(KwjPass *pass)
{
	pass->changed |= take_round(pass, &pass->coordinator->settling, pass->for_rounds);
}

static bool
always(const KwjPass *pass)
{
	return true;
}

static bool
is_any_untold(const KwjPass *pass)
{
	return pass->todo.untold;
}

static void
tell(KwjPass *pass)
{
	pass->marked |= take_round(pass, &pass->coordinator->telling, pass->for_rounds);
}

static bool
is_any_fresh(const KwjPass *pass)
{
	return pass->todo.fresh;
}

static void
look_up(KwjPass *pass)
{
	pass->marked |= take_round(pass, &pass->coordinator->looking_up, pass->for_rounds);
}

static bool
may_any_be_met(const KwjPass *pass)
{
	return pass->todo.known || pass->marked;
}

static void
meet(KwjPass *pass)
{
	pass->changed |= take_round(pass, &pass->coordinator->meeting,
								pass->marked ? KWJ_ALL_NEWS : pass->for_rounds);
}

static bool
has_any_left(const KwjPass *pass)
{
	return pass->todo.left || pass->changed;
}

/*
 * This step must come before promote(). Otherwise a job would be parked behind one that is over,
 * and would need another pass to get the turn.
 */
static void
pass_turns(KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;
	KwjNews		news = Max(pass->for_rounds, pass->changed ? KWJ_SOME_NEWS : 0);
	bool		passed = take_round(pass, &coordinator->passing, news);

	passed |= take_round(pass, &coordinator->freeing, news);
	pass->todo.ready |= passed;
	pass->changed |= passed;
}

static bool
may_any_be_due(const KwjPass *pass)
{
	return pass->todo.due || pass->changed;
}

static void
promote(KwjPass *pass)
{
	bool		promoted = take_round(pass, &pass->coordinator->promoting,
									  Max(pass->for_rounds, pass->changed ? KWJ_SOME_NEWS : 0));

	pass->todo.ready |= promoted;
	pass->changed |= promoted;
}

static bool
has_queues(const KwjPass *pass)
{
	return pass->todo.queues;
}

/* This must come after jobs have entered their queues, and before jobs are claimed. */
static void
fill_queues(KwjPass *pass)
{
	KwjFilled	filled = kwj_store_fill_queues();

	pass->todo.ready |= filled.any;
	pass->changed |= filled.any;
	pass->again |= filled.more;
	/*
	 * Some of the jobs that have lost their rank may be due, and have to enter their queues: the
	 * next pass follows at once, and has news.
	 */
	if (filled.taken_back)
		pass->later = GetCurrentTimestamp();
}

static bool
is_any_session_job_left(const KwjPass *pass)
{
	return kwj_shared_any_session_job_left();
}

static void
record_session_jobs(KwjPass *pass)
{
	TimestampTz again = kwj_record_session_jobs();

	if (again == DT_NOBEGIN)
		pass->again = true;
	else
		pass->record_again = again;
}

/*
 * A coordinator that is to leave claims nothing new, as its successor finds the jobs that may
 * start.
 */
static bool
may_any_start(const KwjPass *pass)
{
	return !pass->told && (pass->todo.ready || pass->changed);
}

/*
 * Returns whether this pass has yet to read the holds for deadlock.c. A pass that claims jobs has
 * read them before.
 */
static bool
has_holds_to_read(const KwjPass *pass)
{
	return pass->todo.active && !may_any_start(pass);
}

static void
read_holds(KwjPass *pass)
{
	kwj_held_read(pass->todo.held);
}

/* The steps of a full pass, in this order. wanted: whether there is anything to do. */
static const struct
{
	const char *name;			/* for the log: "The coordinator was ..." */
	bool		(*wanted) (const KwjPass *pass);
	void		(*run) (KwjPass *pass);
}			steps[] =
{
	{"settling attempts without a worker", is_any_active, adopt},
	{"settling what was asked of jobs that do not run", is_any_requested, settle_requests},
	{"telling jobs of the end of those on which they depend", is_any_untold, tell},
	{"looking up on what jobs depend", is_any_fresh, look_up},
	{"looking which jobs have what they depend on", may_any_be_met, meet},
	{"passing on the turn of jobs that are over", has_any_left, pass_turns},
	{"giving jobs whose time has come their place in the order", may_any_be_due, promote},
	{"giving jobs a place in their queues", has_queues, fill_queues},
	{"recording what sessions have done", is_any_session_job_left, record_session_jobs},
	{"claiming jobs", may_any_start, kwj_claim_begin},
	{"reading which jobs are held", has_holds_to_read, read_holds},
	{"giving workers to jobs that run", always, kwj_parts_assign},
};

/*
 * Locks kwjobs.job for the pass. Returns true if the lock is not free: then the pass ends without
 * having done anything, and kwj_blocked_wait() waits for the lock.
 */
static bool
is_blocked(KwjPass *pass)
{
	pass->blocked = !kwj_store_try_lock_jobs();
	return pass->blocked;
}

static void
look_at_everything(KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;
	TimestampTz began = GetCurrentTimestamp();

	/* t/128_passes.pl stops a full pass before its first and behind its last look. */
	kwj_test_gate(4903);
	kwj_store_look(began, kwj_fire_behind(), &pass->todo);
	kwj_fire_note(&pass->todo, pass->news);
	if (is_blocked(pass))
		return;
	/* A job may have become due since the pass began. */
	if (began >= coordinator->next_due)
		pass->for_rounds = Max(pass->for_rounds, KWJ_SOME_NEWS);
	coordinator->lowest_rank = DT_NOEND;
	for (int i = 0; i < lengthof(steps); i++)
	{
		pass->step = steps[i].name;
		if (steps[i].wanted(pass))
			steps[i].run(pass);
	}
	pass->next = kwj_store_next_due(began);
	pass->next = Min(pass->next, Min(pass->refused_again, pass->later));
	pass->next = Min(pass->next, Min(pass->record_again, pass->windows_next));
	coordinator->next_due = pass->next;
	kwj_test_gate(4904);
}

/* A short pass: claims jobs, from the lowest rank that may be new. Nothing else has changed. */
static void
look_at_new(KwjPass *pass)
{
	pass->step = "claiming jobs";
	/* Before the locks, because kwjobs.hold comes before the tables that are locked in order. */
	read_holds(pass);
	if (is_blocked(pass))
		return;
	kwj_claim_begin(pass);
	kwj_parts_assign(pass);
	pass->coordinator->next_due = Min(pass->coordinator->next_due, pass->refused_again);
	pass->next = pass->coordinator->next_due;
}

/* Pauses the jobs that were copied with the database, so that they do not run a second time. */
static void
come_home(KwjPass *pass)
{
	pass->step = "looking whether the database is a copy";
	if (is_blocked(pass))
		return;
	pass->paused = kwj_store_come_home(0);
	pass->came_home = true;
}

static void
look(KwjPass *pass)
{
	if (!kwj_process_lock_extension())
	{
		pass->no_extension = true;
		return;
	}
	if (pass->coordinator->first_pass)
		kwj_store_note_ids();
	if (!pass->coordinator->at_home)
		come_home(pass);
	if (pass->blocked)
		return;
	if (pass->all)
		look_at_everything(pass);
	else
		look_at_new(pass);
}

/* ---- after the commit ---- */

/* The postmaster had no slot for a worker beside these n_workers: schedules the next try. */
static void
wait_for_room(KwjCoordinator *coordinator, int n_workers)
{
	int			wait_ms = Max(coordinator->no_room_ms * 2, NO_ROOM_FIRST_MS);

	kwj_shared_make_room();
	coordinator->no_room_ms = Min(wait_ms, KWJ_NO_ROOM_LONGEST_MS);
	coordinator->room_again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														  coordinator->no_room_ms);
	coordinator->workers_without_room = n_workers;
	if (coordinator->no_room_ms >= NO_ROOM_REPORT_MS)
		kwj_report_room(false, "worker");
}

/* Notes that the postmaster has had a slot for a worker, or that a worker has exited and left its slot. */
static void
note_room(KwjCoordinator *coordinator)
{
	coordinator->no_room_ms = 0;
	kwj_deadlock_note_room();
}

/*
 * Notes that there are n_workers now. If there were more when the postmaster had no slot, one has
 * exited since, and the next try need not wait.
 */
static void
see_room(KwjCoordinator *coordinator, int n_workers)
{
	if (n_workers < coordinator->workers_without_room)
	{
		coordinator->room_again = 0;
		note_room(coordinator);
	}
	coordinator->workers_without_room = Min(coordinator->workers_without_room, n_workers);
}

/* A claim for which there was no slot, and when the job may be claimed again at the latest. */
typedef struct Unclaim
{
	const KwjClaim *claim;
	int			delay_ms;
} Unclaim;

static void
unclaim(void *arg)
{
	const Unclaim *what = arg;

	kwj_store_unclaim(what->claim->job_id, what->claim->attempt,
					  KWJ_NOTED_NO_SLOT, what->delay_ms);
}

static void
take_claim_back(KwjCoordinator *coordinator, const KwjClaim *claim)
{
	Unclaim		what = {claim, coordinator->no_room_ms};

	(void) kwj_careful_step(claim->job_id, "the job could not be taken back from a worker",
							unclaim, &what);
	coordinator->next_due = Min(coordinator->next_due, coordinator->room_again);
}

/*
 * Starts the workers of parts whose slot has none. If the postmaster has no slot for one, the
 * attempt goes on without it. Returns false if that was the case for any of them.
 */
static bool
start_parts(KwjPass *pass)
{
	bool		room = true;
	ListCell   *lc;

	foreach(lc, pass->parts)
	{
		KwjClaim   *item = lfirst(lc);

		if (item->pid == 0 && !kwj_dispatch_start(item))
			room = false;
	}
	if (!room)
		wait_for_room(pass->coordinator, pass->n_workers);
	return room;
}

/*
 * Starts the workers of claims whose slot has none. A claim whose worker the postmaster refuses is
 * taken back. Returns false if that was the case for the last one.
 */
static bool
start_workers(KwjPass *pass)
{
	int			n_workers = pass->n_workers;
	bool		room = true;
	ListCell   *lc;

	foreach(lc, pass->claims)
	{
		KwjClaim   *item = lfirst(lc);

		if (item->pid != 0 || item->slot < 0)
			continue;
		if (kwj_dispatch_start(item))
		{
			kwj_report_room(true, "worker");
			note_room(pass->coordinator);
			room = true;
			n_workers++;
			continue;
		}
		if (room)
			wait_for_room(pass->coordinator, n_workers);
		room = false;
		take_claim_back(pass->coordinator, item);
	}
	return room;
}

/* Finds the attempt among those that this pass has read; NULL if it is not there. */
static const KwjActive *
find_active(int64 job_id, int32 attempt, List *active)
{
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);

		if (item->job_id == job_id && item->attempt == attempt)
			return item;
	}
	return NULL;
}

/* Tells a worker what is requested of its job. Returns when to look again. */
static TimestampTz
deliver(KwjPass *pass, const KwjWorkerInfo *worker)
{
	const KwjActive *next = find_active(worker->next_job_id, worker->next_attempt, pass->active);

	/*
	 * A request for the job that the worker has announced can be delivered only once the worker has
	 * begun that job. Then the worker wakes this process; if it has begun it by now, the next pass
	 * follows at once.
	 */
	if (next != NULL && next->request != KWJ_REQUEST_NONE && !kwj_shared_watch_announced(worker))
		pass->again = true;
	if (worker->job_id == 0)
		return DT_NOEND;
	return kwj_dispatch_deliver(worker, find_active(worker->job_id, worker->attempt,
													pass->active));
}

static void
act(KwjPass *pass)
{
	bool		room = start_workers(pass);

	/* Even without room for other workers: this frees the slots of parts that get no worker. */
	room &= start_parts(pass);
	pass->no_room = !room;
	if (pass->coordinator->room_again > GetCurrentTimestamp())
		pass->next = Min(pass->next, pass->coordinator->room_again);
	for (int i = 0; i < pass->n_workers; i++)
		pass->next = Min(pass->next, deliver(pass, &pass->workers[i]));
}

/*
 * Ends a wait of jobs for each other. A coordinator that is to leave does not look for such waits,
 * because its successor will. While jobs run, each full pass counts as one with news, because the
 * coordinator is not told of every wait that begins and of every job that ends.
 */
static void
end_deadlocks(KwjPass *pass)
{
	if (pass->all && !pass->told)
		pass->again |= kwj_deadlock_end_one(pass->no_room && pass->coordinator->no_room_ms >= NO_ROOM_REPORT_MS,
											pass->news || pass->todo.active || pass->claims != NIL,
											&pass->later);
}

/* ---- passes ---- */

/*
 * Commits the pass and hands its claims over, both or neither: no interrupt comes in between. After
 * an ordinary pass, the coordinator waits for the disk later, while the jobs start
 * (doc/users/engine.md). It never waits for standbys: they may be gone, and it has to be able to
 * stop jobs even then. A failover repeats at most what was not sent.
 */
static void
commit(const KwjPass *pass)
{
	kwj_set_locally("synchronous_commit", pass->wait_for_disk ? "local" : "off");
	HOLD_INTERRUPTS();
	CommitTransactionCommand();
	kwj_shared_set_ready(&pass->ready);
	kwj_shared_hand_over();
	RESUME_INTERRUPTS();
}

/*
 * Decides what the pass has to look at. Runs before its snapshot, so that whatever is committed
 * later is news for the next pass.
 *
 * As long as any session holds an old snapshot, dead index entries cannot be removed, and a full
 * pass has to step over the entries of every job that ran since. So a pass for created jobs or idle
 * workers is short: it looks only at jobs that may start, from the lowest rank that may be new. All
 * other events, like control statements and workers that exit, say that anything may have changed
 * (lowest rank DT_NOBEGIN). Should a short pass miss something, a later one finds it: the last pass
 * before a pause is always a full one.
 */
static void
begin_pass(KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;
	bool		first_pass = coordinator->first_pass;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz created = kwj_shared_take_lowest_rank();

	kwj_shared_note_holds();
	if (created == DT_NOBEGIN)
		kwj_fire_unlocked();
	if (kwj_held_see_settings())
		created = DT_NOBEGIN;
	pass->next = pass->later = pass->refused_again = pass->record_again = DT_NOEND;
	pass->windows_next = DT_NOEND;
	/* The first pass claims in any case, so that each coordinator gets something done. */
	pass->told = !first_pass && kwj_shared_told_to_leave();
	/* The clock was set back: what was found out by the old time may be wrong. */
	if (now < coordinator->looked_at_all)
		created = DT_NOBEGIN;
	pass->news = first_pass || !coordinator->look_at_all || created != DT_NOEND ||
		now >= coordinator->next_due;
	pass->for_rounds = pass->news ? KWJ_SOME_NEWS : KWJ_NO_NEWS;
	/* The last pass before this process leaves is a full one, too. */
	pass->all = coordinator->look_at_all || created == DT_NOBEGIN || now >= coordinator->next_due ||
		pass->told || coordinator->rounds_are_stale ||
		TimestampDifferenceExceeds(coordinator->looked_at_all, now, LOOK_AT_ALL_MS);
	/* Only a full pass takes this news; a short one leaves it for the next full one. */
	if (pass->all && (kwj_shared_take_released() || first_pass || coordinator->rounds_are_stale))
		pass->for_rounds = KWJ_ALL_NEWS;
	pass->from = pass->all ? DT_NOBEGIN : Min(coordinator->lowest_rank, created);
	if (pass->all)
		coordinator->looked_at_all = now;
	coordinator->look_at_all = false;
}

/* Returns when the next pass is due. */
static TimestampTz
end_pass(const KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;

	coordinator->look_at_all = pass->again;
	coordinator->next_due = Min(coordinator->next_due, pass->later);
	if (pass->again)
		return GetCurrentTimestamp();
	if (pass->all)
		return Min(pass->next, pass->later);
	return Min(pass->next, TimestampTzPlusMilliseconds(coordinator->looked_at_all, LOOK_AT_ALL_MS));
}

/* The pass is committed: remembers what it has done. */
static void
note_commit(KwjPass *pass)
{
	if (pass->all)
		pass->coordinator->rounds_are_stale = false;
	kwj_singly_came_home(pass);
}

/* The pass was rolled back because of an error, which is in the log. */
static void
note_error(KwjPass *pass)
{
	pass->coordinator->job_by_job_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
																	  JOB_BY_JOB_MS);
	pass->news = true;
	ereport(LOG,
			(errmsg("kwjobs goes job by job for a while, because of an error"),
			 errdetail("The coordinator was %s. Now the job whose rows are the cause ends, and all others go on.",
					   pass->step)));
}

/* Runs the transaction of a pass. Returns false if it was rolled back because of an error. */
static bool
look_at_once(KwjPass *pass)
{
	MemoryContext scratch = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(scratch);
		look(pass);
		pass->step = "committing a pass";
		PopActiveSnapshot();
		commit(pass);
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(scratch);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		kwj_shared_take_back();
		RESUME_INTERRUPTS();
		note_error(pass);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(scratch);
	if (done && !pass->blocked)
		note_commit(pass);
	return done;
}

static bool
is_anything_asked(const List *active)
{
	ListCell   *lc;

	foreach(lc, active)
	{
		const KwjActive *item = lfirst(lc);

		/* For an attempt that is to stop when it can, nothing is left to do. */
		if (item->request != KWJ_REQUEST_NONE &&
			!(item->request == KWJ_REQUEST_CLOSE && item->patient))
			return true;
	}
	return false;
}

/*
 * Returns whether this process has something to do. While jobs run and nothing is requested of
 * them, it has not: their workers settle them, and need a coordinator only afterwards. A short pass
 * cannot say that there is less to do than after the last full one. A coordinator that was told to
 * leave does not look which jobs wait for a worker, so ready jobs count instead.
 */
static bool
is_busy(const KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;

	coordinator->busy = pass->again || pass->no_room || pass->claims != NIL || pass->later != DT_NOEND ||
		pass->ready.who != KWJ_NOBODY_WAITS || pass->ready.refused || OidIsValid(pass->ready.limited) ||
		(pass->told && pass->todo.ready) ||
		pass->parts_lack || is_anything_asked(pass->active) || kwj_singly_is_due(coordinator) ||
		kwj_listeners_due() != DT_NOEND ||
		(coordinator->busy && !pass->all);
	return coordinator->busy;
}

static void
end_first_pass(KwjCoordinator *coordinator)
{
	if (coordinator->first_pass)
		kwj_shared_coordinator_has_looked();
	coordinator->first_pass = false;
	kwj_adopt_know_all();
}

/*
 * Runs the pass at once or, if that fails or has failed lately, job by job. Exits if the extension
 * is gone.
 */
static void
look_somehow(KwjPass *pass)
{
	if (kwj_singly_is_due(pass->coordinator) || !look_at_once(pass))
		kwj_singly_pass(pass);
	if (!pass->no_extension)
		return;
	kwj_shared_forget_session_jobs_of(MyDatabaseId);
	/* Nobody is left who would read the results of what this database has sent. */
	(void) kwj_mail_end();
	kwj_shared_coordinator_leaves_for_good();
	kwj_answer_no_extension();
	while (kwj_errands_do())
		;
	proc_exit(0);
}

/*
 * Reads the workers of this database. The pass does so before it reads the rows: an attempt whose worker exits
 * in between still counts as live, and its exit wakes this process again.
 */
static void
read_workers(KwjPass *pass)
{
	int			elsewhere;

	pass->workers = palloc(sizeof(KwjWorkerInfo) * kwj_worker_slots);
	pass->n_workers = kwj_shared_workers(pass->workers, &elsewhere);
	see_room(pass->coordinator, pass->n_workers);
}

/*
 * Notes how the runs of schedules have ended, looks whether statistics are to be collected, and deletes old
 * jobs. Each has transactions of its own. Returns when there are more jobs to delete.
 */
static TimestampTz
do_what_may_wait(KwjPass *pass)
{
	KwjCoordinator *coordinator = pass->coordinator;
	TimestampTz collect_next;

	kwj_fire_note_ends(pass->ready.who != KWJ_NOBODY_WAITS);
	collect_next = kwj_collect_run(pass);
	pass->next = Min(pass->next, collect_next);
	coordinator->next_due = Min(coordinator->next_due, collect_next);
	return kwj_retention_run();
}

/*
 * What a pass does after its transaction: starts workers, sends errands, and does what may wait, unless this
 * process is to leave. last_commit: where the last commit before the pass ended. Returns when there are more
 * jobs to delete; DT_NOEND: not.
 */
static TimestampTz
finish_pass(KwjPass *pass, XLogRecPtr last_commit)
{
	KwjCoordinator *coordinator = pass->coordinator;

	act(pass);
	end_deadlocks(pass);
	/*
	 * This comes before this process may leave. A copy of a database that is not at home yet still has
	 * the errands of the original, and must not send them.
	 */
	if (coordinator->at_home)
		pass->next = Min(pass->next, kwj_errands_send(pass->todo.errands || kwj_singly_is_due(coordinator)));
	/*
	 * Only this pass's own commits have to be on disk. If it wrote nothing, what retention deleted
	 * need not be.
	 */
	if (XactLastCommitEnd != last_commit)
		XLogFlush(XactLastCommitEnd);
	/* Autovacuum has to know of the dead rows that passes leave. */
	pgstat_report_stat(true);
	return pass->told ? DT_NOEND : do_what_may_wait(pass);
}

/* Runs a pass. Returns when the next is due, if this process does not leave. */
static TimestampTz
run_pass(KwjCoordinator *coordinator, MemoryContext scratch)
{
	KwjPass		pass = {.coordinator = coordinator, .step = "beginning a pass"};
	TimestampTz began = GetCurrentTimestamp();
	TimestampTz next;
	XLogRecPtr	last_commit;
	bool		overlooked;
	bool		busy;

	MemoryContextReset(scratch);
	MemoryContextSwitchTo(scratch);
	kwj_dispatch_reap();
	last_commit = XactLastCommitEnd;
	if (coordinator->at_home)
	{
		/* Jobs that are due now are found by a full pass with news. */
		if (kwj_put_off_see_clock())
			coordinator->next_due = DT_NOBEGIN;
		pass.fired = kwj_fire_due();
	}
	overlooked = kwj_singly_find_overlooked(coordinator);
	begin_pass(&pass);
	read_workers(&pass);
	look_somehow(&pass);
	if (pass.blocked)
	{
		coordinator->look_at_all = coordinator->rounds_are_stale = true;
		kwj_blocked_wait();
		return GetCurrentTimestamp();
	}
	pass.again |= overlooked;
	end_first_pass(coordinator);
	next = finish_pass(&pass, last_commit);
	pass.next = Min(pass.next, Min(kwj_fire_next(), kwj_put_off_next()));
	busy = is_busy(&pass);
	/*
	 * If this process left now, the sessions that read its answers would lose the rest of them. It
	 * stays until each answer is sent or dropped (answer.c).
	 */
	if (!kwj_answer_is_sending())
	{
		TimestampTz leave_next = kwj_leave_or_stay(busy, pass.all, pass.next);

		next = Min(next, leave_next);
	}
	/* Notifications that this pass could not send with its commit are sent with a later one. */
	next = Min(next, kwj_listeners_due());
	/*
	 * If another database does not take in time what was kept for it, this one may have it: the next
	 * pass looks then.
	 */
	if (pass.ready.who != KWJ_NOBODY_WAITS || OidIsValid(pass.ready.limited))
		next = Min(next, kwj_shared_kept_until(began));
	return Min(next, end_pass(&pass));
}

void
kwj_coordinator_main(Datum arg)
{
	static KwjCoordinator coordinator;
	Oid			dboid = DatumGetObjectId(arg);
	MemoryContext scratch;
	bool		interrupted;

	kwj_process_set_signals();
	if (!kwj_shared_attach_coordinator(dboid, &interrupted))
		proc_exit(0);
	kwj_adopt_init(interrupted);
	kwj_process_connect(dboid);
	kwj_process_pin_settings();
	/* For transactions other than passes: do not wait for standbys. */
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	/*
	 * With "replica", ON DELETE CASCADE would not work, and deleted jobs would leave rows behind.
	 */
	SetConfigOption("session_replication_role", "origin", PGC_SUSET, PGC_S_OVERRIDE);
	/*
	 * The coordinator skips locked rows, but a session that locks a whole table stops all jobs:
	 * have the log say so.
	 */
	SetConfigOption("log_lock_waits", "on", PGC_SUSET, PGC_S_OVERRIDE);
	/* This process must not ask other databases, and wait for their answers. */
	SetConfigOption("kwjobs.scope", "database", PGC_USERSET, PGC_S_OVERRIDE);
	pgstat_report_appname("kwjobs coordinator");

	kwj_process_reload_at_start();
	kwj_dispatch_init();
	kwj_record_init();
	kwj_listeners_never_wait();
	init(&coordinator);
	scratch = AllocSetContextCreate(TopMemoryContext, "kwjobs pass",
									ALLOCSET_DEFAULT_SIZES);
	kwj_blocked_wait();
	kwj_server_start_record();
	for (;;)
	{
		TimestampTz next;
		TimestampTz answers_next;

		/*
		 * kwj_server_start_record() may have taken long, and a reload may have been asked for
		 * since.
		 */
		kwj_process_reload();
		next = run_pass(&coordinator, scratch);
		answers_next = kwj_answer_questions();
		/* This process may have stayed only for the errands: another pass follows. */
		if (kwj_errands_do())
			next = GetCurrentTimestamp();
		next = Min(next, answers_next);
		kwj_process_wait(kwj_shared_coordinator_was_woken() ? GetCurrentTimestamp() : next);
		/* A session that asks need not wait for the next pass. */
		(void) kwj_answer_questions();
	}
}

/*
 * src/worker/parts.c
 *	  How a worker carries one part of an attempt, together with other workers.
 *
 * Process: worker; worker.c calls this. doc/developers/parts.md tells how parts work together.
 *
 *     open (part 0) or enter
 *        |
 *        v
 *     choose <------------------------+------------------------+
 *        +-- plan: part 0, if few pieces are left --------------+
 *        +-- work: a piece, which this part holds now ----------+
 *        +-- wait: for pieces, others, a request or an error ---+
 *        |                                                      |
 *        v                                                      |
 *     leave: other parts are left --> idle                      |
 *        | this is the last part                                |
 *        +-- a piece is left, because its part has died --------+
 *        v
 *     end: finish, or settle the first error, or the request
 *
 * If a piece raises an error, the error is stored in the row of the piece (note_error). Then this
 * part goes on with pieces that come before, which may fail as well. After a deadlock, the part takes
 * the piece again. Locks: whatever the work takes; the row of a piece that has failed.
 *
 * If this process dies, its exit callback takes it out of the team (shared/team.h).
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "job/isolate.h"
#include "job/stop.h"
#include "job/test_gate.h"
#include "lifecycle/attempt.h"
#include "lifecycle/authority.h"
#include "lifecycle/parts.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "shared/team.h"
#include "shared/worker.h"
#include "storage/latch.h"
#include "store/attempts.h"
#include "type/type.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "worker/parts.h"
#include "worker/settle.h"
#include "worker/work.h"

/* A part takes a piece again after at most this many deadlocks in a row. */
#define MOST_DEADLOCKS	10

/* What this process knows of the part that it carries. */
typedef struct Part
{
	const KwjParts *parts;
	MemoryContext context;		/* of the attempt */
	MemoryContext scratch;		/* of one step */
	KwjPlan		plan;			/* only in part 0 */
	int			wanted;			/* only in part 0: how many parts there may be at most */
	bool		holds;			/* this part holds `piece` */
	KwjPiece	piece;
	bool		requested;		/* this part stops because of a request */
	bool		excused;		/* this part stops because it was asked to leave */
	int			deadlocks;		/* how often in a row a deadlock has ended a piece */
	bool		gives_way;		/* lets another part go on before it takes a piece */
	uint64		news;			/* news of the team before this part looked for a piece */
} Part;

typedef enum Step
{
	STEP_AGAIN,					/* an error or interrupt has come: choose again */
	STEP_PLAN,
	STEP_WORK,
	STEP_WAIT,
	STEP_LEAVE,
} Step;

bool
kwj_has_parts(const KwjAttempt *attempt)
{
	const KwjParts *parts;

	if (attempt->reverting || !kwj_type_exists(attempt->job_type))
		return false;
	parts = kwj_type_by_name(attempt->job_type)->parts;
	return parts != NULL && (parts->used == NULL || parts->used(attempt));
}

/* ---- the beginning ---- */

typedef struct Opening
{
	Part	   *part;
	KwjPartsBegin begin;
} Opening;

/* In part 0: deletes the errors of the last attempt, and reads how far the attempts have come. */
static void
open_attempt(KwjAttempt *attempt, void *arg)
{
	Opening    *opening = arg;
	Part	   *part = opening->part;

	kwj_authority_check(attempt);
	kwj_attempt_begin(attempt);
	MemoryContextSwitchTo(part->context);
	part->wanted = part->parts->wanted(attempt);
	kwj_parts_begin(attempt, &opening->begin);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Makes the team of the attempt. Returns false if the attempt could not begin; then this function
 * has settled it.
 */
static bool
open_team(Part *part, KwjAttempt *attempt)
{
	Opening		opening = {.part = part};
	ErrorData  *edata = kwj_work_try(attempt, part->context, open_attempt, &opening);

	if (edata != NULL)
	{
		kwj_worker_settle_work_error(attempt, edata);
		return false;
	}
	part->plan = opening.begin.plan;
	kwj_team_open(part->wanted, &opening.begin.work, part->plan.complete);
	return true;
}

/* ---- errors ---- */

typedef struct Noting
{
	const KwjAttempt *attempt;
	int64		place;
	KwjEndKind	kind;
	KwjError	error;
} Noting;

static void
note_step(void *arg)
{
	Noting	   *noting = arg;

	kwj_store_piece_fail(noting->attempt->job_id, noting->attempt->attempt, noting->place,
						 noting->kind, &noting->error);
}

/*
 * Stores an error that the work has raised at this place in the order of the pieces. If the error
 * is an interrupt for a request, or because another part has failed, only forgets the interrupt:
 * run_steps() then finds out what to do.
 */
static void
note_error(Part *part, KwjAttempt *attempt, const ErrorData *edata, int64 place)
{
	Noting		noting = {.attempt = attempt, .place = place};

	noting.kind = kwj_worker_explain(attempt, edata, &noting.error);
	if (noting.kind == KWJ_END_REQUESTED)
	{
		kwj_shared_forget_interrupt();
		return;
	}
	if (noting.kind == KWJ_END_TIMEOUT)
		noting.place = KWJ_BEFORE_ALL_PIECES;
	/* If the error cannot be stored, the attempt ends with another error (settle_first_error). */
	(void) kwj_isolate(note_step, &noting);
	kwj_team_fail(noting.place);
}

/* ---- what next ---- */

/*
 * Returns whether part 0 has to plan before it does a piece, because there are not enough pieces
 * for all parts. There are no more parts than workers, whatever the job wants.
 */
static bool
is_plan_short(const Part *part, const KwjTeamView *team)
{
	return !part->plan.complete && team->stop_before == PG_INT64_MAX &&
		team->ahead < Min(part->wanted, kwj_max_workers + 1);
}

/* Takes the next piece if there is one. Runs in kwj_work_try(), because reading may fail. */
static void
take_piece(KwjAttempt *attempt, void *arg)
{
	Part	   *part = arg;

	if (attempt->part > 0)
		kwj_authority_check(attempt);
	part->holds = kwj_parts_take(attempt, &part->piece, part->scratch);
}

/* Returns whether this part has to stop, for a request, or because it was asked to leave. */
static bool
is_to_stop(Part *part)
{
	part->requested = kwj_progress_request() != KWJ_REQUEST_NONE;
	part->excused = !part->requested && kwj_team_is_excused();
	return part->requested || part->excused;
}

/* Decides what this part does next. If that is a piece, takes the piece. */
static Step
choose(Part *part, KwjAttempt *attempt)
{
	KwjTeamView team;
	ErrorData  *edata;

	if (is_to_stop(part))
		return STEP_LEAVE;
	/* Read `news` before the look for a piece: wait_for_news() ends at once if it changes later. */
	team = kwj_team_look();
	part->news = team.news;
	if (attempt->part == 0 && is_plan_short(part, &team))
		return STEP_PLAN;
	if (part->gives_way && team.others_work)
	{
		part->gives_way = false;
		return STEP_WAIT;
	}
	/* After an error that concerns the attempt as a whole, no piece may be begun. */
	if (team.stop_before <= KWJ_BEFORE_ALL_PIECES)
		return STEP_LEAVE;
	edata = kwj_work_try(attempt, part->scratch, take_piece, part);
	if (edata != NULL)
	{
		note_error(part, attempt, edata, KWJ_BEFORE_ALL_PIECES);
		return STEP_AGAIN;
	}
	if (part->holds)
		return STEP_WORK;
	if (!team.being_planned || team.stop_before != PG_INT64_MAX)
		return STEP_LEAVE;
	return attempt->part == 0 ? STEP_PLAN : STEP_WAIT;
}

/* ---- steps ---- */

/* Forgets the place of an error in the input, which an earlier piece may have left. */
static void
forget_place(KwjAttempt *attempt)
{
	attempt->error_file = attempt->error_column = NULL;
	attempt->error_line = 0;
}

static void
plan(KwjAttempt *attempt, void *arg)
{
	Part	   *part = arg;

	(void) kwj_parts_plan(attempt, part->parts, &part->plan, part->context);
}

static void
work(KwjAttempt *attempt, void *arg)
{
	Part	   *part = arg;

	forget_place(attempt);
	part->parts->work(attempt, &part->piece);
}

static void
run_plan(Part *part, KwjAttempt *attempt)
{
	ErrorData  *edata;

	kwj_stop_expect_checkpoint();
	edata = kwj_work_try(attempt, part->scratch, plan, part);
	/* The error comes after all pieces that are planned, so these are still done. */
	if (edata != NULL)
		note_error(part, attempt, edata, attempt->planned);
}

/*
 * Returns whether the piece is to be taken again: two parts have waited for each other. This one has
 * rolled its work back, and lets the other one write a checkpoint first. If it began at once, it could
 * be faster than the other one, which has yet to wake up, and stand in its way again.
 */
static bool
is_to_be_tried_again(Part *part, const ErrorData *edata)
{
	part->gives_way = edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED &&
		part->deadlocks++ < MOST_DEADLOCKS;
	return part->gives_way;
}

static void
run_work(Part *part, KwjAttempt *attempt)
{
	ErrorData  *edata;

	kwj_stop_expect_checkpoint();
	edata = kwj_work_try(attempt, part->scratch, work, part);
	if (edata == NULL)
		part->deadlocks = 0;
	else if (!is_to_be_tried_again(part, edata))
		note_error(part, attempt, edata, part->piece.number);
	kwj_team_drop();
	part->holds = false;
}

/* Waits for more pieces, a request, a checkpoint of another part, or its error. */
static void
wait_for_news(KwjAttempt *attempt, void *arg)
{
	Part	   *part = arg;

	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (kwj_team_look().news != part->news || kwj_progress_request() != KWJ_REQUEST_NONE)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, kwj_wait_event("KwjobsPiece"));
	}
}

static void
run_wait(Part *part, KwjAttempt *attempt)
{
	ErrorData  *edata = kwj_work_try(attempt, part->scratch, wait_for_news, part);

	if (edata != NULL)
		note_error(part, attempt, edata, KWJ_BEFORE_ALL_PIECES);
}

/* Does one step after the other until this part has nothing more to do. */
static void
run_steps(Part *part, KwjAttempt *attempt)
{
	for (;;)
	{
		Step		step;

		MemoryContextReset(part->scratch);
		MemoryContextSwitchTo(part->scratch);
		step = choose(part, attempt);
		switch (step)
		{
			case STEP_AGAIN:
				break;
			case STEP_PLAN:
				run_plan(part, attempt);
				break;
			case STEP_WORK:
				run_work(part, attempt);
				break;
			case STEP_WAIT:
				run_wait(part, attempt);
				break;
			case STEP_LEAVE:
				return;
		}
	}
}

/* ---- the end ---- */

typedef struct Looking
{
	const KwjAttempt *attempt;
	MemoryContext context;
	bool		has_error;
	int64		place;			/* of the error, in the order of the pieces */
	int			kind;
	KwjError	error;
} Looking;

static void
look_for_error(void *arg)
{
	Looking    *looking = arg;

	MemoryContextSwitchTo(looking->context);
	looking->has_error = kwj_store_piece_error(looking->attempt->job_id, &looking->place,
											   &looking->kind, &looking->error);
}

/* Lets the type do the piece again that has failed first, in a transaction that is aborted. */
static void
replay(KwjAttempt *attempt, void *arg)
{
	const Looking *looking = arg;
	KwjPiece	piece;

	forget_place(attempt);
	kwj_attempt_begin(attempt);
	if (kwj_store_piece_read(attempt->job_id, looking->place, &piece))
		kwj_type_by_name(attempt->job_type)->parts->replay(attempt, &piece, &looking->error);
	AbortCurrentTransaction();
}

/*
 * Replaces the error by the one that the work would have raised if no later piece had been begun.
 * A request may interrupt this; then the next attempt meets the error again.
 */
static void
replay_error(KwjAttempt *attempt, Looking *looking)
{
	ErrorData  *edata;

	if (kwj_type_by_name(attempt->job_type)->parts->replay == NULL ||
		looking->kind != KWJ_END_ERROR || looking->place < 0)
		return;
	edata = kwj_work_try(attempt, looking->context, replay, looking);
	if (edata != NULL)
		looking->kind = kwj_worker_explain(attempt, edata, &looking->error);
}

/* Ends the attempt with the first error in the order of the work. */
static void
settle_first_error(KwjAttempt *attempt)
{
	Looking		looking = {.attempt = attempt, .context = CurrentMemoryContext};

	if (kwj_isolate(look_for_error, &looking) != NULL || !looking.has_error)
	{
		looking.kind = KWJ_END_ERROR;
		looking.error = (KwjError) {
			.code = ERRCODE_INTERNAL_ERROR,
			.message = "a part of the work has failed, and its error could not be stored",
			.hint = "The server log has the error.",
		};
	}
	else
		replay_error(attempt, &looking);
	kwj_worker_settle_error(attempt->job_id, attempt->attempt, looking.kind, &looking.error, attempt);
}

/* Ends the attempt with an error, because part 0 has exited before it had planned all pieces. */
static void
settle_without_plan(const KwjAttempt *attempt)
{
	KwjError	error = {
		.code = ERRCODE_CRASH_SHUTDOWN,
		.message = "the worker that planned the work ended before it had planned all of it",
		.hint = "The server log says more.",
	};

	kwj_worker_settle_error(attempt->job_id, attempt->attempt, KWJ_END_CRASHED, &error, NULL);
}

typedef struct Finishing
{
	const KwjParts *parts;
	KwjRequest	request;
} Finishing;

static void
finish(KwjAttempt *attempt, void *arg)
{
	Finishing  *finishing = arg;

	finishing->request = finishing->parts->finish(attempt);
}

static void
finish_attempt(Part *part, KwjAttempt *attempt)
{
	Finishing	finishing = {.parts = part->parts, .request = KWJ_REQUEST_NONE};
	ErrorData  *edata = kwj_work_try(attempt, part->context, finish, &finishing);

	if (edata != NULL)
		kwj_worker_settle_work_error(attempt, edata);
	else if (finishing.request != KWJ_REQUEST_NONE)
		kwj_worker_settle_request(attempt, finishing.request);
}

static void
look_for_piece(KwjAttempt *attempt, void *arg)
{
	*(bool *) arg = kwj_parts_is_any_left(attempt);
}

/*
 * Returns whether the last part still has a piece to do: another part may have left it, because
 * that part has died or was interrupted.
 */
static bool
is_piece_left(Part *part, KwjAttempt *attempt)
{
	bool		left = false;
	ErrorData  *edata;

	if (part->requested)
		return false;
	edata = kwj_work_try(attempt, part->scratch, look_for_piece, &left);
	if (edata == NULL)
		return left;
	note_error(part, attempt, edata, KWJ_BEFORE_ALL_PIECES);
	/* It was an interrupt unless note_error() has set stop_before: run_steps() looks again. */
	return kwj_team_look().stop_before == PG_INT64_MAX;
}

/* The progress that SHOW JOBS shows when no attempt runs, because the team is gone then. */
typedef struct Progress
{
	const KwjAttempt *attempt;
	const KwjTeamView *team;
} Progress;

static void
note_progress(void *arg)
{
	Progress   *progress = arg;

	kwj_test_gate(4920);
	kwj_store_note_progress(progress->attempt->job_id, progress->attempt->attempt,
							progress->team->fraction, progress->team->rows);
}

/* The last part ends the attempt. */
static void
end_attempt(Part *part, KwjAttempt *attempt)
{
	KwjTeamView team = kwj_team_look();
	KwjRequest	request = kwj_progress_request();
	Progress	progress = {attempt, &team};

	MemoryContextSwitchTo(part->context);
	(void) kwj_isolate(note_progress, &progress);
	kwj_team_end();
	if (team.stop_before != PG_INT64_MAX)
		settle_first_error(attempt);
	else if (part->requested || request != KWJ_REQUEST_NONE || (!team.planned && team.stopped))
		kwj_worker_settle_request(attempt, request != KWJ_REQUEST_NONE ? request : KWJ_REQUEST_PAUSE);
	else if (!team.planned)
		settle_without_plan(attempt);
	else
		finish_attempt(part, attempt);
}

/* Carries this part until it leaves the team or, if it is the last part, has ended the attempt. */
static void
run_to_end(Part *part, KwjAttempt *attempt)
{
	for (;;)
	{
		run_steps(part, attempt);
		if (!kwj_team_leave(part->excused, part->requested))
			return;
		if (!is_piece_left(part, attempt))
			break;
		kwj_team_reopen();
	}
	end_attempt(part, attempt);
}

void
kwj_part_run(KwjAttempt *attempt, MemoryContext context)
{
	Part		part = {
		.parts = kwj_type_by_name(attempt->job_type)->parts,
		.context = context,
		.scratch = AllocSetContextCreate(context, "kwjobs part", ALLOCSET_DEFAULT_SIZES),
	};

	if (attempt->part == 0 ? open_team(&part, attempt) : kwj_team_enter())
	{
		attempt->began = kwj_team_look().began;
		run_to_end(&part, attempt);
	}
	MemoryContextSwitchTo(context);
}

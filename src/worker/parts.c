/*
 * src/worker/parts.c
 *	  A worker that carries an attempt together with others: one part of it.
 *
 * Process: worker; worker.c calls this. doc/developers/parts.md tells how parts work together.
 *
 *     open (part 0) or enter
 *        |
 *        v
 *     choose <------------------------+------------------------+
 *        +-- plan: part 0, if few pieces are left --------------+
 *        +-- work: a piece, which this part holds now ----------+
 *        +-- wait: for more pieces, a request or an error ------+
 *        |                                                      |
 *        v                                                      |
 *     leave: others are left --> idle                           |
 *        | this is the last part                                |
 *        +-- a piece is left, because its part has died --------+
 *        v
 *     end: finish, or settle the first error, or the request
 *
 * An error of a piece is noted in its row (note_error), and this part goes on with earlier
 * pieces, which may fail as well. Locks: those of the work; the row of a piece that has failed.
 *
 * If this process dies, its exit callback takes it out of the team (shared/team.h).
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/isolate.h"
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

/* This part of the attempt that runs. */
typedef struct Part
{
	const KwjParts *parts;
	MemoryContext context;		/* of the attempt */
	MemoryContext scratch;		/* of one step */
	KwjPlan		plan;			/* of part 0 */
	int			wanted;			/* of part 0: parts at most */
	bool		holds;			/* it holds this piece: */
	KwjPiece	piece;
	bool		requested;		/* it stops because of a request */
	bool		excused;		/* it stops because it was asked to leave */
	uint64		news;			/* as of before it looked for a piece */
} Part;

typedef enum Step
{
	STEP_AGAIN,					/* an interrupt has come in between */
	STEP_PLAN,
	STEP_WORK,
	STEP_WAIT,
	STEP_LEAVE,
} Step;

bool
kwj_has_parts(const KwjAttempt *attempt)
{
	return !attempt->reverting && kwj_type_exists(attempt->job_type) &&
		kwj_type_by_name(attempt->job_type)->parts != NULL;
}

/* ---- the beginning ---- */

typedef struct Opening
{
	Part	   *part;
	KwjPartsBegin begin;
} Opening;

/*
 * In part 0: reads where the last attempt has stopped, and commits that its errors are forgotten.
 */
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

/* Returns false if the attempt is settled, because it could not begin. */
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
 * The work has raised an error at this place in the order. An interrupt because of a request, or
 * because of an error of another part, is none: the loop finds out what to do.
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
	/* if that is not possible, the attempt ends with an error that says so (settle_first_error) */
	(void) kwj_isolate(note_step, &noting);
	kwj_team_fail(noting.place);
}

/* ---- what next ---- */

/*
 * Returns whether part 0 is to plan before it does a piece: as long as not every part would find
 * one.
 */
static bool
is_plan_short(const Part *part, const KwjTeamView *team)
{
	return !part->plan.complete && team->stop_before == PG_INT64_MAX && team->ahead < part->wanted;
}

/* In a transaction, so errors are possible: takes the next piece if there is one. */
static void
take_piece(KwjAttempt *attempt, void *arg)
{
	Part	   *part = arg;

	if (attempt->part > 0)
		kwj_authority_check(attempt);
	part->holds = kwj_parts_take(attempt, &part->piece, part->scratch);
}

/* Whether a request, or the coordinator, wants this part to stop. */
static bool
is_to_stop(Part *part)
{
	part->requested = kwj_progress_request() != KWJ_REQUEST_NONE;
	part->excused = !part->requested && kwj_team_is_excused();
	return part->requested || part->excused;
}

static Step
choose(Part *part, KwjAttempt *attempt)
{
	KwjTeamView team;
	ErrorData  *edata;

	if (is_to_stop(part))
		return STEP_LEAVE;
	/* before it looks for a piece: the wait ends at once if something has changed since */
	team = kwj_team_look();
	part->news = team.news;
	if (attempt->part == 0 && is_plan_short(part, &team))
		return STEP_PLAN;
	/* an error that concerns the attempt as a whole: there is no piece before it */
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

	attempt->error_file = attempt->error_column = NULL;
	attempt->error_line = 0;
	part->parts->work(attempt, &part->piece);
}

static void
run_plan(Part *part, KwjAttempt *attempt)
{
	ErrorData  *edata = kwj_work_try(attempt, part->scratch, plan, part);

	/* the error comes after all pieces that there are */
	if (edata != NULL)
		note_error(part, attempt, edata, attempt->planned);
}

static void
run_work(Part *part, KwjAttempt *attempt)
{
	ErrorData  *edata = kwj_work_try(attempt, part->scratch, work, part);

	if (edata != NULL)
		note_error(part, attempt, edata, part->piece.number);
	kwj_team_drop();
	part->holds = false;
}

/* Waits for more pieces, a request, or the error of another part. */
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
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
	}
}

static void
run_wait(Part *part, KwjAttempt *attempt)
{
	ErrorData  *edata = kwj_work_try(attempt, part->scratch, wait_for_news, part);

	if (edata != NULL)
		note_error(part, attempt, edata, KWJ_BEFORE_ALL_PIECES);
}

/* Does what there is to do for this part. */
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
	int			kind;
	KwjError	error;
} Looking;

static void
look_for_error(void *arg)
{
	Looking    *looking = arg;

	MemoryContextSwitchTo(looking->context);
	looking->has_error = kwj_store_piece_error(looking->attempt->job_id, &looking->kind,
											   &looking->error);
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
	kwj_worker_settle_error(attempt->job_id, attempt->attempt, looking.kind, &looking.error, attempt);
}

/* Part 0 is gone, and has not planned all pieces. */
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
 * Returns whether the last part has something to do still: a piece that another one has left, by
 * its death or because it was interrupted.
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
	/* after an interrupt, look again */
	return kwj_team_look().stop_before == PG_INT64_MAX;
}

/* What is done of the job, for as long as no attempt runs. */
typedef struct Progress
{
	const KwjAttempt *attempt;
	const KwjTeamView *team;
} Progress;

static void
note_progress(void *arg)
{
	Progress   *progress = arg;

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

/* Does what there is to do until the attempt is over, or others are left who end it. */
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

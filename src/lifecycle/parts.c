/*
 * src/lifecycle/parts.c
 *	  The pieces of an attempt that several workers carry together: planning, taking and writing
 *	  them.
 *
 * Callers: src/worker/parts.c, and the job types. Process: worker. The states of a piece are drawn
 * in doc/developers/parts.md. kwj_parts_take gets a piece for this part:
 *
 *     1. It reads the first piece that is not done and that no part holds.
 *     2. It notes in shared memory that this part holds the piece, unless another part was faster.
 *     3. It reads the piece's row again: the part that held the piece before may have done it.
 *
 * Locks: kwj_shared->lock for moments; the rows of pieces that are written, until the end of the
 * transaction. If the process dies, its transaction is rolled back, its slot becomes free, and
 * another part can take the piece that it held.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/json.h"
#include "job/progress.h"
#include "job/stop.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "lifecycle/parts.h"
#include "shared/team.h"
#include "store/attempts.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ---- planning ---- */

void
kwj_piece_add(KwjAttempt *attempt, int64 units, Jsonb *what)
{
	kwj_store_piece_add(attempt->job_id, attempt->planned++, units, what);
}

/* Returns the state of the job's checkpoint, which says how far the planning is. */
static Jsonb *
plan_as_json(const KwjAttempt *attempt, const KwjPlan *plan)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"planned\": " INT64_FORMAT ", \"total\": " INT64_FORMAT
					 ", \"complete\": %d", attempt->planned, plan->total, plan->complete);
	if (plan->state != NULL)
		appendStringInfo(&json, ", \"state\": %s",
						 JsonbToCString(NULL, &plan->state->root, VARSIZE(plan->state)));
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

void
kwj_parts_begin(KwjAttempt *attempt, KwjPartsBegin *begin)
{
	memset(begin, 0, sizeof(*begin));
	attempt->planned = 0;
	kwj_store_pieces_begin(attempt->job_id, &begin->work);
	if (attempt->checkpoint == NULL)
		return;
	attempt->planned = kwj_json_int64(attempt->checkpoint, "planned");
	begin->plan.complete = kwj_json_int64(attempt->checkpoint, "complete") != 0;
	begin->plan.total = begin->work.total = kwj_json_int64(attempt->checkpoint, "total");
	begin->plan.state = kwj_parts_state_in(attempt->checkpoint);
}

KwjRequest
kwj_parts_plan(KwjAttempt *attempt, const KwjParts *parts, KwjPlan *plan, MemoryContext context)
{
	int64		planned = attempt->planned;
	KwjPlan		next = *plan;
	KwjTeamView team = kwj_team_look();
	KwjRequest	request;

	kwj_attempt_begin(attempt);
	PG_TRY();
	{
		parts->plan(attempt, &next);
		next.state = kwj_json_copy(JsonbPGetDatum(next.state), next.state == NULL, context);
		request = kwj_attempt_checkpoint(attempt, plan_as_json(attempt, &next), team.fraction,
										 team.rows, false);
	}
	PG_CATCH();
	{
		/* The pieces that this step has planned are rolled back. */
		attempt->planned = planned;
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (plan->state != NULL)
		pfree(plan->state);
	*plan = next;
	kwj_team_planned(attempt->planned - planned, plan->total, plan->complete);
	return request;
}

/* ---- pieces ---- */

/* Looks for the first piece that this part can take, in a transaction of its own. */
static bool
find(KwjAttempt *attempt, KwjPiece *piece, MemoryContext context)
{
	int			n;
	int64	   *held;
	bool		found;

	kwj_attempt_begin(attempt);
	held = kwj_team_held(&n);
	MemoryContextSwitchTo(context);
	found = kwj_store_piece_find(attempt->job_id, kwj_team_look().stop_before, held, n, piece);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return found;
}

/*
 * Reads the row of the piece that this part holds now, in a transaction of its own. Returns false
 * if the piece is done.
 */
static bool
read_again(KwjAttempt *attempt, KwjPiece *piece, MemoryContext context)
{
	bool		found;

	kwj_attempt_begin(attempt);
	MemoryContextSwitchTo(context);
	found = kwj_store_piece_read(attempt->job_id, piece->number, piece);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return found;
}

bool
kwj_parts_take(KwjAttempt *attempt, KwjPiece *piece, MemoryContext context)
{
	while (find(attempt, piece, context))
	{
		if (!kwj_team_take(piece->number))
			continue;
		if (read_again(attempt, piece, context))
			return true;
		kwj_team_drop();
	}
	return false;
}

bool
kwj_parts_is_any_left(KwjAttempt *attempt)
{
	KwjPiece	piece;

	return find(attempt, &piece, CurrentMemoryContext);
}

static KwjRequest
write_piece(KwjAttempt *attempt, KwjPiece *piece, Jsonb *state, int64 rows, bool done, bool revertible)
{
	FullTransactionId xid = revertible ? GetTopFullTransactionId() : InvalidFullTransactionId;
	KwjRequest	request;

	CommandCounterIncrement();
	kwj_attempt_run_deferred();
	if (done)
		piece->units_next = piece->units;
	request = kwj_store_piece_write(attempt->job_id, attempt->attempt, piece, state, rows, done, xid);
	if (revertible)
		kwj_attempt_write_subtransactions(attempt, piece->number);
	kwj_attempt_commit_checkpoint();
	kwj_team_add(piece->units_next - piece->units_done, rows - piece->rows, done);
	piece->rows = rows;
	piece->units_done = piece->units_next;
	kwj_stop_at_checkpoint();
	return request;
}

KwjRequest
kwj_piece_checkpoint(KwjAttempt *attempt, KwjPiece *piece, Jsonb *state, int64 rows, bool revertible)
{
	KwjRequest	request = write_piece(attempt, piece, state, rows, false, revertible);

	/* A piece may take hours, and a job waits for this worker. Another part goes on with the piece. */
	if (request == KWJ_REQUEST_NONE && kwj_team_look().excused)
		return KWJ_REQUEST_PAUSE;
	return request;
}

void
kwj_piece_done(KwjAttempt *attempt, KwjPiece *piece, int64 rows, bool revertible)
{
	(void) write_piece(attempt, piece, piece->result, rows, true, revertible);
}

KwjTeamProgress
kwj_piece_progress(const KwjPiece *piece, uint64 units, uint64 rows)
{
	kwj_progress_set(units, piece->units - piece->units_done, rows);
	return kwj_team_progress();
}

int64
kwj_pieces_rows(const KwjAttempt *attempt)
{
	KwjWorkDone work;

	kwj_store_pieces_sum(attempt->job_id, &work);
	if (work.left > 0)
		elog(ERROR, "job " INT64_FORMAT " was to end with " INT64_FORMAT " pieces not done",
			 attempt->job_id, work.left);
	return work.rows;
}

int64
kwj_pieces_rows_so_far(const KwjAttempt *attempt)
{
	KwjWorkDone work;

	kwj_store_pieces_sum(attempt->job_id, &work);
	return work.rows;
}

List *
kwj_pieces_states(const KwjAttempt *attempt, const char *key)
{
	return kwj_store_piece_states(attempt->job_id, key);
}

FullTransactionId *
kwj_pieces_transactions(const KwjAttempt *attempt, const KwjPiece *after, int *n)
{
	return kwj_store_transactions(attempt->job_id, after->number, n);
}

Jsonb *
kwj_parts_state(const KwjAttempt *attempt)
{
	return kwj_parts_state_in(kwj_store_state(attempt->job_id));
}

Jsonb *
kwj_parts_state_in(Jsonb *checkpoint)
{
	return checkpoint ? kwj_json_object_or_null(checkpoint, "state") : NULL;
}

/*
 * src/coordinator/window.c
 *	  The windows of jobs that are about to start, and of jobs that run.
 *
 * Process: coordinator, in the transaction of a pass; claim.c calls this for jobs that could get a
 * worker, coordinator.c and singly.c for attempts that run. Locks: none beside those that the pass has.
 *
 *     pending, due    --> its window is open, and long enough     claimed
 *                     --> closed, or too short                     put off (store/window.c)
 *     running         --> its window closes                        KWJ_REQUEST_CLOSE, in its slot only
 *                     --> it opens again before the job has paused the request is taken back
 *
 * Nothing in the job's row says that its window is closed: it is a matter of the clock. So nothing has
 * to be undone when the clock is set, and a PAUSE or CANCEL of a user, which is in the row, comes first.
 * The attempt that stops for the request ends as one whose PAUSE was taken back (lifecycle/settle.c):
 * the job is pending and due at once, and the next pass puts it off to its next window.
 *
 * What becomes of an attempt when the window closes:
 *
 *     window_end   work that goes on from checkpoints    other work
 *     pause        stops at its next checkpoint           goes on to its end; begins only if it is
 *                                                         expected to end before the window closes
 *     stop         the same, and is interrupted           is interrupted, and begins anew in the next
 *                  if that takes too long (dispatch.c)    window
 *     finish       goes on to its end                     goes on to its end
 *
 * If this process dies, its successor looks at all windows in its first pass. If the worker dies, the
 * attempt counts as crashed, and the next one waits for the window.
 */
#include "postgres.h"

#include "coordinator/window.h"
#include "job/isolate.h"
#include "job/noted.h"
#include "lifecycle/settle.h"
#include "schedule/window.h"
#include "store/candidates.h"
#include "store/window.h"
#include "type/type.h"
#include "utils/timestamp.h"

/*
 * Returns whether the job's window_end is this one. Any other text, which somebody has written by
 * hand, counts as "pause".
 */
static bool
is_end(const char *window_end, const char *which)
{
	return window_end != NULL && strcmp(window_end, which) == 0;
}

/* Returns where work of a type can stop so that the next attempt goes on from there. */
static KwjPauses
pauses_of(const char *job_type)
{
	return kwj_type_exists(job_type) ? kwj_type_by_name(job_type)->pauses : KWJ_PAUSES_NEVER;
}

static void
note_change(KwjPass *pass, TimestampTz when)
{
	pass->windows_next = Min(pass->windows_next, when);
	/* A short pass goes by this when it says when the next one is due. */
	pass->coordinator->next_due = Min(pass->coordinator->next_due, when);
}

static char *
duration(int64 ms)
{
	int64		seconds = (ms + 999) / 1000;

	return psprintf(INT64_FORMAT ":%02d:%02d", seconds / SECS_PER_HOUR,
					(int) (seconds / SECS_PER_MINUTE % MINS_PER_HOUR), (int) (seconds % SECS_PER_MINUTE));
}

/*
 * Returns why the candidate, whose window is open for left_ms milliseconds, may not be expected to end
 * in time; NULL: it may, or it need not.
 */
static char *
explain_too_long(const KwjCandidate *candidate, int64 left_ms)
{
	KwjPauses	pauses = pauses_of(candidate->job_type);
	KwjExpected expected;
	int64		limit_ms;

	if (pauses == KWJ_PAUSES_ALWAYS || is_end(candidate->window_end, "stop") ||
		is_end(candidate->window_end, "finish"))
		return NULL;
	expected = kwj_store_expected(candidate->job_id);
	if (pauses == KWJ_PAUSES_SOMETIMES && expected.has_checkpoint)
		return NULL;
	limit_ms = kwj_settle_limit_timeout(expected.timeout_ms);
	if (limit_ms > 0 && limit_ms <= left_ms)
		return NULL;
	if (expected.usual_ms > 0)
		return expected.usual_ms <= left_ms ? NULL :
			psprintf(KWJ_NOTED_NO_TIME ": it took %s", duration(expected.usual_ms));
	if (limit_ms > 0)
		return psprintf(KWJ_NOTED_NO_TIME ": its timeout is %s", duration(limit_ms));
	return pstrdup(KWJ_NOTED_NO_TIMEOUT);
}

/*
 * Returns whether the candidate may not start now; if so, *put_off says until when.
 */
static bool
is_outside(KwjPass *pass, const KwjCandidate *candidate, TimestampTz now, KwjPutOff *put_off)
{
	KwjWindowLook look = kwj_window_look(candidate->window, now);

	*put_off = (KwjPutOff) {.job_id = candidate->job_id, .due = look.until};
	if (look.is_open && look.until != DT_NOEND)
	{
		put_off->note = explain_too_long(candidate, (look.until - now) / 1000);
		if (put_off->note != NULL)
			put_off->due = kwj_window_look(candidate->window, look.until).until;
	}
	note_change(pass, put_off->due);
	return !look.is_open || put_off->note != NULL;
}

typedef struct PuttingOff
{
	KwjPutOff  *jobs;
	int			n;
} PuttingOff;

static void
put_off_step(void *arg)
{
	const PuttingOff *putting = arg;

	kwj_store_put_off(putting->jobs, putting->n);
}

List *
kwj_windows_leave_out(KwjPass *pass, List *candidates)
{
	TimestampTz now = GetCurrentTimestamp();
	PuttingOff	putting = {.jobs = palloc(sizeof(KwjPutOff) * Max(list_length(candidates), 1))};
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const KwjCandidate *candidate = lfirst(lc);

		if (candidate->job_id == 0 || candidate->window == NULL ||
			!is_outside(pass, candidate, now, &putting.jobs[putting.n]))
			continue;
		putting.n++;
		candidates = foreach_delete_current(candidates, lc);
	}
	if (putting.n == 0)
		return candidates;
	/*
	 * If the row of one of them raises an error, they stay as they are, and are left out of this pass
	 * only. Once the window of that job is open, its claim meets the same error, which ends it.
	 */
	if (kwj_isolate_within(put_off_step, &putting) == NULL)
		pass->again = true;
	return candidates;
}

void
kwj_windows_review(KwjPass *pass, List *active)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, active)
	{
		KwjActive  *item = lfirst(lc);
		KwjWindowLook look;

		/* A revert is not bound to the window, so that CANCEL takes effect at once. */
		if (item->window == NULL || item->reverting || is_end(item->window_end, "finish"))
			continue;
		look = kwj_window_look(item->window, now);
		note_change(pass, look.until);
		item->patient = !is_end(item->window_end, "stop");
		if (!look.is_open && item->request == KWJ_REQUEST_NONE &&
			(!item->patient || pauses_of(item->job_type) != KWJ_PAUSES_NEVER))
			item->request = KWJ_REQUEST_CLOSE;
	}
}

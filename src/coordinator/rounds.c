/*
 * src/coordinator/rounds.c
 *	  Rounds through lists that one role can make very long: a window of the list in each pass.
 *
 * Process: coordinator, in the transaction of a pass (take_round in coordinator.c). Locks: the
 * looks lock rows of kwjobs.job, kwjobs.dependency and kwjobs.untold, mostly with SKIP LOCKED,
 * until the end of the transaction.
 *
 * A pass must not take longer because one role has submitted very many jobs or dependencies, nor
 * because it keeps their rows locked. So the coordinator reads a window of such a list, and goes on
 * behind it in the next pass, after other roles had their turn. When something may be new anywhere
 * in the list, a round begins where the last window ended: it goes through the end of the list and
 * from its head to that place.
 *
 *   no round --news--> whole round, from the last place, wrapping at the end --> over
 *                        | all rows were locked: "in vain"
 *                        v
 *            resting (REST_SHARE times as long) --KWJ_ALL_NEWS--> whole round
 *                                               --KWJ_SOME_NEWS-> only to the end of the list
 *
 * A whole round in which nothing could be done, because all rows are locked, is not repeated before
 * a transaction has ended that may have locked them; nor at once then, because mostly that
 * transaction had not. Meanwhile the coordinator looks only at new entries, which mostly stand at
 * the end of a list: by rounds that begin where the last one ended, and end at the end of the list.
 *
 * The state is in this process's memory. A pass that is rolled back makes the rounds begin again
 * (rounds_are_stale).
 */
#include "postgres.h"

#include "coordinator/rounds.h"
#include "store/due.h"

/*
 * How long a window may take, as it delays claims. How many entries fit depends on the machine, so
 * the size follows from the last window; the first one is small.
 */
#define WINDOW_MS			10
#define FIRST_WINDOW		100
#define SMALLEST_WINDOW		20
#define LARGEST_WINDOW		1000

/*
 * After a round in vain, the list rests this many times as long as the round took, but no longer
 * than this.
 */
#define REST_SHARE			9
#define LONGEST_REST_MS		100
/*
 * How long rows count as locked if nobody says otherwise: the process that locked them need not be
 * one that tells kwjobs.
 */
#define LONGEST_TRUST_MS	10000

static bool
is_before(int64 first, int64 second, int64 than_first, int64 than_second)
{
	return first < than_first || (first == than_first && second < than_second);
}

static void
go_to_head(KwjRound *round)
{
	round->first = round->second = PG_INT64_MIN;
}

static bool
is_at_head(const KwjRound *round)
{
	return round->first == PG_INT64_MIN && round->second == PG_INT64_MIN;
}

/* Begins a round behind the place where the last one ended. */
static void
begin_round(KwjRound *round, KwjNews news)
{
	if (round->limit == 0)
	{
		round->limit = FIRST_WINDOW;
		go_to_head(round);
	}
	round->wanted = true;
	round->stop_first = round->first;
	round->stop_second = round->second;
	/* As long as the locked rows may still be locked, look only at the end of the list. */
	round->whole = !round->in_vain || news == KWJ_ALL_NEWS;
	round->to_end = is_at_head(round) || !round->whole;
	round->wrapped = round->to_end;
}

static void
end_round(KwjRound *round, TimestampTz now)
{
	int64		rest = Min(round->spent_us * REST_SHARE, LONGEST_REST_MS * INT64CONST(1000));

	round->wanted = false;
	if (round->whole)
	{
		round->in_vain = !round->fruitful;
		round->not_before = round->in_vain ? now + rest : DT_NOBEGIN;
		round->ended = now;
	}
	round->fruitful = false;
	round->spent_us = 0;
}

/* Takes over where the window ended. Returns whether the round is over. */
static bool
is_over(KwjRound *round, const KwjWindow *window)
{
	if (window->n_read > 0)
	{
		round->first = window->first;
		round->second = window->second;
	}
	if (window->n_read < window->limit)
	{
		if (round->wrapped)
			return true;
		go_to_head(round);
		round->wrapped = true;
		return false;
	}
	return round->wrapped && !round->to_end &&
		!is_before(round->first, round->second, round->stop_first, round->stop_second);
}

/*
 * Returns how many entries the next window may have. This one took `us` microseconds, which says
 * something only if it was full.
 */
static int
fitting_limit(const KwjWindow *window, int64 us)
{
	int64		fit = window->limit * INT64CONST(1000) * WINDOW_MS / Max(us, 1);

	if (window->n_read < window->limit)
		return window->limit;
	return Max(SMALLEST_WINDOW, Min(fit, Min(2 * window->limit, LARGEST_WINDOW)));
}

bool
kwj_round_step(KwjRound *round, KwjNews news, bool *more, TimestampTz *next)
{
	TimestampTz now = GetCurrentTimestamp();
	KwjWindow	window = {0};
	int64		us;

	if (news == KWJ_SOME_NEWS &&
		TimestampDifferenceExceeds(round->ended, now, LONGEST_TRUST_MS))
		news = KWJ_ALL_NEWS;
	if (news == KWJ_ALL_NEWS || (news == KWJ_SOME_NEWS && !(round->wanted && round->whole)))
		begin_round(round, news);
	if (!round->wanted)
		return false;
	if (round->whole && now < round->not_before)
	{
		*next = Min(*next, round->not_before);
		return false;
	}
	window.limit = round->limit;
	window.first = round->first;
	window.second = round->second;
	round->look(&window);
	round->fruitful |= window.fruitful;
	if (window.fruitful)
		round->in_vain = false;
	us = GetCurrentTimestamp() - now;
	round->spent_us += us;
	round->limit = fitting_limit(&window, us);
	round->unfinished |= window.unfinished;
	if (!is_over(round, &window))
		*more = true;
	else
	{
		/*
		 * Some entries could not be handled before others in the list, and something was done in
		 * this round: go through the list once more.
		 */
		bool		again = round->unfinished && round->fruitful;

		end_round(round, GetCurrentTimestamp());
		round->unfinished = false;
		if (again)
		{
			begin_round(round, KWJ_ALL_NEWS);
			*more = true;
		}
	}
	return window.fruitful;
}

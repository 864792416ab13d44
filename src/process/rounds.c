/*
 * src/process/rounds.c
 *	  Looks at lists that one role can make very long: a window of them in each pass.
 *
 * Process: coordinator. Locks: those of the looks.
 *
 * A pass must not take longer because one role has submitted very many jobs or dependencies, nor
 * because it keeps their rows locked. So the coordinator reads a window of such a list, and goes on
 * behind it in the next pass, after other roles had their turn. When something may be new anywhere in
 * the list, a round begins where the last window has ended: through the end of the list and from its
 * head to that place.
 *
 * A round in which nothing could be done, as all rows are locked, is not repeated at once: each
 * transaction that ends is news, and mostly not of these rows.
 */
#include "postgres.h"

#include "process/rounds.h"

/* After a round in vain, the list is left alone for so many times as long, but no longer than this. */
#define REST_SHARE			9
#define LONGEST_REST_MS		100

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

static void
begin_round(KwjRound *round)
{
	if (!round->begun)
		go_to_head(round);
	round->begun = round->wanted = true;
	round->wrapped = is_at_head(round);
	round->stop_first = round->first;
	round->stop_second = round->second;
}

static void
end_round(KwjRound *round, TimestampTz now)
{
	int64		rest = Min(round->spent_us * REST_SHARE, LONGEST_REST_MS * INT64CONST(1000));

	round->wanted = false;
	if (!round->fruitful)
		round->not_before = now + rest;
	round->fruitful = false;
	round->spent_us = 0;
}

/* The window has been read: whether the round is over. */
static bool
is_over(KwjRound *round, const KwjWindow *window)
{
	if (window->n_read < window->limit)
	{
		bool		over = round->wrapped;

		go_to_head(round);
		round->wrapped = true;
		return over;
	}
	round->first = window->first;
	round->second = window->second;
	/* one that began at the head ends at the end of the list */
	return round->wrapped && round->stop_first != PG_INT64_MIN &&
		!is_before(round->first, round->second, round->stop_first, round->stop_second);
}

bool
kwj_round_step(KwjRound *round, bool news, bool *more, TimestampTz *next)
{
	TimestampTz now = GetCurrentTimestamp();
	KwjWindow	window = {.limit = round->limit};

	if (news)
		begin_round(round);
	if (!round->wanted)
		return false;
	if (now < round->not_before)
	{
		*next = Min(*next, round->not_before);
		return false;
	}
	window.first = round->first;
	window.second = round->second;
	round->look(&window);
	round->fruitful |= window.fruitful;
	round->spent_us += GetCurrentTimestamp() - now;
	if (is_over(round, &window))
		end_round(round, GetCurrentTimestamp());
	else
		*more = true;
	return window.fruitful;
}

/*
 * src/function/waits.c
 *	  What the workers that carry an attempt together spend their time with.
 *
 * Callers: show.c and outcome.c, when a session looks at the attempt. Process: sessions. Locks: the spinlock
 * of the sight, for a few instructions.
 *
 * No process measures how long a worker waits. Whenever a session looks at the attempt, it reads what each
 * worker waits for at that moment, and adds this to what earlier looks have found (KwjSight). So this costs
 * nothing while no session looks.
 */
#include "postgres.h"

#include "function/waits.h"
#include "lib/stringinfo.h"
#include "shared/sight.h"
#include "utils/wait_event.h"

/* The text names at most this many events. */
#define SHOWN	3

/* Returns the index in counts->found of the wait event that looks have found most often; -1 if there is none. */
static int
most_frequent(const KwjWaitCounts *counts)
{
	int			most = -1;

	for (int i = 0; i < KWJ_WAIT_KINDS; i++)
		if (counts->found[i].times > 0 && (most < 0 || counts->found[i].times > counts->found[most].times))
			most = i;
	return most;
}

const char *
kwj_words_with_waits(const KwjLive *live)
{
	KwjWaitCounts counts;
	StringInfoData text;
	int			most;

	if (live->running_status[0] == '\0' || live->waits.looks < 2)
		return live->running_status;
	initStringInfo(&text);
	appendStringInfoString(&text, live->running_status);
	counts = kwj_sight_add_waits(kwj_sight_of_slot(live->slot), live->dboid, live->job_id, live->attempt,
								 &live->waits);
	for (int shown = 0; shown < SHOWN && (most = most_frequent(&counts)) >= 0; shown++)
	{
		const char *event = pgstat_get_wait_event(counts.found[most].event);

		if (shown == 0)
			appendStringInfo(&text, "; of %u looks at a worker, %u found it waiting", counts.looks,
							 counts.found[most].times);
		else
			appendStringInfo(&text, ", %u", counts.found[most].times);
		appendStringInfo(&text, " for %s", event ? event : "an unknown event");
		counts.found[most].times = 0;
	}
	return text.data;
}

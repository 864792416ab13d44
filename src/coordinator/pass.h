/*
 * src/coordinator/pass.h
 *	  What the coordinator knows from one pass to the next, and what one pass has found.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_PASS_H
#define KWJ_COORDINATOR_PASS_H

#include "coordinator/rounds.h"
#include "shared/queue.h"
#include "shared/slots.h"
#include "store/break.h"
#include "store/due.h"

/* A round through a list that the coordinator takes job by job: see singly.c. */
typedef struct KwjSingleRound
{
	KwjListPlace place;			/* the next step begins behind this */
	KwjListPlace stop;			/* where the round has begun */
	bool		under_way;
	bool		wrapped;		/* it has come to the end of the list, and goes on at its head */
	bool		outdated;		/* something is new since it began: another one is to follow */
	TimestampTz began;
	TimestampTz complete;		/* the last round that is over has begun then */
} KwjSingleRound;

/*
 * What the coordinator of this process knows. Nothing here may say that something is done before the
 * transaction that did it has committed.
 */
typedef struct KwjCoordinator
{
	bool		first_pass;
	TimestampTz careful_until;	/* claims are on disk before they are handed over */
	bool		at_home;		/* the jobs are known to be those of this database */
	bool		busy;			/* there is something to do, as of the last pass */

	/* No job that may start has a lower rank, as of the last pass. */
	TimestampTz lowest_rank;
	bool		look_at_all;	/* in the next pass */
	TimestampTz looked_at_all;
	TimestampTz next_due;		/* when a pass has to look at all, even if nobody says so */

	/* The postmaster had no room for a worker: not tried again before this, or until one leaves. */
	TimestampTz room_again;
	int			no_room_ms;
	int			workers_without_room;

	/* Lists that one role can make very long. */
	KwjRound	settling;
	KwjRound	telling;
	KwjRound	looking_up;
	KwjRound	meeting;
	KwjRound	promoting;
	/* what these rounds have passed may have been rolled back: they have to begin again */
	bool		rounds_are_stale;

	/* Going job by job. */
	TimestampTz job_by_job_until;
	KwjSingleRound singly[KWJ_LISTS];
} KwjCoordinator;

/* What a pass found, for after its commit. */
typedef struct KwjPass
{
	KwjCoordinator *coordinator;
	KwjWorkerInfo *workers;		/* as of before the pass */
	int			n_workers;
	bool		told;			/* another database needs this coordinator's place: nothing new is started */
	bool		all;			/* look at everything */
	bool		news;			/* anything may be new, not only what a step of the last pass has left */
	KwjNews		for_rounds;		/* what that means for rounds */
	TimestampTz from;			/* no job that may start has a lower rank */
	KwjToDo		todo;			/* only of a pass that looks at everything */
	const char *step;			/* what is being done, for the log */

	bool		no_extension;
	bool		came_home;		/* from now on this is the jobs' database, */
	uint64		paused;			/* and so many were copied */
	List	   *active;			/* of KwjActive; only of a pass that looks at everything */
	List	   *claims;			/* of KwjClaim */
	KwjQueue	queue;			/* who still waits */
	bool		wait_for_disk;	/* before the claims are handed over */
	bool		no_room;		/* the server had none for a worker */
	bool		again;			/* more to do at once */
	bool		marked;			/* dependencies may be met that could not */
	bool		changed;		/* jobs may start now that could not */
	TimestampTz later;			/* when to go on with a step that rests */
	TimestampTz refused_again;	/* when to look again at roles that cannot have a worker */
	TimestampTz next;			/* else when to look again */
} KwjPass;

#endif

/*
 * src/coordinator/pass.h
 *	  What the coordinator remembers from one pass to the next, and what one pass has found.
 *
 * Process: coordinator; everything is in its own memory, and no lock is needed. Nothing survives
 * the process: its successor's first pass looks at everything.
 */
#ifndef KWJ_COORDINATOR_PASS_H
#define KWJ_COORDINATOR_PASS_H

#include "coordinator/rounds.h"
#include "shared/ready.h"
#include "shared/slots.h"
#include "store/break.h"
#include "store/due.h"

/* A round through a list that the coordinator takes job by job, see singly.c. */
typedef struct KwjSingleRound
{
	KwjListPlace place;			/* the next piece begins behind this */
	KwjListPlace stop;			/* where the round began */
	bool		under_way;
	bool		wrapped;		/* it has come to the end of the list and goes on at its head */
	bool		outdated;		/* something is new since it began: another round is to follow */
	TimestampTz began;
	TimestampTz complete;		/* when the last complete round began */
} KwjSingleRound;

/*
 * What the coordinator remembers. Nothing here may say that something is done before the
 * transaction that did it has committed.
 */
typedef struct KwjCoordinator
{
	bool		first_pass;
	bool		at_home;		/* jobs that were copied with the database are paused */
	bool		busy;			/* it had something to do, as of the last pass */

	/* A lower bound of the ranks of all jobs that may start, as of the last pass. */
	TimestampTz lowest_rank;
	bool		look_at_all;	/* the next pass is a full one */
	/* The last full pass. */
	TimestampTz looked_at_all;
	TimestampTz next_due;		/* when a full pass is due even if nobody asks */

	/*
	 * The postmaster had no slot for a worker: none is started before this time, unless a worker
	 * exits.
	 */
	TimestampTz room_again;
	int			no_room_ms;
	int			workers_without_room;

	/* Rounds through lists that one role can make very long. */
	KwjRound	settling;
	KwjRound	telling;
	KwjRound	looking_up;
	KwjRound	meeting;
	KwjRound	passing;
	KwjRound	freeing;
	KwjRound	promoting;
	/* The transactions of these rounds may have been rolled back: they have to begin again. */
	bool		rounds_are_stale;

	/* For going job by job after an error, see singly.c. */
	TimestampTz job_by_job_until;
	KwjSingleRound singly[KWJ_LISTS];
} KwjCoordinator;

/* What one pass found, for the steps after its commit. */
typedef struct KwjPass
{
	KwjCoordinator *coordinator;
	KwjWorkerInfo *workers;		/* as of before its snapshot */
	int			n_workers;
	/* another database needs this coordinator's place, so the pass starts nothing new */
	bool		told;
	bool		all;			/* this is a full pass */
	/* anything may be new; false: the pass only goes on with a step of the last one */
	bool		news;
	KwjNews		for_rounds;		/* what is new for the rounds */
	int			fired;			/* how many jobs kwj_fire_due() may have created just before this pass */
	TimestampTz from;			/* it claims only jobs of this rank or a higher one */
	KwjToDo		todo;			/* of a full pass only */
	const char *step;			/* what it is doing, for the log */

	bool		no_extension;
	bool		blocked;		/* jobs cannot be written, so the pass has done nothing */
	bool		came_home;		/* the copied jobs are paused in this pass, */
	uint64		paused;			/* and this is their number */
	List	   *active;			/* of KwjActive; of a full pass only */
	List	   *claims;			/* of KwjClaim */
	List	   *parts;			/* of KwjClaim: workers that join attempts, see parts.c */
	bool		jobs_wait;		/* a job waits for a worker, or for a limit that parts use up */
	bool		parts_lack;		/* an attempt wants more workers than it has */
	KwjReady	ready;			/* which jobs still wait for a worker */
	bool		wait_for_disk;	/* before the claims are handed over */
	bool		no_room;		/* the postmaster had no slot for a worker */
	bool		again;			/* the next pass follows at once */
	bool		marked;			/* dependencies may be met now */
	bool		changed;		/* jobs may start that could not before */
	TimestampTz later;			/* when a step that rests goes on */
	TimestampTz refused_again;	/* when to look again at roles that cannot have a worker */
	TimestampTz record_again;	/* when to look again at jobs that sessions do themselves */
	TimestampTz windows_next;	/* when the window of a job that runs, or may start, changes */
	TimestampTz next;			/* when to look again for any other reason */
} KwjPass;

#endif

/*
 * src/shared/team.h
 *	  Shared memory: the workers that carry one attempt together, and which of them holds which
 *	  piece of the work. See doc/developers/parts.md.
 *
 * Each function takes kwj_shared->lock for a moment; none raises an error.
 */
#ifndef KWJ_SHARED_TEAM_H
#define KWJ_SHARED_TEAM_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* The place, in the order of the pieces, of an error that concerns the attempt as a whole. */
#define KWJ_BEFORE_ALL_PIECES	(-1)
/* No piece. */
#define KWJ_NO_PIECE			PG_INT64_MIN

/* ---- for a worker that carries a part: each function acts on the team of its own attempt ---- */

/* How much of the work is done, and planned, when an attempt begins. */
typedef struct KwjWorkDone
{
	int64		rows;			/* rows that all attempts have committed */
	int64		units;			/* units of the pieces that are done */
	int64		total;			/* units of the whole work; 0: not known yet */
	int64		left;			/* how many pieces are planned, and not done */
} KwjWorkDone;

/*
 * Part 0 makes a team for its attempt, so that other parts may join. wanted is how many parts there
 * may be at most, with part 0. planned: all pieces are planned already.
 */
extern void kwj_team_open(int wanted, const KwjWorkDone *work, bool planned);

/* A part other than 0 joins its team. Returns false if the team is closed or gone. */
extern bool kwj_team_enter(void);

/* What a part has to know of its team before it decides what to do next. */
typedef struct KwjTeamView
{
	TimestampTz began;			/* when the attempt began its work */
	bool		planned;		/* all pieces are planned */
	bool		being_planned;	/* part 0 is in the team, and has not planned all pieces */
	int64		ahead;			/* how many pieces are planned, not done, and held by no part */
	int64		stop_before;	/* parts may only begin pieces before this one; PG_INT64_MAX: all */
	bool		stopped;		/* a part has left for a request, which may be taken back by now */
	bool		others_work;	/* another part holds a piece */
	bool		excused;		/* a part was asked to leave, and this part may be the one that does */
	double		fraction;		/* the share of the work that is done, 0 to 1 */
	int64		rows;			/* rows that all attempts have committed */
	uint64		news;			/* goes up with each change that a part may wait for */
} KwjTeamView;

/* Returns the present state of the team. When `news` changes, the latches of all parts are set. */
extern KwjTeamView kwj_team_look(void);

/* The progress of the team as it is at this moment, with what its parts have not committed yet. */
typedef struct KwjTeamProgress
{
	int			present;		/* how many parts are in the team */
	uint64		done;			/* units that are done */
	uint64		total;			/* units of the whole work; 0: not known yet */
	uint64		rows;
} KwjTeamProgress;

extern KwjTeamProgress kwj_team_progress(void);

/*
 * Part 0 has planned `pieces` more pieces. complete: there will be no more. total: as in
 * KwjWorkDone. Wakes the parts that wait for pieces.
 */
extern void kwj_team_planned(int64 pieces, int64 total, bool complete);

/* Returns the numbers of the pieces that other parts hold, as a palloc'd array of *n. */
extern int64 *kwj_team_held(int *n);

/*
 * Notes that this part holds the piece. Returns false if another part holds it, or if no part may
 * begin it any more because of an error (kwj_team_fail).
 */
extern bool kwj_team_take(int64 piece);

/*
 * This part has committed `rows` more rows and `units` more units of its piece: adds them to the
 * team's, and resets the progress in the slot, which has counted them until now. done: the piece is
 * done; then this part does not hold it any more. Wakes the parts that wait.
 */
extern void kwj_team_add(uint64 units, uint64 rows, bool done);

/* If this part still holds a piece, which is not done then, gives it up: others may take it. */
extern void kwj_team_drop(void);

/*
 * This part has noted an error for this piece: no part may begin this or a later piece any more,
 * and parts that hold later pieces are interrupted.
 */
extern void kwj_team_fail(int64 piece);

/*
 * Returns true if a part of the team was asked to leave (kwj_team_excuse_one), and this part, which
 * must not be part 0 or the only one, should do so. Then no other part gets true for that demand.
 */
extern bool kwj_team_is_excused(void);

/*
 * This part has nothing more to do. excused: it was asked to leave; requested: it stops because of
 * a PAUSE or CANCEL. If other parts are in the team, this part leaves it, and the result is false.
 * If this part is the last one, the team is closed, so that no part can join, and the result is
 * true: this part has to end the attempt.
 */
extern bool kwj_team_leave(bool excused, bool requested);

/* The last part has found another piece: opens the team, so that others may join again. */
extern void kwj_team_reopen(void);
/* The last part is about to end the attempt: removes the team. */
extern void kwj_team_end(void);

/* Returns whether this process is in a team. */
extern bool kwj_team_is_mine(void);

/* ---- for the coordinator ---- */

/* A team of this database that wants more parts. */
typedef struct KwjTeamInfo
{
	int64		job_id;
	int32		attempt;
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
	int			lacking;		/* how many more parts it wants */
} KwjTeamInfo;

/* Copies the teams that want more parts into an array of kwj_worker_slots; returns their number. */
extern int	kwj_team_list(KwjTeamInfo *teams);

/*
 * Assigns a new part of the team to an idle worker of its role or, if may_start, reserves a slot
 * for a new worker; see kwj_shared_assign(). Returns the slot, or -1.
 */
extern int	kwj_team_assign(const KwjTeamInfo *team, bool may_start, uint32 *generation, int *pid);

/*
 * Asks a part of a team to leave, because a job waits for a worker: a part of the largest team of
 * this database or, if it has none with several parts, of the largest team elsewhere. Does nothing
 * if some part was asked before and has yet to leave.
 */
extern void kwj_team_excuse_one(void);

#endif

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
#include "job/progress.h"
#include "utils/timestamp.h"

/* The place in the order of what concerns the attempt as a whole, before all pieces. */
#define KWJ_BEFORE_ALL_PIECES	(-1)
/* No piece. */
#define KWJ_NO_PIECE			PG_INT64_MIN

/* ---- Process: a part, for the team of the attempt in its slot ---- */

/* How much of the work is done, and planned, when an attempt begins. */
typedef struct KwjWorkDone
{
	int64		rows;			/* of all that is done */
	int64		units;			/* of the pieces that are done */
	int64		total;			/* units of the whole work; 0: not known yet */
	int64		left;			/* how many pieces are planned, and not done */
} KwjWorkDone;

/*
 * Part 0 makes its attempt one that others may join. wanted: how many parts there are to be at
 * most, part 0 included. planned: all pieces are planned already.
 */
extern void kwj_team_open(int wanted, const KwjWorkDone *work, bool planned);

/* A part that the coordinator has assigned joins. Returns false if the team is closed or gone. */
extern bool kwj_team_enter(void);

/* What a part has to know of its team to choose what it does next. */
typedef struct KwjTeamView
{
	TimestampTz began;			/* when the attempt began its work */
	bool		planned;		/* all pieces are planned */
	bool		being_planned;	/* more pieces may come: not all are planned, and part 0 is in the team */
	int64		ahead;			/* how many pieces are planned that no part has begun */
	int64		stop_before;	/* pieces from this one on are not to be begun; PG_INT64_MAX: all may be */
	bool		stopped;		/* a part has left because of a request, which may have been taken back */
	double		fraction;		/* the share of the work that is done, 0 to 1 */
	int64		rows;			/* of the pieces that are done */
	uint64		news;			/* another number after each change that a part may wait for */
} KwjTeamView;

/* Returns how the team of this part stands now. Its latch is set when "news" changes. */
extern KwjTeamView kwj_team_look(void);

/*
 * Part 0 has planned so many more pieces; complete: there will be no others. total: as in
 * KwjWorkDone. Wakes the parts that wait for pieces.
 */
extern void kwj_team_planned(int64 pieces, int64 total, bool complete);

/* The pieces that other parts hold, palloc'd; *n of them. */
extern int64 *kwj_team_held(int *n);

/*
 * Hold the piece. Returns false if another part holds it, or if it is not to be begun any more
 * because of an error (kwj_team_fail).
 */
extern bool kwj_team_take(int64 piece);

/*
 * This part has committed so many rows of its piece, or, when it is done, the last of them: adds
 * them, and the units of a piece that is done, to the team's. The progress of the slot begins
 * anew.
 */
extern void kwj_team_add(uint64 units, uint64 rows, bool done);

/* This part does not hold its piece any more, and has not done it. */
extern void kwj_team_drop(void);

/*
 * An error at this place in the order of the work: neither this piece nor a later one is begun any
 * more, and parts that do later pieces are interrupted.
 */
extern void kwj_team_fail(int64 piece);

/* Returns whether this part was asked to leave, once; it is then not counted any more. */
extern bool kwj_team_is_excused(void);

/*
 * This part has nothing more to do. excused: because it was asked to leave; requested: because of a
 * PAUSE or CANCEL. Returns false if there are others: it has left. Returns true if it is the
 * last one: the team is closed, and nobody can enter.
 */
extern bool kwj_team_leave(bool excused, bool requested);

/* The last part has found something to do: others may join again. */
extern void kwj_team_reopen(void);
/* The last part is about to end the attempt. */
extern void kwj_team_end(void);

/* Returns whether this process is in a team, and has not left it. */
extern bool kwj_team_is_mine(void);

/* ---- Process: coordinator ---- */

/* A team of this database that wants more parts. */
typedef struct KwjTeamInfo
{
	int64		job_id;
	int32		attempt;
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
	int			lacking;		/* how many more */
} KwjTeamInfo;

/* Copies the teams that want more parts into an array of kwj_worker_slots; returns their number. */
extern int	kwj_team_list(KwjTeamInfo *teams);

/*
 * Assigns a part of the team to an idle worker of its role or, if may_start, to a new one; see
 * kwj_shared_assign(). Returns the slot, or -1.
 */
extern int	kwj_team_assign(const KwjTeamInfo *team, bool may_start, uint32 *generation, int *pid);

/*
 * A job waits for a worker: asks a part of the largest team, in whatever database, to leave,
 * unless one was asked already that has not left yet.
 */
extern void kwj_team_excuse_one(void);

#endif

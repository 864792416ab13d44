/*
 * src/shared/team.c
 *	  Shared memory: the workers that carry one attempt together.
 *
 * Process: workers (src/lifecycle/parts.c, src/worker/parts.c) and the coordinator
 * (src/coordinator/parts.c). Everything is under kwj_shared->lock, exclusively where it changes.
 * The states of a team and of a piece are drawn in doc/developers/parts.md:
 *
 *   kwj_team_open     part 0, before its work: makes the team, and wakes the coordinator
 *   kwj_team_assign   the coordinator: gives a slot the job, the attempt and the number of a part
 *   kwj_team_enter    the worker of this slot, when it begins
 *   kwj_team_take, kwj_team_add or kwj_team_drop        each part, for each piece
 *   kwj_team_leave    each part; the last one closes the team, and then calls
 *   kwj_team_reopen   if it goes on, because there are pieces left, or
 *   kwj_team_end      if it ends the attempt
 *
 * If a part dies, its exit callback calls kwj_team_lose(), which takes it out of the team, and lets
 * other parts take its piece. If it was the only part, the team is removed, and the coordinator
 * finds an attempt without a worker. If the coordinator dies, nothing here is lost.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "shared/entry.h"
#include "shared/memory.h"
#include "shared/slot.h"
#include "shared/team.h"
#include "storage/spin.h"

/* Returns the team of the slot's attempt; NULL if there is none. */
static KwjTeam *
find_team(const KwjSlot *slot)
{
	Assert(kwj_holds_lock(LW_SHARED));
	for (int i = 0; slot->job_id != 0 && i < kwj_worker_slots; i++)
		if (kwj_teams[i].job_id == slot->job_id && kwj_teams[i].attempt == slot->attempt &&
			kwj_teams[i].dboid == slot->dboid)
			return &kwj_teams[i];
	return NULL;
}

/* Returns whether the slot has the attempt of the team; its worker may have yet to enter. */
static bool
is_of_team(const KwjSlot *slot, const KwjTeam *team)
{
	return slot->in_use && slot->job_id == team->job_id && slot->attempt == team->attempt &&
		slot->dboid == team->dboid;
}

/* Returns whether the slot's worker is in the team: it has entered, and has not left. */
static bool
is_present(const KwjSlot *slot, const KwjTeam *team)
{
	return is_of_team(slot, team) && slot->in_team;
}

/* Returns the team that this worker is in. */
static KwjTeam *
my_team(void)
{
	KwjTeam    *team = find_team(kwj_my_slot());

	Assert(kwj_my_slot()->in_team && team != NULL);
	return team;
}

/* Wakes all parts of the team, because something has changed for which they may wait. */
static void
tell(KwjTeam *team)
{
	team->news++;
	for (int i = 0; i < kwj_used_slots; i++)
		if (is_present(&kwj_slots[i], team))
			kwj_wake(kwj_slots[i].proc);
}

/* If the team wants more parts, wakes the coordinator, which assigns workers to it. */
static void
want_parts(const KwjTeam *team)
{
	if (team->wanted <= team->present)
		return;
	kwj_want_full_pass(team->dboid);
	kwj_need_coordinator(team->dboid);
}

static KwjTeam *
take_unused(void)
{
	for (int i = 0; i < kwj_worker_slots; i++)
		if (kwj_teams[i].job_id == 0)
			return &kwj_teams[i];
	/* There are as many teams as slots, and each team in use has at least one slot. */
	Assert(false);
	return NULL;
}

void
kwj_team_open(int wanted, const KwjWorkDone *work, bool planned)
{
	KwjSlot    *slot = kwj_my_slot();
	KwjTeam    *team;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(slot->job_id != 0 && slot->part == 0 && find_team(slot) == NULL);
	team = take_unused();
	if (team != NULL)
	{
		memset(team, 0, sizeof(*team));
		team->dboid = slot->dboid;
		team->job_id = slot->job_id;
		team->attempt = slot->attempt;
		team->role = slot->role;
		strlcpy(team->job_type, slot->job_type, KWJ_JOB_TYPE_LEN);
		team->began = GetCurrentTimestamp();
		team->wanted = wanted;
		team->next_part = 1;
		team->present = 1;
		team->planned = planned;
		team->stop_before = PG_INT64_MAX;
		team->rows = work->rows;
		team->done = work->units;
		team->total = work->total;
		team->ahead = work->left;
		slot->in_team = true;
		want_parts(team);
	}
	LWLockRelease(kwj_shared->lock);
}

bool
kwj_team_enter(void)
{
	KwjSlot    *slot = kwj_my_slot();
	KwjTeam    *team;
	bool		entered;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = find_team(slot);
	entered = team != NULL && !team->closed;
	if (entered)
	{
		Assert(!slot->in_team && slot->part > 0);
		team->present++;
		slot->in_team = true;
	}
	LWLockRelease(kwj_shared->lock);
	return entered;
}

bool
kwj_team_is_mine(void)
{
	/* Needs no lock: only this process changes in_team while the slot has a job. */
	return kwj_my_slot() != NULL && kwj_my_slot()->in_team;
}

/* Returns whether part 0 is in the team. */
static bool
has_planner(const KwjTeam *team)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (is_present(&kwj_slots[i], team) && kwj_slots[i].part == 0)
			return true;
	return false;
}

/* Returns whether another part of the team holds a piece. */
static bool
does_another_work(const KwjTeam *team)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (&kwj_slots[i] != kwj_my_slot() && is_present(&kwj_slots[i], team) &&
			kwj_slots[i].piece != KWJ_NO_PIECE)
			return true;
	return false;
}

/* Returns whether a part was asked to leave, and this part may: part 0 plans, so it stays. */
static bool
may_leave(const KwjTeam *team)
{
	return team->excused > 0 && kwj_my_slot()->part > 0 && team->present > 1;
}

KwjTeamView
kwj_team_look(void)
{
	const KwjTeam *team;
	KwjTeamView view;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	team = my_team();
	view = (KwjTeamView)
	{
		.began = team->began,
			.planned = team->planned,
			.being_planned = !team->planned && has_planner(team),
			.ahead = team->ahead,
			.stop_before = team->stop_before,
			.stopped = team->stopped,
			.others_work = does_another_work(team),
			.excused = may_leave(team),
			.fraction = team->total == 0 ? 0.0 : Min(1.0, (double) team->done / (double) team->total),
			.rows = (int64) team->rows,
			.news = team->news,
	};
	LWLockRelease(kwj_shared->lock);
	return view;
}

KwjTeamProgress
kwj_team_progress(void)
{
	const KwjTeam *team;
	KwjTeamProgress progress;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	team = my_team();
	progress = (KwjTeamProgress)
	{
		.present = team->present,
			.done = team->done,
			.total = team->total,
			.rows = team->rows,
	};
	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot    *slot = &kwj_slots[i];

		if (!is_present(slot, team))
			continue;
		SpinLockAcquire(&slot->progress.mutex);
		progress.done += slot->progress.done;
		progress.rows += slot->progress.rows;
		SpinLockRelease(&slot->progress.mutex);
	}
	LWLockRelease(kwj_shared->lock);
	return progress;
}

void
kwj_team_planned(int64 pieces, int64 total, bool complete)
{
	KwjTeam    *team;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = my_team();
	team->ahead += pieces;
	team->total = total;
	team->planned |= complete;
	tell(team);
	LWLockRelease(kwj_shared->lock);
}

/* ---- pieces ---- */

/* Returns whether a part of the team other than this one holds the piece. */
static bool
is_held(const KwjTeam *team, int64 piece)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (&kwj_slots[i] != kwj_my_slot() && is_present(&kwj_slots[i], team) &&
			kwj_slots[i].piece == piece)
			return true;
	return false;
}

int64 *
kwj_team_held(int *n)
{
	int64	   *pieces = palloc(sizeof(int64) * kwj_worker_slots);
	const KwjTeam *team;

	*n = 0;
	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	team = my_team();
	for (int i = 0; i < kwj_used_slots; i++)
		if (&kwj_slots[i] != kwj_my_slot() && is_present(&kwj_slots[i], team) &&
			kwj_slots[i].piece != KWJ_NO_PIECE)
			pieces[(*n)++] = kwj_slots[i].piece;
	LWLockRelease(kwj_shared->lock);
	return pieces;
}

bool
kwj_team_take(int64 piece)
{
	KwjTeam    *team;
	bool		taken;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = my_team();
	taken = piece < team->stop_before && !is_held(team, piece);
	if (taken)
	{
		kwj_my_slot()->piece = piece;
		team->ahead--;
	}
	LWLockRelease(kwj_shared->lock);
	return taken;
}

/* Resets the progress of a slot: it was added to the team's, or the piece was given up. */
static void
reset_progress(KwjSlot *slot)
{
	SpinLockAcquire(&slot->progress.mutex);
	slot->progress.done = slot->progress.rows = 0;
	SpinLockRelease(&slot->progress.mutex);
}

void
kwj_team_add(uint64 units, uint64 rows, bool done)
{
	KwjTeam    *team;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = my_team();
	team->done += units;
	team->rows += rows;
	if (done)
		kwj_my_slot()->piece = KWJ_NO_PIECE;
	reset_progress(kwj_my_slot());
	tell(team);
	LWLockRelease(kwj_shared->lock);
}

/* Gives up the piece of the slot, if it has one, which is not done: another part may take it. */
static void
free_piece(KwjSlot *slot, KwjTeam *team)
{
	if (slot->piece == KWJ_NO_PIECE)
		return;
	slot->piece = KWJ_NO_PIECE;
	team->ahead++;
	reset_progress(slot);
	tell(team);
}

void
kwj_team_drop(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	free_piece(kwj_my_slot(), my_team());
	LWLockRelease(kwj_shared->lock);
}

/*
 * Returns whether the part works on something that comes after this piece: on a later piece, or on
 * planning, because pieces that are planned now come after all present pieces.
 */
static bool
works_behind(const KwjSlot *slot, const KwjTeam *team, int64 piece)
{
	if (slot->piece != KWJ_NO_PIECE)
		return slot->piece > piece;
	return slot->part == 0 && !team->planned;
}

void
kwj_team_fail(int64 piece)
{
	KwjTeam    *team;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = my_team();
	team->stop_before = Min(team->stop_before, piece);
	for (int i = 0; i < kwj_used_slots; i++)
	{
		KwjSlot    *slot = &kwj_slots[i];

		if (slot == kwj_my_slot() || !is_present(slot, team) || slot->proc == NULL ||
			slot->committing || !works_behind(slot, team, piece))
			continue;
		pg_atomic_write_u32(&slot->progress.interrupted, 1);
		kwj_signal(slot->proc, SIGINT);
	}
	tell(team);
	LWLockRelease(kwj_shared->lock);
}

/* ---- leaving ---- */

bool
kwj_team_is_excused(void)
{
	KwjTeam    *team;
	bool		excused;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = my_team();
	excused = may_leave(team);
	if (excused)
		team->excused--;
	LWLockRelease(kwj_shared->lock);
	return excused;
}

/* Takes the slot out of the team. */
static void
take_out(KwjSlot *slot, KwjTeam *team)
{
	free_piece(slot, team);
	slot->in_team = false;
	team->present--;
	team->excused = Min(team->excused, Max(team->present - 1, 0));
	if (team->present == 0)
		team->job_id = 0;
	else
		tell(team);
}

bool
kwj_team_leave(bool excused, bool requested)
{
	KwjTeam    *team;
	bool		last;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = my_team();
	last = team->present == 1;
	team->stopped |= requested;
	if (last)
		team->closed = true;
	else
	{
		/* This part has found no piece, so a new part would not find one either. */
		if (!excused && !requested && (team->planned || !has_planner(team)))
			team->wanted = team->present - 1;
		take_out(kwj_my_slot(), team);
	}
	LWLockRelease(kwj_shared->lock);
	return last;
}

void
kwj_team_reopen(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	my_team()->closed = false;
	LWLockRelease(kwj_shared->lock);
}

void
kwj_team_end(void)
{
	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	Assert(my_team()->closed && my_team()->present == 1);
	take_out(kwj_my_slot(), my_team());
	LWLockRelease(kwj_shared->lock);
}

void
kwj_team_lose(KwjSlot *slot)
{
	KwjTeam    *team = find_team(slot);

	Assert(kwj_holds_lock(LW_EXCLUSIVE));
	if (!slot->in_team || team == NULL)
		return;
	take_out(slot, team);
}

/* ---- the coordinator ---- */

/* Returns how many slots have a part of the team, which may have yet to enter. */
static int
count_parts(const KwjTeam *team)
{
	int			n = 0;

	for (int i = 0; i < kwj_used_slots; i++)
		n += is_of_team(&kwj_slots[i], team);
	return n;
}

/* Returns whether a request was delivered to a part. Then a new part would have nothing to do. */
static bool
is_anything_requested(const KwjTeam *team)
{
	for (int i = 0; i < kwj_used_slots; i++)
		if (is_of_team(&kwj_slots[i], team) &&
			pg_atomic_read_u32(&kwj_slots[i].progress.request) != KWJ_REQUEST_NONE)
			return true;
	return false;
}

int
kwj_team_list(KwjTeamInfo *teams)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_worker_slots; i++)
	{
		const KwjTeam *team = &kwj_teams[i];
		int			lacking;

		if (team->job_id == 0 || team->dboid != MyDatabaseId || team->closed ||
			team->stop_before != PG_INT64_MAX || is_anything_requested(team))
			continue;
		lacking = team->wanted - count_parts(team);
		if (lacking <= 0)
			continue;
		teams[n].job_id = team->job_id;
		teams[n].attempt = team->attempt;
		teams[n].role = team->role;
		strlcpy(teams[n].job_type, team->job_type, KWJ_JOB_TYPE_LEN);
		teams[n].lacking = lacking;
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

/* Returns the team with this job and attempt in this database; NULL if it is gone. */
static KwjTeam *
find_listed(const KwjTeamInfo *info)
{
	for (int i = 0; i < kwj_worker_slots; i++)
		if (kwj_teams[i].job_id == info->job_id && kwj_teams[i].attempt == info->attempt &&
			kwj_teams[i].dboid == MyDatabaseId)
			return &kwj_teams[i];
	return NULL;
}

int
kwj_team_assign(const KwjTeamInfo *info, bool may_start, uint32 *generation, int *pid)
{
	KwjSlot    *slot = NULL;
	KwjTeam    *team;
	int			number = -1;
	bool		limited;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	team = find_listed(info);
	if (team != NULL && !team->closed && count_parts(team) < team->wanted &&
		!kwj_do_others_starve(MyDatabaseId))
		slot = kwj_reserve_slot(info->role, may_start, false, &limited);
	if (slot != NULL)
	{
		kwj_set_job(slot, info->job_id, info->attempt, info->job_type, false);
		slot->part = team->next_part++;
		*generation = slot->generation;
		*pid = slot->proc ? slot->proc->pid : 0;
		number = slot - kwj_slots;
	}
	LWLockRelease(kwj_shared->lock);
	return number;
}

/*
 * Returns whether a part of `team` should leave rather than one of `other`. Teams of this database
 * come first: what keeps the job from a worker may be a limit of the database.
 */
static bool
is_larger(const KwjTeam *team, const KwjTeam *other)
{
	if ((team->dboid == MyDatabaseId) != (other->dboid == MyDatabaseId))
		return team->dboid == MyDatabaseId;
	return team->present > other->present;
}

void
kwj_team_excuse_one(void)
{
	KwjTeam    *largest = NULL;

	LWLockAcquire(kwj_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < kwj_worker_slots; i++)
	{
		KwjTeam    *team = &kwj_teams[i];

		if (team->job_id == 0 || team->present < 2)
			continue;
		if (team->excused > 0)
		{
			largest = NULL;
			break;
		}
		if (largest == NULL || is_larger(team, largest))
			largest = team;
	}
	if (largest != NULL)
	{
		largest->excused = 1;
		tell(largest);
	}
	LWLockRelease(kwj_shared->lock);
}

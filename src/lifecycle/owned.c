/*
 * src/lifecycle/owned.c
 *	  What becomes of a role's schedules and jobs when its objects, or the role itself, are dropped.
 *
 *     DROP ROLE        refused while schedules of this database belong to the role; a WARNING for its jobs
 *                      that are not over, which the coordinator fails (coordinator/adopt.c)
 *     DROP OWNED       drops its schedules; jobs stay as they are
 *     REASSIGN OWNED   gives its schedules to the other role, and pauses them; jobs stay as they are
 *
 * Why REASSIGN OWNED pauses the schedules: the old role has said what they do, and the new one, who may be a
 * superuser, has not seen it. If they went on, the old role's statements would have the rights of the new one.
 * The pause alone does not prevent that: the failure_statement runs although the schedule is paused, and the
 * admin role may resume schedules of everybody. So the old role also joins the roles by whose right the runs
 * act (authority). If it may not act as the new one, workers refuse the runs, until a role that may do so
 * resumes the schedule (lifecycle/schedule.c).
 *
 * Process: sessions, and workers whose statement does it, after PostgreSQL has carried the statement out
 * (session/roles.c): so PostgreSQL has checked the rights, and an error here undoes what it has done. The
 * process sees only the schedules of its database. Those of other databases stay there without their owner,
 * and the coordinators refuse their due times (lifecycle/due_times.c). So does the coordinator of this
 * database if one transaction creates a schedule while another one drops its owner.
 *
 * Locks: the rows of the schedules, as lifecycle/schedule.c.
 */
#include "postgres.h"

#include "job/clip.h"
#include "job/role.h"
#include "job/schedule_clock.h"
#include "lifecycle/authority.h"
#include "lifecycle/control_log.h"
#include "lifecycle/due_times.h"
#include "lifecycle/owned.h"
#include "lifecycle/schedule.h"
#include "miscadmin.h"
#include "store/query.h"
#include "store/schedules.h"
#include "store/unfinished.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* An error names at most this many schedules, and a warning at most this many jobs. */
#define MOST_NAMED	10

/* Returns the lines of an error that name the role's schedules, as PostgreSQL names objects of a role. */
static char *
list_schedules(Oid role, int64 total)
{
	StringInfoData text;
	List	   *names = kwj_store_schedule_names(role, MOST_NAMED);
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, names)
		appendStringInfo(&text, "%sowner of schedule \"%s\"", text.len > 0 ? "\n" : "",
						 kwj_quoted(lfirst(lc), KWJ_LONGEST_SCHEDULE));
	if (total > list_length(names))
		appendStringInfo(&text, "\nand of " INT64_FORMAT " other schedules", total - list_length(names));
	return text.data;
}

static void
check_schedules(Oid role, const char *name)
{
	int64		total = kwj_store_schedules_of(role);

	if (total == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("role \"%s\" cannot be dropped because schedules of this database depend on it", name),
			 errdetail_internal("%s", list_schedules(role, total)),
			 errhint("Type DROP OWNED BY %s to drop them with all else that it owns here, REASSIGN OWNED BY %s TO another role to keep them, or DROP SCHEDULE.",
					 quote_identifier(name), quote_identifier(name))));
}

/* Returns the ids, separated by commas. */
static char *
list_jobs(KwjJobs jobs)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < Min(jobs.n, MOST_NAMED); i++)
		appendStringInfo(&text, "%s" INT64_FORMAT, i > 0 ? ", " : "", jobs.ids[i]);
	return text.data;
}

static void
warn_of_jobs(Oid role, const char *name)
{
	KwjJobs		jobs = kwj_store_unfinished_ids(role, MOST_NAMED + 1);

	if (jobs.n == 0)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("role \"%s\" has jobs that are not over", name),
			 jobs.n > MOST_NAMED ? errdetail("These and others cannot go on without it, and fail: %s.", list_jobs(jobs)) :
			 errdetail("They cannot go on without it, and fail: %s.", list_jobs(jobs)),
			 errhint("To have a job undo what it has done, use CANCEL JOB, and wait until it is over, before DROP ROLE.")));
}

void
kwj_owned_check_dropped(Oid role, const char *name)
{
	if (!kwj_store_is_usable())
		return;
	check_schedules(role, name);
	warn_of_jobs(role, name);
}

/*
 * Locks the row of each of the role's schedules, and calls act for it. Frees the memory after each schedule,
 * because the job of one may be large.
 */
static void
for_each_schedule(Oid role, void (*act) (KwjSchedule *schedule, Oid to), Oid to)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext of_schedule;
	KwjJobs		owned;

	if (!kwj_store_is_usable())
		return;
	owned = kwj_store_schedules_owned(role);
	of_schedule = AllocSetContextCreate(caller, "kwjobs schedule", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < owned.n; i++)
	{
		KwjSchedule schedule;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(of_schedule);
		/* While this process waited for the lock, another may have dropped the schedule or given it away. */
		if (kwj_store_schedule_lock(owned.ids[i], KWJ_WAIT, &schedule) && schedule.owner == role)
			act(&schedule, to);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(of_schedule);
	}
	MemoryContextDelete(of_schedule);
}

static void
drop_schedule(KwjSchedule *schedule, Oid to)
{
	kwj_store_schedule_delete(schedule->schedule_id);
	kwj_control_log(psprintf("schedule \"%s\" dropped with what its owner had", schedule->name), NULL);
}

void
kwj_owned_drop(Oid role)
{
	for_each_schedule(role, drop_schedule, InvalidOid);
}

/* Pauses the schedule, unless it is paused already, or counts as paused. The caller writes the row. */
static void
pause_schedule(KwjSchedule *schedule, const char *reason)
{
	TimestampTz now = kwj_clock();

	if (kwj_schedule_is_paused(schedule))
		return;
	kwj_due_times_leave(schedule, now, reason);
	kwj_due_times_pause(schedule, now, GetUserId(), reason);
}

static void
give_schedule(KwjSchedule *schedule, Oid to)
{
	char	   *name = kwj_role_name(to);

	pause_schedule(schedule, psprintf("it was given to role \"%s\"", name));
	kwj_authority_hand_on(&schedule->authority, &schedule->n_authority, schedule->owner, to);
	schedule->owner = to;
	kwj_store_schedule_update(schedule, KWJ_WRITE_STATE);
	kwj_store_schedule_set_owner(schedule);
	kwj_control_log(psprintf("schedule \"%s\" given to role \"%s\"", schedule->name, name), NULL);
	ereport(NOTICE,
			(errmsg("schedule \"%s\" is paused, as it belongs to role \"%s\" now",
					kwj_quoted(schedule->name, KWJ_LONGEST_SCHEDULE), name),
			 errhint("Look at what it does, and type RESUME SCHEDULE as a role that may act as \"%s\" to let it run.", name)));
}

void
kwj_owned_reassign(Oid role, Oid to)
{
	if (role != to)
		for_each_schedule(role, give_schedule, to);
}

/*
 * src/store/schedules.h
 *	  Rows of schedules: how they are made, locked, changed and read.
 */
#ifndef KWJ_STORE_SCHEDULES_H
#define KWJ_STORE_SCHEDULES_H

#include "kwjobs.h"
#include "store/jobs.h"
#include "store/store.h"

/* What happens at a due time while the job of the one before is not over. */
typedef enum KwjOnPrevious
{
	KWJ_PREVIOUS_START,
	KWJ_PREVIOUS_SKIP,
	KWJ_PREVIOUS_WAIT,
} KwjOnPrevious;

/* What happens when a run has failed. */
typedef enum KwjOnRunFailure
{
	KWJ_FAILED_RETRY,
	KWJ_FAILED_RESCHEDULE,
	KWJ_FAILED_PAUSE,
} KwjOnRunFailure;

/* Which due times run that have passed when the coordinator looks. */
typedef enum KwjCatchUp
{
	KWJ_CATCH_UP_ONE,
	KWJ_CATCH_UP_ALL,
	KWJ_CATCH_UP_NONE,
} KwjCatchUp;

/*
 * A row of kwjobs.schedule; kwjobs--1.0.sql explains the columns. A time of 0 stands for NULL. A change of
 * this struct reaches the row only by kwj_store_schedule_update and kwj_store_schedule_set_owner.
 */
typedef struct KwjSchedule
{
	int64		schedule_id;
	char	   *name;
	Oid			owner;
	Oid			created_by;
	Oid			created_by_session;
	Oid		   *authority;
	int			n_authority;
	bool		at_home;		/* out: it belongs to this database; false: it counts as paused */

	char	   *job_type;
	Jsonb	   *job;
	char	   *cron;			/* NULL: never */
	char	   *time_zone;
	TimestampTz anchor;
	TimestampTz starts;
	TimestampTz ends;
	int64		jitter_ms;
	KwjOnPrevious on_previous_running;
	KwjOnRunFailure on_execution_failure;
	KwjCatchUp	catch_up;
	int			pause_after;	/* 0: never */
	char	   *failure_statement;	/* NULL: none */
	Jsonb	   *failure_job;	/* NULL: none */

	TimestampTz next_due;
	TimestampTz next_run;
	TimestampTz first_run;		/* the first due time if a user has named it, until it has come; 0: none */
	TimestampTz retry_of;
	TimestampTz last_due;
	char	   *state;
	TimestampTz paused;
	Oid			paused_by;		/* InvalidOid: kwjobs itself */
	char	   *pause_reason;
	int			failures;
	int			refusals;
	int64		runs;
	int64		succeeded;
	int64		failed;
	TimestampTz last_success;
} KwjSchedule;

/* The texts of the three enums, as users type them, and the other way round. */
extern const char *const kwj_on_previous_names[3];
extern const char *const kwj_on_run_failure_names[3];
extern const char *const kwj_catch_up_names[3];

/*
 * Inserts the schedule, which gets an id, and belongs to this database. Returns false if there is
 * one of this name; then nothing was changed. Waits for a transaction that has inserted one of the
 * same name.
 */
extern bool kwj_store_schedule_insert(KwjSchedule *schedule);

/* Gets the id and the owner of the schedule of this name, as of now. Returns false if there is none. */
extern bool kwj_store_schedule_find(const char *name, int64 *schedule_id, Oid *owner);

/*
 * Locks the schedule's row (FOR NO KEY UPDATE) until the end of the transaction, and reads it.
 * Returns false if it is gone, or, with KWJ_SKIP_LOCKED, if another transaction has locked it. Arms
 * a wake-up of the coordinator for the end of the transaction.
 */
extern bool kwj_store_schedule_lock(int64 schedule_id, KwjLockWait wait, KwjSchedule *schedule);

/* Which columns kwj_store_schedule_update() writes. */
typedef enum KwjScheduleWrite
{
	/* when the schedule is due next, whether it is paused, and how its runs have gone */
	KWJ_WRITE_STATE,
	/* these, and what the schedule does, and when */
	KWJ_WRITE_RULES,
	/* all these, and that the schedule, which may have come with a dump or a copy, belongs to this database now */
	KWJ_WRITE_HOME,
} KwjScheduleWrite;

/*
 * Writes these columns of a schedule whose row the caller has locked. For each due time the coordinator calls
 * this with KWJ_WRITE_STATE, so that PostgreSQL does not write long values, such as the job, anew each time.
 */
extern void kwj_store_schedule_update(const KwjSchedule *schedule, KwjScheduleWrite what);

/*
 * Writes who owns the schedule, whose row the caller has locked, and by whose right its runs may act as the
 * owner: the columns owner, owner_name, created_by, created_by_session and authority.
 */
extern void kwj_store_schedule_set_owner(const KwjSchedule *schedule);

/* Deletes the schedule, whose row the caller has locked, and its due times. */
extern void kwj_store_schedule_delete(int64 schedule_id);

/* Returns how many schedules the role owns in this database. */
extern int64 kwj_store_schedules_of(Oid owner);

/* Returns the ids of the schedules that the role owns, in the order of their names. */
extern KwjJobs kwj_store_schedules_owned(Oid owner);

/* Returns the first `limit` names of the schedules that the role owns, in order, as a list of strings. */
extern List *kwj_store_schedule_names(Oid owner, int limit);

/*
 * Locks the rows of up to `limit` schedules that are to be acted on by `now`, the first ones first,
 * and returns their ids. Those whose rows another transaction has locked, and the ids in
 * `without`, are left out.
 */
extern KwjJobs kwj_store_schedules_due(TimestampTz now, int limit, KwjJobs without);

/* Returns the first next_run after this time; DT_NOEND if there is none. */
extern TimestampTz kwj_store_schedules_next(TimestampTz after);

/*
 * Looks for schedules for which the clock has been set back: they are not paused, and their last due time, or
 * their creation, is after `due` (by kwj_clock), or their last change after `modified` (by the server's clock).
 * Locks their rows, and returns their ids, at most `limit` of them. Those that another transaction has locked are
 * left out.
 */
extern KwjJobs kwj_store_schedules_ahead(TimestampTz due, TimestampTz modified, int limit);

#endif

/*
 * src/store/due_times.h
 *	  Rows of due times: what has become of each due time of a schedule, and how its run ended.
 */
#ifndef KWJ_STORE_DUE_TIMES_H
#define KWJ_STORE_DUE_TIMES_H

#include "kwjobs.h"
#include "job/status.h"
#include "nodes/pg_list.h"
#include "store/store.h"
#include "utils/timestamp.h"

/* kinds: why something was to run */
#define KWJ_KIND_DUE		"due"
#define KWJ_KIND_RETRY		"retry"
#define KWJ_KIND_BY_HAND	"by hand"

/* outcomes: what has become of it */
#define KWJ_OUTCOME_RUN		"run"
#define KWJ_OUTCOME_SKIPPED	"skipped"
#define KWJ_OUTCOME_MISSED	"missed"
#define KWJ_OUTCOME_REFUSED	"refused"

typedef struct KwjDueTime
{
	int64		schedule_id;
	TimestampTz due;
	const char *kind;
	const char *outcome;
	const char *reason;			/* NULL: none */
	int64		times;			/* how many due times the row stands for */
	TimestampTz until;			/* the last of them, if there are many; else 0 */
	TimestampTz decided;
	int64		job_id;			/* 0: none */
} KwjDueTime;

/* A run whose job is over, which was not noted yet. */
typedef struct KwjEndedRun
{
	int64		schedule_id;
	int64		job_id;
	TimestampTz due;
	KwjStatus	status;			/* KWJ_UNKNOWN_STATUS: the job is gone */
	char	   *status_name;	/* the status as the job's row has it; NULL: the job is gone */
	TimestampTz started;		/* 0: the job has never started, or is gone */
	TimestampTz finished;		/* 0: the job is gone */
	char	   *error;			/* its message, clipped; "": none */
} KwjEndedRun;

/* The last run that was read. The next call of kwj_store_ended_runs goes on behind it. */
typedef struct KwjRunPlace
{
	int64		schedule_id;
	int64		job_id;
} KwjRunPlace;

/* Inserts a row into kwjobs.due_time. */
extern void kwj_store_due_time_insert(const KwjDueTime *due_time);

/*
 * If the schedule's last row stands for many missed due times up to this one, returns the first of
 * them, which is that row's `due`; else 0.
 */
extern TimestampTz kwj_store_missed_until(int64 schedule_id, TimestampTz until);

/* Adds the due times of *more to the row of this due time that kwj_store_missed_until() has found. */
extern void kwj_store_due_time_extend(const KwjDueTime *more, TimestampTz due);

/*
 * Deletes up to `limit` of the schedule's oldest rows that were decided before this time, but none of
 * a run that is not over.
 */
extern void kwj_store_due_times_forget(int64 schedule_id, TimestampTz before, int limit);

/*
 * Counts the jobs of the schedule that are not over, up to three. *job_id, *status: of the newest of
 * them.
 */
extern int	kwj_store_unfinished_runs(int64 schedule_id, int64 *job_id, KwjStatus *status);

/*
 * Reads the next `limit` runs behind *place whose end was not noted, and returns those of them whose
 * job is over (KwjEndedRun). *place becomes the last one that was read; 0, 0 if there are no more.
 */
extern List *kwj_store_ended_runs(KwjRunPlace *place, int limit);

/* Returns the ids of the jobs that the schedule has created, as far as it has rows of them. */
extern KwjJobs kwj_store_jobs_of_schedule(int64 schedule_id);

/* Notes how the run ended. Returns false if that was noted before. */
extern bool kwj_store_note_end(const KwjEndedRun *run);

#endif

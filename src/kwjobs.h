/*
 * src/kwjobs.h
 *	  Words and settings that every part of kwjobs shares.
 *
 * job			one row, one job_id: a unit of long-running work with a type, a
 *				status and a history
 * job type		what a job does (IMPORT, ...)
 * attempt		one execution of a job; a retry or a resume is a new attempt
 * checkpoint	the durable state from which the next attempt goes on
 * launcher		the one background worker of the server that starts coordinators
 * coordinator	one background worker per database that has the extension
 * worker		a background worker, connected as the job's owner, that runs
 *				attempts
 * part			one of the workers that carry an attempt together; mostly there is one
 * piece		a unit of the work that a part does
 * session		an ordinary client backend
 *
 * The settings are defined in src/settings.c.
 */
#ifndef KWJOBS_H
#define KWJOBS_H

#include "postgres.h"

#include "clock.h"

#define KWJ_EXTENSION	"kwjobs"
#define KWJ_LIBRARY		"kwjobs"

/* The size of a buffer for the name of a job type, with its NUL. */
#define KWJ_JOB_TYPE_LEN	32

/* The types of the jobs that src/track begins; workers run jobs of the second one, too. */
#define KWJ_SCHEMA_CHANGE	"SCHEMA CHANGE"
#define KWJ_CREATE_STATS	"CREATE_STATS"

/*
 * The type of what autovacuum and the collector do. SHOW AUTOMATIC JOBS shows it, and SHOW JOBS does
 * not.
 */
#define KWJ_AUTO_CREATE_STATS	"AUTO_CREATE_STATS"

typedef enum KwjJobVisibility
{
	KWJ_VISIBLE_TO_ADMIN,
	KWJ_VISIBLE_TO_OWNER,
} KwjJobVisibility;

/* Which utility statements of sessions are jobs. */
typedef enum KwjTrack
{
	KWJ_TRACK_NONE,
	KWJ_TRACK_TOP,				/* those that a client sends, also in CALL and DO */
	KWJ_TRACK_ALL,				/* also those of functions that a query calls */
} KwjTrack;

/*
 * Whether the SHOW statements for jobs show a member of the admin role the jobs of this database
 * only, or those of all databases of the server.
 */
typedef enum KwjScope
{
	KWJ_SCOPE_DATABASE,
	KWJ_SCOPE_SERVER,
} KwjScope;

extern int	kwj_scope;					/* kwjobs.scope */
extern int	kwj_track;					/* kwjobs.track */
extern int	kwj_track_min_duration;		/* kwjobs.track_min_duration, ms */
extern bool kwj_track_autovacuum;		/* kwjobs.track_autovacuum */
/* kwjobs.automatic_collection_enabled, ..._fraction_stale_rows and ..._min_stale_rows */
extern bool kwj_collection_enabled;
extern double kwj_collection_fraction;
extern int	kwj_collection_rows;
extern bool kwj_scheduler_enabled;		/* kwjobs.scheduler_enabled */
extern int	kwj_scheduler_pace;			/* kwjobs.scheduler_pace, seconds */
extern int	kwj_scheduler_batch;		/* kwjobs.scheduler_max_jobs_per_iteration */
extern int	kwj_max_schedules_per_role; /* kwjobs.max_schedules_per_role */
extern bool kwj_statements;				/* kwjobs.statements */
extern char *kwj_admin_role;			/* kwjobs.admin_role */
extern int	kwj_job_visibility;			/* kwjobs.job_visibility */
extern bool kwj_log_control;			/* kwjobs.log_control */
extern int	kwj_show_window;			/* kwjobs.show_window, seconds */

/*
 * A session that asks other databases gives up when none has answered for kwj_silence_ms milliseconds, or when
 * it has waited for kwj_longest_ask_ms milliseconds in all (lifecycle/elsewhere.c). Builds for tests have
 * settings for them.
 */
#ifdef KWJ_TEST_BUILD
extern int	kwj_silence_ms;				/* kwjobs.test_silence */
extern int	kwj_longest_ask_ms;			/* kwjobs.test_longest_ask */
/* kwjobs.test_schedule_clock, for job/schedule_clock.h: seconds since 1970-01-01 UTC; 0: the server's clock */
extern double kwj_test_schedule_clock;
#else
#define kwj_silence_ms		1000
#define kwj_longest_ask_ms	60000
#endif
extern int	kwj_retention_time;			/* jobs.retention_time, seconds */
extern int	kwj_max_workers;			/* kwjobs.max_workers, but at most kwj_worker_slots - 1; 0: no job starts */
extern int	kwj_max_workers_asked;	/* kwjobs.max_workers as it is set */
extern int	kwj_max_databases;			/* kwjobs.max_databases */
extern int	kwj_max_session_jobs;	/* kwjobs.max_session_jobs */
extern int	kwj_node_id;				/* kwjobs.node_id */
extern int	kwj_progress_interval;		/* kwjobs.progress_interval, ms */
extern int	kwj_import_batch_size;		/* kwjobs.import_batch_size, kB */
extern int	kwj_import_batch_time;		/* kwjobs.import_batch_time, ms; 0: no limit */
extern int	kwj_priority_ageing;		/* kwjobs.priority_ageing, seconds */
extern int	kwj_max_workers_per_role;	/* kwjobs.max_workers_per_role; 0: no limit */
extern int	kwj_max_jobs_per_role;		/* kwjobs.max_jobs_per_role; 0: no limit */
extern int	kwj_max_bytes_per_role;		/* kwjobs.max_bytes_per_role, kB; 0: no limit */
extern int	kwj_max_workers_per_database;	/* kwjobs.max_workers_per_database; 0: no limit */
extern int	kwj_max_crashes;			/* kwjobs.max_crashes */
extern int	kwj_max_timeout;			/* kwjobs.max_timeout, ms; 0: none */
extern int	kwj_coordinator_idle_timeout;	/* kwjobs.coordinator_idle_timeout, ms; -1: never */
extern int	kwj_worker_idle_timeout;	/* kwjobs.worker_idle_timeout, ms */
extern int	kwj_retention_rows;			/* kwjobs.retention_rows; 0: no limit */
extern int	kwj_retention_size;			/* kwjobs.retention_size, kB; 0: no limit */

/*
 * The number of slots of workers, fixed at the server's start: one more than jobs may run at the
 * same time if kwjobs.max_workers is raised as far as possible. When all running jobs are of one
 * role, the last slot is for a job of another role (shared/slot.c).
 */
extern int	kwj_worker_slots;

#endif

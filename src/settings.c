/*
 * src/settings.c
 *	  The settings of kwjobs, except kwjobs.max_workers_per_type (type/limits.c).
 *
 * Process: all.
 */
#include "postgres.h"

#include <limits.h>

#include "kwjobs.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/guc.h"

bool		kwj_statements = true;
char	   *kwj_admin_role;
int			kwj_job_visibility = KWJ_VISIBLE_TO_ADMIN;
bool		kwj_log_control = true;
int			kwj_scope = KWJ_SCOPE_DATABASE;
int			kwj_show_window;
int			kwj_retention_time;
int			kwj_max_workers;
int			kwj_max_workers_asked;
int			kwj_worker_slots = INT_MAX;	/* until kwj_settings_fix() has set it */
int			kwj_max_databases;
int			kwj_max_session_jobs;
int			kwj_node_id;
int			kwj_progress_interval;
int			kwj_import_batch_size;
int			kwj_import_batch_time;
int			kwj_priority_ageing;
int			kwj_max_workers_per_role;
int			kwj_max_jobs_per_role;
int			kwj_max_bytes_per_role;
int			kwj_max_workers_per_database;
int			kwj_max_crashes;
int			kwj_max_timeout;
int			kwj_coordinator_idle_timeout;
int			kwj_worker_idle_timeout;
int			kwj_retention_rows;
int			kwj_retention_size;
int			kwj_track = KWJ_TRACK_NONE;
int			kwj_track_min_duration;
bool		kwj_track_autovacuum = false;
bool		kwj_collection_enabled = false;
double		kwj_collection_fraction;
int			kwj_collection_rows;
bool		kwj_scheduler_enabled = true;
int			kwj_scheduler_pace;
int			kwj_scheduler_batch;
int			kwj_max_schedules_per_role;

/*
 * The highest value of kwjobs.max_workers, and how far it can be raised without a restart by
 * default.
 */
#define MOST_WORKERS		1024
#define DEFAULT_RESERVE		64

static int	worker_slots;

static const struct config_enum_entry visibilities[] = {
	{"admin", KWJ_VISIBLE_TO_ADMIN, false},
	{"owner", KWJ_VISIBLE_TO_OWNER, false},
	{NULL, 0, false}
};

static const struct config_enum_entry scopes[] = {
	{"database", KWJ_SCOPE_DATABASE, false},
	{"server", KWJ_SCOPE_SERVER, false},
	{NULL, 0, false}
};

static const struct config_enum_entry tracks[] = {
	{"none", KWJ_TRACK_NONE, false},
	{"top", KWJ_TRACK_TOP, false},
	{"all", KWJ_TRACK_ALL, false},
	{NULL, 0, false}
};

static void
define_session_settings(void)
{
	DefineCustomBoolVariable("kwjobs.statements",
							 "Accepts job statements such as SHOW JOBS and PAUSE JOB.",
							 "When off, they are syntax errors and the functions of schema kwjobs remain.",
							 &kwj_statements, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("kwjobs.scope",
							 "Whether members of the admin role see and control the jobs of this database or of all databases.",
							 "database: those of this database. server: those of all databases that have the extension.",
							 &kwj_scope, KWJ_SCOPE_DATABASE, scopes,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.show_window",
							"How far SHOW JOBS looks back at finished jobs.",
							NULL, &kwj_show_window, 12 * 60 * 60, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.progress_interval",
							"Time between the progress lines that a statement prints while it waits for its job.",
							"0 prints none.",
							&kwj_progress_interval, 5000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

static void
define_track_settings(void)
{
	DefineCustomEnumVariable("kwjobs.track",
							 "Which schema changes of sessions are jobs.",
							 "top: those that a client sends. all: also those of functions that a query calls.",
							 &kwj_track, KWJ_TRACK_NONE, tracks,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.track_min_duration",
							"How long a schema change, or work of autovacuum, must have taken for its job to be kept.",
							"One that has failed is always kept.",
							&kwj_track_min_duration, 0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("kwjobs.track_autovacuum",
							 "Whether what autovacuum does is a job: SHOW AUTOMATIC JOBS.",
							 "Each VACUUM and each ANALYZE of a table is a job.",
							 &kwj_track_autovacuum, false, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* sql.stats.automatic_collection.* in KWDB; function/cluster_setting.c translates the names. */
static void
define_collection_settings(void)
{
	DefineCustomBoolVariable("kwjobs.automatic_collection_enabled",
							 "Whether jobs collect the statistics that autovacuum does not collect.",
							 "Of partitioned tables, for instance, and where autovacuum is off.",
							 &kwj_collection_enabled, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("kwjobs.automatic_collection_fraction_stale_rows",
							 "Which fraction of a table's rows must have changed for its statistics to be collected again.",
							 "And kwjobs.automatic_collection_min_stale_rows more.",
							 &kwj_collection_fraction, 0.2, 0, 1e6, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.automatic_collection_min_stale_rows",
							"How many rows must have changed for the statistics of a table to be collected again.",
							"And the fraction kwjobs.automatic_collection_fraction_stale_rows more.",
							&kwj_collection_rows, 500, 0, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/* jobs.scheduler.* in KWDB; function/cluster_setting.c translates the names. */
static void
define_scheduler_settings(void)
{
	DefineCustomBoolVariable("kwjobs.scheduler_enabled",
							 "Whether schedules run.",
							 "What becomes due while it is off is caught up with as each schedule's catch_up says.",
							 &kwj_scheduler_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.scheduler_pace",
							"How long kwjobs waits at most before it looks at the clock again, which may have been set.",
							"Schedules run when they are due, whatever this is. More than a minute counts as a minute.",
							&kwj_scheduler_pace, 60, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.scheduler_max_jobs_per_iteration",
							"How many schedules one transaction starts.",
							"The next transaction follows at once. 0: as many as is good.",
							&kwj_scheduler_batch, 0, 0, 10000, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_schedules_per_role",
							"How many schedules one role may have in a database.",
							"0 is no limit; superusers have none.",
							&kwj_max_schedules_per_role, 1000, 0, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_administrator_settings(void)
{
	DefineCustomStringVariable("kwjobs.admin_role",
							   "Members of this role see and control all jobs; superusers always do.",
							   NULL, &kwj_admin_role, "admin",
							   PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("kwjobs.job_visibility",
							 "Who sees and controls a job.",
							 "admin: members of kwjobs.admin_role. owner: also the job's owner.",
							 &kwj_job_visibility, KWJ_VISIBLE_TO_ADMIN, visibilities,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("kwjobs.log_control",
							 "Logs who has controlled which job, and why.",
							 "A line when the transaction commits that has paused, canceled or changed a job.",
							 &kwj_log_control, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jobs.retention_time",
							"How long finished jobs are kept.",
							NULL, &kwj_retention_time, 14 * 24 * 60 * 60, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.retention_rows",
							"How many finished jobs are kept in a database.",
							"0 is no limit.",
							&kwj_retention_rows, 0, 0, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.retention_size",
							"How much space finished jobs take in a database, about.",
							"0 is no limit.",
							&kwj_retention_size, 0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.priority_ageing",
							"A job that has waited so long is as urgent as one that has just come with a priority higher by one.",
							NULL, &kwj_priority_ageing, 60, 1, 24 * 60 * 60,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_workers_per_role",
							"How many jobs of one role run at the same time, in all databases together.",
							"0 is no limit.",
							&kwj_max_workers_per_role, 0, 0, 1024,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_jobs_per_role",
							"How many jobs of one role may be there in a database that are not over, about.",
							"0 is no limit; superusers have none.",
							&kwj_max_jobs_per_role, 2000000, 0, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_bytes_per_role",
							"How much space jobs of one role that are not over may take in a database, about.",
							"0 is no limit; superusers have none.",
							&kwj_max_bytes_per_role, 2 * 1024 * 1024, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_workers_per_database",
							"How many jobs of one database run at the same time.",
							"0 is no limit.",
							&kwj_max_workers_per_database, 0, 0, 1024,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_crashes",
							"How often the server or the worker may end while a job runs before the job fails.",
							"Checkpoints do not set this back, as they do with the job's max_attempts.",
							&kwj_max_crashes, 10, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_timeout",
							"How long an attempt of any job may take, whatever timeout the job has.",
							"0 is no limit.",
							&kwj_max_timeout, 0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.worker_idle_timeout",
							"How long a worker waits for another job of the same role before it leaves.",
							"0: it does not wait.",
							&kwj_worker_idle_timeout, 60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.coordinator_idle_timeout",
							"How long the coordinator of a database stays when there is nothing to do.",
							"0: it does not stay. -1: it always does, unless another database needs its place.",
							&kwj_coordinator_idle_timeout, 60000, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.import_batch_size",
							"How much of a file an IMPORT job commits at once.",
							"A crash or an interrupted pause repeats at most this much.",
							&kwj_import_batch_size, 16 * 1024, 1, 1024 * 1024,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.import_batch_time",
							"How long an IMPORT job works before it commits, about.",
							"A crash repeats about this much. 0 is no limit: only kwjobs.import_batch_size counts.",
							&kwj_import_batch_time, 1000, 0, 60 * 60 * 1000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

static void
assign_max_workers(int value, void *extra)
{
	kwj_max_workers = Min(value, kwj_worker_slots - 1);
}

static void
define_server_settings(void)
{
	DefineCustomIntVariable("kwjobs.max_workers",
							"How many jobs run at the same time, in all databases together.",
							"0: none starts. When all of them are of one role, one more may run for another role. Each takes one of max_worker_processes.",
							&kwj_max_workers_asked, 4, 0, MOST_WORKERS,
							PGC_SIGHUP, 0, NULL, assign_max_workers, NULL);
	DefineCustomIntVariable("kwjobs.worker_slots",
							"How far kwjobs.max_workers can be raised without a restart.",
							"-1: to 64, or max_worker_processes if that is less. Never less than kwjobs.max_workers at the start.",
							&worker_slots, -1, -1, MOST_WORKERS,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_databases",
							"How many databases may have a coordinator at the same time.",
							"Each takes one of max_worker_processes. Other databases have their turn when one leaves.",
							&kwj_max_databases, 256, 1, 65536,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.max_session_jobs",
							"How many jobs of sessions are shown before they have a row, in all databases together.",
							"A session may have a quarter of them at a time. Of a transaction with more statements, the last ones are shown.",
							&kwj_max_session_jobs, 256, 0, 65536,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.node_id",
							"The number of this server: coordinator_id of its jobs, and the low bits of their ids.",
							NULL, &kwj_node_id, 1, 0, 32767,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

#ifdef KWJ_TEST_BUILD
int			kwj_silence_ms;
int			kwj_longest_ask_ms;
double		kwj_test_schedule_clock;
int			kwj_test_clock;
int			kwj_test_haste = 1;

/* type/source/transfer.c reads the first two by their names, and type/backup/program.c the third. */
static int	test_url_silence;
static char *test_url_ca;
static char *test_missing_program;

static void
define_test_settings(void)
{
	DefineCustomIntVariable("kwjobs.test_silence", "For tests: see kwjobs.h.", NULL, &kwj_silence_ms,
							1000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.test_longest_ask", "For tests: see kwjobs.h.", NULL,
							&kwj_longest_ask_ms, 60000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("kwjobs.test_schedule_clock", "For tests: see kwjobs.h.", NULL, &kwj_test_schedule_clock,
							 0, 0, 4e9, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.test_clock", "For tests: see clock.h.", NULL, &kwj_test_clock,
							0, 0, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.test_haste", "For tests: see clock.h.", NULL, &kwj_test_haste,
							1, 1, 100, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kwjobs.test_url_silence", "For tests: after how many ms a server is gone.", NULL,
							&test_url_silence, 60000, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("kwjobs.test_url_ca", "For tests: a file with certificates.", NULL,
							   &test_url_ca, NULL, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("kwjobs.test_missing_program", "For tests: a program that is not there.", NULL,
							   &test_missing_program, "", PGC_USERSET, 0, NULL, NULL, NULL);
}
#endif

void
kwj_settings_define(void)
{
#ifdef KWJ_TEST_BUILD
	define_test_settings();
#endif
	define_session_settings();
	define_administrator_settings();
	define_track_settings();
	define_collection_settings();
	define_scheduler_settings();
	if (process_shared_preload_libraries_in_progress)
		define_server_settings();
}

void
kwj_settings_fix(void)
{
	int			reserve = worker_slots;

	if (reserve < 0)
		reserve = Min(DEFAULT_RESERVE, max_worker_processes);
	kwj_worker_slots = Max(Max(reserve, kwj_max_workers_asked), 1) + 1;
}

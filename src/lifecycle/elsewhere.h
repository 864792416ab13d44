/*
 * src/lifecycle/elsewhere.h
 *	  Jobs of the other databases of this server.
 */
#ifndef KWJ_LIFECYCLE_ELSEWHERE_H
#define KWJ_LIFECYCLE_ELSEWHERE_H

#include "kwjobs.h"

/*
 * Called for each job of another database. database: its name. job: the job's row of
 * kwdb_internal.jobs there, as a JSON object.
 */
typedef void (*KwjTakeJob) (const char *database, const char *job, void *arg);

/*
 * Asks the coordinators of all other databases for the jobs that SHOW JOBS or SHOW AUTOMATIC JOBS
 * shows there (n is -1), or for those with these n ids, and calls `take` for each. Warns of
 * databases that do not answer within a second. Does nothing unless kwjobs.scope is server and the
 * current user has the admin role, which the coordinators check again. On a standby there is a
 * warning only.
 *
 * Errors: 53400 if too many sessions ask at the same time; those of dsm_create(); a cancel.
 */
extern void kwj_jobs_elsewhere(bool automatic, const int64 *job_ids, int n, KwjTakeJob take,
							   void *arg);

/*
 * Returns the name of the other database that has this job; NULL if no database has answered that it
 * has the job, or if this session may not ask (kwj_jobs_elsewhere).
 */
extern const char *kwj_database_of(int64 job_id);

#endif

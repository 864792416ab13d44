/*
 * src/lifecycle/session_job.h
 *	  Jobs that a session does itself, as a side of its own statements: everybody sees them from
 *	  their first moment, and their row is written when their transaction ends.
 *
 * doc/developers/live_entries.md explains it. Process: any backend, in a transaction, unless a
 * function says otherwise. Nothing here makes a user's statement fail, except that CANCEL JOB
 * cancels it.
 *
 *     id = kwj_session_job_begin(&job);        visible at once; 0: none, others do nothing
 *     PG_TRY: the work, kwj_session_job_update(id, ...) as often as it likes
 *     PG_CATCH: kwj_session_job_error(id); PG_RE_THROW();      the abort ends the job
 *     kwj_session_job_done(id);                the commit ends the job, a rollback fails it
 *
 * Begin and done belong into the same statement of the client. A statement may commit and begin
 * transactions in between, as CREATE INDEX CONCURRENTLY does: the job goes on, and its row is
 * written by the transaction in which it is done.
 */
#ifndef KWJ_LIFECYCLE_SESSION_JOB_H
#define KWJ_LIFECYCLE_SESSION_JOB_H

#include "kwjobs.h"
#include "shared/session_jobs.h"
#include "store/jobs.h"

/*
 * The job is RUNNING from now on. Returns its id; 0 if it is not recorded: there is no place, or
 * no extension in this database. If the subtransaction of now is rolled back, the job fails.
 * Raises no error but those of a look into the catalog cache.
 */
extern int64 kwj_session_job_begin(const KwjNewSessionJob *job);

/*
 * Sets progress: fraction 0 to 1, below 0: leave it; running_status NULL: leave it. Cheap; raises
 * no error.
 */
extern void kwj_session_job_update(int64 job_id, double fraction, const char *running_status);

/*
 * To be called in PG_CATCH, before the error is thrown again: keeps what the job will show as its
 * error. hint: instead of the error's own, such as what is left to clean up; may be NULL. Without
 * memory for a copy of the error, that becomes the statement's error.
 */
extern void kwj_session_job_error(int64 job_id, const char *hint);

/*
 * The job's work has ended well; it is over with the transaction of now. Error: 57014 if CANCEL
 * JOB came before: then the work is to be undone.
 */
extern void kwj_session_job_done(int64 job_id);

/*
 * The job is over, and has succeeded, whatever becomes of the transaction of now; the coordinator
 * writes its row. For work that commits by itself, and processes that must not write, as
 * autovacuum's. Error: as above. Outside a transaction, too.
 */
extern void kwj_session_job_finish(int64 job_id);

/* There is nothing to record after all: the job disappears, and has no row. Error: as above. */
extern void kwj_session_job_drop(int64 job_id);

/* ---- for those who look, wait and control ---- */

/* Returns whether this session does the job, so that it cannot wait for it. */
extern bool kwj_session_job_is_mine(int64 job_id);

/*
 * What a session that waits needs to know of a job whose row it has not found. The job counts as
 * not over, as its row is not there. Returns false if there is no such job.
 */
extern bool kwj_session_job_outcome(int64 job_id, KwjOutcome *outcome);

/* The status of a job, as SHOW JOBS has it, for the current transaction. */
extern KwjStatus kwj_session_job_status(const KwjSessionJob *job);

/*
 * What a job does: palloc'd, NULL if there is nothing to say.
 */
extern char *kwj_session_job_running_status(const KwjSessionJob *job);

/*
 * Cancels the job, which is RUNNING, when the current transaction commits. reason may be NULL.
 * Errors: out of memory.
 */
extern void kwj_session_job_cancel_at_commit(int64 job_id, const char *reason);

/* ---- for whoever writes rows, and ends prepared transactions ---- */

struct KwjRecord;

/* The row of a job that is over; texts are those of *job. */
extern void kwj_session_job_record(const KwjSessionJob *job, struct KwjRecord *record);

/*
 * Looks which prepared transactions have ended, and ends their jobs. Process: coordinator, and the
 * session that has run COMMIT PREPARED or ROLLBACK PREPARED. Returns whether any was prepared.
 */
extern bool kwj_session_jobs_look_at_prepared(void);

/* From _PG_init in the postmaster: registers the callbacks. */
extern void kwj_session_job_init(void);

#endif

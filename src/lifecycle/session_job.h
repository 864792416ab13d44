/*
 * src/lifecycle/session_job.h
 *	  Jobs that a session does itself while it runs a statement of its own: all sessions see such a
 *	  job as soon as it begins, and its row is written when its transaction ends.
 *
 * doc/developers/live_entries.md explains such jobs. Process: any backend, in a transaction, unless
 * the comment of a function says otherwise. These functions do not make a user's statement fail,
 * except if CANCEL JOB cancels it.
 *
 *     id = kwj_session_job_begin(&job);        visible at once; with id 0, the calls do nothing
 *     PG_TRY: the work, kwj_session_job_update(id, ...) as often as it likes
 *     PG_CATCH: kwj_session_job_error(id, hint, ...); PG_RE_THROW();    the abort ends the job
 *     kwj_session_job_done(id, true);          the commit ends the job, a rollback fails it
 *
 * The session calls begin and done in the same statement of its client. That statement may commit
 * and begin transactions in between, as CREATE INDEX CONCURRENTLY does: then the job goes on, and
 * the transaction that calls done writes its row.
 */
#ifndef KWJ_LIFECYCLE_SESSION_JOB_H
#define KWJ_LIFECYCLE_SESSION_JOB_H

#include "kwjobs.h"
#include "access/xact.h"
#include "shared/session_jobs.h"
#include "store/jobs.h"

/*
 * Begins the job, which is RUNNING from now on. Returns its id; 0 if the job is not recorded,
 * because there is no free place in shared memory, or no extension in this database. If the current
 * subtransaction is rolled back, the job fails. Errors: out of memory, and those of a look into the
 * catalog cache.
 */
extern int64 kwj_session_job_begin(const KwjNewSessionJob *job);

/*
 * Sets the progress of the job. A fraction below 0 and a running_status of NULL leave the old
 * value. Cheap; raises no error.
 */
extern void kwj_session_job_update(int64 job_id, double fraction, const char *running_status);

/*
 * Stores the current error as the error of the job. The session calls this in PG_CATCH, before it
 * throws the error again. hint replaces the hint of the error, for instance to say what is left to
 * clean up; it may be NULL. If the message or the hint of the error seems to have a password in it,
 * a note is stored in its place. has_secret: the statement may have a secret; then the note also
 * replaces a message and a hint that may quote a value of the statement. Errors: out of memory,
 * which then becomes the error of the statement.
 */
extern void kwj_session_job_error(int64 job_id, const char *hint, bool has_secret);

/*
 * Notes that the failed work may have left an INVALID index of this table. index: InvalidOid if the
 * session does not know which. When the coordinator writes the job's row, it looks for such indexes
 * and writes a hint that names them. The session calls this in PG_CATCH. Raises no error.
 */
extern void kwj_session_job_leaves(int64 job_id, Oid table, Oid index);

/*
 * The work of the job is done; the job is over when the current transaction ends. can_undo: false
 * if a rollback would not undo the work, such as that of DROP DATABASE. Then a CANCEL JOB that came
 * before is too late, and has no effect. Errors: 57014 if CANCEL JOB came before and can_undo is
 * true; the error rolls the work back.
 */
extern void kwj_session_job_done(int64 job_id, bool can_undo);

/*
 * The job is over and has succeeded, whatever becomes of the current transaction; the coordinator
 * writes its row. For work that commits by itself, and for processes that must not write rows of
 * kwjobs, such as autovacuum workers. May be called outside a transaction. Errors: 57014 as
 * kwj_session_job_done.
 */
extern void kwj_session_job_finish(int64 job_id);

/*
 * There was nothing to do after all: the job disappears, and gets no row. can_undo and errors: as
 * in kwj_session_job_done.
 */
extern void kwj_session_job_drop(int64 job_id, bool can_undo);

/*
 * Drops a SIGINT that CANCEL JOB has sent for work that is over already, so that it does not hit what
 * this process does next. signalled: as the functions of shared/session_jobs.h have returned it.
 * May be called at the end of a transaction; raises no error.
 */
extern void kwj_session_job_drop_cancel(bool signalled);

/* ---- for sessions that look at jobs, wait for them and control them ---- */

/* Returns whether this session itself does the job, so that it must not wait for the job. */
extern bool kwj_session_job_is_mine(int64 job_id);

/*
 * Gets what a session that waits needs to know of a job whose row it has not found. The job counts
 * as not over as long as its row is not there, and keeps its place in shared memory from now on.
 * Returns false if no session does such a job.
 */
extern bool kwj_session_job_outcome(int64 job_id, KwjOutcome *outcome);

/*
 * Returns the status of the job as SHOW JOBS shows it. A CANCEL JOB of the current transaction
 * counts already.
 */
extern KwjStatus kwj_session_job_status(const KwjSessionJob *job);

/* Returns the running_status of the job, palloc'd; NULL if there is none. */
extern char *kwj_session_job_running_status(const KwjSessionJob *job);

/*
 * Cancels the job when the current transaction commits, if it is still RUNNING then. reason may be
 * NULL. Errors: out of memory.
 */
extern void kwj_session_job_cancel_at_commit(int64 job_id, const char *reason);

/* ---- for processes that write the rows, or end prepared transactions ---- */

/*
 * Ends the PREPARED jobs whose prepared transaction has ended. Returns whether there were any
 * PREPARED jobs. Process: coordinator, and the session that has run COMMIT PREPARED or ROLLBACK
 * PREPARED.
 */
extern bool kwj_session_jobs_look_at_prepared(void);

/* What is called at the end of a transaction. At COMMIT and ABORT it must raise no error. */
typedef void (*KwjTransactionEnd) (XactEvent event);

/*
 * Has the callback called at each event of the end of a transaction of an autovacuum worker, before
 * session_job.c does anything about it. track/autovacuum.c ends its jobs of an aborted transaction with an error of its
 * own that way; what is still there after that, session_job.c ends as rolled back. One file may call
 * this, before or after kwj_session_job_init().
 */
extern void kwj_session_job_precede(KwjTransactionEnd callback);

/* Registers the transaction callbacks. _PG_init calls this in the postmaster. */
extern void kwj_session_job_init(void);

#endif

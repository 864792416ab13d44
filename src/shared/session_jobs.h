/*
 * src/shared/session_jobs.h
 *	  Jobs that sessions do themselves, from their first moment until their row can be read: an
 *	  array of places in shared memory.
 *
 * lifecycle/session_job.h is what a session uses; this file is below it. Sessions that look read
 * copies. None of these functions raises an error, except for those that say so. All take
 * kwj_shared->lock for a moment; the states of a place are drawn in session_jobs.c.
 */
#ifndef KWJ_SHARED_SESSION_JOBS_H
#define KWJ_SHARED_SESSION_JOBS_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/progress.h"
#include "job/status.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* Sizes of texts in bytes, with the NUL. A longer text is clipped at a character's border. */
#define KWJ_SESSION_DESCRIPTION_LEN	2048
#define KWJ_SESSION_STATEMENT_LEN	1024
#define KWJ_SESSION_ERROR_LEN		512
#define KWJ_SESSION_REASON_LEN		256

typedef enum KwjSessionJobState
{
	KWJ_SESSION_FREE,			/* the place is not in use */
	KWJ_SESSION_RUNNING,		/* the session runs the statement */
	KWJ_SESSION_DONE,			/* the statement has ended well, its transaction has not ended */
	KWJ_SESSION_PREPARED,		/* the transaction is prepared, and belongs to no session */
	KWJ_SESSION_ENDED,			/* the job is over, and the coordinator is to write its row */
	KWJ_SESSION_WRITTEN,		/* the row is committed; older snapshots may need the place */
} KwjSessionJobState;

/* What a place says of its job; also the copy of it that readers get. */
typedef struct KwjSessionJob
{
	/* What readers look at first. */
	KwjSessionJobState state;
	Oid			dboid;
	int64		job_id;
	bool		has_row;		/* the transaction xid has inserted the job's row */
	bool		signalled;		/* the session was sent SIGINT for this statement */
	/* The transaction that decides: the session's or the coordinator's; invalid: none yet */
	FullTransactionId xid;

	Oid			owner;
	Oid			created_by;		/* the current and the session user at the start */
	Oid			created_by_session;
	int			pid;			/* of the session; 0: no session has it any more */
	TimestampTz started;
	TimestampTz ended;			/* 0: not yet */
	KwjStatus	outcome;		/* how the job ended; valid once it is ENDED or WRITTEN */
	int			sqlstate;		/* of its error, packed as elog.h does; 0: none */
	TimestampTz requested;		/* when CANCEL JOB was committed; 0: it was not */
	Oid			requested_by;
	int64		created_by_id;
	char		job_type[KWJ_JOB_TYPE_LEN];
	char		created_by_type[KWJ_JOB_TYPE_LEN];	/* "": a session */
	char		error[KWJ_SESSION_ERROR_LEN];
	char		error_hint[KWJ_SESSION_ERROR_LEN];
	char		request_reason[KWJ_SESSION_REASON_LEN]; /* "": none was given */
	char		description[KWJ_SESSION_DESCRIPTION_LEN];
	char		statement[KWJ_SESSION_STATEMENT_LEN];

	/* What the session updates while it works: protected by the place's spinlock. */
	TimestampTz moved;			/* when anything of this changed last */
	double		fraction;		/* of the work that is done, 0 to 1 */
	char		running_status[KWJ_RUNNING_STATUS_LEN];
} KwjSessionJob;

/* A job that a session begins. Texts are in the database's encoding; NULL: none. */
typedef struct KwjNewSessionJob
{
	const char *job_type;
	const char *description;
	const char *statement;		/* if the description is another text */
	Oid			owner;
	const char *created_by_type;	/* as in KwjNewJob */
	int64		created_by_id;
} KwjNewSessionJob;

/* ---- the session that does the job ---- */

/*
 * Takes a place for the job, and returns its id; 0 if there is no place for it. The caller counts
 * that (kwj_shared_count_unrecorded). in: the subtransaction that undoes the job's work.
 */
extern int64 kwj_shared_begin_session_job(const KwjNewSessionJob *job, SubTransactionId in);

/*
 * The places of this session's jobs, the latest first: -1 ends the list. What a session reads of
 * its own place needs no lock, except for the request.
 */
extern int	kwj_my_first_session_job(void);
extern int	kwj_my_next_session_job(int place);
#define kwj_foreach_my_session_job(place) \
	for (int place = kwj_my_first_session_job(); place >= 0; \
		 place = kwj_my_next_session_job(place))
extern const KwjSessionJob *kwj_my_session_job(int place);
extern SubTransactionId kwj_my_session_job_in(int place);
extern void kwj_my_session_job_moves(int place, SubTransactionId in);

/* Sets progress. fraction below 0: leave it; running_status NULL: leave it. */
extern void kwj_my_session_job_update(int place, double fraction, const char *running_status);

/* Notes the error that ends the job's statement; hint may be NULL. */
extern void kwj_my_session_job_error(int place, int sqlstate, const char *error, const char *hint);

/*
 * RUNNING -> DONE. No SIGINT is sent for the statement from now on. Returns whether one was sent,
 * and forgets it: the caller has to handle it (kwj_await_cancel).
 */
extern bool kwj_my_session_job_done(int place);

/*
 * Waits until a SIGINT that was sent under the lock, which this process has taken since, has
 * arrived.
 */
extern void kwj_await_cancel(void);

/* The transaction xid is to decide about the job, and has inserted its row, or could not. */
extern void kwj_my_session_job_decides(int place, FullTransactionId xid, bool has_row);

/*
 * The job leaves this session. `ended`: the coordinator is to write its row; its outcome is
 * "succeeded", else "canceled" if that was requested, else "failed". `written`: the row is
 * committed. `prepared`: the transaction is. `gone`: there is nothing to show or to write.
 * `ended` and `gone` return the same as kwj_my_session_job_done().
 */
extern bool kwj_my_session_job_ended(int place, bool succeeded);
extern void kwj_my_session_job_written(int place);
extern void kwj_my_session_job_prepared(int place);
extern bool kwj_my_session_job_gone(int place);

/* ---- readers ---- */

/*
 * Copies the jobs of this database whose rows the snapshot does not show; palloc'd, *n of them.
 * Together with the rows that the same snapshot shows these are all jobs, and none is in both.
 * Errors: out of memory; those of looking at the commit log.
 */
extern KwjSessionJob *kwj_shared_session_jobs(Snapshot snapshot, int *n);

/*
 * Copies the job with this id, of this database, in whatever state. Returns false if no place has
 * it. To be called after the caller has not found a row: if the row was committed in between, the
 * place is still there.
 */
extern bool kwj_shared_find_session_job(int64 job_id, KwjSessionJob *job);

/* How many places there are, how many of them are taken, and how many jobs had none. */
extern void kwj_shared_session_job_places(int *places, int *taken, int64 *unrecorded);

/* Counts a job that will have no row, or none that anybody can see before it ends. */
extern void kwj_shared_count_unrecorded(void);

/* ---- CANCEL JOB ---- */

/*
 * Notes the request, which is committed, and interrupts the session if it still runs the job's
 * statement. reason may be NULL. If the job has ended in between, nothing happens.
 */
extern void kwj_shared_cancel_session_job(int64 job_id, Oid by, const char *reason);

/* ---- the coordinator, and whoever ends a prepared transaction ---- */

/*
 * Returns whether there may be ENDED or PREPARED jobs of this database. Takes no lock if no place
 * is taken.
 */
extern bool kwj_shared_any_session_job_left(void);

/*
 * Copies up to `limit` ENDED jobs of this database that no transaction is writing, those that
 * ended first. Returns how many.
 */
extern int	kwj_shared_ended_session_jobs(KwjSessionJob *jobs, int limit);

/* The same for PREPARED jobs, in no order. */
extern int	kwj_shared_prepared_session_jobs(KwjSessionJob *jobs, int limit);

/* An ENDED job: this transaction inserts its row; it is committed; it was rolled back. */
extern void kwj_shared_session_job_inserted(int64 job_id, FullTransactionId xid);
extern void kwj_shared_session_job_written(int64 job_id);
extern void kwj_shared_session_job_unwritten(int64 job_id);

/* An ENDED job gets no row. */
extern void kwj_shared_forget_session_job(int64 job_id);

/* The transaction of a PREPARED job has ended. */
extern void kwj_shared_session_job_resolved(int64 job_id, bool committed);

/*
 * The database has no kwjobs any more, or is gone: frees the places that no session has and that
 * no prepared transaction decides about. The second function is for a caller that holds the lock
 * exclusively.
 */
extern void kwj_shared_forget_session_jobs_of(Oid dboid);
extern void kwj_forget_session_jobs_of(Oid dboid);

#endif

/*
 * src/shared/session_jobs.h
 *	  Jobs that sessions do themselves: an array of places in shared memory, which shows such a job
 *	  from its beginning until all sessions can read its row.
 *
 * A session that does a job calls lifecycle/session_job.h, which calls this file. Sessions that
 * look at jobs get copies. The functions take kwj_shared->lock for a moment, and raise no error
 * unless their comments name one. The states of a place are drawn in session_jobs.c.
 */
#ifndef KWJ_SHARED_SESSION_JOBS_H
#define KWJ_SHARED_SESSION_JOBS_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/counts.h"
#include "job/new_file.h"
#include "job/position.h"
#include "job/progress.h"
#include "job/status.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* Sizes of texts in bytes, with the NUL. A longer text is clipped between two characters. */
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
	KWJ_SESSION_ENDED,			/* the job is over, and the coordinator has to write its row */
	KWJ_SESSION_WRITTEN,		/* the row is committed; older snapshots may need the place */
} KwjSessionJobState;

/* What the work of a job has cost, as PostgreSQL has counted it in the process that did it. */
typedef struct KwjCost
{
	int64		pages_hit;		/* pages found in shared_buffers, */
	int64		pages_read;		/* read into them, */
	int64		pages_dirtied;	/* and changed there for the first time since they were written */
	int64		wal_records;
	int64		wal_bytes;
	/* dead rows that PostgreSQL had counted in the table when the work began; -1: not known */
	int64		dead_rows;
} KwjCost;

/* The job in a place, and the copy of it that readers get. */
typedef struct KwjSessionJob
{
	/* The fields by which readers choose the jobs that they copy. */
	KwjSessionJobState state;
	Oid			dboid;
	int64		job_id;
	bool		has_row;		/* the transaction xid has inserted the job's row */
	bool		signalled;		/* the session was sent SIGINT for this statement */
	bool		awaited;		/* a session waits for the job, so it has to keep its place */
	bool		was_ended;		/* once it is WRITTEN: the coordinator has written the row, after the job's end */
	/* The transaction that decides about the job or writes its row; invalid: none has begun to. */
	FullTransactionId xid;

	Oid			owner;
	Oid			created_by;		/* the current and the session user at the start */
	Oid			created_by_session;
	int			pid;			/* of the session; 0: no session has it any more */
	int			place;			/* set in copies only: the place of the job, for kwj_sight_of_place() */
	TimestampTz started;
	TimestampTz ended;			/* 0: not yet */
	KwjStatus	outcome;		/* how the job ended; valid once it is ENDED or WRITTEN */
	int			sqlstate;		/* of its error, packed as elog.h does; 0: none */
	TimestampTz requested;		/* when CANCEL JOB was committed; 0: it was not */
	Oid			requested_by;
	int64		created_by_id;
	/*
	 * If the statement fails, it may leave an INVALID index of left_table (InvalidOid: it leaves
	 * none). left_index is this index (InvalidOid: it is not known).
	 */
	Oid			left_table;
	Oid			left_index;
	KwjCounts	counts;			/* what PostgreSQL's counters say of the job */
	bool		automatic;		/* an autovacuum worker does the job; here it is called a session */
	bool		prevents_wraparound;	/* the job is a VACUUM that CANCEL JOB refuses to cancel */
	Oid			analyzed;		/* the table that an automatic ANALYZE is about; InvalidOid: unknown */
	bool		has_cost;		/* cost is set */
	KwjCost		cost;
	char		job_type[KWJ_JOB_TYPE_LEN];
	char		created_by_type[KWJ_JOB_TYPE_LEN];	/* "": a session */
	char		error[KWJ_SESSION_ERROR_LEN];
	char		error_hint[KWJ_SESSION_ERROR_LEN];
	char		request_reason[KWJ_SESSION_REASON_LEN]; /* "": none was given */
	char		description[KWJ_SESSION_DESCRIPTION_LEN];
	char		statement[KWJ_SESSION_STATEMENT_LEN];

	/* What the session updates while it works: protected by the place's spinlock. */
	TimestampTz moved;			/* when one of these fields changed last */
	double		fraction;		/* of the work that is done, 0 to 1 */
	char		running_status[KWJ_RUNNING_STATUS_LEN];
	KwjNewFile	file;			/* of the table that the statement writes */
	/* Set in copies only: how far the scan is in which the statement checks rows. */
	uint32		scan_block;
	uint32		scan_blocks;	/* 0: not known */
} KwjSessionJob;

/* A job that a session begins. The texts are in the database's encoding, and may be NULL. */
typedef struct KwjNewSessionJob
{
	const char *job_type;
	const char *description;
	const char *statement;		/* the statement, if description is not the statement itself */
	Oid			owner;
	KwjCounts	counts;
	bool		automatic;		/* this and the next two fields: see KwjSessionJob */
	bool		prevents_wraparound;
	Oid			analyzed;
	const char *created_by_type;	/* as in KwjNewJob */
	int64		created_by_id;
} KwjNewSessionJob;

/* ---- the session that does the job ---- */

/*
 * Takes a place for the job, and returns the job's id; 0 if there is no place for it. Then the
 * caller has to call kwj_shared_count_unrecorded(). in: the subtransaction whose rollback undoes
 * the job's work.
 */
extern int64 kwj_shared_begin_session_job(const KwjNewSessionJob *job, SubTransactionId in);

/*
 * The list of the places of this session's jobs, the latest first; -1 ends it. A session needs no
 * lock to read its own places, except for the request. kwj_my_session_job_in returns the
 * subtransaction whose rollback undoes the job's work, and kwj_my_session_job_moves replaces it,
 * when that one has ended and its parent goes on.
 */
extern int	kwj_my_first_session_job(void);
extern int	kwj_my_next_session_job(int place);
#define kwj_foreach_my_session_job(place) \
	for (int place = kwj_my_first_session_job(); place >= 0; \
		 place = kwj_my_next_session_job(place))
extern const KwjSessionJob *kwj_my_session_job(int place);
extern SubTransactionId kwj_my_session_job_in(int place);
extern void kwj_my_session_job_moves(int place, SubTransactionId in);

/* Sets progress. A fraction below 0 and a running_status of NULL leave the old value. */
extern void kwj_my_session_job_update(int place, double fraction, const char *running_status);

/* Notes the file of the table that the statement writes. */
extern void kwj_my_session_job_set_file(int place, const KwjNewFile *file);

/* Returns where to write how far the scan is in which the statement checks rows. */
extern KwjPosition *kwj_my_session_job_scan(int place);

/* Stores the error that the job shows. hint may be NULL; sqlstate 0 and NULL remove the error. */
extern void kwj_my_session_job_error(int place, int sqlstate, const char *error, const char *hint);

/* Stores what the work has cost. */
extern void kwj_my_session_job_cost(int place, const KwjCost *cost);

/*
 * Notes that the statement may leave an INVALID index of this table. index: this index, or
 * InvalidOid if it is not known.
 */
extern void kwj_my_session_job_leaves(int place, Oid table, Oid index);

/*
 * RUNNING -> DONE. From now on no SIGINT is sent for the statement. Returns whether one was sent
 * before; then the caller has to call kwj_await_cancel() and handle the signal.
 */
extern bool kwj_my_session_job_done(int place);

/*
 * Waits until a SIGINT that CANCEL JOB has sent has arrived. The signal is sent under the lock;
 * this process has to have taken the lock since.
 */
extern void kwj_await_cancel(void);

/*
 * Notes that the end of transaction xid decides about the job. has_row: this transaction has
 * inserted the job's row.
 */
extern void kwj_my_session_job_decides(int place, FullTransactionId xid, bool has_row);

/*
 * These functions take the job out of this session's list. `ended`: the coordinator has to write
 * the row; the outcome is "succeeded", otherwise "canceled" if a CANCEL JOB was committed, or if
 * the job is automatic and its error is 57014, otherwise "failed". `written`: the row is committed.
 * `prepared`: the transaction is prepared. `gone`: the place is freed, because there is nothing to
 * show or to write. `ended` and `gone` return whether a SIGINT was sent, as
 * kwj_my_session_job_done() does.
 */
extern bool kwj_my_session_job_ended(int place, bool succeeded);
extern void kwj_my_session_job_written(int place);
extern void kwj_my_session_job_prepared(int place);
extern bool kwj_my_session_job_gone(int place);

/*
 * Takes a job that is DONE out of this session's list, and frees its place, because the session
 * keeps what it needs of the job in its own memory. Does nothing and returns false if a session
 * waits for the job.
 */
extern bool kwj_my_session_job_gives_place(int place);

/* ---- readers ---- */

/*
 * Returns copies of the jobs of this database whose rows the snapshot does not show, as a palloc'd
 * array of *n. Those whose rows the coordinator has written are ENDED in the copy. A caller that adds them to the rows which the same snapshot shows has every job
 * exactly once. Errors: out of memory; errors of reading the commit log.
 */
extern KwjSessionJob *kwj_shared_session_jobs(Snapshot snapshot, int *n);

/*
 * Copies the job with this id in this database, whatever its state. Returns false if no place has
 * it. A caller has to look for the job's row before it calls this: if the row is committed after
 * that look, the job is still in its place, as WRITTEN.
 */
extern bool kwj_shared_find_session_job(int64 job_id, KwjSessionJob *job);

/*
 * Notes that a session waits for the job: the job then keeps its place until its transaction has
 * ended. Returns false if no place has the job.
 */
extern bool kwj_shared_await_session_job(int64 job_id);

/*
 * Gets how many places there are, how many of them have a job whose row is not written, and how
 * many jobs had no place or get no row.
 */
extern void kwj_shared_session_job_places(int *places, int *taken, int64 *unrecorded);

/* Counts a job that nobody sees, because it has no place, or because it gets no row. */
extern void kwj_shared_count_unrecorded(void);

/* ---- CANCEL JOB ---- */

/*
 * Stores a CANCEL JOB that is committed, and sends SIGINT to the session. Does nothing unless the
 * job is still RUNNING. reason may be NULL.
 */
extern void kwj_shared_cancel_session_job(int64 job_id, Oid by, const char *reason);

/* ---- the coordinator, and sessions that end a prepared transaction ---- */

/*
 * Returns whether there may be ENDED or PREPARED jobs of this database. Takes no lock if no place
 * is taken.
 */
extern bool kwj_shared_any_session_job_left(void);

/*
 * Copies up to `limit` ENDED jobs of this database whose rows no transaction has inserted, sorted
 * by when they ended. Returns how many.
 */
extern int	kwj_shared_ended_session_jobs(KwjSessionJob *jobs, int limit);

/* Copies up to `limit` PREPARED jobs of this database, in no order. Returns how many. */
extern int	kwj_shared_prepared_session_jobs(KwjSessionJob *jobs, int limit);

/*
 * These functions note what becomes of the row of an ENDED job: transaction xid, of this process,
 * has inserted it (`inserted`); that transaction was committed (`written`), or rolled back
 * (`unwritten`).
 */
extern void kwj_shared_session_job_inserted(int64 job_id, FullTransactionId xid);
extern void kwj_shared_session_job_written(int64 job_id);
extern void kwj_shared_session_job_unwritten(int64 job_id);

/* Frees the place of an ENDED job that gets no row. */
extern void kwj_shared_forget_session_job(int64 job_id);

/* Makes a PREPARED job WRITTEN or ENDED, because its transaction has ended. */
extern void kwj_shared_session_job_resolved(int64 job_id, bool committed);

/*
 * These functions free the places of the ENDED jobs of a database that is gone, or has no kwjobs
 * any more. The second function is for a caller that holds the lock exclusively.
 */
extern void kwj_shared_forget_session_jobs_of(Oid dboid);
extern void kwj_forget_session_jobs_of(Oid dboid);

#endif

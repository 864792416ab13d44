/*
 * src/job/store.h
 *	  The rows of jobs, attempts and checkpoints. store_*.c are the only code that
 *	  names the tables of kwjobs.
 *
 * Every function runs in the caller's transaction. Results are palloc'd in
 * CurrentMemoryContext. Errors common to all: 55000 if the extension is not
 * installed in this database.
 */
#ifndef KWJ_JOB_STORE_H
#define KWJ_JOB_STORE_H

#include "kwjobs.h"
#include "access/transam.h"
#include "job/attempt.h"
#include "job/status.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Some jobs. */
typedef struct KwjJobs
{
	const int64 *ids;
	int			n;
} KwjJobs;

/* Where and why something failed. Strings may be NULL. */
typedef struct KwjError
{
	int			code;			/* SQLSTATE, packed as in elog.h */
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *file;			/* where in the input: file, line, column */
	int64		line;			/* 0: not known */
	const char *column;
} KwjError;

/* ---- sessions (store_session.c) ---- */

typedef struct KwjNewJob
{
	const char *job_type;
	const char *description;
	const char *statement;		/* NULL: none */
	Oid			owner;
	Jsonb	   *payload;
	const char *key;			/* NULL: none */
	int			priority;
	TimestampTz run_at;			/* not before; 0: at once */
	int			max_attempts;
	int64		retry_delay_ms; /* before the second retry */
	int64		timeout_ms;		/* of an attempt; 0: none */
	const char *on_failure;		/* "fail", "retry", "pause" */
	bool		has_revert;		/* see the column of that name */
	const int64 *depends_on;	/* ids of existing jobs, each once */
	int			n_depends_on;
	Oid			created_by;		/* the current user */
	Oid			created_by_session; /* the session user */
	const Oid  *authority;		/* see the column of that name */
	int			n_authority;	/* 0: none is needed */
} KwjNewJob;

/*
 * A new pending job. Returns its job_id, or that of the job of this owner with the same
 * key that is not over yet (*existed).
 */
extern int64 kwj_store_insert(const KwjNewJob *job, bool *existed);

/* Jobs of a role that are not over. */
typedef struct KwjUnfinished
{
	int64		jobs;
	int64		bytes;
} KwjUnfinished;

/*
 * Count them, with those of this transaction, until they are more than that; both are 0 where those of
 * all roles together cannot be so many.
 */
extern void kwj_store_unfinished(Oid owner, int64 max_jobs, int64 max_bytes,
								 KwjUnfinished *unfinished);

/* The job's owner, as of the caller's snapshot. False if there is no such job. */
extern bool kwj_store_owner(int64 job_id, Oid *owner);

/* A job's row as control and settling need it. */
typedef struct KwjJob
{
	int64		job_id;
	char	   *job_type;
	Oid			owner;
	KwjStatus	status;
	int32		active_attempt; /* 0: none */
	bool		reverting;		/* revert_to is set */
	bool		started;		/* some attempt was started */
	bool		over;			/* finished is set */
	bool		revertible;		/* there is something that its revert may have to undo */
	bool		progressed;		/* by the active attempt */
	int32		retries;
	int32		crashes;
	int32		max_attempts;
	int64		retry_delay_ms;
	const char *on_failure;
} KwjJob;

typedef enum KwjLockWait
{
	KWJ_WAIT,
	KWJ_SKIP_LOCKED,			/* pretend there is no such job */
} KwjLockWait;

/*
 * Lock the job's row until the end of the transaction and read it. False if there
 * is no such job.
 */
extern bool kwj_store_lock(int64 job_id, KwjLockWait wait, KwjJob *job);

/*
 * Set the status that a control statement asks for. taken_back: the statement takes back a
 * request that nobody has settled yet, so the job keeps its turn and its count of retries.
 */
extern void kwj_store_request(int64 job_id, KwjStatus next, const char *reason,
							  bool taken_back);

/* What a waiter needs to know of a job, as of now. */
typedef struct KwjOutcome
{
	KwjStatus	status;
	bool		over;			/* the job has ended, whatever its status says */
	int64		rows;
	double		fraction;
	char	   *running_status; /* or NULL */
	int			error_code;
	char	   *error;
	char	   *error_detail;	/* or NULL, and so the next two */
	char	   *error_hint;
	char	   *error_context;
} KwjOutcome;

/* Read with a snapshot of its own, which is gone on return. */
extern bool kwj_store_outcome(int64 job_id, KwjOutcome *outcome);

/* The command tags of the attempt that did the job; NULL if there are none. Snapshot: as above. */
extern ArrayType *kwj_store_tags(int64 job_id);

/* ---- coordinator (store_coordinator.c) ---- */

/*
 * What a coordinator reads of an index at a time, so that one role cannot make its passes long: some
 * entries from a place on. The place is that of the entry that was read last, by the first two
 * columns of the index; times are kept as integers.
 */
typedef struct KwjWindow
{
	int			limit;			/* so many */
	int64		only;			/* those of this job; 0: of all */
	int64		first;			/* the place: before and after */
	int64		second;
	int			n_read;			/* out; less than limit: nothing comes after the place */
	bool		fruitful;		/* out: something was changed */
} KwjWindow;

/* What there is to do in this database. */
typedef struct KwjToDo
{
	bool		active;			/* attempts run, or have lost their worker */
	bool		requested;		/* something is asked of jobs that do not run */
	bool		fresh;			/* dependencies are new */
	bool		known;			/* dependencies may be met */
	bool		untold;			/* jobs have ended, and not all that depend on them know it */
	bool		due;			/* the time of jobs has come */
	bool		ready;			/* jobs may start */
} KwjToDo;

/* Look at the heads of the indexes: cheap. */
extern void kwj_store_look(TimestampTz now, KwjToDo *todo);

/* A job that may start now. */
typedef struct KwjCandidate
{
	int64		job_id;			/* 0: some job of the owner, which was not read */
	int32		attempt;		/* the number of its next */
	Oid			owner;
	const char *job_type;
	TimestampTz rank;			/* the lower, the more urgent */
} KwjCandidate;

/* A type's name with its NUL, as far as coordinators tell types apart. */
#define KWJ_GROUP_TYPE_LEN	32

/* A place in the order of the jobs of a group (an owner and a type) that may start. */
typedef struct KwjBlocked
{
	Oid			owner;
	char		job_type[KWJ_GROUP_TYPE_LEN];
	TimestampTz rank;
	int64		job_id;
} KwjBlocked;

#define KWJ_MAX_BLOCKED		16

/* The groups whose jobs are read at a time. */
typedef struct KwjGroups
{
	int			limit;			/* so many groups */
	int			most_groups;	/* jobs are read of so many of them only: those that have their turn */
	int			most_jobs;		/* so many jobs of all of these together, but two of each */
	int			most_tried;		/* so many jobs of a group, of which others may have locked some */
	List	   *running;		/* the owners of running jobs, one for each */
	List	   *full_types;		/* types of which no other job may run, as strings */

	Oid			owner;			/* those that come after this one, InvalidOid: the first; out: the last */
	char		job_type[KWJ_GROUP_TYPE_LEN];
	int			n_read;			/* out; less than limit: there are no others behind the last */
	int			n_blocked;		/* groups that do not begin with their first job */
	KwjBlocked	blocked[KWJ_MAX_BLOCKED];
} KwjGroups;

/*
 * Of each of these groups, up to limit jobs that may start now, the most urgent first: a
 * list of KwjCandidate. Their rows are locked. Each group of which jobs are read has at least one candidate, if need be one
 * without an id: no job is read of the owners in `without`, a list of OIDs, and all that were tried
 * of a group may be locked. from: no job has a lower rank, as is known; DT_NOBEGIN: nothing is.
 * set_aside: jobs that are left out, too.
 */
extern List *kwj_store_candidates(KwjGroups *groups, int limit, const List *without,
								  KwjJobs set_aside, TimestampTz from);

/* Move the place behind the next n jobs of the group; false: there are less. */
extern bool kwj_store_skip(KwjBlocked *group, int n);

/*
 * The most urgent jobs of an owner and type, not locked; returns how many, up to limit. set_aside,
 * from: as above.
 */
extern int	kwj_store_ready(Oid owner, const char *job_type, KwjJobs set_aside,
							TimestampTz from, int64 *job_ids, int limit);

/* An attempt that has a worker. */
typedef struct KwjClaim
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	int			pid;			/* 0: the worker is still to be started */
	int			slot;			/* -1: none, as the owner does not exist any more */
	uint32		generation;
} KwjClaim;

/* A job that is not over and has to be, or to run, before a job that is waited for can end. */
typedef struct KwjNeeded
{
	int64		waited_for;		/* this one: itself, or what it depends on */
	int64		job_id;			/* 0: it is over */
	Oid			owner;
	const char *job_type;
	bool		active;			/* it runs */
	bool		startable;		/* it lacks nothing but a worker */

	/* of kwj_store_needed_step */
	int64		needed_by;		/* the job that depends on it */
	int64		depends_on;		/* its id, also if it is over */
} KwjNeeded;

/*
 * Those of the jobs that are not over; returns their number. by: what may start until then counts
 * as startable. Neither function sets waited_for.
 */
extern int	kwj_store_needed(KwjJobs jobs, TimestampTz by, KwjNeeded **needed);

/*
 * What the jobs depend on, job by job and in the order of ids, up to limit; of the first job, what
 * comes after the id `after`.
 */
extern int	kwj_store_needed_step(KwjJobs jobs, TimestampTz by, int64 after, int limit,
								  KwjNeeded **needed);

/*
 * Let these jobs start before all others of their role and type, as far as they only wait for a worker. One
 * whose row somebody has locked stays where it is.
 */
extern void kwj_store_put_first(const int64 *job_ids, int n);

/*
 * Whether the server has background workers that end soon by themselves, as those of parallel queries: slots come free
 * when they do.
 */
extern bool kwj_store_others_have_workers(void);

/* Begin the attempts of candidates of this transaction: a list of KwjClaim. */
extern void kwj_store_begin(List *claims);

/*
 * Take an attempt back, as if it had never begun: no worker could be had. The job is
 * due again after 1 s, 2 s, 4 s, ... up to longest_delay_ms. False, and nothing happens, while
 * another transaction has its row locked; the end of that one wakes the coordinator. Wakes nobody itself: the
 * coordinator, whoever calls this, has to look again when the job is due.
 */
extern bool kwj_store_unclaim(int64 job_id, int32 attempt, const char *why,
							  int longest_delay_ms);

/* The window's jobs, whose time has come by now, may start. It is in the order of (due, id). */
extern void kwj_store_promote(TimestampTz now, KwjWindow *window);

/*
 * If this database is a copy of another one (store_home.c), pause all jobs that were copied and
 * are not over: they go on in the other. From then on this is the jobs' database. Returns how
 * many were paused. only: the one job that this is for, 0: all jobs; with only, this is not yet the
 * jobs' database.
 */
extern uint64 kwj_store_come_home(int64 only);

typedef struct KwjActive
{
	int64		job_id;
	int32		attempt;
	Oid			owner;
	KwjRequest	request;
	int			pid;			/* of the worker; 0: it never said that it is there */
	int64		exceeded_ms;	/* what the attempt might take, if it has taken longer; else 0 */
	bool		has_row;		/* in the table of attempts */
} KwjActive;

/* All jobs with an active attempt: a list of KwjActive. */
extern List *kwj_store_active(int64 only);

/*
 * Settle requests on the window's jobs, which nobody runs: pause-requested becomes paused,
 * cancel-requested becomes reverting, or canceled if nothing was done yet, and a status that
 * kwjobs does not know becomes reverting or failed. A canceled job depends on nothing: if it has
 * more than KWJ_FORGET_STEP dependencies, it is settled when they have all gone, in several calls.
 * Whoever waits for these jobs is woken at the end of the transaction. The window is in the order
 * of ids.
 */
#define KWJ_FORGET_STEP	1000
extern void kwj_store_settle_idle(KwjWindow *window);

/* When, after `now`, a job is due that waits for its time. DT_NOEND: none. */
extern TimestampTz kwj_store_next_due(TimestampTz now);

/* ---- workers (store_worker.c), and the coordinator for attempts that are gone ---- */

/*
 * Fill in the attempt (palloc'd in context). False if the job is not this
 * attempt's any more. *request: what is already asked for.
 */
extern bool kwj_store_load(int64 job_id, int32 attempt, KwjAttempt *into,
						   KwjRequest *request, MemoryContext context);

/*
 * Write the checkpoint; xid, if valid, becomes one of the job's transactions.
 * Returns the request that is committed for the job. Errors: 55000 if the job is
 * not this attempt's any more.
 */
extern KwjRequest kwj_store_checkpoint(int64 job_id, int32 attempt, Jsonb *state,
									   double fraction, int64 rows,
									   FullTransactionId xid);

/* The job's transactions: palloc'd, *n of them. */
extern FullTransactionId *kwj_store_transactions(int64 job_id, int *n);

/*
 * How an attempt ended and what becomes of the job. Whoever ends a job holds the lock on its
 * row already (kwj_store_lock), so that no dependency on it goes unseen.
 */
typedef struct KwjEnd
{
	int64		job_id;
	int32		attempt;
	const char *attempt_status;
	KwjStatus	status;			/* of the job from now on */
	const char *revert_to;		/* with KWJ_REVERTING: "failed", "canceled"; else NULL */
	int64		delay_ms;		/* until the next attempt is due */
	int32		retries;
	int32		crashes;
	const char *note;			/* running_status, or NULL */
	Jsonb	   *result;			/* or NULL */
	const KwjError *error;		/* of the attempt, or NULL */
	bool		job_error;		/* it is the job's error too */
	bool		has_rows;		/* else those of the checkpoint */
	int64		rows;
	ArrayType  *tags;			/* of the attempt's statements, or NULL */
	ArrayType  *messages;		/* or NULL */
} KwjEnd;

/* Settle it. False if the job is not this attempt's any more. */
extern bool kwj_store_end(const KwjEnd *end);

/* The status in which a reverted job ends: failed or canceled. */
extern KwjStatus kwj_store_revert_to(int64 job_id);

/* ---- workers, for jobs that only complete (store_complete.c) ---- */

/* What both parts of a completion use: palloc'd, for an active snapshot and one transaction. */
typedef struct KwjCompletion KwjCompletion;

extern KwjCompletion *kwj_store_begin_completion(void);
extern void kwj_store_end_completion(KwjCompletion *completion);

/*
 * The attempt has succeeded, and so has the job. False if a CANCEL is committed, or the job
 * is not this attempt's any more: nothing is changed then.
 */
extern bool kwj_store_succeed(KwjCompletion *completion, KwjAttempt *attempt, int64 rows,
							  Jsonb *result, ArrayType *tags, ArrayType *messages);

/*
 * A job whose row this transaction has locked before is over, with this status: tell those
 * that depend on it, whatever the transaction's snapshot shows of them. With an active snapshot. An
 * error in that is not this job's: it goes into the log, and the coordinator is to find them.
 */
extern void kwj_store_tell_dependents(int64 job_id, KwjStatus status);

/*
 * Claim this job, which is of the same owner and type as the one that is done, for this
 * process, and fill in its attempt (palloc'd in context). False if it may not start any more, or
 * another transaction has its row locked, or this process does not fit what it is to do; or if its
 * rows raise an error, which goes into the log, while the transaction goes on: then the coordinator is
 * woken at the end of the transaction, and finds out what is to be done with the job.
 *
 * kwj_store_may_claim_within: false if somebody has made triggers or constraints on our tables, whose
 * errors would undo the work of the job that is done, too.
 */
typedef bool (*KwjFits) (Jsonb *payload);
extern bool kwj_store_may_claim_within(KwjCompletion *completion);
extern bool kwj_store_claim(KwjCompletion *completion, int64 job_id, const KwjAttempt *done,
							KwjFits fits, KwjAttempt *into, MemoryContext context);

#endif

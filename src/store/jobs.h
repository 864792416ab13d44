/*
 * src/store/jobs.h
 *	  Rows of jobs: how they are made, locked, controlled and read.
 */
#ifndef KWJ_STORE_JOBS_H
#define KWJ_STORE_JOBS_H

#include "kwjobs.h"
#include "job/status.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/*
 * The options that jobs of every type have, with the types of their values;
 * src/lifecycle/options.c checks them.
 */
typedef enum KwjOption
{
	KWJ_OPTION_DESCRIPTION,		/* text */
	KWJ_OPTION_PRIORITY,		/* integer, -1000 to 1000 */
	KWJ_OPTION_MAX_ATTEMPTS,	/* integer, 1 to 1000 */
	KWJ_OPTION_RETRY_INITIAL_DELAY, /* interval, more than 0 and less than 100 years */
	KWJ_OPTION_TIMEOUT,			/* interval, more than 0 and less than 100 years */
	KWJ_OPTION_RUN_AT,			/* timestamptz, finite */
	KWJ_OPTION_KEY,				/* text, 1 to 200 bytes */
	KWJ_OPTION_DEPENDS_ON,		/* bigint[], ids of existing jobs */
	KWJ_OPTION_ON_FAILURE,		/* text, "fail", "retry" or "pause" */
	KWJ_OPTION_RUN_AS,			/* oid of a role */
	KWJ_OPTION_TAGS,			/* text[], at most 100 of 1 to 200 bytes */
	KWJ_OPTION_QUEUE,			/* text, 1 to 100 bytes without control characters */
	KWJ_OPTION_SERIAL_KEY,		/* text, 1 to 200 bytes */
	KWJ_OPTION_ON_CONFLICT,		/* text, "keep", "replace" or "error" */
	KWJ_OPTION_NOTIFY,			/* text, 1 to 63 bytes: a channel */
	KWJ_OPTION_WINDOW,			/* text, as schedule/window.h reads it */
	KWJ_OPTION_WINDOW_END,		/* text, "pause", "stop" or "finish" */
} KwjOption;

#define KWJ_OPTION_COUNT	(KWJ_OPTION_WINDOW_END + 1)

/* The bit of an option in KwjNewJob.given. */
#define KWJ_GIVEN(option)	(((uint32) 1) << (option))

/* What becomes of a new job if an unfinished job of its owner has the same key. */
typedef enum KwjConflict
{
	KWJ_CONFLICT_KEEP,			/* the new job is not created */
	KWJ_CONFLICT_REPLACE,		/* the other job takes what the new one is to do; see below */
	KWJ_CONFLICT_ERROR,
} KwjConflict;

/* A job that is to be created. The columns are explained in kwjobs--1.0.sql. */
typedef struct KwjNewJob
{
	const char *job_type;
	const char *description;
	const char *statement;		/* the column "statement"; NULL: none */
	Oid			owner;
	Jsonb	   *payload;
	const char *key;			/* no two unfinished jobs of the owner share a key; NULL: none */
	int			priority;
	TimestampTz run_at;			/* earliest start; 0: at once */
	int			max_attempts;	/* most attempts in a row that may fail */
	int64		retry_delay_ms; /* ms before the second retry */
	int64		timeout_ms;		/* ms that an attempt may take; 0: no limit */
	const char *on_failure;		/* "fail", "retry", "pause" */
	bool		has_revert;		/* once started, it is reverted even without a checkpoint */
	const int64 *depends_on;	/* distinct ids of existing jobs */
	int			n_depends_on;
	ArrayType  *tags;			/* text[]; NULL: none */
	const char *queue;			/* the queue to which it belongs; NULL: none */
	const char *serial_key;		/* of the jobs with this key one runs at a time; NULL: none */
	KwjConflict on_conflict;	/* no column: what is done if a job has the key */
	/*
	 * No column: arguments with which kwjobs.create_job makes the same job in another database. A schedule
	 * needs them where it has come with a dump, because the payload may have OIDs of this database. NULL:
	 * not known, or, for a SQL job, not needed.
	 */
	Jsonb	   *arguments;
	uint32		given;			/* no column: the options that a statement has named, KWJ_GIVEN of each */
	const char *notify;			/* the channel on which its end is told; NULL: none */
	const char *window;			/* the hours in which it may run, with their zone; NULL: always */
	const char *window_end;		/* "pause", "stop", "finish" */
	Oid			created_by;		/* the current user */
	Oid			created_by_session; /* the session user */
	const char *created_by_type;	/* kind of creator, such as a schedule; NULL: a session */
	int64		created_by_id;	/* id of that creator */
	const Oid  *authority;		/* roles; see column "authority" of kwjobs.job */
	int			n_authority;	/* 0: the owner's own right is enough */

	bool		is_new;			/* out: the job was created; false: another one has its key */
} KwjNewJob;

/* The unfinished job that has the key which a new job should have. */
typedef struct KwjExisting
{
	int64		job_id;			/* 0: there is no such job */
	const char *differences;	/* arguments in which it differs from the new job, separated by
								 * commas; "": none */
} KwjExisting;

/*
 * Create a pending job and return its id. If the owner has an unfinished job with the same key,
 * create nothing, fill in *existing, and return the id of the existing job. Arms the wake-up of the
 * coordinator. Errors: 42704 if a job in depends_on does not exist any more.
 */
extern int64 kwj_store_insert(const KwjNewJob *job, KwjExisting *existing);

/*
 * Let a job that has not started yet, whose row the caller has locked, do what the new job was to
 * do. It takes all columns of the new job, keeps its id, its status and the time at which it became
 * due, and depends on what the new job was to depend on. Errors: 42704 as for kwj_store_insert.
 */
extern void kwj_store_replace(int64 job_id, const KwjNewJob *job);

/*
 * Make sure that new ids are higher than all ids in this database, even if the server's clock was
 * set back. kwj_store_insert does so before this session's first job.
 */
extern void kwj_store_note_ids(void);

/* Get the job's owner, as the caller's snapshot shows it. Returns false if there is no such job. */
extern bool kwj_store_owner(int64 job_id, Oid *owner);

/* A job's row, as control statements and the end of an attempt need it. */
typedef struct KwjJob
{
	int64		job_id;
	char	   *job_type;
	Oid			owner;
	KwjStatus	status;
	int32		active_attempt; /* number of the attempt that runs; 0: none */
	bool		reverting;		/* revert_to is set: the job is, or will be, reverted */
	bool		started;		/* some attempt was started */
	bool		of_session;		/* a session has done the job, so no attempt has a row */
	bool		over;			/* finished is set */
	bool		revertible;		/* a revert may have something to undo */
	bool		progressed;		/* the active attempt has written a checkpoint */
	int32		retries;		/* attempts in a row that failed */
	int32		crashes;		/* attempts that crashed since the last RESUME */
	int32		max_attempts;
	int64		retry_delay_ms;	/* as in KwjNewJob */
	const char *on_failure;
	char	   *window;			/* as in KwjNewJob */
} KwjJob;

typedef enum KwjLockWait
{
	/* wait for the transaction that has locked the row */
	KWJ_WAIT,
	/* return false, as if there were no job, if another transaction has locked the row */
	KWJ_SKIP_LOCKED,
	/*
	 * lock the row FOR UPDATE: wait also for transactions that create a job which depends on this
	 * one, and keep other transactions from creating one
	 */
	KWJ_WAIT_TO_DELETE,
} KwjLockWait;

/*
 * Lock the job's row (FOR NO KEY UPDATE, unless it is to be deleted) until the end of the
 * transaction, and read it into *job. Returns false if there is no such job. Arms a wake-up of
 * the coordinator for the end of the transaction.
 */
extern bool kwj_store_lock(int64 job_id, KwjLockWait wait, KwjJob *job);

/*
 * Reads the job's row into *job, without a lock, and with a new snapshot. Returns false if there is
 * no such job.
 */
extern bool kwj_store_job(int64 job_id, KwjJob *job);

/*
 * Set the status that a control statement asks for, in the name of the current user. The caller has
 * locked the row. taken_back: the statement takes back a request that has not been settled yet, so
 * the job keeps its place in the order and its counters.
 */
extern void kwj_store_request(int64 job_id, KwjStatus next, const char *reason,
							  bool taken_back);

/* What a job has returned. */
typedef struct KwjReturned
{
	ArrayType  *tags;			/* command tags of the attempt that succeeded; NULL: none has */
	Jsonb	   *result;			/* NULL: none */
} KwjReturned;

/* What a session that waits for a job needs to know of it. */
typedef struct KwjOutcome
{
	KwjStatus	status;
	TransactionId written_by;	/* the transaction that has written the row; InvalidTransactionId: not read */
	bool		over;			/* finished is set, or the status is terminal */
	bool		waits;			/* no attempt goes on; running_status says why */
	bool		stays;			/* ... for longer, because of a time to come, or a pause */
	int64		rows;
	double		fraction;		/* of the last checkpoint, 0 to 1 */
	char	   *running_status; /* what the job does, or why it waits; may be NULL */
	int			error_code;		/* packed as elog.h does; 0: none */
	char	   *error;			/* "": none */
	char	   *error_detail;	/* may be NULL, as the next two */
	char	   *error_hint;
	char	   *error_context;
	bool		elsewhere;		/* it is a job of another database (lifecycle/elsewhere.h); then: */
	KwjReturned returned;		/* what it has returned */
} KwjOutcome;

/*
 * Read the job with a new snapshot. The snapshot and the locks on our tables are released before
 * the function returns, because the session then waits for the job, and must not block it. Returns
 * false if there is no such job.
 *
 * reason: also find out why the job waits, which costs more than all the rest. If `reason` is
 * false, the function finds that out only of a job that stays; for another job that waits,
 * running_status is NULL.
 */
extern bool kwj_store_outcome(int64 job_id, bool reason, KwjOutcome *outcome);

/*
 * Reads what the job has returned, palloc'd, with a new snapshot, since the caller's may be older
 * than the end of the job.
 */
extern void kwj_store_returned(int64 job_id, KwjReturned *returned);

#endif

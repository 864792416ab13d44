/*
 * src/store/jobs.h
 *	  The rows of jobs, for sessions and for those who settle: made, locked, asked, read.
 */
#ifndef KWJ_STORE_JOBS_H
#define KWJ_STORE_JOBS_H

#include "kwjobs.h"
#include "job/status.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

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
	const char *created_by_type;	/* what has created it by itself, as a schedule; NULL: a session has */
	int64		created_by_id;
	const Oid  *authority;		/* see the column of that name */
	int			n_authority;	/* 0: none is needed */
} KwjNewJob;

/* A job that is not over and has the key that a new one should have. */
typedef struct KwjExisting
{
	int64		job_id;			/* 0: there is none */
	const char *differences;	/* the arguments in which it differs from the new one; "": none */
} KwjExisting;

/*
 * A new pending job. Returns its job_id, or that of the job of this owner with the same
 * key that is not over yet.
 */
extern int64 kwj_store_insert(const KwjNewJob *job, KwjExisting *existing);

/*
 * From now on, new ids are higher than those of all jobs of this database. Sessions do so by themselves
 * before they create their first job.
 */
extern void kwj_store_note_ids(void);

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

#endif

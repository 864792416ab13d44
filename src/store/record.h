/*
 * src/store/record.h
 *	  Rows of jobs that sessions have done themselves: they are over when they are inserted.
 */
#ifndef KWJ_STORE_RECORD_H
#define KWJ_STORE_RECORD_H

#include "kwjobs.h"
#include "job/status.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* The job. The texts must live until the row is inserted. */
typedef struct KwjRecord
{
	int64		job_id;
	const char *job_type;
	const char *description;
	const char *statement;		/* "": the description is the statement */
	Oid			owner;
	Oid			created_by;
	Oid			created_by_session;
	const char *created_by_type;	/* as in KwjNewJob; "": a session */
	int64		created_by_id;
	TimestampTz started;
	TimestampTz finished;
	KwjStatus	status;			/* KWJ_SUCCEEDED, KWJ_FAILED or KWJ_CANCELED */
	int			sqlstate;		/* packed as elog.h does; 0: no error */
	const char *error;			/* "": none */
	const char *error_hint;		/* "": none */
	TimestampTz requested;		/* 0: nobody has canceled the job */
	Oid			requested_by;
	const char *request_reason; /* "": none */
	Jsonb	   *result;			/* NULL: none */
} KwjRecord;

typedef struct KwjRecords KwjRecords;

/*
 * Open kwjobs.job for rows that a session inserts in its user's transaction. Returns NULL if it
 * would have to wait for a lock, or if a user has created a trigger or a constraint on the table,
 * which might raise an error. In these cases the coordinator inserts the rows later. Needs an
 * active snapshot. Errors: if it would have to wait for a lock on an index; 42501 if the owner of
 * the table is not a superuser; and the server's own.
 */
extern KwjRecords *kwj_store_try_records(void);

/*
 * Open kwjobs.job in the coordinator, which waits for the lock, and acts as the extension's owner
 * until kwj_store_close_records. Errors: 55000 if the extension is not installed in this database;
 * 42501 if the owner of its tables is not a superuser.
 */
extern KwjRecords *kwj_store_open_records(void);

/*
 * Insert the job's row, unless the coordinator has inserted it before. After kwj_store_try_records,
 * the status must be KWJ_SUCCEEDED.
 */
extern void kwj_store_record(KwjRecords *records, const KwjRecord *record);

extern void kwj_store_close_records(KwjRecords *records);

#endif

/*
 * src/store/record.h
 *	  Rows of jobs that sessions have done themselves: they are over when they are inserted.
 */
#ifndef KWJ_STORE_RECORD_H
#define KWJ_STORE_RECORD_H

#include "kwjobs.h"
#include "job/status.h"
#include "utils/timestamp.h"

/* The job. Texts are palloc'd or otherwise live until the row is inserted. */
typedef struct KwjRecord
{
	int64		job_id;
	const char *job_type;
	const char *description;
	const char *statement;		/* "": the description is the statement */
	Oid			owner;
	Oid			created_by;
	Oid			created_by_session;
	const char *created_by_type;	/* "": a session */
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
} KwjRecord;

typedef struct KwjRecords KwjRecords;

/*
 * Opens kwjobs.job for the rows of the current transaction, which is a user's. Returns NULL if it
 * would have to wait for a lock, or somebody has put something on the table that may raise an
 * error (a trigger, a constraint): then the rows are better left to the coordinator. Needs an
 * active snapshot. Errors: the server's own, 42501 as for kwj_table_open.
 */
extern KwjRecords *kwj_store_try_records(void);

/*
 * The same in the coordinator, which waits, and acts as the extension's owner until
 * kwj_store_close_records. Errors: those of kwj_store_enter, too.
 */
extern KwjRecords *kwj_store_open_records(void);

/* Inserts the row, unless there is one with this id. */
extern void kwj_store_record(KwjRecords *records, const KwjRecord *record);

extern void kwj_store_close_records(KwjRecords *records);

#endif

/*
 * src/store/rejected.h
 *	  Records that an IMPORT has left out, as long as it runs.
 */
#ifndef KWJ_STORE_REJECTED_H
#define KWJ_STORE_REJECTED_H

#include "kwjobs.h"

/* A record that is left out. */
typedef struct KwjRejected
{
	int64		job_id;
	int			file_number;	/* of the file in the list of the job's files, from 0 */
	const char *file;
	int64		line;			/* of the file, in which the record begins */
	const char *column;			/* NULL: the error is about none */
	int			code;			/* packed as elog.h does */
	const char *reason;
	const char *record;			/* as it is in the file, in the encoding of the database; NULL: no text */
} KwjRejected;

/* The columns in which these records are shown, in their order. */
#define KWJ_REJECTED_COLUMNS "job_id, file, line, column_name, sqlstate, reason, record"

/* Inserts the record. Returns false, and does nothing, if the job has a row of this file and line already. */
extern bool kwj_store_rejected_add(const KwjRejected *rejected);

/*
 * Returns the text of a query, in parentheses, palloc'd. The query reads the first `most` records of the job
 * (-1: all) in the order of the job's files, with the columns KWJ_REJECTED_COLUMNS. Only the extension's owner
 * may run the query (kwj_store_together).
 */
extern char *kwj_store_rejected_query(int64 job_id, int64 most);

/* Deletes the records of the job. */
extern void kwj_store_rejected_forget(int64 job_id);

#endif

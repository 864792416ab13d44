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
	int64		line;			/* in which the record begins */
	const char *column;			/* NULL: the error is about none */
	int			code;			/* packed as elog.h does */
	const char *reason;
	const char *record;			/* as it is in the file, in the encoding of the database; NULL: no text */
} KwjRejected;

/* The columns in which these records are shown, in their order. */
#define KWJ_REJECTED_COLUMNS "job_id, file, line, column_name, sqlstate, reason, record"

/* Adds a record. Returns false if it is there already. */
extern bool kwj_store_rejected_add(const KwjRejected *rejected);

/*
 * Returns a query, in parentheses, for the records of the job in the order of its files, the first `most` of
 * them; -1: all. It has the columns KWJ_REJECTED_COLUMNS. palloc'd. Only the extension's owner may run it
 * (kwj_store_together).
 */
extern char *kwj_store_rejected_query(int64 job_id, int64 most);

/* Deletes the records of the job. */
extern void kwj_store_rejected_forget(int64 job_id);

#endif

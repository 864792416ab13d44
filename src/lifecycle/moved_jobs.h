/*
 * src/lifecycle/moved_jobs.h
 *	  Jobs of a transaction with many statements, which have given their places in shared memory to
 *	  later jobs of the same transaction.
 *
 * Caller: session_job.c. Process: the session that has done these jobs.
 */
#ifndef KWJ_LIFECYCLE_MOVED_JOBS_H
#define KWJ_LIFECYCLE_MOVED_JOBS_H

#include "kwjobs.h"
#include "store/record.h"

/*
 * Moves this session's earliest job that is DONE, and for which nobody waits, from its place to this
 * session's memory. Returns false if there is none, or if too many were moved already. Errors: out
 * of memory; then nothing has changed.
 */
extern bool kwj_moved_jobs_make_room(void);

extern bool kwj_moved_jobs_any(void);

/* Inserts the rows of all moved jobs, which succeed at this time. Errors: those of kwj_store_record. */
extern void kwj_moved_jobs_insert(KwjRecords *records, TimestampTz at);

/*
 * Drops and counts the jobs of this subtransaction and of those within it, which have higher
 * numbers, whether or not they were committed. Raises no error.
 */
extern void kwj_moved_jobs_roll_back(SubTransactionId mine);

/* The transaction has ended. have_rows: it has inserted the rows. Raises no error. */
extern void kwj_moved_jobs_end(bool have_rows);

#endif

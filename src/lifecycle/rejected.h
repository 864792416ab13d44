/*
 * src/lifecycle/rejected.h
 *	  Records that an IMPORT has left out, kept until the job ends.
 *
 * Process: worker, in a transaction.
 */
#ifndef KWJ_LIFECYCLE_REJECTED_H
#define KWJ_LIFECYCLE_REJECTED_H

#include "kwjobs.h"
#include "job/current.h"
#include "store/rejected.h"

/*
 * Keeps a record, in the current transaction. Returns false, and does nothing, if the job has a record of
 * this file and line already.
 */
extern bool kwj_rejected_keep(const KwjRejected *rejected);

/* Reads kept records: query is one in parentheses, whose columns are KWJ_REJECTED_COLUMNS. */
typedef void (*KwjRejectedReader) (const char *query, void *arg);

/*
 * Calls the reader with a query for the records that the job has kept, in the order of the files, the first
 * `most` of them; -1: all. The reader runs as the extension's owner, because no other role may read the
 * records, and so must run no other query. Its snapshot sees what was committed by now and what this
 * transaction has done.
 */
extern void kwj_rejected_read(const KwjAttempt *attempt, int64 most, KwjRejectedReader reader, void *arg);

/* Deletes all that the job has kept, in the current transaction. */
extern void kwj_rejected_forget(const KwjAttempt *attempt);

#endif

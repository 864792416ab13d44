/*
 * src/job/transaction.h
 *	  Transactions of kwjobs's own.
 */
#ifndef KWJ_JOB_TRANSACTION_H
#define KWJ_JOB_TRANSACTION_H

#include "kwjobs.h"
#include "access/xact.h"

/*
 * Start a transaction for the bookkeeping, with an active snapshot: READ COMMITTED, read-write and
 * not DEFERRABLE, whatever defaults a job has set in this session. Not to be called inside a
 * transaction.
 */
extern void kwj_begin_own_transaction(void);

/*
 * Registers the callbacks for the ends of this process's transactions and subtransactions, unless
 * *registered is true, and sets it. of_subtransactions: NULL: none. A file that has something to do at
 * the end of few transactions calls this before it notes what that is: most sessions never use it, and
 * PostgreSQL calls each callback for each of their transactions. Not to be called at the end of a
 * transaction. Errors: out of memory.
 */
extern void kwj_at_transaction_end(bool *registered, XactCallback of_transactions,
								   SubXactCallback of_subtransactions);

#endif

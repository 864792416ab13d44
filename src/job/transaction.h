/*
 * src/job/transaction.h
 *	  Transactions of kwjobs's own.
 */
#ifndef KWJ_JOB_TRANSACTION_H
#define KWJ_JOB_TRANSACTION_H

#include "kwjobs.h"

/*
 * Start a transaction for the bookkeeping, with an active snapshot: READ COMMITTED, read-write and
 * not DEFERRABLE, whatever defaults a job has set in this session. Not to be called inside a
 * transaction.
 */
extern void kwj_begin_own_transaction(void);

#endif

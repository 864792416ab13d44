/*
 * src/job/transaction.h
 *	  A transaction of kwjobs's own.
 */
#ifndef KWJ_JOB_TRANSACTION_H
#define KWJ_JOB_TRANSACTION_H

#include "kwjobs.h"

/*
 * Start a transaction for kwjobs's own bookkeeping, with an active snapshot: READ COMMITTED, read-write and not
 * DEFERRABLE, whatever defaults a job has set in this session. Outside a transaction.
 */
extern void kwj_begin_own_transaction(void);

#endif

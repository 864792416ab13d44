/*
 * src/job/transaction.h
 *	  How kwjobs begins transactions of its own, sets settings for a while, aborts one after an
 *	  error, and has its functions called at the ends of transactions.
 */
#ifndef KWJ_JOB_TRANSACTION_H
#define KWJ_JOB_TRANSACTION_H

#include "kwjobs.h"
#include "access/xact.h"

/*
 * Start a transaction for the bookkeeping, with an active snapshot: READ COMMITTED, read-write and
 * not DEFERRABLE, whatever defaults a job has set in this session. The caller is not in a
 * transaction.
 */
extern void kwj_begin_own_transaction(void);

/*
 * Sets a setting until the end of the current transaction or subtransaction, as SET LOCAL does, but with the
 * right of a superuser. Errors: as SET.
 */
extern void kwj_set_locally(const char *setting, const char *value);

/*
 * Sets a setting until the caller, which has called NewGUCNestLevel(), calls AtEOXact_GUC() with that level, as
 * the SET clause of a function does. The setting is one that every role may change. value: NULL: the default.
 * Errors: as SET.
 */
extern void kwj_set_in_level(const char *setting, const char *value);

/*
 * Does what PostgresMain() does when it has reported an error: aborts the transaction, and drops what the error
 * has left of portals, replication slots, JIT, and the text of the statement. The caller holds interrupts.
 */
extern void kwj_abort_after_error(void);

/*
 * If *registered is false, registers the callbacks for the ends of this process's transactions and
 * subtransactions, and sets *registered. of_subtransactions: NULL: none. A file that has something to do
 * at the end of some transactions calls this when it first notes what it has to do there, and not when
 * the process starts: from then on PostgreSQL calls the callbacks for each transaction, which sessions
 * without such work need not pay for. The caller is not at the end of a transaction. Errors: out of
 * memory.
 */
extern void kwj_at_transaction_end(bool *registered, XactCallback of_transactions,
								   SubXactCallback of_subtransactions);

#endif

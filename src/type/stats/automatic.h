/*
 * src/type/stats/automatic.h
 *	  How a job of the collector gives way to sessions.
 *
 * Nobody has asked for such a job, so it must not keep anybody waiting, as autovacuum does not.
 * Process: worker, in the transaction of an attempt.
 */
#ifndef KWJ_TYPE_STATS_AUTOMATIC_H
#define KWJ_TYPE_STATS_AUTOMATIC_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Locks the table as ANALYZE does, until the end of the transaction, but does not wait. name: of the
 * table, for the error. Errors: 55P03 if it would have to wait, with which the attempt is tried again.
 */
extern void kwj_yield_lock(Oid table, const char *name);

/*
 * Locks the other tables of this list (OIDs), the children of the first one, in AccessShareLock, as
 * ANALYZE does. Errors: 55P03 if it would have to wait.
 */
extern void kwj_yield_lock_children(List *tables);

/*
 * From `begin` to `end`, a session that has waited for a lock of this process longer than
 * deadlock_timeout cancels its work, with SIGINT. An error in between needs the call of `end`, too.
 */
extern void kwj_yield_begin(void);
extern void kwj_yield_end(void);

/*
 * The worker calls this in PG_CATCH, while it still has its locks: if a session has canceled the
 * work because it waits for one of these tables (OIDs), raises 55P03 in place of the error, so that
 * the attempt is tried again. Otherwise returns.
 */
extern void kwj_yield_explain(List *tables, const char *name);

#endif

/*
 * src/type/sql/reindex.h
 *	  REINDEX CONCURRENTLY as the statement of a job. If it is cut short, it leaves invalid
 *	  indexes, which have to be dropped.
 */
#ifndef KWJ_TYPE_SQL_REINDEX_H
#define KWJ_TYPE_SQL_REINDEX_H

#include "job/current.h"
#include "job/progress.h"
#include "nodes/parsenodes.h"

/*
 * Returns the statement if the list is a single REINDEX INDEX or REINDEX TABLE with CONCURRENTLY,
 * else NULL.
 */
extern ReindexStmt *kwj_sql_concurrent_reindex(List *statements);

/*
 * Prepares the statement, outside a transaction. In the first attempt, commits a list of the
 * invalid indexes that the table has already as the checkpoint, if the role may run the statement;
 * returns a request that has come by then: with it, the statement must not begin. In later
 * attempts, drops the invalid indexes that an earlier attempt has left.
 */
extern KwjRequest kwj_sql_prepare_reindex(KwjAttempt *attempt, const ReindexStmt *stmt);

/*
 * Drops the invalid indexes that the job's attempts have left, and warns of those that the role may
 * not drop. The caller is outside a transaction.
 */
extern void kwj_sql_drop_reindexed(KwjAttempt *attempt);

#endif

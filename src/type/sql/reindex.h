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
 * Returns the statement if these are one REINDEX of an index or a table, CONCURRENTLY, else NULL.
 */
extern ReindexStmt *kwj_sql_concurrent_reindex(List *statements);

/*
 * Prepares the statement, outside a transaction. The first attempt commits a note of the invalid
 * indexes that there are, if the role may run the statement. Later attempts drop those that an
 * earlier one has left. Returns the request that has come meanwhile; if there is one, the
 * statement must not begin.
 */
extern KwjRequest kwj_sql_prepare_reindex(KwjAttempt *attempt, const ReindexStmt *stmt);

/*
 * Drops the invalid indexes that the job's attempts have left, and warns of those that the role
 * may not drop. To be called outside a transaction.
 */
extern void kwj_sql_drop_reindexed(KwjAttempt *attempt);

#endif

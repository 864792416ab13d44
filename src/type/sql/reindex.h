/*
 * src/type/sql/reindex.h
 *	  REINDEX CONCURRENTLY as the statement of a job: what was cut short leaves
 *	  invalid indexes, which have to go.
 */
#ifndef KWJ_TYPE_SQL_REINDEX_H
#define KWJ_TYPE_SQL_REINDEX_H

#include "job/current.h"
#include "job/progress.h"
#include "nodes/parsenodes.h"

/* The statement if these are one REINDEX of an index or a table, CONCURRENTLY, else NULL. */
extern ReindexStmt *kwj_sql_concurrent_reindex(List *statements);

/*
 * Before the statement runs, outside a transaction: note durably which invalid indexes there are,
 * if the role may run the statement; drop those that an earlier attempt has left. Returns what is
 * asked for meanwhile: if something is, do not begin.
 */
extern KwjRequest kwj_sql_prepare_reindex(KwjAttempt *attempt, const ReindexStmt *stmt);

/*
 * Drop what the job's attempts have left, and warn of what the role may not drop. Outside a
 * transaction.
 */
extern void kwj_sql_drop_reindexed(KwjAttempt *attempt);

#endif

/*
 * src/type/sql/index.h
 *	  CREATE INDEX CONCURRENTLY as the statement of a job. If it is cut short, it leaves an
 *	  invalid index, which has to be dropped.
 */
#ifndef KWJ_TYPE_SQL_INDEX_H
#define KWJ_TYPE_SQL_INDEX_H

#include "job/current.h"
#include "job/progress.h"
#include "nodes/parsenodes.h"

typedef enum KwjIndexVerdict
{
	KWJ_INDEX_BUILD,			/* run the statement */
	KWJ_INDEX_THERE,			/* an earlier attempt has built it */
	KWJ_INDEX_REQUESTED,		/* do not begin, because of *request */
} KwjIndexVerdict;

/* Returns the statement if the list is a single CREATE INDEX CONCURRENTLY, else NULL. */
extern IndexStmt *kwj_sql_concurrent_index(List *statements);

/*
 * Locks a table in ShareUpdateExclusiveLock until the end of the transaction, which has no
 * snapshot. The caller checks that the role may lock it.
 */
extern void kwj_sql_lock_table(Oid table);

/*
 * Drops an index, in a transaction without a snapshot. DROP INDEX CONCURRENTLY commits on its way, so its
 * text and tree are in the context, which outlives the transaction. name: quoted, with its schema.
 */
extern void kwj_sql_drop_index(const char *name, MemoryContext context);

/*
 * Prepares the statement, outside a transaction. In the first attempt, commits the index's name as
 * the checkpoint, if the name is not taken and the role may build the index. In later attempts,
 * drops the invalid index that an earlier attempt has left. Sets the index's name in the statement.
 */
extern KwjIndexVerdict kwj_sql_prepare_index(KwjAttempt *attempt, IndexStmt *stmt,
											 KwjRequest *request);

/*
 * Drops the invalid index that the job's attempts have left, if the role may. The caller is outside
 * a transaction.
 */
extern void kwj_sql_drop_invalid_index(KwjAttempt *attempt);

#endif

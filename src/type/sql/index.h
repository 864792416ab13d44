/*
 * src/type/sql/index.h
 *	  CREATE INDEX CONCURRENTLY as the statement of a job: what was cut short leaves
 *	  an invalid index, which has to go.
 */
#ifndef KWJ_TYPE_SQL_INDEX_H
#define KWJ_TYPE_SQL_INDEX_H

#include "job/current.h"
#include "job/progress.h"
#include "nodes/parsenodes.h"

typedef enum KwjIndexVerdict
{
	KWJ_INDEX_BUILD,			/* run the statement */
	KWJ_INDEX_THERE,			/* an earlier attempt has made it */
	KWJ_INDEX_REQUESTED,		/* do not begin: *request is asked for */
} KwjIndexVerdict;

/* The statement if these are one CREATE INDEX CONCURRENTLY, else NULL. */
extern IndexStmt *kwj_sql_concurrent_index(List *statements);

/*
 * ShareUpdateExclusiveLock on a table, until the end of the transaction, which has no snapshot.
 * Whether the role may lock it is the caller's to check.
 */
extern void kwj_sql_lock_table(Oid table);

/*
 * Before the statement runs, outside a transaction: note the index's name durably, if it
 * is not taken and the role may make it, and give the statement that name; drop what an earlier
 * attempt has left.
 */
extern KwjIndexVerdict kwj_sql_prepare_index(KwjAttempt *attempt, IndexStmt *stmt,
											 KwjRequest *request);

/* Drop what the job's attempts have left, if the role may. Outside a transaction. */
extern void kwj_sql_drop_invalid_index(KwjAttempt *attempt);

#endif

/*
 * src/type/sql/execute.h
 *	  Runs the statements of a text as a session runs a simple query.
 */
#ifndef KWJ_TYPE_SQL_EXECUTE_H
#define KWJ_TYPE_SQL_EXECUTE_H

#include "nodes/pg_list.h"

/*
 * Start the transaction in which the statements run, without a snapshot: VACUUM and its
 * like must find nothing open.
 */
extern void kwj_sql_begin(void);

/*
 * Run them, and throw their results away. Text and statements must not be in the memory of the
 * transaction, which may end on the way. What they say goes to the transcript. Several are one
 * transaction; one alone may commit, or refuse to run in a transaction block. On return
 * some transaction is open, without a snapshot, for the caller to commit. Returns how
 * many rows the statements have processed.
 */
extern int64 kwj_sql_run(const char *text, List *statements);

#endif

/*
 * src/type/sql/execute.h
 *	  Runs the statements of a text as a session runs a simple query.
 */
#ifndef KWJ_TYPE_SQL_EXECUTE_H
#define KWJ_TYPE_SQL_EXECUTE_H

#include "nodes/pg_list.h"

/*
 * Starts the transaction in which the statements run, without a snapshot: VACUUM and its like must
 * find nothing open.
 */
extern void kwj_sql_begin(void);

/*
 * Runs the statements and throws their results away; command tags and messages go to the
 * transcript. Text and statements must not be in the memory of the transaction, which may end on
 * the way. Several statements are one transaction; a single one may commit, or refuse to run in a
 * transaction block. When this returns, a transaction without a snapshot is open, and the caller
 * has to commit it. Returns how many rows the statements have processed.
 */
extern int64 kwj_sql_run(const char *text, List *statements);

#endif

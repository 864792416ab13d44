/*
 * src/type/sql/execute.h
 *	  Runs the statements of a text as a session runs a simple query.
 */
#ifndef KWJ_TYPE_SQL_EXECUTE_H
#define KWJ_TYPE_SQL_EXECUTE_H

#include "nodes/pg_list.h"
#include "tcop/dest.h"
#include "type/sql/parameters.h"

/*
 * Starts the transaction in which the statements run. It has no snapshot, as a session has none
 * when it begins a statement, because VACUUM and its like rely on that.
 */
extern void kwj_sql_begin(void);

/*
 * Runs the statements; command tags and messages go to the transcript, rows to the receiver.
 * parameters: of the text; NULL: it has none. Several statements are one transaction; a single
 * one may commit, or refuse to run in a transaction block. So text and statements must not be
 * allocated in the transaction's memory. When this returns, a transaction without a snapshot is
 * open, and the caller has to commit it. Returns how many rows the statements have processed.
 */
extern int64 kwj_sql_run(const char *text, List *statements, const KwjParameters *parameters,
						 DestReceiver *receiver);

#endif

/*
 * src/type/import/statement.h
 *	  The work of an IMPORT as a statement that the executor runs.
 *
 * Other extensions hook into the executor to audit, refuse or count what a session does. They
 * expect that rights are checked and rows are written while a statement runs. So an IMPORT is a
 * statement: its range table names the target and the rights that are needed, and its plan is a
 * single node that does the work.
 */
#ifndef KWJ_TYPE_IMPORT_STATEMENT_H
#define KWJ_TYPE_IMPORT_STATEMENT_H

#include "postgres.h"
#include "executor/execdesc.h"
#include "parser/parse_node.h"

/* The work. Returns how many rows it has written or removed. */
typedef uint64 (*KwjImportWork) (void *arg);

/*
 * Starts a statement that does `command` (CMD_INSERT, CMD_DELETE) to the one table in pstate's
 * range table, and checks the rights that are asked for there (42501). text: the statement, for
 * users. Needs an active snapshot.
 */
extern QueryDesc *kwj_import_begin_statement(ParseState *pstate, CmdType command,
											 const char *text);

/*
 * Runs the work in the statement, and ends the statement. Returns what the work has returned.
 * work: NULL if there is nothing to do, to check rights only; then this returns 0.
 */
extern uint64 kwj_import_run_statement(QueryDesc *statement, KwjImportWork work,
									   void *arg);

/*
 * Replaces the active snapshot by one that sees what this transaction has done so far. The worker calls this
 * between statements that need what the one before has done, and between records whose triggers may look at
 * the records before.
 */
extern void kwj_import_next_command(void);

#endif

/*
 * src/type/import/statement.h
 *	  The work of an IMPORT as a statement that the executor runs.
 *
 * Other extensions hook into the executor to audit, to refuse or to count what a
 * session does. They expect that rights are checked and rows are written while a
 * statement runs. So an IMPORT is one: its range table names the target and the rights
 * it needs, and its plan is a single node that does the work.
 */
#ifndef KWJ_TYPE_IMPORT_STATEMENT_H
#define KWJ_TYPE_IMPORT_STATEMENT_H

#include "postgres.h"
#include "executor/execdesc.h"
#include "parser/parse_node.h"

/* The work; returns how many rows it wrote or removed. */
typedef uint64 (*KwjImportWork) (void *arg);

/*
 * Start a statement that does this (CMD_INSERT, CMD_DELETE) to the one table in pstate's
 * range table. The rights that are asked for there are checked (42501). text: what the
 * statement is for users. Needs an active snapshot.
 */
extern QueryDesc *kwj_import_begin_statement(ParseState *pstate, CmdType command,
											 const char *text);

/*
 * Run the work (NULL: there is none) in the statement and end the statement. Returns what
 * the work did.
 */
extern uint64 kwj_import_run_statement(QueryDesc *statement, KwjImportWork work,
									   void *arg);

#endif

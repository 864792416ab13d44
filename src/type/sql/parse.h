/*
 * src/type/sql/parse.h
 *	  The text of a SQL job: what is allowed in it, and where errors are.
 */
#ifndef KWJ_TYPE_SQL_PARSE_H
#define KWJ_TYPE_SQL_PARSE_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * Parse and check: a list of RawStmt. what: "statement" or "on_revert", the name
 * of the argument.
 *
 * Errors, with the position in the text: 42601 syntax; 22023 empty; 0A000 transaction
 * control, COPY to or from the client, LISTEN.
 */
extern List *kwj_sql_parse(const char *text, const char *what);

/* The text of one of its statements, without the blanks around it. */
extern char *kwj_sql_statement_text(const char *text, const RawStmt *statement);

/*
 * Inside of an error context callback: the line of the text where the error is, with a
 * mark below, as a line of context. position: from geterrposition().
 */
extern void kwj_sql_show_position(const char *text, int position);

/*
 * Errors: 25001 if there are several statements, which are one transaction, and one of them cannot run in
 * a transaction block.
 */
extern void kwj_sql_check_together(const char *text, List *statements);

#endif

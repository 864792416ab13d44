/*
 * src/type/sql/parse.h
 *	  The text of a SQL job: what is allowed in it, and where errors are.
 */
#ifndef KWJ_TYPE_SQL_PARSE_H
#define KWJ_TYPE_SQL_PARSE_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"

/*
 * Parses and checks the text. Returns a list of RawStmt. what: the name of the argument,
 * "statement" or "on_revert".
 *
 * Errors, with the position in the text: 42601 for its syntax; 22023 if it is empty; 0A000 for
 * transaction control, COPY to or from the client, LISTEN.
 */
extern List *kwj_sql_parse(const char *text, const char *what);

/*
 * As kwj_sql_parse, but the parser reads `masked`, which is as long as the text, and in which
 * everything stands at the same byte. Errors show the text.
 */
extern List *kwj_sql_parse_masked(const char *text, const char *masked, const char *what);

/*
 * Pushes a callback on the error context stack. It makes positions of errors positions in the text
 * of the job, which is not the statement that the session runs. The caller pops it.
 */
extern void kwj_sql_push_text(ErrorContextCallback *callback, const char *text);

/* Returns the part of the text that is this statement, without the blanks around it. */
extern char *kwj_sql_statement_text(const char *text, const RawStmt *statement);

/*
 * Returns a utility statement as ProcessUtility takes it. location and length: where it stands in the
 * text that ProcessUtility gets, as RawStmt has them; -1 and 0 if it does not.
 */
extern PlannedStmt *kwj_sql_plan_utility(Node *statement, int location, int length);

/*
 * Parses a COPY that kwjobs itself has made, from or to a client, and makes sure that the text is this and
 * nothing else. Returns it as ProcessUtility takes it.
 */
extern PlannedStmt *kwj_sql_plan_copy(const char *text, bool is_from);

/*
 * Adds the line of the text where the error is, with a mark below, to the context of the error. An
 * error context callback calls this. position: from geterrposition().
 */
extern void kwj_sql_show_position(const char *text, int position);

/* Returns whether the option of this name, which is a boolean, is on. Errors: 42601 if it is no boolean. */
extern bool kwj_sql_is_on(const List *options, const char *name);

/*
 * Checks whether the statements can run together. Errors: 25001 if there are several, which are
 * one transaction, and one of them cannot run in a transaction block.
 */
extern void kwj_sql_check_together(const char *text, List *statements);

#endif

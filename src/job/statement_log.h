/*
 * src/job/statement_log.h
 *	  Statements in the server's log, for processes that run them as a session would.
 */
#ifndef KWJ_JOB_STATEMENT_LOG_H
#define KWJ_JOB_STATEMENT_LOG_H

#include "nodes/pg_list.h"

/*
 * Writes the text to the server's log if log_statement says so. statements: what the text consists
 * of, RawStmt nodes. Returns whether it was written.
 */
extern bool kwj_log_statement(const char *text, const List *statements);

/*
 * Writes to the server's log how long the statement took, and its text unless it was written before,
 * if log_duration, log_min_duration_statement or log_min_duration_sample say so. The time is counted
 * from SetCurrentStatementStartTimestamp() on.
 */
extern void kwj_log_duration(const char *text, bool was_logged);

#endif

/*
 * src/job/statement_log.c
 *	  Statements in the server's log, for processes that run them as a session would.
 *
 * PostgreSQL's check_log_statement() is not exported.
 *
 * Callers: type/sql in the worker of a SQL job; serve/query.c in the session of a private server.
 * Process: any with a transaction. Locks: none.
 */
#include "postgres.h"

#include "job/statement_log.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"

bool
kwj_log_statement(const char *text, const List *statements)
{
	bool		logs = log_statement == LOGSTMT_ALL;
	ListCell   *lc;

	if (log_statement == LOGSTMT_NONE)
		return false;
	foreach(lc, statements)
		logs |= GetCommandLogLevel((Node *) lfirst(lc)) <= log_statement;
	if (logs)
		ereport(LOG, (errmsg("statement: %s", text), errhidestmt(true)));
	return logs;
}

void
kwj_log_duration(const char *text, bool was_logged)
{
	char		ms[32];

	switch (check_log_duration(ms, was_logged))
	{
		case 1:
			ereport(LOG, (errmsg("duration: %s ms", ms), errhidestmt(true)));
			break;
		case 2:
			ereport(LOG,
					(errmsg("duration: %s ms  statement: %s", ms, text), errhidestmt(true)));
			break;
	}
}

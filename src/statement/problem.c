/*
 * src/statement/problem.c
 *	  Why job statements do not work in this server, as the self-test has found out.
 *
 * Process: the postmaster sets it before it forks; all other processes inherit it.
 */
#include "postgres.h"

#include "statement/internal.h"
#include "statement/statement.h"

char		kwj_problem[KWJ_PROBLEM_LEN] = "";

const char *
kwj_statement_problem(void)
{
	return kwj_problem[0] != '\0' ? kwj_problem : NULL;
}

void
kwj_statement_log_problem(void)
{
	if (kwj_problem[0] != '\0')
		ereport(LOG,
				errmsg("kwjobs: job statements are off: %s", kwj_problem),
				errhint("Use the functions of schema kwjobs instead."));
}

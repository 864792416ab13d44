/*
 * src/statement/rewrite_create.c
 *	  The parse tree of a statement that creates a job: IMPORT, EXPORT, BACKUP, RESTORE, CREATE STATISTICS.
 *
 * Process: any that parses SQL. Locks: none.
 */
#include "postgres.h"

#include "statement/internal.h"

/*
 * Returns CALL kwjobs_NAME_and_wait(args, NULL, ...), with a NULL for each of n_results columns that the
 * procedure returns. With detached, and in a schedule, returns SELECT kwjobs_NAME(args) AS job_id instead.
 */
Node *
kwj_tree_of_creation(KwjStatement *statement, const char *name, List *args, bool detached, int n_results)
{
	int			location = kwj_location_of(statement);

	kwj_prevent_in_recovery(statement);
	if (detached || statement->is_scheduled)
		return kwj_select_job_id(name, args, location);
	for (int i = 0; i < n_results; i++)
		args = lappend(args, kwj_null());
	return (Node *) kwj_call_procedure(psprintf("%s_and_wait", name), args, location);
}

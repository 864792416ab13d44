/*
 * src/session/read_only.c
 *	  PAUSE, RESUME and CANCEL in a read-only transaction.
 *
 * These statements become an UPDATE of kwjobs.job_control. An ExecutorStart hook raises the error
 * that PostgreSQL would raise for the UPDATE, but with the name of the statement that the user has
 * typed.
 *
 * Process: sessions, and workers for the statements of jobs.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "job/extension.h"
#include "parser/parsetree.h"
#include "session/read_only.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"

static ExecutorStart_hook_type previous_hook;

/* Returns whether the plan updates kwjobs.job_control. */
static bool
updates_jobs(const PlannedStmt *plan)
{
	int			target = kwj_only_target(plan);
	Oid			relid;
	char	   *name;
	char	   *schema;

	if (plan->commandType != CMD_UPDATE || target == 0)
		return false;
	relid = rt_fetch(target, plan->rtable)->relid;
	name = get_rel_name(relid);
	if (name == NULL || strcmp(name, "job_control") != 0)
		return false;
	schema = get_namespace_name(get_rel_namespace(relid));
	return schema != NULL && strcmp(schema, "kwjobs") == 0 && kwj_extension_exists();
}

/*
 * Returns the name of the statement that became this plan; NULL if the user has typed the UPDATE.
 * It is recognized by the name of its WITH query, "job to pause" or "jobs to pause"
 * (src/statement/rewrite_control.c).
 */
static char *
name_of_statement(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		const RangeTblEntry *entry = lfirst(lc);
		const char *verb;
		bool		many;

		if (entry->rtekind != RTE_CTE || (verb = strstr(entry->ctename, " to ")) == NULL)
			continue;
		many = strncmp(entry->ctename, "jobs ", strlen("jobs ")) == 0;
		verb += strlen(" to ");
		return psprintf("%s %s", asc_toupper(verb, strlen(verb)), many ? "JOBS" : "JOB");
	}
	return NULL;
}

/* Not inlined, so that executor_start(), which every query runs, stays short. */
static pg_noinline void
refuse_control(const PlannedStmt *plan)
{
	char	   *name = updates_jobs(plan) ? name_of_statement(plan) : NULL;

	if (name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s in a read-only transaction", name),
				 errhint("Run it in a transaction that is READ WRITE.")));
}

static void
executor_start(QueryDesc *query, int flags)
{
	if (unlikely(XactReadOnly) && !(flags & EXEC_FLAG_EXPLAIN_ONLY))
		refuse_control(query->plannedstmt);
	if (previous_hook)
		previous_hook(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

void
kwj_read_only_init(void)
{
	previous_hook = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}

/*
 * t/lib/keeper_hooks.c
 *	  A library that keeps the rows of the table "kept" in the table "store", as Citus does with shards: it
 *	  takes COPY over. It takes CREATE INDEX of that table over, too, as TimescaleDB does: it creates no index,
 *	  and raises an error if the index is called "wrong". t/171_import_elsewhere.pl and
 *	  t/175_track_outside.pl build it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static ProcessUtility_hook_type previous_hook;

/* Returns whether the statement creates an index of the table "kept". */
static bool
is_own_index(Node *statement)
{
	return IsA(statement, IndexStmt) && strcmp(((IndexStmt *) statement)->relation->relname, "kept") == 0;
}

static void
on_utility(PlannedStmt *pstmt, const char *text, bool read_only_tree, ProcessUtilityContext context,
		   ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (IsA(pstmt->utilityStmt, CopyStmt))
	{
		CopyStmt   *copy = (CopyStmt *) pstmt->utilityStmt;

		elog(LOG, "keeper_hooks: %s", text);
		if (copy->is_from && copy->relation != NULL && strcmp(copy->relation->relname, "kept") == 0)
			copy->relation->relname = "store";
	}
	if (is_own_index(pstmt->utilityStmt))
	{
		const char *name = ((IndexStmt *) pstmt->utilityStmt)->idxname;

		elog(name != NULL && strcmp(name, "wrong") == 0 ? ERROR : LOG, "keeper_hooks: CREATE INDEX of its own");
		return;
	}
	if (previous_hook)
		previous_hook(pstmt, text, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, text, read_only_tree, context, params, env, dest, qc);
}

void
_PG_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}

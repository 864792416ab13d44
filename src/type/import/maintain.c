/*
 * src/type/import/maintain.c
 *	  ANALYZE and VACUUM (FREEZE) of the target as the last step of an IMPORT: the options analyze and
 *	  freeze.
 *
 *    all rows are committed --> check the rights again
 *                                  |
 *                               VACUUM (FREEZE, ANALYZE) or ANALYZE, in transactions of its own
 *                                  |
 *                               the transaction that ends the job
 *
 * COPY FREEZE would not do: it wants a table that was created or truncated in the same transaction, and
 * the rows of an IMPORT are committed in many. VACUUM freezes them when no snapshot needs to see them as
 * new any more.
 *
 * Callers: import.c, or parts.c in the last part, which repeat this step if the attempt ends in it; to do
 * it twice does no harm. Process: worker. Locks: those of the commands (ShareUpdateExclusiveLock), for
 * which this waits as any session does; CANCEL and PAUSE interrupt it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "job/progress.h"
#include "job/stop.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "pgstat.h"
#include "tcop/pquery.h"
#include "type/columns.h"
#include "type/import/maintain.h"
#include "type/sql/messages.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

bool
kwj_import_maintains(const KwjImportOptions *options)
{
	return options->analyze || options->freeze;
}

/* Returns what is done, as one would type it, without the table. */
static const char *
command_of(const KwjImportOptions *options)
{
	if (!options->freeze)
		return "ANALYZE";
	return options->analyze ? "VACUUM (FREEZE, ANALYZE)" : "VACUUM (FREEZE)";
}

void
kwj_import_check_maintains(const KwjImportOptions *options, Relation target)
{
	if (!kwj_import_maintains(options))
		return;
	if (kwj_import_is_elsewhere(target))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("IMPORT cannot run %s of \"%s\"", command_of(options), RelationGetRelationName(target)),
				errdetail("Its rows are not in a table of this server."),
				errhint("Leave out the options analyze and freeze."));
	if (kwj_may_maintain(RelationGetRelid(target)) || kwj_owns_database(MyDatabaseId))
		return;
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied for %s of table \"%s\"", command_of(options), RelationGetRelationName(target)),
			errdetail("It takes the owner of the table or of the database%s.",
					  KWJ_HAS_MAINTAIN ? ", or the privilege MAINTAIN on the table" : ""),
			KWJ_HAS_MAINTAIN ?
			errhint("Ask the owner of the table for: GRANT MAINTAIN ON %s TO %s", kwj_qualified_name(target),
					quote_identifier(GetUserNameFromId(GetUserId(), false))) :
			errhint("Leave out the options analyze and freeze, and ask the owner of the table, %s, to type the command.",
					quote_identifier(GetUserNameFromId(target->rd_rel->relowner, false))));
}

/*
 * Checks the rights, in a transaction of its own, which releases the lock on the target. Its commit
 * waits until it is on disk, and with it the commits of all rows, which have not waited: before, VACUUM
 * could not mark the rows as committed.
 */
static void
check_again(KwjImport *import, MemoryContext caller)
{
	kwj_attempt_begin(import->attempt);
	(void) GetTopTransactionId();
	ForceSyncCommit();
	kwj_import_open_target(import);
	kwj_import_check_maintains(&import->spec.options, import->rel);
	kwj_import_close_target(import);
	kwj_attempt_end_look(caller);
}

/*
 * Runs the command for the table and its partitions. They are named by their OIDs, so that they stay the
 * ones that were checked; one that is gone is left out. VACUUM commits, and begins another transaction.
 */
static void
run_command(const KwjImport *import)
{
	VacuumStmt *statement = makeNode(VacuumStmt);
	const KwjImportOptions *options = &import->spec.options;
	ListCell   *lc;

	statement->is_vacuumcmd = options->freeze;
	foreach(lc, find_all_inheritors(import->spec.target, NoLock, NULL))
		statement->rels = lappend(statement->rels, makeVacuumRelation(NULL, lfirst_oid(lc), NIL));
	if (options->freeze)
		statement->options = lappend(statement->options, makeDefElem("freeze", NULL, -1));
	if (options->freeze && options->analyze)
		statement->options = lappend(statement->options, makeDefElem("analyze", NULL, -1));
	ExecVacuum(make_parsestate(NULL), statement, true);
}

void
kwj_import_maintain(KwjImport *import)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext portal = PortalContext;
	MemoryContext context;
	char	   *text;

	if (!kwj_import_maintains(&import->spec.options))
		return;
	check_again(import, caller);

	/* No checkpoint comes any more: a stop of the server need not wait for one. */
	kwj_stop_expect_none();
	text = psprintf("%s %s", command_of(&import->spec.options), import->spec.table);
	kwj_progress_set_status(text);
	kwj_attempt_begin(import->attempt);
	pgstat_report_activity(STATE_RUNNING, text);
	/* A worker has no portal, whose memory outlives the transactions of VACUUM. */
	context = AllocSetContextCreate(GetMemoryChunkContext(import->attempt->payload), "kwjobs maintenance",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	PortalContext = context;
	kwj_sql_messages_begin();
	PG_TRY();
	{
		run_command(import);
	}
	PG_FINALLY();
	{
		PortalContext = portal;
		kwj_sql_messages_end();
	}
	PG_END_TRY();
	kwj_attempt_end_look(caller);
	MemoryContextDelete(context);
}

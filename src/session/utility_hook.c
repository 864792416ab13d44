/*
 * src/session/utility_hook.c
 *	  Utility statements that concern the processes of kwjobs.
 *
 * Caller: PostgreSQL, by ProcessUtility_hook, for each utility statement of each session. Of most, it looks at
 * no more than the node tag. For the others:
 *
 *     DROP / RENAME / SET TABLESPACE of a database, CREATE DATABASE ... TEMPLATE
 *         1 take the command's lock on the database: whoever connects now waits until the command has ended
 *         2 wait until other sessions have left it, as PostgreSQL does; if they stay, raise 55006
 *         3 lock it out: terminate its coordinator and workers, wait for their exit, let none start
 *         4 run the command
 *         5 release the lockout at the end of the transaction
 *     DROP / ALTER EXTENSION kwjobs
 *         steps 3 to 5 for this database; sessions that wait for a job there get an error
 *     CREATE EXTENSION kwjobs, CREATE / ALTER DATABASE
 *         at commit: ask for a coordinator
 *     ALTER ROLE, GRANT and others
 *         after commit: wake the coordinators that have jobs whose owner could not connect
 *     DROP ROLE, DROP OWNED, REASSIGN OWNED
 *         after the command: do the same to the schedules of the role (roles.c)
 *     CREATE / ALTER SUBSCRIPTION
 *         remove our tables from the subscription
 *     ALTER SCHEMA kwjobs RENAME
 *         refuse it
 *     COMMIT / ROLLBACK PREPARED
 *         end the jobs that sessions did in the prepared transaction
 *     all statements that src/track knows, if kwjobs.track is not none
 *         make the statement a job of type SCHEMA CHANGE or CREATE_STATS (track_hook.c); the job begins
 *         before the steps above
 *
 * Why the lockout comes before the command: the command locks the extension or counts the sessions
 * of the database first, and would then wait for our processes, or fail because of them. The command
 * is checked first as far as possible (rights, names, transaction block), because a command that fails
 * must not interrupt jobs.
 *
 * Why the lock on the database comes before both waits: another extension may have told a worker of
 * its own to start again when it saw the statement (TimescaleDB does). Without the lock, that worker
 * would be back before the command counts the sessions. The session does not wait for our own processes
 * here, because they hold no lock on a database once they are connected. One of them that is about to
 * connect, and waits for this lock, leaves like all others when the lockout sends it SIGTERM.
 *
 * Locks: that of the command on the database; the LWLock of shared memory, inside kwj_shared_lock_out.
 *
 * If the session dies, its transaction is aborted, which ends its lockouts, and the launcher starts
 * a coordinator again; interrupted jobs go on from their checkpoints.
 *
 * Known hole: DROP OWNED BY, which may drop the extension, gets no lockout; it waits for the
 * locks of running transactions of kwjobs instead.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "compat.h"
#include "job/extension.h"
#include "job/role.h"
#include "job/transaction.h"
#include "lifecycle/session_job.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "session/admin_role.h"
#include "session/other_sessions.h"
#include "session/roles.h"
#include "session/subscription.h"
#include "session/track_hook.h"
#include "session/utility_hook.h"
#include "shared/lockout.h"
#include "shared/notify.h"
#include "shared/quiet.h"
#include "statement/statement.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type previous_hook;

/* What at_transaction_end and at_release have to do. */
static Oid	dropped_database = InvalidOid;
static Oid	wanted_database = InvalidOid;
static bool rights_changed = false;

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	kwj_shared_end_lockouts(event == XACT_EVENT_COMMIT ? dropped_database : InvalidOid);
	if (event == XACT_EVENT_COMMIT && OidIsValid(wanted_database))
		kwj_shared_want_coordinator(wanted_database);
	dropped_database = InvalidOid;
	wanted_database = InvalidOid;
}

/*
 * This is a resource release callback, because PostgreSQL calls these after it has sent the invalidation
 * messages. A coordinator that was woken from a transaction callback could still find the old rights in its
 * catalog caches.
 */
static void
at_release(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (!rights_changed || !isTopLevel || phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	rights_changed = false;
	if (isCommit)
		kwj_shared_wake_refused();
}

/* Returns whether the statement may change which roles may connect to which database. */
static bool
changes_rights(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterRoleStmt:
		case T_DropRoleStmt:
		case T_GrantRoleStmt:
		case T_AlterDatabaseStmt:
		case T_ReassignOwnedStmt:
			return true;
		case T_GrantStmt:
			return ((GrantStmt *) statement)->objtype == OBJECT_DATABASE;
		case T_AlterOwnerStmt:
			return ((AlterOwnerStmt *) statement)->objectType == OBJECT_DATABASE;
		default:
			return false;
	}
}

static void
note_rights(void)
{
	static bool registered = false;

	if (!registered)
		RegisterResourceReleaseCallback(at_release, NULL);
	registered = true;
	rights_changed = true;
}

static bool
is_template(Oid dboid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	bool		is = false;

	if (HeapTupleIsValid(tuple))
	{
		is = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return is;
}

static bool
may_copy(Oid dboid)
{
	return kwj_may_create_databases() && (is_template(dboid) || kwj_owns_database(dboid));
}

/* Returns the value of an option; NULL if it is not given or has no value. */
static char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* A database that a command needs without any other session. */
typedef struct Needed
{
	Oid			dboid;			/* InvalidOid: the command needs none */
	bool		is_source;		/* the database is to be copied */
	bool		forced;			/* DROP DATABASE ... WITH (FORCE): PostgreSQL ends other sessions */
} Needed;

static const char *
dropped_name(const DropdbStmt *drop, Needed *needed)
{
	ListCell   *lc;

	foreach(lc, drop->options)
		needed->forced |= strcmp(((DefElem *) lfirst(lc))->defname, "force") == 0;
	return drop->dbname;
}

/* Returns the name of the template; NULL: a database with the new name exists, so the command will fail. */
static const char *
copied_name(const CreatedbStmt *create, Needed *needed)
{
	const char *name = option_value(create->options, "template");

	needed->is_source = true;
	if (OidIsValid(get_database_oid(create->dbname, true)))
		return NULL;
	return name ? name : "template1";
}

/* Returns the name of the needed database; NULL: the statement needs none, or will fail. */
static const char *
needed_name(Node *statement, bool alone, Needed *needed)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return alone ? dropped_name((DropdbStmt *) statement, needed) : NULL;
		case T_CreatedbStmt:
			return alone ? copied_name((CreatedbStmt *) statement, needed) : NULL;
		case T_AlterDatabaseStmt:
			return alone && option_value(((AlterDatabaseStmt *) statement)->options, "tablespace") ?
				((AlterDatabaseStmt *) statement)->dbname : NULL;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE &&
				!OidIsValid(get_database_oid(((RenameStmt *) statement)->newname, true)) ?
				((RenameStmt *) statement)->subname : NULL;
		default:
			return NULL;
	}
}

/*
 * Returns the database that the statement needs without other sessions. Returns no database if the user lacks
 * the right, or if the statement will fail for another reason: such a statement must not disturb jobs. alone:
 * not in a transaction block, where some of these statements fail.
 */
static Needed
database_to_lock_out(Node *statement, bool alone)
{
	Needed		needed = {InvalidOid};
	const char *name = needed_name(statement, alone, &needed);
	Oid			dboid = name ? get_database_oid(name, true) : InvalidOid;

	if (!OidIsValid(dboid))
		return needed;
	if (needed.is_source ? may_copy(dboid) : kwj_owns_database(dboid) && dboid != MyDatabaseId)
		needed.dboid = dboid;
	if (IsA(statement, DropdbStmt) && is_template(dboid))
		needed.dboid = InvalidOid;
	return needed;
}

/*
 * Returns whether the statement drops or alters the extension kwjobs, and the user has the right
 * to do so.
 */
static bool
concerns_extension(Node *statement)
{
	bool		concerns = false;
	Oid			extension;

	if (IsA(statement, AlterExtensionStmt))
		concerns = strcmp(((AlterExtensionStmt *) statement)->extname, KWJ_EXTENSION) == 0;
	else if (IsA(statement, DropStmt) &&
			 ((DropStmt *) statement)->removeType == OBJECT_EXTENSION)
	{
		ListCell   *lc;

		foreach(lc, ((DropStmt *) statement)->objects)
			concerns = concerns || strcmp(strVal(lfirst(lc)), KWJ_EXTENSION) == 0;
	}
	if (!concerns)
		return false;
	extension = get_extension_oid(KWJ_EXTENSION, true);
	return OidIsValid(extension) && kwj_owns_extension(extension);
}

/*
 * Refuses to rename one of the extension's schemas. Job statements and the library find its objects by the
 * names of the schemas. Once such a name is free, anybody with CREATE on the database could create a schema and
 * other objects under it.
 */
static void
refuse_to_rename_schema(const char *name)
{
	if ((strcmp(name, "kwjobs") == 0 || strcmp(name, "kwdb_internal") == 0) &&
		kwj_extension_exists())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("schema \"%s\" cannot be renamed", name),
				 errdetail("Extension %s finds its objects by this name.", KWJ_EXTENSION),
				 errhint("To have the name for something else, run DROP EXTENSION %s.", KWJ_EXTENSION)));
}

/*
 * Waits for other sessions to leave, and then makes kwjobs's own processes leave, as far as the statement needs
 * it.
 */
static void
step_aside(Node *statement, bool alone)
{
	Needed		needed = database_to_lock_out(statement, alone);

	if (IsA(statement, RenameStmt) && ((RenameStmt *) statement)->renameType == OBJECT_SCHEMA)
		refuse_to_rename_schema(((RenameStmt *) statement)->subname);
	if (OidIsValid(needed.dboid))
	{
		LockSharedObject(DatabaseRelationId, needed.dboid, 0,
						 needed.is_source ? ShareLock : AccessExclusiveLock);
		if (!needed.forced)
			kwj_wait_for_other_sessions(needed.dboid, needed.is_source);
		kwj_shared_lock_out(needed.dboid, false);
	}
	else if (concerns_extension(statement))
		kwj_shared_lock_out(MyDatabaseId, true);
	if (IsA(statement, DropdbStmt))
		dropped_database = needed.dboid;
}

/* Notes the database in which a coordinator will be wanted when this transaction commits. */
static void
note_newcomer(Node *statement)
{
	if (IsA(statement, CreatedbStmt))
		wanted_database = get_database_oid(((CreatedbStmt *) statement)->dbname, true);
	else if (IsA(statement, AlterDatabaseStmt))
		/* the database may accept connections from now on */
		wanted_database = get_database_oid(((AlterDatabaseStmt *) statement)->dbname, true);
}

/*
 * Returns whether the statement may create the extension: by its name, or with CASCADE for another
 * extension that requires it. The statement has not run yet.
 */
static bool
may_create_extension(Node *statement)
{
	return IsA(statement, CreateExtensionStmt) &&
		!OidIsValid(get_extension_oid(KWJ_EXTENSION, true));
}

/* Returns whether a statement that may have created the extension has done so. */
static bool
has_created_extension(void)
{
	CommandCounterIncrement();
	return OidIsValid(get_extension_oid(KWJ_EXTENSION, true));
}

/* Does what has to follow the statement, which has run. may_be_new: it may have created the extension. */
static void
follow_up(Node *statement, bool may_be_new)
{
	note_newcomer(statement);
	if (may_be_new && has_created_extension())
	{
		wanted_database = MyDatabaseId;
		kwj_admin_role_tell();
	}
	if (IsA(statement, CreateSubscriptionStmt))
		kwj_subscription_release(((CreateSubscriptionStmt *) statement)->subname);
	else if (IsA(statement, AlterSubscriptionStmt))
		kwj_subscription_release(((AlterSubscriptionStmt *) statement)->subname);
}

/*
 * Returns whether the statement may concern kwjobs. Looks at no more than the node tag, because each utility
 * statement of each session comes here.
 */
static bool
is_of_interest(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
		case T_CreatedbStmt:
		case T_AlterDatabaseStmt:
		case T_RenameStmt:
		case T_DropStmt:
		case T_CreateExtensionStmt:
		case T_AlterExtensionStmt:
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropRoleStmt:
		case T_DropOwnedStmt:
		case T_ReassignOwnedStmt:
			/* no catalog may be read in an aborted transaction */
			return IsTransactionState();
		default:
			return false;
	}
}

/* Returns whether the statement ends a prepared transaction. */
static bool
ends_prepared(Node *statement)
{
	return IsA(statement, TransactionStmt) &&
		(((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED ||
		 ((TransactionStmt *) statement)->kind == TRANS_STMT_ROLLBACK_PREPARED);
}

static void
call_previous(PlannedStmt *pstmt, const char *query, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (previous_hook)
		previous_hook(pstmt, query, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);
}

static void
run(PlannedStmt *pstmt, const char *query, bool read_only_tree,
	ProcessUtilityContext context, ParamListInfo params,
	QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	static bool registered = false;
	Node	   *statement = pstmt->utilityStmt;
	bool		of_interest = is_of_interest(statement);
	/* look before the call: a statement that ends the transaction may free the tree */
	bool		of_rights = changes_rights(statement);
	bool		of_prepared = ends_prepared(statement);
	bool		may_be_new = of_interest && may_create_extension(statement);
	KwjNamedRoles roles = {NIL};

	kwj_statement_arm();
	if (of_interest)
	{
		kwj_at_transaction_end(&registered, at_transaction_end, NULL);
		step_aside(statement, !IsInTransactionBlock(context == PROCESS_UTILITY_TOPLEVEL));
		roles = kwj_roles_of(statement);
	}
	call_previous(pstmt, query, read_only_tree, context, params, env, dest, qc);
	if (of_interest)
	{
		follow_up(statement, may_be_new);
		kwj_roles_follow(statement, &roles);
	}
	if (of_rights)
		note_rights();
	if (of_prepared)
	{
		(void) kwj_session_jobs_look_at_prepared();
		/* The prepared transaction may have had rows of jobs that a session had done itself. */
		kwj_quiet_ends();
	}
}

static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	kwj_track_run(run, pstmt, query, read_only_tree, context, params, env, dest, qc);
}

void
kwj_utility_hook_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

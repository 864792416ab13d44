/*
 * src/function/cluster_setting.c
 *	  SQL-callable: SET, RESET and SHOW CLUSTER SETTING.
 *
 * A cluster setting is a setting of PostgreSQL: SET CLUSTER SETTING does what ALTER SYSTEM SET
 * does, with its checks and its file, and reloads the configuration. Process: sessions. Locks:
 * AutoFileLock, exclusively, while ALTER SYSTEM writes its file.
 *
 * A member of the admin role who is no superuser may change kwjobs's own settings, with two
 * exceptions. The first are settings that PostgreSQL lets only superusers SET in a session: they
 * decide who sees what, and what a statement means. The second are settings that are texts: a text
 * may name a role that has power over others, as kwjobs.admin_role does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "function/duration.h"
#include "fmgr.h"
#include "lifecycle/control.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/wait_event.h"

#include <signal.h>

PG_FUNCTION_INFO_V1(kwjobs_set_cluster_setting);
PG_FUNCTION_INFO_V1(kwjobs_reset_cluster_setting);
PG_FUNCTION_INFO_V1(kwjobs_cluster_setting);

/*
 * Returns the name that PostgreSQL has for a setting. The settings of the collector have names in
 * KWDB that PostgreSQL's configuration files cannot have, because of their dots.
 */
static const char *
own_name(const char *name)
{
	static const char *const prefixes[][2] = {
		{"sql.stats.automatic_collection.", "kwjobs.automatic_collection_"},
		{"jobs.scheduler.", "kwjobs.scheduler_"},
	};

	for (int i = 0; i < lengthof(prefixes); i++)
	{
		const char *in_kwdb = prefixes[i][0];

		if (pg_strncasecmp(name, in_kwdb, strlen(in_kwdb)) == 0)
			return psprintf("%s%s", prefixes[i][1], name + strlen(in_kwdb));
	}
	return name;
}

/*
 * Returns the setting with this name. Raises an error if there is none, or if there is only a
 * placeholder: when a user runs SET with an unknown name that has a dot, PostgreSQL keeps the value
 * in a placeholder, but no code has defined such a setting.
 */
static const struct config_generic *
find_setting(const char *name)
{
	const struct config_generic *setting = kwj_find_setting(own_name(name));

	if (setting == NULL || (setting->flags & GUC_CUSTOM_PLACEHOLDER))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("unknown cluster setting \"%s\"", name),
				 errhint("To list the settings, type SELECT name, setting FROM pg_settings.")));
	return setting;
}

static bool
starts_with(const char *name, const char *prefix)
{
	return pg_strncasecmp(name, prefix, strlen(prefix)) == 0;
}

/*
 * Returns whether the admin role may change the setting, though PostgreSQL would ask for a
 * superuser.
 */
static bool
is_own(const struct config_generic *setting)
{
	return setting->vartype != PGC_STRING && setting->context != PGC_SUSET &&
		(starts_with(setting->name, "kwjobs.") ||
		 starts_with(setting->name, "jobs."));
}

static char *
quoted_name(const char *name)
{
	char	   *copy = pstrdup(name);
	char	   *quoted = "";

	for (char *part = strtok(copy, "."); part; part = strtok(NULL, "."))
		quoted = psprintf("%s%s%s", quoted, *quoted ? "." : "", quote_identifier(part));
	return quoted;
}

/*
 * Refuses to change a setting that takes effect only when the server restarts. The hint has the
 * statement to type instead. values: NIL for RESET.
 */
static void
refuse_restart(const struct config_generic *setting, List *values)
{
	const char *name = quoted_name(setting->name);
	char	   *statement;
	ListCell   *cell;

	if (setting->context != PGC_POSTMASTER)
		return;
	statement = psprintf("ALTER SYSTEM %s %s", values ? "SET" : "RESET", name);
	foreach(cell, values)
		statement = psprintf("%s%s %s", statement, cell == list_head(values) ? " =" : ",",
							 quote_literal_cstr(strVal(&((A_Const *) lfirst(cell))->val)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cluster setting \"%s\" can only change when the server restarts", setting->name),
			 errhint("Type %s and restart the server.", statement)));
}

/*
 * An error context callback: if PostgreSQL refuses the change, adds a hint, which its error lacks.
 */
static void
explain_refusal(void *arg)
{
	const struct config_generic *setting = arg;

	if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("The admin role may change kwjobs's own settings, save those of superusers; have one change %s.",
				quoted_name(setting->name));
}

/*
 * Does ALTER SYSTEM SET name = values, or RESET if there are no values. PostgreSQL checks the
 * values, and the permission unless the setting is one of ours.
 */
static void
alter_system(const struct config_generic *setting, List *values)
{
	AlterSystemStmt *statement = makeNode(AlterSystemStmt);
	ErrorContextCallback callback = {error_context_stack, explain_refusal,
	unconstify(struct config_generic *, setting)};
	Oid			user;
	int			security;

	statement->setstmt = makeNode(VariableSetStmt);
	statement->setstmt->kind = values ? VAR_SET_VALUE : VAR_RESET;
	statement->setstmt->name = pstrdup(setting->name);
	statement->setstmt->args = values;

	/* After an error, the end of the transaction restores the user. */
	GetUserIdAndSecContext(&user, &security);
	if (is_own(setting) && !superuser())
		SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, security | SECURITY_LOCAL_USERID_CHANGE);
	error_context_stack = &callback;
	AlterSystemSetConfigFile(statement);
	error_context_stack = callback.previous;
	SetUserIdAndSecContext(user, security);
}

/*
 * Sends SIGHUP to the postmaster, which has all processes read the configuration again. Waits until
 * this session has got the signal, but no longer than a second: then it reads the files before its
 * next statement. Other processes may take longer.
 */
static void
reload(void)
{
	if (kill(PostmasterPid, SIGHUP) != 0)
	{
		ereport(WARNING,
				(errmsg("failed to send signal to postmaster: %m"),
				 errhint("Type SELECT pg_reload_conf().")));
		return;
	}
	for (int i = 0; i < 100 && !ConfigReloadPending; i++)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 10, kwj_wait_event("KwjobsReload"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Makes the checks that both procedures begin with, and returns the setting. They run only outside
 * of a transaction block, because what ALTER SYSTEM does cannot be rolled back.
 */
static const struct config_generic *
check_statement(FunctionCallInfo fcinfo, const char *statement)
{
	CallContext *call = (CallContext *) fcinfo->context;

	if (call == NULL || !IsA(call, CallContext) || call->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", statement),
				 errhint("It cannot be rolled back. Run it outside of a transaction block, a function and a string of several statements.")));
	kwj_check_admin(statement);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of a cluster setting must not be null"),
				 errhint("Type %s followed by a name.", statement)));
	return find_setting(text_to_cstring(PG_GETARG_TEXT_PP(0)));
}

/* Returns the values that the caller has given, as ALTER SYSTEM takes them. */
static List *
values_of(FunctionCallInfo fcinfo, const struct config_generic *setting)
{
	List	   *values = NIL;
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			n = 0;

	if (!PG_ARGISNULL(1))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		A_Const    *value = makeNode(A_Const);
		char	   *given = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
		char	   *duration = NULL;

		if (given == NULL)
			break;
		if (setting->flags & GUC_UNIT_TIME)
			duration = kwj_convert_duration(given);
		kwj_set_string_constant(value, duration ? duration : given);
		value->location = -1;
		values = lappend(values, value);
	}
	if (values == NIL || list_length(values) < n)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the value of a cluster setting must not be null"),
				 errhint("To go back to the default, type RESET CLUSTER SETTING %s.",
						 quoted_name(setting->name))));
	return values;
}

/* kwjobs.set_cluster_setting(name, VARIADIC value), a procedure */
Datum
kwjobs_set_cluster_setting(PG_FUNCTION_ARGS)
{
	const struct config_generic *setting = check_statement(fcinfo, "SET CLUSTER SETTING");
	List	   *values = values_of(fcinfo, setting);

	refuse_restart(setting, values);
	alter_system(setting, values);
	reload();
	PG_RETURN_VOID();
}

/* kwjobs.reset_cluster_setting(name), a procedure */
Datum
kwjobs_reset_cluster_setting(PG_FUNCTION_ARGS)
{
	const struct config_generic *setting = check_statement(fcinfo, "RESET CLUSTER SETTING");

	refuse_restart(setting, NIL);
	alter_system(setting, NIL);
	reload();
	PG_RETURN_VOID();
}

/*
 * Returns whether this session has changed the setting, so that its value here is not the
 * cluster's.
 */
static bool
is_changed_here(const struct config_generic *setting)
{
	return setting->source == PGC_S_SESSION &&
		(setting->context == PGC_USERSET || setting->context == PGC_SUSET) &&
		!(setting->flags & GUC_DISALLOW_IN_FILE);
}

/*
 * kwjobs.cluster_setting(name) returns the value that the session began with, or has got by a
 * reload since, and not what SET has made of it in this session.
 */
Datum
kwjobs_cluster_setting(PG_FUNCTION_ARGS)
{
	const struct config_generic *setting = find_setting(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char	   *value;
	int			level;

	if (!is_changed_here(setting))
		PG_RETURN_TEXT_P(cstring_to_text(GetConfigOptionByName(setting->name, NULL, false)));

	/*
	 * Reset the setting for this moment, as a function with a SET clause does. If it cannot be
	 * reset (temp_buffers, once there are temporary tables), the session's value is returned.
	 */
	level = NewGUCNestLevel();
	(void) set_config_option(setting->name, NULL, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, DEBUG5, false);
	value = GetConfigOptionByName(setting->name, NULL, false);
	AtEOXact_GUC(true, level);
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

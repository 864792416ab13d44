/*
 * src/type/sql/messages.c
 *	  Keeps what the statements of a SQL job report (NOTICE, WARNING, INFO) in the transcript.
 *
 * A worker has no client, so PostgreSQL makes a message only if the level of log_min_messages
 * sends it to the log. While a statement runs, this file lowers that level to what a client would
 * see. emit_log_hook then keeps the message, and keeps it out of the log if the real level would
 * have done so.
 *
 * PostgreSQL reads the level from the C variable log_min_messages. While this file has lowered the
 * variable, it binds the setting of that name to a variable of its own. (Since PostgreSQL 19, the
 * setting is a text, apart from the variable.) So the setting keeps its value for everything that
 * reads or sets it: statements, the end of a transaction, and parallel workers, which get the
 * settings of this process but not its hook.
 *
 * Process: worker. Locks: none.
 */
#include "postgres.h"

#include "compat.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "type/sql/messages.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

static emit_log_hook_type previous_hook = NULL;
static bool active = false;
static bool hung = false;		/* our hook is in the chain of hooks */
static int	setting_level;		/* the value of the setting, while active */

static bool
client_would_see(int level)
{
	return level == INFO || level >= client_min_messages;
}

/* Returns what PostgreSQL would decide. In the log, LOG stands between ERROR and FATAL. */
static bool
log_would_have(int level, int limit)
{
	if (level == LOG || level == LOG_SERVER_ONLY)
		return limit == LOG || limit <= ERROR;
	if (limit == LOG)
		return level >= FATAL;
	return level >= limit;
}

static const char *
level_name(int level)
{
	if (level < LOG)
		return "DEBUG";
	if (level == LOG)
		return "LOG";
	if (level == INFO)
		return "INFO";
	return level == NOTICE ? "NOTICE" : "WARNING";
}

static void
keep(const ErrorData *edata)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s:  %s", level_name(edata->elevel), edata->message);
	if (edata->detail)
		appendStringInfo(&buf, "\nDETAIL:  %s", edata->detail);
	if (edata->hint)
		appendStringInfo(&buf, "\nHINT:  %s", edata->hint);
	kwj_transcript_add_message(buf.data);
	pfree(buf.data);
}

static void
on_message(ErrorData *edata)
{
	int			level = edata->elevel;

	if (!active)
	{
		if (previous_hook)
			previous_hook(edata);
		return;
	}
	/* An error ends the attempt, and the worker reports it. */
	if (level < ERROR && level != LOG_SERVER_ONLY && client_would_see(level))
		keep(edata);

	if (!log_would_have(level, setting_level))
		edata->output_to_server = false;
	else if (previous_hook)
		previous_hook(edata);
}

/* Lowers the level so far that all messages are made that the log or a client would get. */
static void
lower_level(int level_of_log)
{
	kwj_log_level = Min(INFO, client_min_messages);
	if (level_of_log != LOG)
		kwj_log_level = Min(kwj_log_level, level_of_log);
}

static void
assign_setting(KWJ_LOG_LEVEL_PARAMETERS)
{
	setting_level = kwj_assigned_log_level();
	lower_level(setting_level);
}

/* Returns the setting log_min_messages. It is PostgreSQL's own, so its address never changes. */
static KwjLogLevelSetting *
find_setting(void)
{
	static KwjLogLevelSetting *setting = NULL;

	if (setting == NULL)
		setting = kwj_log_level_setting();
	return setting;
}

void
kwj_sql_messages_refresh(void)
{
	lower_level(setting_level);
}

/*
 * The hook is set here, and not when the library is loaded, so that it is called before the hooks
 * of other libraries, which then see only the messages that the log gets.
 */
void
kwj_sql_messages_begin(void)
{
	KwjLogLevelSetting *setting = find_setting();

	Assert(!active);
	active = true;
	if (!hung)
	{
		previous_hook = emit_log_hook;
		emit_log_hook = on_message;
		hung = true;
	}
	setting_level = kwj_log_level;
	kwj_bind_log_level(setting, &setting_level);
	setting->assign_hook = assign_setting;
	kwj_sql_messages_refresh();
}

void
kwj_sql_messages_end(void)
{
	KwjLogLevelSetting *setting = find_setting();

	if (!active)
		return;
	active = false;
	kwj_bind_log_level(setting, &log_min_messages);
	setting->assign_hook = kwj_log_level_hook;
	kwj_log_level = setting_level;
	/*
	 * A statement may have loaded a library that has put its own hook before ours. Then our hook
	 * stays in the chain, and only passes messages on.
	 */
	if (emit_log_hook == on_message)
	{
		emit_log_hook = previous_hook;
		hung = false;
	}
}

/*
 * src/type/sql_messages.c
 *	  Keeps what the statements of a SQL job say (NOTICE, WARNING, INFO) in the
 *	  transcript.
 *
 * A worker has no client, so a message exists only if it goes to the log. While
 * a statement runs, the level of the log is lowered to what a client would see, in the
 * variable behind log_min_messages and not in the setting: the user needs no right for
 * it, and neither RESET nor ROLLBACK ends it. emit_log_hook then keeps the message, and
 * takes it away from the log if the level as it was would have.
 *
 * Process: worker. Locks: none.
 */
#include "postgres.h"

#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "type/sql_messages.h"
#include "utils/elog.h"
#include "utils/guc.h"

static emit_log_hook_type previous_hook = NULL;
static bool active = false;
static bool hung = false;		/* our hook is in the chain */
static int	first_level;		/* of the log, before we lowered it */
static int	log_level;			/* as it is without us now: a statement may set it */
static int	lowered_level;		/* what we have set */
static bool was_set = false;	/* by a statement */

static bool
client_would_see(int level)
{
	return level == INFO || level >= client_min_messages;
}

/* As PostgreSQL decides it: LOG stands between ERROR and FATAL. */
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
	/* errors are the attempt's end, and the worker reports them */
	if (level < ERROR && level != LOG_SERVER_ONLY && client_would_see(level))
		keep(edata);

	/* a statement may have changed log_min_messages since */
	if (!log_would_have(level, log_min_messages == lowered_level ?
						log_level : log_min_messages))
		edata->output_to_server = false;
	else if (previous_hook)
		previous_hook(edata);
}

void
kwj_sql_messages_refresh(void)
{
	if (log_min_messages != lowered_level)
	{
		log_level = log_min_messages;
		was_set = true;
	}
	lowered_level = Min(INFO, client_min_messages);
	if (log_level != LOG)
		lowered_level = Min(lowered_level, log_level);
	log_min_messages = lowered_level;
}

/*
 * The hook is set here rather than when the library is loaded, so that it comes before
 * those of others: they see only what the log gets.
 */
void
kwj_sql_messages_begin(void)
{
	Assert(!active);
	active = true;
	if (!hung)
	{
		previous_hook = emit_log_hook;
		emit_log_hook = on_message;
		hung = true;
	}

	/*
	 * Where a statement had set it for its transaction only, the end of the transaction
	 * has brought back ours.
	 */
	if (was_set && log_min_messages < first_level)
		log_min_messages = first_level;
	was_set = false;
	first_level = log_level = lowered_level = log_min_messages;
	kwj_sql_messages_refresh();
}

void
kwj_sql_messages_end(void)
{
	if (!active)
		return;
	active = false;
	if (log_min_messages == lowered_level)
		log_min_messages = log_level;
	else
		was_set = true;
	/* a library that a statement has loaded may have put its own before ours */
	if (emit_log_hook == on_message)
	{
		emit_log_hook = previous_hook;
		hung = false;
	}
}

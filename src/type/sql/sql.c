/*
 * src/type/sql/sql.c
 *	  Jobs of type SQL: statements of a user.
 *
 * Callers: sessions, when the job is created (src/function, type/create.h); the worker, for each
 * attempt (src/worker/worker.c).
 *
 *    apply_settings                 in a transaction of its own, before the statements begin theirs
 *    prepare the index or REINDEX   in transactions of their own (index.c, reindex.c)
 *    run the statements             their last transaction is left open (execute.c)
 *    kwj_attempt_complete           marks the job as succeeded in that transaction, and commits it
 *
 * So the job succeeds together with the last transaction of its statements, or not at all. If the
 * worker dies before that commit, the next attempt runs the text again from its start. If the text
 * is one transaction, nothing of it was done. A statement that commits on its way has done a part;
 * a procedure that calls kwjobs.checkpoint can read how far it has come, and go on from there.
 *
 * Locks: those that the statements take; for CREATE INDEX and REINDEX CONCURRENTLY, also
 * ShareUpdateExclusiveLock on the tables, for moments (index.c, reindex.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/arguments.h"
#include "job/json.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "lifecycle/bounds.h"
#include "lifecycle/attempt.h"
#include "lifecycle/authority.h"
#include "type/sql/execute.h"
#include "type/sql/index.h"
#include "type/sql/parse.h"
#include "type/sql/reindex.h"
#include "type/sql/settings.h"
#include "type/sql/sql.h"
#include "utils/json.h"
#include "utils/snapmgr.h"

void
kwj_sql_validate(const char *statement, const char *on_revert, Jsonb *settings, KwjNewJob *job)
{
	StringInfoData json;

	/* kwj_sql_write_settings checks the settings as the owner. */
	kwj_check_may_own(job->owner);
	kwj_sql_check_together(statement, kwj_sql_parse(statement, "statement"));
	if (on_revert)
		kwj_sql_check_together(on_revert, kwj_sql_parse(on_revert, "on_revert"));

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"statement\": ");
	escape_json(&json, statement);
	if (on_revert)
	{
		appendStringInfoString(&json, ", \"on_revert\": ");
		escape_json(&json, on_revert);
	}
	appendStringInfoString(&json, ", \"settings\": ");
	kwj_sql_write_settings(&json, settings, job->owner);
	appendStringInfoChar(&json, '}');
	job->payload = kwj_json_parse(json.data);
	/* Without a description from the user, the description shows the statement. */
	job->statement = job->description ? statement : NULL;
	if (job->description == NULL)
		job->description = statement;
	job->has_revert = on_revert != NULL;
}

/*
 * Returns the argument of this name, a statement; NULL if it is not given. Its length has the same
 * bound as in kwjobs.submit.
 */
static char *
statement_argument(Jsonb *arguments, const char *name)
{
	char	   *text = kwj_argument_text(arguments, name);

	if (text)
		kwj_check_size(psprintf("argument \"%s\" of a job", name), strlen(text), KWJ_TEXT_BOUND,
					   KWJ_LONG_STATEMENT_HINT);
	return text;
}

static void
sql_validate(Jsonb *arguments, KwjNewJob *job)
{
	static const char *const names[] = {"statement", "on_revert", "settings", NULL};
	char	   *statement;
	char	   *on_revert;
	Jsonb	   *settings;

	kwj_arguments_check(arguments, job->job_type, names);
	statement = statement_argument(arguments, "statement");
	if (statement == NULL)
		kwj_argument_missing(job->job_type, "statement");
	on_revert = statement_argument(arguments, "on_revert");
	settings = kwj_argument_object(arguments, "settings");
	kwj_sql_validate(statement, on_revert, settings ? settings : kwj_json_parse("{}"), job);
}

/*
 * Applies the settings in a transaction of its own, so that they are in effect when the transaction
 * of the statement begins.
 */
static void
apply_settings(const KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;

	kwj_sql_begin();
	kwj_sql_apply_settings(attempt->payload);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

static KwjRequest
sql_execute(KwjAttempt *attempt)
{
	char	   *text = kwj_json_text(attempt->payload, "statement");
	KwjIndexVerdict verdict = KWJ_INDEX_BUILD;
	KwjRequest	request = KWJ_REQUEST_NONE;
	List	   *statements;
	IndexStmt  *index;
	ReindexStmt *reindex;
	int64		rows = 0;

	apply_settings(attempt);
	statements = kwj_sql_parse(text, "statement");
	index = kwj_sql_concurrent_index(statements);
	if (index)
		verdict = kwj_sql_prepare_index(attempt, index, &request);
	reindex = kwj_sql_concurrent_reindex(statements);
	if (reindex)
		request = kwj_sql_prepare_reindex(attempt, reindex);
	if (request != KWJ_REQUEST_NONE)
		return request;

	kwj_sql_begin();
	if (verdict == KWJ_INDEX_BUILD)
		rows = kwj_sql_run(text, statements);
	else
		kwj_transcript_add_tag("CREATE INDEX");
	kwj_attempt_complete(attempt, attempt->rows + rows, NULL);
	return KWJ_REQUEST_NONE;
}

static void
sql_revert(KwjAttempt *attempt)
{
	char	   *text = kwj_json_text_or_null(attempt->payload, "on_revert");
	List	   *statements = NIL;
	bool		undone = text != NULL;

	apply_settings(attempt);
	/*
	 * Drop first what the job's attempts have left, because the last commit below ends the job.
	 */
	statements = kwj_sql_parse(kwj_json_text(attempt->payload, "statement"), "statement");
	if (kwj_sql_concurrent_index(statements))
	{
		kwj_sql_drop_invalid_index(attempt);
		undone = true;
	}
	if (kwj_sql_concurrent_reindex(statements))
	{
		kwj_sql_drop_reindexed(attempt);
		undone = true;
	}

	if (text)
	{
		kwj_authority_check(attempt);
		statements = kwj_sql_parse(text, "on_revert");
	}
	kwj_sql_begin();
	if (text)
		(void) kwj_sql_run(text, statements);
	PushActiveSnapshot(GetTransactionSnapshot());
	kwj_attempt_reverted(attempt, NULL, undone);
}

const KwjType kwj_type_sql = {
	.name = "SQL",
	.pausable = true,
	.cancelable = true,
	.validate = sql_validate,
	.execute = sql_execute,
	.revert = sql_revert,
};

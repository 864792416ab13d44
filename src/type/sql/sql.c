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
 *    kwj_attempt_succeed_and_claim  marks the job as succeeded in that transaction, and commits it
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
#include "job/result.h"
#include "job/transcript.h"
#include "lib/stringinfo.h"
#include "lifecycle/bounds.h"
#include "lifecycle/attempt.h"
#include "lifecycle/authority.h"
#include "type/sql/execute.h"
#include "type/sql/fit.h"
#include "type/sql/index.h"
#include "type/sql/parse.h"
#include "type/sql/reindex.h"
#include "type/sql/rows.h"
#include "type/sql/settings.h"
#include "type/sql/sql.h"
#include "utils/json.h"
#include "utils/snapmgr.h"

/* The texts of a new job as they are parsed. */
typedef struct Parsed
{
	List	   *statements;
	KwjParameters *parameters;	/* NULL: none */
} Parsed;

/* Parses and checks one of the texts. */
static Parsed
parse_new(const char *text, const char *what, const KwjArguments *arguments)
{
	Parsed		parsed;

	parsed.statements = kwj_sql_parse_with(text, what, arguments, &parsed.parameters);
	kwj_sql_check_together(text, parsed.statements);
	return parsed;
}

/* Returns the payload. The arguments stay as they were given: each attempt converts them anew. */
static Jsonb *
make_payload(const KwjNewSql *sql, Oid owner)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"statement\": ");
	escape_json(&json, sql->statement);
	if (sql->on_revert)
	{
		appendStringInfoString(&json, ", \"on_revert\": ");
		escape_json(&json, sql->on_revert);
	}
	if (sql->arguments)
	{
		appendStringInfoString(&json, ", \"arguments\": ");
		(void) JsonbToCString(&json, &sql->arguments->root, VARSIZE(sql->arguments));
	}
	if (sql->keep_result)
		appendStringInfoString(&json, ", \"keep_result\": true");
	appendStringInfoString(&json, ", \"settings\": ");
	kwj_sql_write_settings(&json, sql->settings, owner);
	appendStringInfoChar(&json, '}');
	return kwj_json_parse(json.data);
}

void
kwj_sql_validate(const KwjNewSql *sql, KwjNewJob *job)
{
	KwjArguments *arguments = kwj_sql_read_arguments(sql->arguments);
	Parsed		statement;
	Parsed		on_revert = {0};

	/* kwj_sql_write_settings checks the settings as the owner. */
	kwj_check_may_own(job->owner);
	statement = parse_new(sql->statement, "statement", arguments);
	if (sql->on_revert)
		on_revert = parse_new(sql->on_revert, "on_revert", arguments);
	if (!sql->spare_arguments)
		kwj_sql_check_used(arguments);

	job->payload = make_payload(sql, job->owner);
	/* Without a description from the user, the description shows the statement. */
	job->statement = job->description ? sql->statement : NULL;
	if (job->description == NULL)
		job->description = sql->statement;
	job->has_revert = sql->on_revert != NULL;
	kwj_sql_check_fit(job, statement.statements, statement.parameters);
	kwj_sql_check_fit(job, on_revert.statements, on_revert.parameters);
	if (sql->names_exist && statement.parameters == NULL)
		kwj_sql_check_names(job, statement.statements, sql->statement);
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
	static const char *const names[] = {
		"statement", "on_revert", "settings", "arguments", "keep_result", NULL
	};
	KwjNewSql	sql = {0};

	kwj_arguments_check(arguments, job->job_type, names);
	sql.statement = statement_argument(arguments, "statement");
	if (sql.statement == NULL)
		kwj_argument_missing(job->job_type, "statement");
	sql.on_revert = statement_argument(arguments, "on_revert");
	sql.settings = kwj_argument_object(arguments, "settings");
	if (sql.settings == NULL)
		sql.settings = kwj_json_empty();
	sql.arguments = kwj_argument_value(arguments, "arguments");
	sql.keep_result = kwj_argument_boolean(arguments, "keep_result");
	kwj_sql_validate(&sql, job);
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

/* Runs the statements of the job's text in the transaction that is open. Returns the rows. */
static int64
run(const KwjAttempt *attempt, const char *text, const Parsed *parsed, Jsonb **result)
{
	bool		keeps = kwj_json_bool_or_false(attempt->payload, "keep_result");
	DestReceiver *receiver = keeps ? kwj_sql_begin_rows() : None_Receiver;
	int64		rows = kwj_sql_run(text, parsed->statements, parsed->parameters, receiver);

	*result = kwj_result();
	if (*result == NULL && keeps)
		*result = kwj_sql_kept_rows();
	return rows;
}

static KwjArguments *
arguments_of(const KwjAttempt *attempt)
{
	return kwj_sql_read_arguments(kwj_json_object_or_null(attempt->payload, "arguments"));
}

static KwjRequest
sql_execute(KwjAttempt *attempt)
{
	char	   *text = kwj_json_text(attempt->payload, "statement");
	KwjIndexVerdict verdict = KWJ_INDEX_BUILD;
	KwjRequest	request = KWJ_REQUEST_NONE;
	Jsonb	   *result = NULL;
	Parsed		parsed;
	IndexStmt  *index;
	ReindexStmt *reindex;
	int64		rows = 0;

	apply_settings(attempt);
	parsed.statements = kwj_sql_parse_with(text, "statement", arguments_of(attempt),
										   &parsed.parameters);
	index = kwj_sql_concurrent_index(parsed.statements);
	if (index)
		verdict = kwj_sql_prepare_index(attempt, index, &request);
	reindex = kwj_sql_concurrent_reindex(parsed.statements);
	if (reindex)
		request = kwj_sql_prepare_reindex(attempt, reindex);
	if (request != KWJ_REQUEST_NONE)
		return request;

	kwj_sql_begin();
	if (verdict == KWJ_INDEX_BUILD)
		rows = run(attempt, text, &parsed, &result);
	else
		kwj_transcript_add_tag("CREATE INDEX");
	kwj_attempt_succeed_and_claim(attempt, attempt->rows + rows, result);
	return KWJ_REQUEST_NONE;
}

static void
sql_revert(KwjAttempt *attempt)
{
	char	   *text = kwj_json_text_or_null(attempt->payload, "on_revert");
	KwjArguments *arguments = arguments_of(attempt);
	KwjParameters *parameters = NULL;
	List	   *statements = NIL;
	bool		undone = text != NULL;

	apply_settings(attempt);
	/*
	 * Drop first what the job's attempts have left, because the last commit below ends the job.
	 */
	statements = kwj_sql_parse_with(kwj_json_text(attempt->payload, "statement"), "statement",
									arguments, &parameters);
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
		statements = kwj_sql_parse_with(text, "on_revert", arguments, &parameters);
	}
	kwj_sql_begin();
	if (text)
		(void) kwj_sql_run(text, statements, parameters, None_Receiver);
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

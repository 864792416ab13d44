/*
 * src/store/end.c
 *	  The end of an attempt, and what becomes of its job.
 *
 * Callers: src/lifecycle/attempt.c in the worker, when the work succeeded or was reverted;
 * src/lifecycle/settle.c in the worker that ran the attempt, when it failed or stopped for a
 * request, and in the coordinator, when that worker is gone. They decide on the new status. This
 * file writes it, in one transaction:
 *
 *     attempt    running ---> succeeded | failed | crashed | interrupted | paused | canceled
 *     job        running, reverting, pause-requested, cancel-requested, paused (stands still)
 *                        ---> pending | paused | reverting               (not over)
 *                        ---> succeeded | failed | canceled | revert-failed   (over)
 *
 * Locks: first the job's row, then the attempt's row, then the rows of dependencies on the job; the
 * process waits for each, and holds it until the end of the transaction. The lock on the job's row
 * serializes this with control statements (PAUSE, RESUME, CANCEL), with sessions that add a
 * dependency on the job, and with a second process that wants to end the same attempt: the second
 * process finds another active_attempt, and kwj_store_end returns false.
 *
 * If the process dies before its commit, nothing of this has happened: the job still names the
 * attempt as active, no slot in shared memory has it, and the coordinator (or its successor, in its
 * first pass) ends the attempt: as paused or canceled if that was requested, else as crashed or
 * interrupted. If it dies after the commit, nothing is left to do, except that only some of the
 * dependencies on the job may be marked: then kwjobs.untold has the job, and the coordinator marks
 * the others (see dependency.c).
 *
 * Three other places end an attempt without this file: kwj_store_break (break.c), where the job's
 * row cannot be used; kwj_store_come_home (home.c), in a copied database; and kwj_store_unclaim
 * (due.c), which deletes an attempt that never began.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "job/clip.h"
#include "shared/listeners.h"
#include "shared/wakeup.h"
#include "store/dependency.h"
#include "store/end.h"
#include "store/line.h"
#include "store/pieces.h"
#include "store/query.h"
#include "store/rejected.h"
#include "store/table.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* The columns of an error, which kwjobs.job and kwjobs.attempt both have. */
typedef struct ErrorTexts
{
	char	   *code;
	char	   *message;
	char	   *detail;
	char	   *hint;
	char	   *context;
	char	   *file;
	int64		line;			/* 0: not known */
	char	   *column;
} ErrorTexts;

/* Reads the error that made the job revert; column "cause" keeps it while the revert fails. */
static KwjQuery cause_query = {
	"SELECT cause OPERATOR(pg_catalog.->>) 'error' AS error,"
	" cause OPERATOR(pg_catalog.->>) 'error_code' AS error_code,"
	" cause OPERATOR(pg_catalog.->>) 'error_detail' AS error_detail,"
	" cause OPERATOR(pg_catalog.->>) 'error_hint' AS error_hint,"
	" cause OPERATOR(pg_catalog.->>) 'error_context' AS error_context,"
	" cause OPERATOR(pg_catalog.->>) 'error_file' AS error_file,"
	" (cause OPERATOR(pg_catalog.->>) 'error_line')::bigint AS error_line,"
	" cause OPERATOR(pg_catalog.->>) 'error_column' AS error_column"
	" FROM kwjobs.job WHERE job_id = $1",
	1, {INT8OID}
};

/* Makes the value of column "cause" from the job's present error. */
static KwjQuery to_cause_query = {
	"SELECT jsonb_build_object("
	" 'error', left(error, " KWJ_TEXT_LIMIT_SQL "), 'error_code', error_code,"
	" 'error_detail', left(error_detail, " KWJ_TEXT_LIMIT_SQL "),"
	" 'error_hint', left(error_hint, " KWJ_TEXT_LIMIT_SQL "),"
	" 'error_context', left(error_context, " KWJ_TEXT_LIMIT_SQL "),"
	" 'error_file', error_file, 'error_line', error_line, 'error_column', error_column) AS cause"
	" FROM kwjobs.job WHERE job_id = $1",
	1, {INT8OID}
};

static KwjQuery forget_transactions_query = {
	"DELETE FROM kwjobs.job_transaction WHERE job_id = $1", 1, {INT8OID}
};

static KwjQuery checkpoint_rows_query = {
	"SELECT rows FROM kwjobs.checkpoint WHERE job_id = $1", 1, {INT8OID}
};

static bool
is_any_of(const char *status, const char *a, const char *b)
{
	return strcmp(status, a) == 0 || strcmp(status, b) == 0;
}


static char *
clipped(const char *text)
{
	return unconstify(char *, kwj_clip_text(text));
}

static ErrorTexts
texts_of_error(const KwjError *error)
{
	ErrorTexts	texts = {0};

	if (error == NULL)
		return texts;
	texts.code = error->code ? pstrdup(unpack_sql_state(error->code)) : NULL;
	texts.message = clipped(error->message);
	texts.detail = clipped(error->detail);
	texts.hint = clipped(error->hint);
	texts.context = clipped(error->context);
	texts.file = clipped(error->file);
	texts.line = error->line;
	texts.column = clipped(error->column);
	return texts;
}

/*
 * Set the columns of an error, except for the message: it is NOT NULL in kwjobs.job, but may be
 * NULL in kwjobs.attempt, so the callers set it.
 */
static void
set_error(KwjTable *table, const ErrorTexts *texts)
{
	kwj_table_set_text(table, "error_code", texts->code);
	kwj_table_set_text(table, "error_detail", texts->detail);
	kwj_table_set_text(table, "error_hint", texts->hint);
	kwj_table_set_text(table, "error_context", texts->context);
	kwj_table_set_text(table, "error_file", texts->file);
	if (texts->line > 0)
		kwj_table_set(table, "error_line", Int64GetDatum(texts->line));
	else
		kwj_table_set_null(table, "error_line");
	kwj_table_set_text(table, "error_column", texts->column);
}

static void
set_job_error(KwjTable *jobs, const ErrorTexts *texts)
{
	kwj_table_set_text(jobs, "error", texts->message ? texts->message : "");
	set_error(jobs, texts);
}

static ErrorTexts
read_cause(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	ErrorTexts	texts = {0};

	kwj_store_enter(&scope);
	if (kwj_query_run(&cause_query, values, NULL, false) > 0)
	{
		texts.code = kwj_row_text(0, "error_code", scope.caller);
		texts.message = kwj_row_text(0, "error", scope.caller);
		texts.detail = kwj_row_text(0, "error_detail", scope.caller);
		texts.hint = kwj_row_text(0, "error_hint", scope.caller);
		texts.context = kwj_row_text(0, "error_context", scope.caller);
		texts.file = kwj_row_text(0, "error_file", scope.caller);
		texts.line = kwj_row_int64(0, "error_line");
		texts.column = kwj_row_text(0, "error_column", scope.caller);
	}
	kwj_store_leave(&scope);
	return texts;
}

/* Returns the job's present error as the value of column "cause". */
static Jsonb *
make_cause(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	Jsonb	   *cause = NULL;

	kwj_store_enter(&scope);
	if (kwj_query_run(&to_cause_query, values, NULL, false) > 0)
		cause = kwj_row_jsonb(0, "cause", scope.caller);
	kwj_store_leave(&scope);
	return cause;
}

/* Values that have to be read by SQL before kwj_table_change_row. */
typedef struct Before
{
	bool		has_cause;
	Jsonb	   *new_cause;		/* set for KWJ_REVERT_FAILED, unless the job has a cause */
	ErrorTexts	cause;			/* set for KWJ_FAILED and KWJ_CANCELED if has_cause */
	int64		rows;			/* new value of the attempt's column "rows" */
	bool		leaves_line;	/* the job is over, and its turn was passed on */
} Before;

static int64
rows_of_checkpoint(int64 job_id)
{
	KwjStoreScope scope;
	Datum		values[1] = {Int64GetDatum(job_id)};
	int64		rows = 0;

	kwj_store_enter(&scope);
	if (kwj_query_run(&checkpoint_rows_query, values, NULL, false) > 0)
		rows = kwj_row_int64(0, "rows");
	kwj_store_leave(&scope);
	return rows;
}

/* If the job is about to be over, gives its turn to the next in line. Returns whether it leaves. */
static bool
leaves_line(KwjTable *jobs, const KwjEnd *end)
{
	return kwj_status_is_terminal(end->status) && !kwj_table_is_null(jobs, "line") &&
		!kwj_table_is_null(jobs, "serial_key") &&
		kwj_store_pass_turn(jobs, end->job_id);
}

static Before
read_before(KwjTable *jobs, const KwjEnd *end)
{
	Before		before = {.has_cause = !kwj_table_is_null(jobs, "cause")};

	if (end->status == KWJ_REVERT_FAILED && !before.has_cause)
		before.new_cause = make_cause(end->job_id);
	if (before.has_cause && (end->status == KWJ_FAILED || end->status == KWJ_CANCELED))
		before.cause = read_cause(end->job_id);
	before.rows = end->has_rows ? end->rows : rows_of_checkpoint(end->job_id);
	before.leaves_line = leaves_line(jobs, end);
	return before;
}

/*
 * A job whose revert failed shows the error of the revert, because that is what an administrator
 * has to fix. Once it is reverted after all, it shows the error that made it revert. A job that
 * succeeded at last shows no error.
 */
static void
change_error(KwjTable *jobs, const KwjEnd *end, const ErrorTexts *error, const Before *before)
{
	static const ErrorTexts none = {0};
	bool		is_reverted = end->status == KWJ_FAILED || end->status == KWJ_CANCELED;

	if (end->job_error)
		set_job_error(jobs, error);
	else if (end->status == KWJ_SUCCEEDED)
	{
		if (!kwj_table_is_null(jobs, "error_code"))
			set_job_error(jobs, &none);
	}
	else if (before->has_cause && is_reverted)
		set_job_error(jobs, &before->cause);

	if (is_reverted)
		kwj_table_set_null(jobs, "cause");
	else if (before->new_cause != NULL)
		kwj_table_set(jobs, "cause", JsonbPGetDatum(before->new_cause));
}


/* The error that the job will show: the one in its row, or what change_error() will write there. */
static void
error_of_end(KwjTable *jobs, const KwjEnd *end, const ErrorTexts *error, const Before *before,
			 KwjNotice *notice)
{
	bool		isnull;
	Datum		value;

	if (end->status == KWJ_SUCCEEDED)
		return;
	if (end->job_error || before->has_cause)
	{
		const ErrorTexts *texts = end->job_error ? error : &before->cause;

		notice->error_code = texts->code;
		notice->error = texts->message;
		return;
	}
	value = kwj_table_get(jobs, "error_code", &isnull);
	notice->error_code = isnull ? NULL : TextDatumGetCString(value);
	value = kwj_table_get(jobs, "error", &isnull);
	notice->error = isnull ? NULL : TextDatumGetCString(value);
}

/* Tell those who listen for the end of the job. Most jobs have no channel. */
static void
tell_listeners(KwjTable *jobs, const KwjEnd *end, const ErrorTexts *error, const Before *before)
{
	KwjNotice	notice = {.job_id = end->job_id, .status = kwj_status_name(end->status)};
	bool		isnull;
	Datum		channel = kwj_table_get(jobs, "notify", &isnull);

	if (isnull)
		return;
	notice.channel = TextDatumGetCString(channel);
	error_of_end(jobs, end, error, before, &notice);
	kwj_listeners_tell(&notice);
}

/*
 * Find both rows, and lock them; with unless_canceled, only the job's. Returns false if this is not
 * the job's active attempt any more, or with unless_canceled, if a CANCEL was committed.
 */
static bool
find_rows(KwjJobTables *tables, const KwjEnd *end)
{
	Datum		job_key[1] = {Int64GetDatum(end->job_id)};
	Datum		attempt_key[2] = {Int64GetDatum(end->job_id), Int32GetDatum(end->attempt)};
	KwjStatus	status;
	char	   *name;

	/*
	 * Lock before reading anything: a session that adds a dependency on the job locks this row,
	 * too.
	 */
	if (!kwj_table_lock(tables->jobs, job_key, end->job_place, LockWaitBlock) ||
		kwj_table_get_int32(tables->jobs, "active_attempt") != end->attempt)
		return false;
	status = kwj_table_get_status(tables->jobs, &name);
	if (end->unless_canceled && status == KWJ_CANCEL_REQUESTED)
		return false;
	if (end->unless_canceled && status == KWJ_UNKNOWN_STATUS)
		kwj_report_unknown_status(name);

	/*
	 * With unless_canceled the worker of the attempt calls this, and the attempt's row is not
	 * locked, which makes a job cheaper. Other processes of kwjobs change this row only under the
	 * lock on the job's row. If a superuser changes it by hand at the same time, the update raises
	 * an error, and the attempt is tried again.
	 */
	return end->unless_canceled ? kwj_table_find(tables->attempts, attempt_key, end->attempt_place) :
		kwj_table_lock(tables->attempts, attempt_key, end->attempt_place, LockWaitBlock);
}

/* Count the attempt as a success or a failure. The caller leaves out attempts that revert. */
static void
count_attempt(KwjTable *jobs, const char *attempt_status)
{
	const char *column;

	if (strcmp(attempt_status, "succeeded") == 0)
		column = "total_num_of_success";
	else if (is_any_of(attempt_status, "failed", "crashed"))
		column = "total_num_of_fail";
	else
		return;
	kwj_table_set(jobs, column, Int64GetDatum(kwj_table_get_next(jobs, column)));
}

static void
end_job(KwjTable *jobs, const KwjEnd *end, bool is_revert, const ErrorTexts *error,
		const Before *before, TimestampTz now)
{
	bool		is_over = kwj_status_is_terminal(end->status);

	if (is_over)
		tell_listeners(jobs, end, error, before);
	kwj_table_change_row(jobs);
	kwj_table_set_status(jobs, end->status);
	kwj_table_set_null(jobs, "active_attempt");
	/*
	 * rank is NULL already, unless a user has changed the row; with a rank, the coordinator would
	 * claim the job once more
	 */
	if (!kwj_table_is_null(jobs, "rank"))
		kwj_table_set_null(jobs, "rank");
	if (before->leaves_line)
		kwj_table_set_null(jobs, "line");
	/* its place in a queue with a limit is free */
	if (!kwj_table_is_null(jobs, "queued"))
		kwj_wakeup_at_end(end->job_id);
	if (end->revert_to != NULL)
		kwj_table_set_text(jobs, "revert_to", end->revert_to);
	kwj_table_set(jobs, "retries", Int32GetDatum(end->retries));
	kwj_table_set(jobs, "refusals", Int32GetDatum(0));
	if (end->has_crashes)
		kwj_table_set(jobs, "crashes", Int32GetDatum(end->crashes));
	kwj_table_set_text(jobs, "running_status", kwj_clip_text(end->note));
	if (end->has_rows)
		kwj_table_set(jobs, "rows", Int64GetDatum(end->rows));
	if (end->result != NULL)
		kwj_table_set(jobs, "result", JsonbPGetDatum(end->result));
	change_error(jobs, end, error, before);
	if (is_any_of(end->attempt_status, "failed", "crashed"))
		/* canceled and interrupted attempts have an error text, too, but did not fail */
		kwj_table_set(jobs, "errored", TimestampTzGetDatum(now));
	if (is_over)
		kwj_table_set(jobs, "finished", TimestampTzGetDatum(now));
	else if (!kwj_table_is_null(jobs, "finished"))
		kwj_table_set_null(jobs, "finished");
	if (!is_over)
		kwj_table_set(jobs, "due", TimestampTzGetDatum(TimestampTzPlusMilliseconds(now, end->delay_ms)));
	kwj_table_set(jobs, "modified", TimestampTzGetDatum(now));
	if (!is_revert)
		count_attempt(jobs, end->attempt_status);
	if (end->status == KWJ_SUCCEEDED)
		kwj_table_set(jobs, "time_of_last_success", TimestampTzGetDatum(now));
	kwj_table_update(jobs);
}

static void
end_attempt(KwjTable *attempts, const KwjEnd *end, const ErrorTexts *error, int64 rows,
			TimestampTz now)
{
	kwj_table_change_row(attempts);
	kwj_table_set_text(attempts, "status", end->attempt_status);
	kwj_table_set(attempts, "finished", TimestampTzGetDatum(now));
	kwj_table_set(attempts, "rows", Int64GetDatum(rows));
	kwj_table_set_text(attempts, "error", error->message);
	set_error(attempts, error);
	kwj_table_set_or_null(attempts, "tags", end->transcript.tags);
	kwj_table_set_or_null(attempts, "messages", end->transcript.messages);
	kwj_table_set_or_null(attempts, "message_times", end->transcript.message_times);
	kwj_table_update(attempts);
}

static bool
end_in_tables(KwjJobTables *tables, const KwjEnd *end)
{
	TimestampTz now = GetCurrentTimestamp();
	ErrorTexts	error = texts_of_error(end->error);
	Before		before;
	bool		is_revert;
	bool		isnull;

	if (!find_rows(tables, end))
		return false;
	is_revert = DatumGetBool(kwj_table_get(tables->attempts, "reverting", &isnull));
	before = read_before(tables->jobs, end);
	end_job(tables->jobs, end, is_revert, &error, &before, now);
	end_attempt(tables->attempts, end, &error, before.rows, now);
	return true;
}

/*
 * Open the tables and end the attempt as the extension's owner, in a restricted operation: a
 * trigger that a user has created on our tables cannot leave anything behind for the job owner's
 * rights.
 */
static bool
end_in_scope(const KwjEnd *end)
{
	KwjStoreScope scope;
	KwjJobTables *tables;
	bool		ended;

	kwj_store_enter(&scope);
	tables = kwj_open_job_tables(KWJ_ALL_ROWS);
	ended = end_in_tables(tables, end);
	kwj_close_job_tables(tables);
	kwj_store_leave(&scope);
	return ended;
}

void
kwj_store_forget_work(int64 job_id)
{
	/* make the rows that this transaction inserted visible */
	CommandCounterIncrement();
	/* most jobs have no such rows, and the queries would cost more than all the rest */
	if (kwj_index_may_have("job_transaction", "job_transaction_pkey", job_id))
		(void) kwj_query_run_for(&forget_transactions_query, job_id);
	if (kwj_index_may_have("piece", "piece_pkey", job_id))
		kwj_store_pieces_forget(job_id);
}

/*
 * Deletes the rows of the records that the job, an IMPORT that has succeeded, has left out: the job has
 * written these records into a file. Jobs that end in another way keep the rows, because a RETRY may have
 * to write the file.
 */
static void
forget_rejected(int64 job_id)
{
	if (kwj_index_may_have("rejected", "rejected_pkey", job_id))
		kwj_store_rejected_forget(job_id);
}

static void
forget_what_is_over(const KwjEnd *end)
{
	/* A RETRY of a revert that has failed still needs the list of the job's transactions. */
	if (end->status != KWJ_REVERT_FAILED)
		kwj_store_forget_work(end->job_id);
	if (end->status == KWJ_SUCCEEDED)
		forget_rejected(end->job_id);
}

bool
kwj_store_end(KwjJobTables *tables, const KwjEnd *end)
{
	bool		ended = tables ? end_in_tables(tables, end) : end_in_scope(end);

	if (ended && kwj_status_is_terminal(end->status))
	{
		/* a job that completes in its only transaction has nothing to forget */
		if (!end->unless_canceled)
			forget_what_is_over(end);
		kwj_store_tell_dependents(end->job_id, end->status);
	}
	return ended;
}

/*
 * src/type/import/import.c
 *	  Executes an IMPORT by one worker: one batch of whole records after the other.
 *
 * Callers: the worker, for each attempt of a job that one worker carries (kwj_type_import.execute;
 * for the others see parts.c); type/create.h, in sessions, for import_validate.
 *
 *      kwj_attempt_begin           a transaction for each batch
 *      kwj_import_run_batch        imports some records (batch.c)
 *      kwj_attempt_checkpoint      commits the rows with the position after them
 *      ... after the last file: kwj_attempt_succeed, or, if there is a last step, kwj_import_maintain
 *      and then kwj_attempt_succeed
 *
 * Locks: RowExclusiveLock on the target and its partitions during a batch.
 *
 * If the worker dies in a batch, the batch is rolled back, and the next attempt goes on from the
 * position of the last checkpoint. So each record is imported once.
 */
#include "postgres.h"

#include "job/arguments.h"
#include "job/json.h"
#include "job/progress.h"
#include "job/stop.h"
#include "lifecycle/attempt.h"
#include "lifecycle/submit.h"
#include "type/import/batch.h"
#include "type/import/import.h"
#include "type/import/maintain.h"
#include "type/import/parts.h"
#include "type/import/reject_file.h"
#include "type/import/revert.h"
#include "type/import/verify.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* An execution of the job by this process. */
typedef struct Execution
{
	KwjImport	import;
	int64		bytes_total;
	char	   *reason;			/* why one worker imports all, to stand at the end of the status */
	int64		first_rows;		/* rows when the attempt began */
	TimestampTz begun;
} Execution;

/* Does what is needed once in an attempt: in its first transaction, after the checks of rights. */
static void
start(KwjImport *import)
{
	Execution  *execution = import->arg;

	kwj_reject_file_begin(&import->spec.options, import->attempt->job_id);
	if (import->rows > 0)
		kwj_import_check_not_emptied(import->attempt, &import->storage);
	execution->bytes_total = import->bytes_before + kwj_import_bytes_of_files(import);
}

/* Returns why one worker imports all, to stand at the end of the status. */
static char *
reason_text(const KwjImportOptions *options)
{
	return options->one_worker ? psprintf(", 1 worker: %s", options->one_worker) : pstrdup("");
}

static double
fraction_done(const Execution *execution)
{
	if (execution->bytes_total == 0)
		return 0;
	return Min(1.0, (double) kwj_import_bytes_done(&execution->import) / execution->bytes_total);
}

/* Returns a text about the records that were left out, if any were. */
static const char *
rejected_text(const KwjImport *import)
{
	static char text[48];

	if (import->rejected == 0)
		return "";
	snprintf(text, sizeof(text), "rejected " INT64_FORMAT ", ", import->rejected);
	return text;
}

static void
show(const KwjImport *import, int64 rows)
{
	const Execution *execution = import->arg;
	int64		bytes = kwj_import_bytes_done(import);
	double		seconds = (GetCurrentTimestamp() - execution->begun) / 1e6;
	char		text[KWJ_RUNNING_STATUS_LEN];

	snprintf(text, sizeof(text),
			 "imported " INT64_FORMAT " rows, %s" INT64_FORMAT " MB of " INT64_FORMAT
			 " MB, %.0f rows/s%s",
			 rows, rejected_text(import), bytes / 1000000, execution->bytes_total / 1000000,
			 seconds > 0 ? (rows - execution->first_rows) / seconds : 0.0, execution->reason);
	kwj_progress_set_all(bytes, execution->bytes_total, rows, text);
}

static void
begin_import(Execution *execution, KwjAttempt *attempt)
{
	KwjImport  *import = &execution->import;
	Jsonb	   *state = attempt->checkpoint;

	kwj_import_init(import, attempt);
	import->start = start;
	import->decides = true;
	import->show = show;
	import->arg = execution;
	import->rows = execution->first_rows = attempt->rows;
	execution->reason = reason_text(&import->spec.options);
	execution->begun = GetCurrentTimestamp();
	execution->bytes_total = 0;
	if (state != NULL)
	{
		kwj_import_position_read(&import->position, state);
		import->bytes_before = kwj_json_int64(state, "bytes_before");
		import->rejected = kwj_json_int64_or(state, "rejected", 0);
		kwj_storage_read(&import->storage, state);
		kwj_import_read_created(import, state);
	}
}

/* Returns the first file that the job has not opened yet. */
static int
first_unopened(const KwjImport *import)
{
	return import->position.file + (import->position.opened ? 1 : 0);
}

static Jsonb *
checkpoint_state(const KwjImport *import)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	kwj_import_position_write(&import->position, &buf);
	appendStringInfo(&buf, ", \"bytes_before\": " INT64_FORMAT ", \"rejected\": " INT64_FORMAT ", ",
					 import->bytes_before, import->rejected);
	kwj_storage_write(&import->storage, &buf);
	if (import->spec.definition != NULL)
	{
		appendStringInfoString(&buf, ", ");
		kwj_created_write(&import->created, &buf);
	}
	appendStringInfoChar(&buf, '}');
	return kwj_json_parse(buf.data);
}

/*
 * Creates the target, if the job is to do so and has not yet, and commits that with a checkpoint. From
 * then on there is something to revert.
 */
static KwjRequest
create_target(KwjImport *import)
{
	KwjRequest	request;

	if (import->spec.definition == NULL || import->created.is_done)
		return KWJ_REQUEST_NONE;
	kwj_attempt_begin(import->attempt);
	(void) kwj_import_create_target(import);
	request = kwj_attempt_checkpoint(import->attempt, checkpoint_state(import), 0, 0, false);
	return request;
}

/*
 * Compares the files with the checksums of their manifest, if they have any. Returns a PAUSE or CANCEL
 * that came before it was through.
 */
static KwjRequest
check_sums(Execution *execution)
{
	KwjImport  *import = &execution->import;
	KwjAttempt *attempt = import->attempt;
	KwjRequest	request = KWJ_REQUEST_NONE;

	while (request == KWJ_REQUEST_NONE && kwj_import_needs_check(import, first_unopened(import)))
	{
		kwj_attempt_begin(attempt);
		kwj_import_check_may_read(import->spec.files);
		if (!kwj_import_check_sums(import, first_unopened(import)))
			request = kwj_attempt_checkpoint(attempt, checkpoint_state(import), fraction_done(execution),
											 import->rows, false);
		else
			kwj_attempt_end_look(import->storage.context);
	}
	return request;
}

/* Returns whether there is something to do when all rows are committed. */
static bool
has_last_step(const KwjImport *import)
{
	return kwj_import_maintains(&import->spec.options) || kwj_import_has_rest(import) ||
		import->spec.options.reject_file != NULL;
}

/*
 * When all rows are committed: does the last step, if there is one, creates what the definition has for
 * this time, writes the reject file, and ends the job.
 */
static KwjRequest
finish(KwjImport *import)
{
	kwj_import_maintain(import);
	kwj_attempt_begin(import->attempt);
	if (kwj_import_has_rest(import))
		kwj_import_create_rest(import);
	kwj_reject_file_write(&import->spec.options, import->attempt, import->rejected);
	return kwj_attempt_succeed(import->attempt, checkpoint_state(import), import->rows, false,
							   kwj_import_result(import, import->rows, import->rejected));
}

static KwjRequest
execute_batches(Execution *execution)
{
	KwjImport  *import = &execution->import;
	KwjAttempt *attempt = import->attempt;
	KwjRequest	request;

	kwj_stop_expect_checkpoint();
	request = check_sums(execution);
	if (request == KWJ_REQUEST_NONE)
		request = create_target(import);
	if (request != KWJ_REQUEST_NONE)
		return request;
	while (!kwj_import_is_done(import) || !has_last_step(import))
	{
		Jsonb	   *state;

		kwj_attempt_begin(attempt);
		kwj_import_run_batch(import);
		show(import, import->rows);
		state = checkpoint_state(import);
		if (kwj_import_is_done(import) && !has_last_step(import))
			return kwj_attempt_succeed(attempt, state, import->rows, true,
									   kwj_import_result(import, import->rows, import->rejected));
		request = kwj_attempt_checkpoint(attempt, state, fraction_done(execution),
										 import->rows, true);
		if (request != KWJ_REQUEST_NONE)
			return request;
		kwj_pace_end_batch(&import->pace, import->batch_bytes);
	}
	return finish(import);
}

static KwjRequest
import_execute(KwjAttempt *attempt)
{
	MemoryContext context;
	MemoryContext caller;
	Execution	execution;
	KwjRequest	request;

	/* This context holds what must outlive the transactions of the batches. */
	context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs import",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	begin_import(&execution, attempt);
	MemoryContextSwitchTo(caller);

	request = execute_batches(&execution);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return request;
}

static void
import_validate(Jsonb *arguments, KwjNewJob *job)
{
	static const char *const names[] = {
		"target", "files", "columns", "options", "definition", "definition_file", "directory", NULL
	};
	KwjNewImport new = {0};
	char	   *target;

	kwj_arguments_check(arguments, job->job_type, names);
	target = kwj_argument_text(arguments, "target");
	new.definition = kwj_argument_text(arguments, "definition");
	new.definition_file = kwj_argument_text(arguments, "definition_file");
	new.directory = kwj_argument_text(arguments, "directory");
	if (target != NULL)
		new.target = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(target)));
	else if (new.definition == NULL && new.definition_file == NULL && new.directory == NULL)
		kwj_argument_missing(job->job_type, "target");
	new.files = kwj_argument_texts(arguments, "files");
	new.columns = kwj_argument_texts(arguments, "columns");
	new.options = kwj_argument_object(arguments, "options");
	kwj_import_validate(&new, job);
}

const KwjType kwj_type_import = {
	.name = "IMPORT",
	.pauses = KWJ_PAUSES_ALWAYS,
	.pausable = true,
	.cancelable = true,
	.reverts_at_length = true,
	.reverts_in_new_session = true,
	.makes = "reject_file",
	.validate = import_validate,
	.execute = import_execute,
	.parts = &kwj_import_parts,
	.revert = kwj_import_revert,
};

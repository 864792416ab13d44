/*
 * src/type/import/import.c
 *	  Executes an IMPORT: batches of whole records through COPY.
 *
 * Callers: the worker, for each attempt (kwj_type_import.execute); type/create.h, in sessions, for
 * import_validate.
 *
 *      kwj_attempt_begin           a transaction for each batch
 *      run_batch                   lock the target, check the owner's rights again, and run, as a
 *         |                        statement (statement.h):
 *         +-- import_pieces        one or more pieces of files, each through CopyFrom
 *      kwj_attempt_checkpoint      commits the rows with the position after them
 *      ... after the last file: kwj_attempt_succeed
 *
 * Locks: RowExclusiveLock on the target and its partitions during a batch.
 *
 * If the worker dies in a batch, the batch is rolled back, and the next attempt goes on from the
 * position of the last checkpoint. So each record is imported once.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "commands/copyfrom_internal.h"
#include "commands/progress.h"
#include "commands/trigger.h"
#include "job/arguments.h"
#include "job/clip.h"
#include "job/json.h"
#include "job/stop.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "pgstat.h"
#include "lifecycle/submit.h"
#include "tcop/utility.h"
#include "type/import/import.h"
#include "type/import/options.h"
#include "type/import/pace.h"
#include "type/import/reader.h"
#include "type/import/revert.h"
#include "type/import/settings.h"
#include "type/import/statement.h"
#include "type/import/target.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"


/* An execution of the job by this process. */
typedef struct Import
{
	KwjAttempt *attempt;
	KwjImportSpec spec;
	char	   *text;			/* a batch runs as a statement with this text */
	ParseState *pstate;			/* the parse state of the batch */
	Relation	rel;			/* the target, during a batch */
	List	   *columns;		/* String nodes, as COPY wants them, during a batch */

	/* What the next checkpoint will hold. */
	KwjImportPosition position;
	int64		bytes_before;	/* size of the files before the position's */
	int64		rows;			/* including those of the batch so far */
	KwjStorageMap storage;

	bool		started;
	KwjPace		pace;

	/* For the progress display. */
	int64		bytes_total;
	int64		first_rows;		/* rows when the attempt began */
	TimestampTz begun;

	/* Set during CopyFrom. */
	KwjImportReader reader;
	CopyFromState copy;
	int64		marker_line;	/* the line of \. if that is the error; else 0 */

	/* The place of the last error or message, from error_callback. */
	bool		error_in_file;
	int64		error_line;
	char		error_column[NAMEDATALEN];
} Import;

static void
begin_import(Import *import, KwjAttempt *attempt)
{
	Jsonb	   *state = attempt->checkpoint;

	memset(import, 0, sizeof(*import));
	import->attempt = attempt;
	import->storage.context = CurrentMemoryContext;
	import->rows = import->first_rows = attempt->rows;
	import->begun = GetCurrentTimestamp();
	kwj_pace_init(&import->pace);
	kwj_import_read_payload(attempt->payload, &import->spec);
	import->text = kwj_import_statement_text(&import->spec);

	if (state != NULL)
	{
		KwjImportPosition *position = &import->position;

		position->file = kwj_json_int64(state, "file");
		position->opened = kwj_json_int64(state, "opened") != 0;
		position->identity.size = kwj_json_int64(state, "size");
		position->identity.mtime = kwj_json_int64(state, "mtime");
		position->identity.inode = kwj_json_int64(state, "inode");
		position->offset = kwj_json_int64(state, "offset");
		position->line = kwj_json_int64(state, "line");
		position->line_end = kwj_json_int64(state, "line_end");
		import->bytes_before = kwj_json_int64(state, "bytes_before");
		kwj_storage_read(&import->storage, state);
	}
}

static Jsonb *
checkpoint_state(const Import *import)
{
	const KwjImportPosition *position = &import->position;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"file\": %d, \"opened\": %d, \"size\": " INT64_FORMAT
					 ", \"mtime\": " INT64_FORMAT ", \"inode\": " INT64_FORMAT,
					 position->file, position->opened ? 1 : 0,
					 position->identity.size, position->identity.mtime,
					 position->identity.inode);
	appendStringInfo(&buf, ", \"offset\": " INT64_FORMAT ", \"line\": " INT64_FORMAT
					 ", \"line_end\": %d, \"bytes_before\": " INT64_FORMAT ", ",
					 position->offset, position->line, (int) position->line_end,
					 import->bytes_before);
	kwj_storage_write(&import->storage, &buf);
	appendStringInfoChar(&buf, '}');
	return kwj_json_parse(buf.data);
}

static int
file_count(const Import *import)
{
	return list_length(import->spec.files);
}

static bool
all_done(const Import *import)
{
	return import->position.file >= file_count(import);
}

static int64
bytes_done(const Import *import)
{
	return import->bytes_before + import->position.offset;
}

/* Adds up the sizes of the files that are still to be read. So a missing file is noticed early. */
static void
measure_files(Import *import)
{
	import->bytes_total = import->bytes_before;
	for (int i = import->position.file; i < file_count(import); i++)
		import->bytes_total += kwj_import_file_size(list_nth(import->spec.files, i));
}

/* Does what is needed once in an attempt: in its first transaction, after the checks of rights. */
static void
start_attempt(Import *import)
{
	if (import->rows > 0)
		kwj_import_check_not_emptied(import->attempt, &import->storage);
	measure_files(import);
	import->started = true;
}

static double
fraction_done(const Import *import)
{
	if (import->bytes_total == 0)
		return 0;
	return Min(1.0, (double) bytes_done(import) / import->bytes_total);
}

/* Returns how many rows the running CopyFrom has stored; 0 if it does not report its progress. */
static int64
running_rows(void)
{
	if (MyBEEntry == NULL || !pgstat_track_activities ||
		MyBEEntry->st_progress_command != PROGRESS_COMMAND_COPY)
		return 0;
	return MyBEEntry->st_progress_param[PROGRESS_COPY_TUPLES_PROCESSED];
}

static void
show_progress(const Import *import, int64 rows)
{
	double		seconds = (GetCurrentTimestamp() - import->begun) / 1e6;
	char		text[KWJ_RUNNING_STATUS_LEN];

	snprintf(text, sizeof(text),
			 "imported " INT64_FORMAT " rows, " INT64_FORMAT " MB of " INT64_FORMAT
			 " MB, %.0f rows/s",
			 rows, bytes_done(import) / 1000000, import->bytes_total / 1000000,
			 seconds > 0 ? (rows - import->first_rows) / seconds : 0.0);
	kwj_progress_set_all(bytes_done(import), import->bytes_total, rows, text);
}

/*
 * Returns whether the batch is to end early: for a PAUSE, or a stop of the server. A CANCEL mostly
 * does not come so far, because the coordinator interrupts the batch at once.
 */
static bool
is_to_stop(void)
{
	return kwj_progress_request() != KWJ_REQUEST_NONE || kwj_stop_is_asked();
}

/*
 * The reader calls this when COPY is about to get the next piece. If the batch is to end, it ends
 * with the current record.
 */
static void
on_piece(KwjImportReader *reader)
{
	Import	   *import = reader->arg;

	if (kwj_pace_next_piece(&import->pace) || is_to_stop())
		reader->limit = reader->start;
	reader->piece = import->pace.piece;
	show_progress(import, import->rows + running_rows());
}

/* Returns whether an error is about a record, and not about the server. */
static bool
is_about_input(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case MAKE_SQLSTATE('0', '8', '0', '0', '0'):	/* connection */
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* transaction rollback */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* insufficient resources */
		case MAKE_SQLSTATE('5', '5', '0', '0', '0'):	/* not in prerequisite state */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* operator intervention */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system error */
			return false;
		default:				/* also what a trigger raises */
			return true;
	}
}

/* Returns whether COPY says that the file is not in the encoding that IMPORT reads. */
static bool
is_about_encoding(const Import *import)
{
	return geterrcode() == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE &&
		error_context_stack->callback == CopyFromErrorCallback &&
		error_context_stack->arg == import->copy;
}

/*
 * Adds the file's name to the context of a message, and notes the place of an error. COPY's state
 * tells the place, but only while COPY's callback is on the error context stack. While AFTER
 * triggers run, for instance, it is not, and the place is unknown.
 */
static void
error_callback(void *arg)
{
	Import	   *import = arg;
	ErrorContextCallback *callback;

	errcontext("IMPORT from file \"%s\"", import->reader.path);
	if (is_about_encoding(import))
		errhint("IMPORT reads text files in UTF-8. Convert this one first, for instance with: iconv -f LATIN1 -t UTF-8");

	import->error_in_file = is_about_input(geterrcode());
	import->error_line = import->marker_line;
	import->error_column[0] = '\0';
	for (callback = error_context_stack; callback; callback = callback->previous)
	{
		if (callback->callback == CopyFromErrorCallback &&
			callback->arg == import->copy)
		{
			import->error_line = import->copy->cur_lineno;
			if (import->copy->cur_attname != NULL)
				strlcpy(import->error_column, import->copy->cur_attname, NAMEDATALEN);
			break;
		}
	}
}

/*
 * Stores the place of the current error in the attempt, for the job's row. COPY knows the last line
 * of the record, but users look for its first line.
 */
static void
tell_place(const Import *import)
{
	KwjAttempt *attempt = import->attempt;
	/* This context lives until the attempt is settled. */
	MemoryContext context = GetMemoryChunkContext(attempt->payload);

	if (!import->error_in_file)
		return;
	attempt->error_file = MemoryContextStrdup(context, import->reader.path);
	attempt->error_line = import->error_line == 0 ? 0 :
		kwj_reader_first_line(&import->reader, import->position.line,
							  import->error_line, &import->spec.options);
	if (import->error_column[0] != '\0')
		attempt->error_column = MemoryContextStrdup(context, import->error_column);
}

/*
 * Throws the error again, with its texts cut to the length that the job's row keeps. An error may
 * quote a field that is as long as the file, and the server's log should get no more of it, either.
 */
static void
rethrow_clipped(MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	edata->message = (char *) kwj_clip_text(edata->message);
	edata->detail = (char *) kwj_clip_text(edata->detail);
	edata->hint = (char *) kwj_clip_text(edata->hint);
	edata->context = (char *) kwj_clip_text(edata->context);
	ReThrowError(edata);
}

/*
 * Up to PostgreSQL 17, COPY takes a line of just \. for the end of the data, and then never asks
 * for the next piece. Raises an error if text follows such a line. As the last line, it does no
 * harm.
 */
static void
check_all_was_read(Import *import)
{
	CopyFromState copy = import->copy;
	int			unread;

	if (import->reader.ended)
		return;
	unread = copy->need_transcoding ?
		INPUT_BUF_BYTES(copy) + RAW_BUF_BYTES(copy) :
		copy->raw_buf_len - copy->input_buf_index;
	if (unread == 0 && kwj_reader_at_end(&import->reader))
		return;
	import->marker_line = copy->cur_lineno;
	ereport(ERROR,
			errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			errmsg("text follows the end-of-data marker \"\\.\" in file \"%s\"",
				   import->reader.path),
			errdetail("The marker is alone in line " INT64_FORMAT ".",
					  import->marker_line),
			errhint("Remove the line, or enclose the value."));
}

static EolType
copy_line_end(KwjLineEnd line_end)
{
	switch (line_end)
	{
		case KWJ_LINE_END_LF:
			return EOL_NL;
		case KWJ_LINE_END_CRLF:
			return EOL_CRNL;
		case KWJ_LINE_END_CR:
			return EOL_CR;
		case KWJ_LINE_END_UNKNOWN:
			break;
	}
	return EOL_UNKNOWN;
}

/* Runs COPY on what the reader gives. */
static void
copy_piece(Import *import)
{
	KwjImportPosition *position = &import->position;
	CopyFromState copy;

	copy = BeginCopyFrom(import->pstate, import->rel, NULL, NULL, false,
						 kwj_reader_source, import->columns,
						 kwj_import_copy_options(&import->spec.options));
	import->copy = copy;
	copy->eol_type = copy_line_end(position->line_end);
	copy->cur_lineno = position->line;
	copy->bytes_processed = position->offset;
	pgstat_progress_update_param(PROGRESS_COPY_BYTES_TOTAL, position->identity.size);

	import->rows += CopyFrom(copy);

	check_all_was_read(import);
	/* COPY has also counted the line in which the input ended. */
	position->line = copy->cur_lineno - 1;
	import->copy = NULL;
	EndCopyFrom(copy);
}

/*
 * Imports about `bytes` bytes of the file at the position, or less if the file ends before.
 * Returns how many bytes it was.
 */
static int64
import_piece(Import *import, int64 bytes)
{
	KwjImportPosition *position = &import->position;
	KwjImportReader *reader = &import->reader;
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback;
	int64		done = 0;

	reader->on_piece = on_piece;
	reader->arg = import;
	kwj_reader_open(reader, list_nth(import->spec.files, position->file),
					position, &import->spec.options, bytes);

	if (!kwj_reader_at_end(reader))
	{
		callback.callback = error_callback;
		callback.arg = import;
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		kwj_reader_set_source(reader);
		PG_TRY();
		{
			copy_piece(import);
		}
		PG_CATCH();
		{
			tell_place(import);
			rethrow_clipped(context);
		}
		PG_END_TRY();
		kwj_reader_set_source(NULL);
		error_context_stack = callback.previous;
		done = position->offset - reader->start;
	}

	kwj_reader_close(reader);
	if (kwj_reader_at_end(reader))
	{
		int			next = position->file + 1;

		import->bytes_before += position->identity.size;
		memset(position, 0, sizeof(*position));
		position->file = next;
	}
	return done;
}

/* Makes the changes of the last piece visible to the next one. */
static void
next_command(void)
{
	PopActiveSnapshot();
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/*
 * Checks deferred constraints now instead of at the commit, so that their code runs with the user's
 * settings. The checkpoint is written after this, with the worker's settings.
 */
static void
check_deferred_constraints(void)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = NIL;	/* all constraints */
	stmt->deferred = false;
	AfterTriggerSetState(stmt);
}

/*
 * Imports pieces of files until the batch is full. A batch runs as one statement. Small files share
 * a batch. Returns how many rows were imported.
 */
static uint64
import_pieces(void *arg)
{
	Import	   *import = arg;
	int64		rows = import->rows;
	int64		left;
	int			level;

	kwj_storage_note(&import->storage, import->rel);
	if (!import->started)
		start_attempt(import);

	level = kwj_import_apply_settings(import->attempt->payload);
	left = kwj_pace_begin_batch(&import->pace);
	while (left > 0 && !all_done(import))
	{
		left -= import_piece(import, left);
		next_command();
		if (is_to_stop() || kwj_pace_is_over(&import->pace))
			break;
	}

	check_deferred_constraints();
	kwj_import_reset_settings(level);

	/* Partitions may have been attached meanwhile. */
	kwj_storage_note(&import->storage, import->rel);
	return import->rows - rows;
}

/* Does the work of one transaction. */
static void
run_batch(Import *import)
{
	List	   *numbers = import->spec.numbers;
	ListCell   *lc;

	/* What was allowed when the job was created may not be allowed any more. */
	if (XactReadOnly)
		PreventCommandIfReadOnly("IMPORT");
	kwj_import_check_may_read_files();
	import->pstate = make_parsestate(NULL);
	import->rel = kwj_import_lock_target(import->spec.target, import->spec.table);
	if (numbers == NIL)
		numbers = kwj_import_column_numbers(import->rel, import->spec.columns);
	import->columns = NIL;
	foreach(lc, kwj_import_column_names(import->rel, numbers, import->spec.columns))
		import->columns = lappend(import->columns, makeString(lfirst(lc)));

	(void) kwj_import_run_statement(kwj_import_begin(import->pstate, import->rel, numbers,
													 import->text),
									import_pieces, import);

	relation_close(import->rel, NoLock);
	free_parsestate(import->pstate);
}

static Jsonb *
job_result(const Import *import)
{
	return kwj_json_parse(psprintf("{\"rows\": " INT64_FORMAT "}", import->rows));
}

static KwjRequest
execute_batches(Import *import)
{
	KwjAttempt *attempt = import->attempt;

	kwj_stop_expect_checkpoint();
	for (;;)
	{
		int64		before = bytes_done(import);
		Jsonb	   *state;
		KwjRequest	request;

		kwj_attempt_begin(attempt);
		run_batch(import);
		show_progress(import, import->rows);
		state = checkpoint_state(import);
		if (all_done(import))
			return kwj_attempt_succeed(attempt, state, import->rows, true,
									   job_result(import));
		request = kwj_attempt_checkpoint(attempt, state, fraction_done(import),
										 import->rows, true);
		if (request != KWJ_REQUEST_NONE)
			return request;
		kwj_pace_end_batch(&import->pace, bytes_done(import) - before);
	}
}

static KwjRequest
import_execute(KwjAttempt *attempt)
{
	MemoryContext context;
	MemoryContext caller;
	Import		import;
	KwjRequest	request;

	/* This context holds what must outlive the transactions of the batches. */
	context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs import",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	begin_import(&import, attempt);
	MemoryContextSwitchTo(caller);

	request = execute_batches(&import);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return request;
}

static void
import_validate(Jsonb *arguments, KwjNewJob *job)
{
	static const char *const names[] = {"target", "files", "columns", "options", NULL};
	char	   *target;

	kwj_arguments_check(arguments, job->job_type, names);
	target = kwj_argument_text(arguments, "target");
	if (target == NULL)
		kwj_argument_missing(job->job_type, "target");
	kwj_import_validate(DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(target))),
						kwj_argument_texts(arguments, "files"),
						kwj_argument_texts(arguments, "columns"),
						kwj_argument_object(arguments, "options"), job);
}

const KwjType kwj_type_import = {
	.name = "IMPORT",
	.pausable = true,
	.cancelable = true,
	.reverts_at_length = true,
	.reverts_in_new_session = true,
	.validate = import_validate,
	.execute = import_execute,
	.revert = kwj_import_revert,
};

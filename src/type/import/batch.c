/*
 * src/type/import/batch.c
 *	  A batch of an IMPORT: the records that a worker imports in one transaction, through COPY.
 *
 * Callers: import.c, parts.c and replay.c. Process: worker.
 *
 *      kwj_import_run_batch        lock the target, check the owner's rights again, and run, as a
 *         |                        statement (statement.h):
 *         +-- import_pieces        one or more pieces of files, each through CopyFrom
 *
 * Locks: RowExclusiveLock on the target and its partitions during a batch.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "commands/copyfrom_internal.h"
#include "commands/progress.h"
#include "commands/trigger.h"
#include "job/clip.h"
#include "job/json.h"
#include "job/progress.h"
#include "job/stop.h"
#include "job/test_gate.h"
#include "job/transcript.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "pgstat.h"
#include "tcop/utility.h"
#include "type/import/batch.h"
#include "type/import/by_statement.h"
#include "type/import/definition.h"
#include "type/import/settings.h"
#include "type/import/statement.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* As many bytes as a batch takes that ends only with the input. */
#define ENDLESS	(PG_INT64_MAX / 2)

void
kwj_import_init(KwjImport *import, KwjAttempt *attempt)
{
	memset(import, 0, sizeof(*import));
	import->attempt = attempt;
	import->storage.context = import->created.context = CurrentMemoryContext;
	import->reader.context = CurrentMemoryContext;
	import->table = -1;
	kwj_pace_init(&import->pace);
	kwj_import_read_payload(attempt->payload, &import->spec);
	import->text = kwj_import_statement_text(&import->spec);
	import->end.file = list_length(import->spec.files);
}

void
kwj_import_read_created(KwjImport *import, Jsonb *state)
{
	if (import->spec.definition == NULL || state == NULL)
		return;
	kwj_created_read(&import->created, state);
	import->table = -1;
	if (import->created.is_done && import->spec.tables == NIL)
		import->spec.target = linitial_oid(import->created.targets);
}

/* Returns which of the files are those of a table: n files from `first` on. */
static List *
files_of(const KwjImport *import, int first, int n)
{
	List	   *files = NIL;

	for (int i = first; i < first + n; i++)
		files = lappend(files, list_nth(import->spec.files, i));
	return files;
}

void
kwj_import_select_table(KwjImport *import)
{
	KwjImportSpec *spec = &import->spec;
	MemoryContext caller;
	KwjImportSpec one;
	const KwjImportTable *table;
	int			first;
	int			number;

	if (spec->tables == NIL)
		return;
	number = kwj_import_table_of_file(spec->tables, import->position.file, &first);
	if (number == import->table)
		return;
	caller = MemoryContextSwitchTo(import->storage.context);
	table = list_nth(spec->tables, number);
	spec->target = import->created.is_done ? list_nth_oid(import->created.targets, number) : InvalidOid;
	spec->table = quote_qualified_identifier(table->schema, table->name);
	spec->columns = spec->options.names = table->columns;
	spec->options.fields = list_length(table->columns);
	one = *spec;
	one.files = files_of(import, first, table->n_files);
	import->text = kwj_import_statement_text(&one);
	import->table = number;
	MemoryContextSwitchTo(caller);
}

/* Finds the tables to import into among those that the definition has created. */
static void
find_targets(KwjImport *import)
{
	KwjCreated *created = &import->created;
	ListCell   *lc;

	if (import->spec.tables == NIL)
		kwj_created_add_target(created, created->target);
	foreach(lc, import->spec.tables)
	{
		const KwjImportTable *table = lfirst(lc);

		kwj_created_add_target(created, kwj_created_find(created, table->schema, table->name));
	}
	created->is_done = true;
}

/* The definition finds types and functions by the settings of the session that created the job. */
static void
define(KwjImport *import, KwjDefinitionStage stage)
{
	const KwjImportSpec *spec = &import->spec;
	int			level = kwj_import_apply_settings(import->attempt->payload);

	kwj_definition_run(kwj_definition_parse(spec->definition, spec->tables == NIL), stage, spec->schema, false,
					   &import->created);
	kwj_import_reset_settings(level);
}

bool
kwj_import_has_rest(const KwjImport *import)
{
	const KwjImportSpec *spec = &import->spec;

	return spec->definition != NULL &&
		kwj_definition_parse(spec->definition, spec->tables == NIL)->has_rest;
}

void
kwj_import_create_rest(KwjImport *import)
{
	PreventCommandIfReadOnly("IMPORT");
	kwj_progress_set_status("the rows are imported; creating indexes and foreign keys");
	define(import, KWJ_DEFINE_REST);
	kwj_test_gate(4941);
}

bool
kwj_import_create_target(KwjImport *import)
{
	KwjImportSpec *spec = &import->spec;

	if (spec->definition == NULL || import->created.is_done)
		return false;
	PreventCommandIfReadOnly("IMPORT");
	define(import, KWJ_DEFINE_TABLES);
	find_targets(import);
	import->table = -1;
	if (spec->tables == NIL)
		spec->target = import->created.target;
	kwj_test_gate(4940);
	return true;
}

void
kwj_import_set_piece(KwjImport *import, const KwjPiece *piece)
{
	kwj_import_position_read(&import->position, piece->state ? piece->state : piece->what);
	kwj_import_position_read_end(&import->end, piece->what);
	import->bytes_before = piece->units_done - import->position.stored;
	import->rows = piece->rows;
}

int64
kwj_import_bytes_done(const KwjImport *import)
{
	return import->bytes_before + import->position.stored;
}

bool
kwj_import_is_done(const KwjImport *import)
{
	return kwj_import_position_is_at_end(&import->position, &import->end);
}

int64
kwj_import_bytes_of_files(const KwjImport *import)
{
	int64		bytes = 0;

	for (int i = import->position.file; i < list_length(import->spec.files); i++)
		bytes += Max(kwj_source_size(list_nth(import->spec.files, i)), 0);
	return bytes;
}

Jsonb *
kwj_import_result(int64 rows)
{
	return kwj_json_parse(psprintf("{\"rows\": " INT64_FORMAT "}", rows));
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

bool
kwj_import_is_to_stop(void)
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
	KwjImport  *import = reader->arg;
	bool		over = kwj_pace_next_piece(&import->pace) || kwj_import_is_to_stop();

	if (over && !import->in_one_batch)
		reader->limit = reader->start;
	reader->piece = import->pace.piece;
	import->show(import, import->rows + running_rows());
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

/*
 * Returns whether the callback is that of the COPY that imports, and not of another one, which a trigger
 * runs. Of a COPY statement the state is not known; its callback is the last one of its kind.
 */
static bool
is_own_callback(const KwjImport *import, const ErrorContextCallback *callback)
{
	if (callback->callback != CopyFromErrorCallback)
		return false;
	if (!import->elsewhere)
		return callback->arg == import->copy;
	for (callback = callback->previous; callback; callback = callback->previous)
		if (callback->callback == CopyFromErrorCallback)
			return false;
	return true;
}

/* Returns whether COPY says that the file is not in the encoding that IMPORT reads. */
static bool
is_about_encoding(const KwjImport *import)
{
	return geterrcode() == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE &&
		is_own_callback(import, error_context_stack);
}

/*
 * Adds the file's name to the context of a message, and notes the place of an error. COPY's state
 * tells the place, but only while COPY's callback is on the error context stack. While AFTER
 * triggers run, for instance, it is not, and the place is unknown.
 */
static void
error_callback(void *arg)
{
	KwjImport  *import = arg;
	ErrorContextCallback *callback;

	errcontext("IMPORT from file \"%s\"", import->reader.path);
	if (is_about_encoding(import))
		errhint("The file was read as %s. If it has another encoding, type that, for instance WITH charset = 'LATIN1'.",
				pg_encoding_to_char(import->spec.options.charset));

	import->error_in_file = is_about_input(geterrcode());
	import->error_line = import->marker_line;
	import->error_column[0] = '\0';
	for (callback = error_context_stack; callback; callback = callback->previous)
	{
		const CopyFromStateData *copy = callback->arg;

		if (!is_own_callback(import, callback))
			continue;
		/* A statement counts the lines of its own piece. */
		import->error_line = copy->cur_lineno + (import->elsewhere ? import->position.line : 0);
		if (copy->cur_attname != NULL)
			strlcpy(import->error_column, copy->cur_attname, NAMEDATALEN);
		break;
	}
}

/*
 * Stores the place of the current error in the attempt, for the job's row. COPY knows the last line
 * of the record, but users look for its first line.
 */
static void
tell_place(const KwjImport *import)
{
	KwjAttempt *attempt = import->attempt;
	/* This context lives until the attempt is settled. */
	MemoryContext context = GetMemoryChunkContext(attempt->payload);

	if (!import->error_in_file)
		return;
	attempt->error_file = MemoryContextStrdup(context, import->reader.path);
	attempt->error_line = import->error_line == 0 ? 0 :
		kwj_reader_first_line(&import->reader, import->position.line, import->error_line);
	if (import->error_column[0] != '\0')
		attempt->error_column = MemoryContextStrdup(context, import->error_column);
}

/* Returns what to do about an error of COPY that people meet often, or NULL. */
static char *
hint_for(const KwjImport *import, const ErrorData *edata)
{
	if (edata->message_id != NULL &&
		strcmp(edata->message_id, "extra data after last expected column") == 0 &&
		!import->spec.options.trailing_delimiter)
		return "If each record ends with a delimiter, type WITH trailing_delimiter.";
	return NULL;
}

/*
 * Throws the error again, with its texts cut to the length that the job's row keeps. An error may
 * quote a field that is as long as the file, and the server's log should get no more of it, either.
 */
static void
rethrow_clipped(const KwjImport *import, MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	edata->message = (char *) kwj_clip_text(edata->message);
	edata->detail = (char *) kwj_clip_text(edata->detail);
	edata->hint = edata->hint ? (char *) kwj_clip_text(edata->hint) : hint_for(import, edata);
	edata->context = (char *) kwj_clip_text(edata->context);
	ReThrowError(edata);
}

/*
 * Up to PostgreSQL 17, COPY takes a line of just \. for the end of the data, and then never asks
 * for the next piece. Raises an error if text follows such a line. As the last line, it does no
 * harm.
 */
static void
check_all_was_read(KwjImport *import)
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

/* Returns the columns that the fields of this file fill, in their order, as COPY wants them. */
static List *
columns_of_file(const KwjImport *import)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if (import->spec.options.header != KWJ_IMPORT_HEADER_MATCH)
		return import->columns;
	Assert(list_length(import->reader.order) == list_length(import->columns));
	foreach(lc, import->reader.order)
		columns = lappend(columns, list_nth(import->columns, lfirst_int(lc)));
	return columns;
}

/* The same by a COPY statement. */
static void
copy_piece_by_statement(KwjImport *import)
{
	import->rows += kwj_import_copy_by_statement(import->rel, columns_of_file(import),
												 kwj_import_copy_options(&import->spec.options, import->columns),
												 &import->reader);
}

/* Runs COPY on what the reader gives. */
static void
copy_piece(KwjImport *import)
{
	KwjImportPosition *position = &import->position;
	CopyFromState copy;

	copy = BeginCopyFrom(import->pstate, import->rel, NULL, NULL, false,
						 kwj_reader_source, columns_of_file(import),
						 kwj_import_copy_options(&import->spec.options, import->columns));
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

/* Returns how the file is recognized that a checksum was compared with; NULL: there is none. */
static const KwjSourceIdentity *
expected_identity(const KwjImport *import)
{
	const KwjSourceIdentity *checked = import->checked ? &import->checked[import->position.file] : NULL;

	return checked != NULL && checked->inode != 0 ? checked : NULL;
}

/*
 * Imports about `bytes` bytes of the file at the position, or less if the file ends before.
 * Returns how many bytes it was.
 */
static int64
import_piece(KwjImport *import, int64 bytes)
{
	KwjImportPosition *position = &import->position;
	KwjImportReader *reader = &import->reader;
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback;
	char	   *remark;
	int64		done = 0;

	import->marker_line = 0;	/* an earlier piece may have failed because of a marker */
	reader->on_piece = on_piece;
	reader->arg = import;
	reader->expected = expected_identity(import);
	remark = kwj_reader_open(reader, list_nth(import->spec.files, position->file),
							 position, &import->spec.options, bytes,
							 position->file == import->end.file ? &import->end : NULL);
	if (remark != NULL && !import->quiet)
		kwj_transcript_add_message(psprintf("NOTICE:  %s", remark));

	if (!kwj_reader_at_end(reader))
	{
		callback.callback = error_callback;
		callback.arg = import;
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		kwj_reader_set_source(reader);
		PG_TRY();
		{
			if (import->elsewhere)
				copy_piece_by_statement(import);
			else
				copy_piece(import);
		}
		PG_CATCH();
		{
			tell_place(import);
			rethrow_clipped(import, context);
		}
		PG_END_TRY();
		kwj_reader_set_source(NULL);
		error_context_stack = callback.previous;
		done = position->offset - reader->start;
	}

	kwj_reader_close(reader);
	if (reader->at_end)
	{
		import->bytes_before += position->stored;
		kwj_import_position_next_file(position);
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

/* Returns whether the file at the position is one of the table that is open. */
static bool
is_of_table(const KwjImport *import)
{
	int			first;

	return import->spec.tables == NIL ||
		kwj_import_table_of_file(import->spec.tables, import->position.file, &first) == import->table;
}

/*
 * Imports pieces of files until the batch is full, or the next file is one of another table. A batch runs as one statement. Small files share
 * a batch. Returns how many rows were imported.
 */
static uint64
import_pieces(void *arg)
{
	KwjImport  *import = arg;
	int64		rows = import->rows;
	int64		left;
	int			level;

	if (!import->elsewhere)
		kwj_storage_note(&import->storage, import->rel);
	if (import->start != NULL)
		import->start(import);
	import->start = NULL;

	level = kwj_import_apply_settings(import->attempt->payload);
	import->batch_bytes = 0;
	left = kwj_pace_begin_batch(&import->pace);
	if (import->in_one_batch)
		left = ENDLESS;
	while (left > 0 && !kwj_import_is_done(import) && is_of_table(import))
	{
		int64		done = import_piece(import, left);

		import->batch_bytes += done;
		left -= done;
		next_command();
		if (!import->in_one_batch && (kwj_import_is_to_stop() || kwj_pace_is_over(&import->pace)))
			break;
	}

	check_deferred_constraints();
	kwj_import_reset_settings(level);

	/* Partitions may have been attached meanwhile. */
	if (!import->elsewhere)
		kwj_storage_note(&import->storage, import->rel);
	return import->rows - rows;
}

void
kwj_import_open_target(KwjImport *import)
{
	ListCell   *lc;

	PreventCommandIfReadOnly("IMPORT");
	kwj_import_check_may_read_files();
	/* A part has not created the target; the checkpoint of the one that has done it is committed. */
	if (import->spec.definition != NULL && !import->created.is_done)
		kwj_import_read_created(import, kwj_parts_state(import->attempt));
	kwj_import_select_table(import);
	import->pstate = make_parsestate(NULL);
	import->rel = kwj_import_lock_target(import->spec.target, import->spec.table);
	import->elsewhere = import->spec.options.keeps_rows && kwj_import_is_elsewhere(import->rel);
	if (import->elsewhere)
		kwj_import_check_elsewhere(import->rel);
	import->numbers = import->spec.numbers;
	if (import->numbers == NIL)
		import->numbers = kwj_import_column_numbers(import->rel, import->spec.columns);
	import->columns = NIL;
	foreach(lc, kwj_import_column_names(import->rel, import->numbers, import->spec.columns))
		import->columns = lappend(import->columns, makeString(lfirst(lc)));
}

void
kwj_import_close_target(KwjImport *import)
{
	relation_close(import->rel, NoLock);
	free_parsestate(import->pstate);
}

/*
 * Imports a batch by statements, which check rights. Another server commits its part before this one does.
 * So the commit here has to be on disk soon, lest a crash has the batch imported once more: as late as
 * other checkpoints may be lost, it would nearly always.
 */
static void
import_by_statements(KwjImport *import)
{
	(void) import_pieces(import);
	ForceSyncCommit();
}

/* Imports from the position on into one table. */
static void
run_table(KwjImport *import)
{
	kwj_import_open_target(import);
	if (import->elsewhere)
		import_by_statements(import);
	else
		(void) kwj_import_run_statement(kwj_import_begin(import->pstate, import->rel, import->numbers,
														 import->text),
										import_pieces, import);
	kwj_import_close_target(import);
}

void
kwj_import_run_batch(KwjImport *import)
{
	do
		run_table(import);
	while (import->in_one_batch && !kwj_import_is_done(import));
}

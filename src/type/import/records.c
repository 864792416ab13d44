/*
 * src/type/import/records.c
 *	  Imports records of one file through COPY, and tells the place of an error.
 *
 * Callers: batch.c and, for an import that leaves bad records out, bad_records.c. Process: worker.
 * Locks: RowExclusiveLock on partitions of the target that rows go to.
 */
#include "postgres.h"

#include "commands/copyfrom_internal.h"
#include "commands/progress.h"
#include "commands/trigger.h"
#include "job/clip.h"
#include "job/progress.h"
#include "job/stop.h"
#include "job/transcript.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "type/import/by_statement.h"
#include "type/import/extend.h"
#include "type/import/records.h"
#include "type/import/reject_table.h"
#include "type/import/wal.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"

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

bool
kwj_import_has_to_end(const KwjImport *import)
{
	bool		is_full = import->subtransactions >= KWJ_IMPORT_SUBTRANSACTIONS ||
		kwj_pace_is_over(&import->pace);

	return !import->in_one_batch && (is_full || kwj_import_is_to_stop());
}

/*
 * Returns whether this is an error of the functions that read values in the binary format. In a session
 * they read what a client sends, and complain about its protocol. Here it is the file, and trying it
 * again does not help.
 */
static bool
is_about_binary(const KwjImport *import, int sqlerrcode)
{
	return import->spec.options.format == KWJ_IMPORT_BINARY && sqlerrcode == ERRCODE_PROTOCOL_VIOLATION;
}

/* Returns whether an error is about a record, and not about the server. */
static bool
is_about_input(const KwjImport *import, int sqlerrcode)
{
	if (is_about_binary(import, sqlerrcode))
		return true;
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

/*
 * Tells a COPY statement how the lines of the file end. It would find that out at the first line end
 * outside of a field, and would not count those within fields before.
 */
static void
tell_line_end(const KwjImport *import)
{
	for (ErrorContextCallback *callback = error_context_stack; callback; callback = callback->previous)
	{
		if (!is_own_callback(import, callback))
			continue;
		((CopyFromState) callback->arg)->eol_type = copy_line_end(import->position.line_end);
		break;
	}
}

/*
 * The reader calls this when COPY is about to get the next piece. If the batch is to end, it ends
 * with the current record.
 */
static void
on_piece(KwjImportReader *reader)
{
	KwjImport  *import = reader->arg;
	bool		over = kwj_pace_next_piece(&import->pace) && !import->searching;

	if ((over || kwj_import_is_to_stop()) && !import->in_one_batch)
		reader->limit = reader->start;
	reader->piece = import->pace.piece;
	kwj_import_push_wal();
	if (import->together && !import->elsewhere)
		kwj_import_extend(&import->extend, import->rel, import->storage.context);
	if (import->elsewhere)
		tell_line_end(import);
	import->show(import, import->rows + running_rows());
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

	import->error_in_file = is_about_input(import, geterrcode());
	import->error_line = import->marker_line;
	import->error_column[0] = '\0';
	import->error_is_name = false;
	for (callback = error_context_stack; callback; callback = callback->previous)
	{
		const CopyFromStateData *copy = callback->arg;

		if (!is_own_callback(import, callback))
			continue;
		/* A statement counts the lines of its own piece. */
		import->error_line = copy->cur_lineno + (import->elsewhere ? import->position.line : 0);
		if (copy->cur_attname != NULL)
			strlcpy(import->error_column, copy->cur_attname, NAMEDATALEN);
		import->error_is_name = copy->cur_attname != NULL && copy->cur_attval != NULL &&
			pg_strcasecmp(copy->cur_attname, copy->cur_attval) == 0;
		break;
	}
}

/*
 * Completes the place of the current error. COPY knows the last line of the record, but users look for
 * its first line.
 */
static void
complete_place(KwjImport *import)
{
	if (import->error_line != 0)
		import->error_line = kwj_reader_first_line(&import->reader, import->position.line,
												   import->error_line);
}

void
kwj_import_tell_place(const KwjImport *import)
{
	KwjAttempt *attempt = import->attempt;
	/* This context lives until the attempt is settled. */
	MemoryContext context = GetMemoryChunkContext(attempt->payload);

	if (!import->error_in_file)
		return;
	attempt->error_file = MemoryContextStrdup(context, import->reader.path);
	attempt->error_line = import->error_line;
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
	if (import->error_is_name && import->error_line == import->spec.options.skip + 1 &&
		import->spec.options.header == KWJ_IMPORT_HEADER_NONE)
		return "If the file has a header, type WITH header = 'skip', or header = 'match'.";
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
	if (is_about_binary(import, edata->sqlerrcode))
		edata->sqlerrcode = ERRCODE_INVALID_BINARY_REPRESENTATION;
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
	kwj_csv_refuse_after_marker(import->spec.options.format, import->reader.path, import->marker_line);
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

/* Runs a COPY statement on what the reader gives: for a target whose rows are elsewhere. */
static void
copy_piece_by_statement(KwjImport *import)
{
	import->rows += kwj_import_copy_by_statement(import->rel, columns_of_file(import),
												 kwj_import_copy_options(&import->spec.options, import->columns),
												 &import->reader);
}

/* Calls COPY, without a statement of its own, on what the reader gives. */
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
 * Opens the file at the position for this many bytes, no further than to offset `to`; 0: no limit.
 * At the start of a file, says what the options leave out.
 */
static void
open_reader(KwjImport *import, int64 bytes, int64 to)
{
	KwjImportPosition *position = &import->position;
	KwjImportReader *reader = &import->reader;
	char	   *remark;

	reader->on_piece = on_piece;
	reader->arg = import;
	reader->expected = expected_identity(import);
	remark = kwj_reader_open(reader, list_nth(import->spec.files, position->file),
							 position, &import->spec.options, bytes,
							 position->file == import->end.file ? &import->end : NULL);
	if (to > 0)
		reader->end = Min(reader->end, to);
	if (remark != NULL && !import->quiet)
		kwj_transcript_add_message(psprintf("NOTICE:  %s", remark));
}

/* Closes the file. At its end, goes to the next one. */
static void
close_reader(KwjImport *import)
{
	KwjImportPosition *position = &import->position;

	kwj_reader_close(&import->reader);
	if (!import->reader.at_end)
		return;
	import->passed = position->offset;
	import->bytes_before += position->stored;
	kwj_import_position_next_file(position);
}

/*
 * At the end of a file in the binary format, raises an error if its trailer has not been there. COPY takes
 * any end of its input for the end of the data, so it would not notice that a file was cut off.
 */
static void
check_complete(const KwjImport *import)
{
	const KwjImportReader *reader = &import->reader;

	if (import->spec.options.format == KWJ_IMPORT_BINARY && kwj_reader_at_end(reader) &&
		reader->scan.binary.phase != KWJ_BINARY_TRAILER)
		kwj_binary_refuse_end(reader->path);
}

/* Runs COPY on what the reader gives. After an error, its place is known. */
static void
copy_with_place(KwjImport *import)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback;

	callback.callback = error_callback;
	callback.arg = import;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	kwj_reader_set_source(&import->reader);
	PG_TRY();
	{
		if (import->elsewhere)
			copy_piece_by_statement(import);
		else
			copy_piece(import);
		check_complete(import);
	}
	PG_CATCH();
	{
		complete_place(import);
		if (import->spec.options.on_error == KWJ_IMPORT_STOP)
			kwj_import_tell_place(import);
		rethrow_clipped(import, context);
	}
	PG_END_TRY();
	kwj_reader_set_source(NULL);
	error_context_stack = callback.previous;
}

int64
kwj_import_records(KwjImport *import, int64 bytes, int64 to)
{
	int64		done = 0;

	import->marker_line = 0;	/* an earlier piece may have failed because of a marker */
	open_reader(import, bytes, to);
	if (!kwj_reader_at_end(&import->reader))
	{
		copy_with_place(import);
		done = import->position.offset - import->reader.start;
	}
	close_reader(import);
	return done;
}

bool
kwj_import_enter_file(KwjImport *import)
{
	int			file = import->position.file;

	open_reader(import, 0, 0);
	close_reader(import);
	return import->position.file == file;
}

/*
 * Opens the file at the position, which is between two records, to look at what follows. The reader moves
 * *position, a copy.
 */
static void
open_to_look(KwjImport *import, KwjImportPosition *position)
{
	*position = import->position;
	Assert(position->opened);
	(void) kwj_reader_open(&import->reader, list_nth(import->spec.files, position->file), position,
						   &import->spec.options, 0, NULL);
}

int64
kwj_import_find_end(KwjImport *import, int64 bytes)
{
	KwjImportPosition position;

	open_to_look(import, &position);
	kwj_reader_find_end(&import->reader, Max(bytes, 1));
	kwj_reader_close(&import->reader);
	return position.offset;
}

bool
kwj_import_find_line(KwjImport *import, int64 line, int64 end, int64 *from, int64 *to)
{
	KwjImportPosition position;
	bool		found;

	open_to_look(import, &position);
	found = kwj_reader_find_line(&import->reader, line, end);
	*from = position.offset;
	if (found)
		kwj_reader_find_end(&import->reader, 1);
	*to = position.offset;
	kwj_reader_close(&import->reader);
	return found;
}

bool
kwj_import_ends_record(KwjImport *import, int64 to)
{
	KwjImportPosition position;
	bool		ends;

	if (import->spec.options.format != KWJ_IMPORT_BINARY)
		return true;
	open_to_look(import, &position);
	kwj_reader_find_end(&import->reader, to - position.offset);
	ends = import->reader.scan.at_record_start;
	kwj_reader_close(&import->reader);
	return ends;
}

char *
kwj_import_record_text(KwjImport *import, int64 to, int most)
{
	KwjImportPosition position;
	char	   *bytes;
	char	   *text;
	int			n = (int) Min(to - import->position.offset, most);

	open_to_look(import, &position);
	bytes = palloc(n);
	kwj_reader_read(&import->reader, bytes, n);
	kwj_reader_close(&import->reader);
	/* Without the line end, if there is one. */
	if (n == to - import->position.offset && import->spec.options.format != KWJ_IMPORT_BINARY)
		while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
			n--;
	text = import->spec.options.format == KWJ_IMPORT_BINARY ? kwj_hex_of_bytes(bytes, n) :
		kwj_text_of_bytes(bytes, n, import->spec.options.charset);
	pfree(bytes);
	return text;
}

void
kwj_import_pass_records(KwjImport *import, int64 to)
{
	open_reader(import, 0, 0);
	kwj_reader_find_end(&import->reader, to - import->position.offset);
	Assert(import->position.offset == to);
	check_complete(import);
	close_reader(import);
}

void
kwj_import_check_deferred(void)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = NIL;	/* all constraints */
	stmt->deferred = false;
	AfterTriggerSetState(stmt);
}

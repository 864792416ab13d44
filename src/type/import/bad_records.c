/*
 * src/type/import/bad_records.c
 *	  Imports the good records among bad ones: on_error = 'skip'.
 *
 * A record is bad if COPY raises an error that is about it when it gets this record alone, after all
 * good records before it. Records are imported by thousands, so nothing is done for each of them:
 *
 *    all of the batch, in a subtransaction --> no error: that is all
 *        |
 *        | error
 *        v
 *    |.........x..........|   COPY tells the line of the record x
 *     import    |
 *     these     import x alone --> error: x is left out; that error is the reason
 *                |.........|   and so on with the rest
 *
 * If the error comes when the records have been read, as that of a foreign key does, COPY tells no
 * line. Then the first half is imported, and the second half, until the record is alone.
 *
 * The records of a subtransaction that has succeeded have its number as xmin. The number is recorded
 * with the checkpoint, as that of the batch's transaction is, so that a revert finds the rows. A batch
 * ends when it has used KWJ_IMPORT_SUBTRANSACTIONS numbers.
 *
 * It also ends when its time is over, but not before the search has imported something or left a record
 * out. In both cases, the search has read more than it has imported, and the next batch reads that again. So
 * the next batch takes no more bytes than this one has got done (kwj_pace_search_was_cut), and the batches
 * grow again from there.
 *
 * Caller: batch.c. Process: worker. Locks: those of COPY; in a subtransaction that fails, they are
 * released. If the worker dies, the whole batch is rolled back, with what it has written into the
 * reject table.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/clip.h"
#include "job/transcript.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "type/import/bad_records.h"
#include "type/import/records.h"
#include "type/import/reject_file.h"
#include "type/import/reject_table.h"
#include "type/import/statement.h"
#include "type/source/source.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* The messages of the attempt name at most this many records. */
#define MOST_MESSAGES	10

/* At most this many bytes of a record go into the reject table. */
#define MOST_OF_RECORD	(1024 * 1024)

/* An error that has kept records from being imported. */
typedef struct Failure
{
	ErrorData  *error;			/* palloc'd in the batch's context; NULL: none yet */
	int64		reached;		/* the offset that COPY had come to */
	int64		line;			/* in which the record begins; 0: not known */
	char		column[NAMEDATALEN];	/* "": not known */
} Failure;

/* Where something is in the file, from offset to offset. */
typedef struct Range
{
	int64		from;
	int64		to;
} Range;

/*
 * Returns whether the error is about a record. Other errors (of the server, of rights, of the table)
 * would come for all records, or come at another time. An error of the class of syntax errors and
 * missing objects is about a record if it comes while COPY reads a field: of type regclass, for
 * instance, or jsonpath.
 */
static bool
is_about_record(const KwjImport *import, int code)
{
	switch (ERRCODE_TO_CATEGORY(code))
	{
		case MAKE_SQLSTATE('2', '1', '0', '0', '0'):	/* cardinality */
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'):	/* data exception */
		case MAKE_SQLSTATE('2', '3', '0', '0', '0'):	/* integrity constraint */
		case MAKE_SQLSTATE('3', '8', '0', '0', '0'):	/* raised by an external routine */
		case MAKE_SQLSTATE('4', '4', '0', '0', '0'):	/* check option */
		case MAKE_SQLSTATE('P', '0', '0', '0', '0'):	/* raised by PL/pgSQL */
			return true;
		case MAKE_SQLSTATE('0', 'A', '0', '0', '0'):	/* not supported */
		case MAKE_SQLSTATE('3', 'F', '0', '0', '0'):	/* no such schema */
		case MAKE_SQLSTATE('4', '2', '0', '0', '0'):	/* syntax, no such object */
		case MAKE_SQLSTATE('5', '4', '0', '0', '0'):	/* program limit */
			return import->error_column[0] != '\0' && code != ERRCODE_INSUFFICIENT_PRIVILEGE;
		default:
			return false;
	}
}

/* Keeps the current error, in place of the last one, as the reason why records cannot be imported. */
static void
note_failure(const KwjImport *import, const KwjImportPosition *before, Failure *failure)
{
	if (failure->error != NULL)
		FreeErrorData(failure->error);
	failure->error = CopyErrorData();
	failure->reached = import->position.file == before->file ?
		import->position.offset : import->passed;
	failure->line = import->error_line;
	strlcpy(failure->column, import->error_column, NAMEDATALEN);
}

/* Imports the records, which are checked, in the current subtransaction. */
static void
import_in_subtransaction(KwjImport *import, int64 bytes, int64 to)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) kwj_import_records(import, bytes, to);
	kwj_import_next_command();
	kwj_import_check_deferred();
	PopActiveSnapshot();
	import->subtransactions += kwj_attempt_note_subtransaction();
}

/*
 * Imports about `bytes` bytes, no further than to offset `to`, where a record ends (0: no limit), in a
 * subtransaction. Returns false, and sets *failure, if an error that is about a record has come. Then
 * nothing was imported.
 */
static bool
try_records(KwjImport *import, int64 bytes, int64 to, Failure *failure)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "kwjobs records", ALLOCSET_DEFAULT_SIZES);
	ResourceOwner owner = CurrentResourceOwner;
	const KwjImportPosition position = import->position;
	const int64 rows = import->rows;
	const int64 bytes_before = import->bytes_before;
	volatile bool done = true;

	import->error_in_file = false;
	import->error_line = 0;
	import->error_column[0] = '\0';
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		import_in_subtransaction(import, bytes, to);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		note_failure(import, &position, failure);
		FlushErrorState();
		/* Nobody else ends a subtransaction of this function. */
		RollbackAndReleaseCurrentSubTransaction();
		if (!is_about_record(import, failure->error->sqlerrcode))
		{
			kwj_import_tell_place(import);
			ReThrowError(failure->error);
		}
		import->position = position;
		import->rows = rows;
		import->bytes_before = bytes_before;
		done = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	MemoryContextDelete(context);
	return done;
}

/* Returns the location of the file at the position as others may see it. */
static const char *
current_file(const KwjImport *import)
{
	return kwj_source_shown(list_nth(import->spec.files, import->position.file));
}

/* ---- a record that is left out ---- */

/* Raises the error of the record at the position, with its place. hint: follows the hint of the error; NULL: none. */
static void
raise_failure(KwjImport *import, const Failure *failure, char *hint)
{
	import->error_in_file = true;
	import->error_line = import->position.line + 1;
	strlcpy(import->error_column, failure->column, NAMEDATALEN);
	kwj_import_tell_place(import);
	if (hint != NULL && failure->error->hint != NULL)
		hint = psprintf("%s %s", failure->error->hint, hint);
	if (hint != NULL)
		failure->error->hint = hint;
	ReThrowError(failure->error);
}

/*
 * Raises the error of the record at the position because reject_limit does not allow to leave it out. Writes
 * the reject file before, if no other process can meet an earlier record beyond the limit.
 */
static void
raise_beyond_limit(KwjImport *import, const Failure *failure)
{
	const char *file = import->spec.options.reject_file;
	char	   *hint = NULL;

	if (import->decides)
		kwj_reject_file_write(&import->spec.options, import->attempt, import->rejected);
	if (import->rejected > 0)
		hint = psprintf("Before it, " INT64_FORMAT " %s left out, as many as reject_limit allows%s.",
						import->rejected, import->rejected == 1 ? "record was" : "records were",
						import->decides && file != NULL ? psprintf(": see file \"%s\"", file) : "");
	raise_failure(import, failure, hint);
}

static char *
reason_of(const ErrorData *error)
{
	return error->detail ? psprintf("%s (%s)", error->message, error->detail) : error->message;
}

/* Names the record in the messages of the attempt, if it is one of the first ones. */
static void
tell(const KwjImport *import, const Failure *failure)
{
	if (import->quiet || import->rejected > MOST_MESSAGES)
		return;
	kwj_transcript_add_message(kwj_clip_text(psprintf("NOTICE:  line " INT64_FORMAT " of file \"%s\" was left out: %s",
													  import->position.line + 1, current_file(import),
													  reason_of(failure->error))));
}

/* Leaves out the record that begins at the position and ends at offset `to`. */
static void
leave_out(KwjImport *import, const Failure *failure, int64 to)
{
	const KwjImportOptions *options = &import->spec.options;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "kwjobs rejected record", ALLOCSET_DEFAULT_SIZES);
	KwjRejected rejected = {
		.job_id = import->attempt->job_id,
		.file_number = import->position.file,
		.file = current_file(import),
		.line = import->position.line + 1,
		.column = failure->column[0] != '\0' ? failure->column : NULL,
		.code = failure->error->sqlerrcode,
	};

	if (options->reject_limit >= 0 && import->rejected >= options->reject_limit)
		raise_beyond_limit(import, failure);
	/* All good records behind it would be left out with it, as one. */
	if (!kwj_import_ends_record(import, to))
		raise_failure(import, failure, "The record is damaged so that nobody can tell where the next one begins: write the file again.");
	MemoryContextSwitchTo(context);
	import->rejected++;
	tell(import, failure);
	if (OidIsValid(options->reject_table) || options->reject_file != NULL)
	{
		rejected.reason = reason_of(failure->error);
		rejected.record = kwj_import_record_text(import, to, MOST_OF_RECORD);
	}
	if (OidIsValid(options->reject_table))
		kwj_reject_table_add(options, &rejected);
	if (options->reject_file != NULL)
		kwj_reject_file_keep(&rejected, import->in_one_batch);
	kwj_import_pass_records(import, to);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* ---- the search ---- */

/* Returns whether the position is at this offset of the file, or behind it. */
static bool
is_at(const KwjImport *import, int file, int64 offset)
{
	return import->position.file != file || import->position.offset >= offset;
}

/*
 * Returns where the record is that may have brought the failure. If COPY has not told its line, the
 * range begins in the middle of what has failed, and ends there.
 */
static Range
suspect(KwjImport *import, int64 end, const Failure *failure)
{
	int64		here = import->position.offset;
	Range		range;

	if (failure->line > 0 &&
		kwj_import_find_line(import, failure->line, end, &range.from, &range.to))
		return range;
	range.from = kwj_import_find_end(import, (end - here) / 2);
	if (range.from >= end)
	{
		/* The last record is the longest one. */
		range.from = here;
		range.to = kwj_import_find_end(import, 1);
	}
	else
		range.to = range.from;
	return range;
}

/*
 * Imports the good records between the position and offset `end`, which together have brought this
 * failure, or less if the batch has to end.
 */
static void
search(KwjImport *import, int64 end, Failure *failure)
{
	const int	file = import->position.file;

	check_stack_depth();
	while (!is_at(import, file, end))
	{
		Range		range = suspect(import, end, failure);

		if (range.from > import->position.offset)
		{
			if (!try_records(import, end, range.from, failure))
				search(import, range.from, failure);
		}
		else if (range.to >= end || !try_records(import, end, range.to, failure))
			leave_out(import, failure, range.to);
		if (kwj_import_has_to_end(import) || is_at(import, file, end) ||
			try_records(import, end, end, failure))
			return;
	}
}

int64
kwj_import_good_records(KwjImport *import, int64 bytes)
{
	int64		before;
	Failure		failure = {0};
	int			file;

	import->reader.keeps = true;
	if (!kwj_import_enter_file(import))
		return 0;
	before = import->position.offset;
	file = import->position.file;
	bytes = kwj_reader_keep_from(&import->reader, before, bytes);
	if (!try_records(import, bytes, 0, &failure))
	{
		int64		here = import->position.offset;

		import->searching = true;
		search(import, kwj_import_find_end(import, Max(failure.reached - here, 1)), &failure);
		import->searching = false;
		FreeErrorData(failure.error);
		if (kwj_import_has_to_end(import))
			kwj_pace_search_was_cut(&import->pace);
	}
	return import->position.file == file ? import->position.offset - before : import->passed - before;
}

/*
 * src/type/import/by_statement.c
 *	  Importing by a COPY statement, for targets whose rows other libraries keep.
 *
 * Libraries that keep the rows of tables elsewhere (Citus, TimescaleDB) take COPY over when it is a
 * statement, in ProcessUtility_hook. So for these, each piece is a statement, COPY t (...) FROM STDIN. It
 * also brings rows where only COPY knows the way: into foreign tables and partitions, and to the INSTEAD
 * OF triggers of a view.
 *
 * In a process without a client, COPY FROM STDIN reads stdin, a variable of the C library. While COPY
 * runs, it is a stream of this file:
 *
 *     COPY  --fread(stdin)-->  read_stream  -->  kwj_reader_source
 *
 * So no file is written, and no right to read files of the server is needed for it. COPY is told of an
 * error of the reader as an error of the stream; the reader's own error then takes its place. An error
 * must not leave read_stream by longjmp, because the C library is in the middle of a read.
 *
 * Caller: records.c. Process: worker. Locks: those of COPY.
 */
#include "postgres.h"

#include <errno.h>
#include <stdio.h>

#include "catalog/namespace.h"
#include "commands/copy.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "type/columns.h"
#include "type/import/by_statement.h"
#include "type/sql/parse.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* How many bytes the worker reads ahead of COPY. */
#define BUFFER_SIZE	65536

/* How far the stream has read a line that may turn out to be just \. */
typedef enum Marker
{
	LINE_START,
	AFTER_BACKSLASH,
	AFTER_DOT,
	AFTER_MARKER,				/* its line has ended */
	NO_MARKER,					/* in another line */
} Marker;

typedef struct Stream
{
	KwjImportReader *reader;
	MemoryContext context;		/* has the error */
	ErrorData  *error;			/* that of the reader; NULL: none */
	Marker		marker;
	bool		began;			/* something was read */
	KwjCsvScan	scan;			/* follows what was read */
	int64		lines;			/* that were read */
} Stream;

/* Returns whether COPY takes a line of just \. for the end of the data: of text and, until 17, of CSV. */
static bool
has_marker(const KwjImportOptions *options)
{
	switch (options->format)
	{
		case KWJ_IMPORT_TEXT:
			return true;
		case KWJ_IMPORT_BINARY:
			return false;
		default:
			return kwj_copy_has_end_marker;
	}
}

/*
 * Raises an error if text follows a line of just \. that COPY takes for the end. As the last line of the
 * file, it does no harm. Within a field, such a line is data.
 */
static void
check_marker(Stream *stream, const char *data, size_t n)
{
	KwjCsvScan	scan = stream->scan;
	size_t		scanned = 0;	/* how many of these bytes `scan` has scanned */

	if (!has_marker(stream->reader->options))
		return;
	for (size_t i = 0; i < n; i++)
	{
		bool		line_end = data[i] == '\n' || data[i] == '\r';

		if (stream->marker == AFTER_MARKER && !line_end)
			kwj_csv_refuse_after_marker(stream->reader->options->format, stream->reader->path, 0);
		if (line_end)
			stream->marker = stream->marker == AFTER_DOT || stream->marker == AFTER_MARKER ?
				AFTER_MARKER : LINE_START;
		else if (stream->marker == LINE_START && data[i] == '\\')
		{
			kwj_csv_scan_over(&scan, data + scanned, i - scanned);
			scanned = i;
			stream->marker = scan.at_record_start ? AFTER_BACKSLASH : NO_MARKER;
		}
		else if (stream->marker == AFTER_BACKSLASH && data[i] == '.')
			stream->marker = AFTER_DOT;
		else
			stream->marker = NO_MARKER;
	}
}

static int
read_and_count(Stream *stream, char *buffer, size_t size)
{
	KwjImportReader *reader = stream->reader;
	int			n = kwj_reader_source(buffer, 1, (int) Min(size, BUFFER_SIZE));

	/* The header that the reader gives in the binary format first is no record. */
	if (reader->options->format == KWJ_IMPORT_BINARY && !stream->began)
	{
		stream->began = true;
		return n;
	}
	check_marker(stream, buffer, n);
	stream->lines += kwj_csv_count_lines(&stream->scan, buffer, n);
	kwj_csv_scan_over(&stream->scan, buffer, n);
	return n;
}

/* The C library calls this for the next bytes. Returns 0 at the end, -1 after an error. */
static ssize_t
read_stream(void *cookie, char *buffer, size_t size)
{
	Stream	   *stream = cookie;
	MemoryContext caller = CurrentMemoryContext;
	volatile int n = -1;

	if (stream->error != NULL)
		return -1;
	PG_TRY();
	{
		n = read_and_count(stream, buffer, size);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(stream->context);
		stream->error = CopyErrorData();
		FlushErrorState();
		MemoryContextSwitchTo(caller);
		errno = EIO;
	}
	PG_END_TRY();
	return n;
}

static FILE *
open_stream(Stream *stream)
{
#ifdef __GLIBC__
	FILE	   *file = fopencookie(stream, "r", (cookie_io_functions_t) {.read = read_stream});

	if (file == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OUT_OF_MEMORY),
				errmsg("out of memory"),
				errhint("Import when the server has more memory left."));
	return file;
#else
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("this build of kwjobs cannot import into tables whose rows others keep"),
			errhint("Run COPY as a job: CALL kwjobs.run('COPY ...')."));
#endif
}

/* Appends the value of an option of COPY as its grammar has it. */
static void
append_value(StringInfo text, Node *value)
{
	const char *separator = "(";
	ListCell   *lc;

	if (value == NULL)
		return;
	if (!IsA(value, List))
	{
		appendStringInfo(text, " %s", IsA(value, A_Star) ? "*" : quote_literal_cstr(strVal(value)));
		return;
	}
	foreach(lc, (List *) value)
	{
		appendStringInfo(text, " %s%s", separator, quote_identifier(strVal(lfirst(lc))));
		separator = ", ";
	}
	appendStringInfoChar(text, ')');
}

/* Returns the text of the statement. */
static char *
statement_text(Relation rel, const List *columns, const List *options)
{
	const char *separator = " (";
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfo(&text, "COPY %s", kwj_qualified_name(rel));
	foreach(lc, columns)
	{
		appendStringInfo(&text, "%s%s", separator, quote_identifier(strVal(lfirst(lc))));
		separator = ", ";
	}
	appendStringInfoString(&text, ") FROM STDIN");
	separator = " (";
	foreach(lc, options)
	{
		const DefElem *option = lfirst(lc);

		appendStringInfo(&text, "%s%s", separator, option->defname);
		append_value(&text, option->arg);
		separator = ", ";
	}
	appendStringInfoChar(&text, ')');
	return text.data;
}

/* Parses the text, and makes sure that it is a COPY into this table. */
static PlannedStmt *
parse(const char *text, Relation rel)
{
	PlannedStmt *statement = kwj_sql_plan_copy(text, true);
	const CopyStmt *copy = castNode(CopyStmt, statement->utilityStmt);

	/* A schema may be renamed although its tables are locked. */
	if (RangeVarGetRelid(copy->relation, NoLock, true) != RelationGetRelid(rel))
		ereport(ERROR,
				errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				errmsg("the schema of table \"%s\" was renamed while the job looked it up",
					   RelationGetRelationName(rel)),
				errhint("Type RETRY JOB."));
	return statement;
}

/* Runs the statement while stdin is the stream. */
static uint64
run(const char *text, PlannedStmt *statement, FILE *file)
{
	FILE	   *saved = stdin;
	QueryCompletion completion;

	InitializeQueryCompletion(&completion);
	stdin = file;
	PG_TRY();
	{
		ProcessUtility(statement, text, false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL, None_Receiver,
					   &completion);
	}
	PG_FINALLY();
	{
		stdin = saved;
		(void) fclose(file);
	}
	PG_END_TRY();
	return completion.nprocessed;
}

uint64
kwj_import_copy_by_statement(Relation rel, List *columns, List *options, KwjImportReader *reader)
{
	Stream		stream = {.reader = reader, .context = CurrentMemoryContext};
	char	   *text = statement_text(rel, columns, options);
	PlannedStmt *statement = parse(text, rel);
	volatile uint64 rows = 0;

	kwj_csv_scan_init(&stream.scan, reader->options, reader->position->line_end);
	/* With a client, COPY would ask it for the rows. */
	Assert(whereToSendOutput != DestRemote);
	PG_TRY();
	{
		rows = run(text, statement, open_stream(&stream));
	}
	PG_CATCH();
	{
		/* COPY knows only that the stream could not be read. */
		if (stream.error == NULL)
			PG_RE_THROW();
		FlushErrorState();
		ReThrowError(stream.error);
	}
	PG_END_TRY();
	if (stream.error != NULL)
		ReThrowError(stream.error);
	reader->position->line += stream.lines;
	return rows;
}

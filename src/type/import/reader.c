/*
 * src/type/import/reader.c
 *	  Hands a file to COPY in batches of whole records.
 *
 *    kwj_reader_open --> COPY calls kwj_reader_source for each piece --> kwj_reader_close
 *
 * COPY asks for pieces of at most 64 kB, and gets as much as pace.c says, read straight into its
 * buffer. The reader only follows the ends of records in them (csv_scan.c). When the batch is
 * large enough, it gives the last piece up to the end of a record, and then says that the input
 * ends. The next batch begins at that offset. So memory does not depend on the size of the file,
 * the batch or a record.
 *
 * The bytes come from a source (type/source), which stays open from one batch to the next, because to
 * find the place in a compressed file takes long. Each batch looks anew which file the path means.
 * Before and after the batch, it must be the same file as when the job opened it first. After an error,
 * the source is closed by the next kwj_reader_open, or with its memory context.
 *
 * Process: worker; session, for kwj_import_check_file. Locks: none.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "type/import/contents.h"
#include "type/import/header.h"
#include "type/import/reader.h"
#include "type/import/skip.h"

#define READ_SIZE 65536

/* How much is read at a time where the reader only looks for the end of a record. */
#define SCAN_SIZE (256 * 1024)

/* A batch takes at most this many bytes if the reader has to keep them in memory. */
#define MOST_KEPT (4 * 1024 * 1024)

/* A header that goes on within quotes for more bytes than this is no header. */
#define MAX_HEADER (16 * 1024 * 1024)

/* How much of a file the session that creates a job reads, to tell what skip leaves out. */
#define MAX_LOOKED_AT (1024 * 1024)

static KwjImportReader *source = NULL;

/*
 * Checks that the file is still the same. In another text, going on at an offset would import
 * wrong rows.
 */
static void
check_identity(const KwjImportReader *reader, const KwjSourceIdentity *before)
{
	const char *what = kwj_source_difference(reader->source, before);

	if (what == NULL)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("file \"%s\" was changed while it was being imported", reader->path),
			errdetail("Its %s is not what it was when the job opened it.", what),
			errhint("Import the file again; what this job had imported is removed."));
}

/* Reads from what is kept, or from the source; what follows the kept bytes is kept, too. */
static size_t
read_kept(const KwjImportReader *reader, char *buffer, size_t size, int64 offset)
{
	StringInfo	kept = reader->kept;
	int64		at = offset - reader->kept_from;
	size_t		n;

	if (at >= 0 && at < kept->len)
	{
		n = Min(size, kept->len - at);
		memcpy(buffer, kept->data + at, n);
		return n;
	}
	n = kwj_source_read(reader->source, buffer, size, offset);
	if (at == kept->len)
		appendBinaryStringInfo(kept, buffer, (int) n);
	return n;
}

static size_t
read_text(const KwjImportReader *reader, char *buffer, size_t size, int64 offset)
{
	if (reader->kept != NULL)
		return read_kept(reader, buffer, size, offset);
	return kwj_source_read(reader->source, buffer, size, offset);
}

/* Moves the position in the file. */
static void
advance(KwjImportReader *reader, int64 bytes)
{
	KwjImportPosition *position = reader->position;

	position->offset += bytes;
	position->stored = kwj_source_stored_before(reader->source, position->offset);
}

/* Returns how the first record that is imported ends, if the file has a line end after it. */
static KwjLineEnd
find_line_end(KwjImportReader *reader, char *buffer)
{
	KwjCsvScan	scan = reader->scan;
	int64		offset = reader->position->offset;
	bool		after_cr = false;
	size_t		n;

	while ((n = read_text(reader, buffer, READ_SIZE, offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		for (size_t i = 0; i < n; i++)
		{
			if (after_cr)
				return buffer[i] == '\n' ? KWJ_LINE_END_CRLF : KWJ_LINE_END_CR;
			kwj_csv_scan_byte(&scan, buffer[i]);
			if (scan.in_field)
				continue;
			if (buffer[i] == '\n')
				return KWJ_LINE_END_LF;
			after_cr = (buffer[i] == '\r');
		}
		offset += n;
	}
	return after_cr ? KWJ_LINE_END_CR : KWJ_LINE_END_UNKNOWN;
}

/* Scans the lines to skip, from an offset up to `limit` at most. Returns where they end. */
static int64
skip_from(KwjImportReader *reader, KwjSkipScan *skip, int64 offset, int64 limit, char *buffer)
{
	size_t		n;

	while (!kwj_skip_is_done(skip) && offset < limit &&
		   (n = read_text(reader, buffer, READ_SIZE, offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		offset += kwj_skip_scan(skip, buffer, n);
	}
	if (kwj_source_ends_at(reader->source, offset))
		kwj_skip_end_of_file(skip);
	return offset;
}

static void
skip_lines(KwjImportReader *reader, KwjSkipScan *skip, int64 limit)
{
	KwjImportPosition *position = reader->position;
	char	   *buffer = palloc(READ_SIZE);

	position->offset = skip_from(reader, skip, position->offset, limit, buffer);
	if (kwj_skip_may_have_rest(skip))
	{
		KwjSkipScan rest = *skip;
		int64		end;

		kwj_skip_begin_rest(&rest);
		end = skip_from(reader, &rest, position->offset,
						Min(limit, position->offset + MAX_HEADER), buffer);
		if (rest.rest_ended)
		{
			position->offset = end;
			*skip = rest;
		}
	}
	position->line = skip->lines;
	pfree(buffer);
}

/* Goes behind the header and, if it is to be matched, notes which field is for which column. */
static void
pass_header(KwjImportReader *reader, const KwjImportOptions *options)
{
	KwjImportPosition *position = reader->position;
	char	   *buffer = palloc(READ_SIZE);
	KwjHeaderScan header;
	size_t		n;

	kwj_header_init(&header, options, reader->path);
	/* The \n that follows a \r may be in the next part of the file. */
	while ((!header.ended || header.after_cr) &&
		   (n = read_text(reader, buffer, READ_SIZE, position->offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		position->offset += kwj_header_scan(&header, buffer, n);
	}
	if (!header.ended)
		kwj_header_end_of_file(&header);
	position->line += header.lines;
	if (options->header == KWJ_IMPORT_HEADER_MATCH)
	{
		MemoryContext caller = CurrentMemoryContext;

		/* It lives as long as the source is open. */
		if (reader->context != NULL)
			MemoryContextSwitchTo(reader->context);
		reader->order = kwj_header_order(&header);
		MemoryContextSwitchTo(caller);
	}
	pfree(header.text.data);
	pfree(buffer);
}

/*
 * Goes behind the header of a file in the binary format. If the end can be looked at without reading all
 * of it, checks that the file is complete.
 */
static void
begin_binary(KwjImportReader *reader, const char *head, size_t n)
{
	KwjImportPosition *position = reader->position;
	char		trailer[KWJ_BINARY_TRAILER_SIZE];
	int64		at = position->identity.size - KWJ_BINARY_TRAILER_SIZE;

	position->offset = kwj_binary_header_size(reader->path, head, n);
	if (kwj_source_needs_one_reader(reader->source) != NULL)
		return;
	if (at < position->offset || read_text(reader, trailer, sizeof(trailer), at) != sizeof(trailer) ||
		!kwj_binary_is_trailer(trailer))
		kwj_binary_refuse_end(reader->path);
}

/* Goes to where the text or the first record begins, after a look at the first bytes. */
static void
begin_text(KwjImportReader *reader, const KwjImportOptions *options)
{
	char		head[KWJ_IMPORT_HEAD_SIZE];
	size_t		n;

	Assert(reader->kept == NULL);
	n = kwj_source_read_start(reader->source, head, sizeof(head));
	reader->position->offset = kwj_import_check_contents(reader->path, head, n, options);
	if (options->format == KWJ_IMPORT_BINARY)
		begin_binary(reader, head, n);
}

/*
 * Goes to the first record to import, if it begins within the first `limit` bytes. Returns a remark
 * for the user about the skipped lines, or NULL.
 */
static char *
begin_file(KwjImportReader *reader, const KwjImportOptions *options, int64 limit)
{
	KwjImportPosition *position = reader->position;
	KwjSkipScan skip;

	position->opened = true;
	position->identity = reader->source->identity;
	begin_text(reader, options);
	if (options->format == KWJ_IMPORT_BINARY)
	{
		advance(reader, 0);
		return NULL;
	}
	kwj_skip_init(&skip, options);
	skip_lines(reader, &skip, limit);
	if (options->header != KWJ_IMPORT_HEADER_NONE && !kwj_reader_at_end(reader))
		pass_header(reader, options);
	advance(reader, 0);
	return kwj_skip_is_done(&skip) || kwj_reader_at_end(reader) ?
		kwj_skip_remark(&skip, reader->path) : NULL;
}

/* Reads the header of a file that is open in the middle. */
static void
read_header(KwjImportReader *reader, const KwjImportOptions *options)
{
	KwjImportPosition start = {0};
	KwjImportReader again = {.path = reader->path, .source = reader->source, .context = reader->context,
		.position = &start, .options = options};

	(void) begin_file(&again, options, PG_INT64_MAX);
	reader->order = again.order;
}

/* Sets the line end: all records of a file end like the first one that is imported. */
static void
set_line_end(KwjImportReader *reader)
{
	char	   *buffer = palloc(READ_SIZE);

	/* In the binary format it means nothing, but it is known. */
	reader->position->line_end = reader->options->format == KWJ_IMPORT_BINARY ?
		KWJ_LINE_END_LF : find_line_end(reader, buffer);
	reader->scan.line_end = reader->position->line_end;
	pfree(buffer);
}

KwjImportFile
kwj_import_check_file(const char *location, const KwjImportOptions *options)
{
	KwjImportPosition position = {0};
	KwjImportReader reader = {.position = &position, .options = options};
	KwjImportFile file;

	reader.source = kwj_source_open(location, CurrentMemoryContext);
	reader.path = reader.source->name;
	file.size = reader.source->identity.size;
	file.one_reader = kwj_source_needs_one_reader(reader.source);
	/* A header is checked wherever it stands, so that no job fails because of it. */
	file.remark = begin_file(&reader, options,
							 options->header == KWJ_IMPORT_HEADER_NONE ? MAX_LOOKED_AT : PG_INT64_MAX);
	kwj_source_close(reader.source);
	return file;
}

/* Forgets what was kept. */
static void
keep_nothing(KwjImportReader *reader)
{
	if (reader->kept == NULL)
		return;
	pfree(reader->kept->data);
	pfree(reader->kept);
	reader->kept = NULL;
}

/* Closes the source, if one is open. */
static void
close_source(KwjImportReader *reader)
{
	keep_nothing(reader);
	if (reader->source != NULL)
		kwj_source_close(reader->source);
	reader->source = NULL;
	list_free(reader->order);
	reader->order = NIL;
}

/* Opens the source, or goes on with the one that is open. */
static void
open_source(KwjImportReader *reader, const char *location)
{
	if (reader->source != NULL && reader->position->opened &&
		strcmp(reader->source->location, location) == 0)
	{
		kwj_source_open_again(reader->source);
		return;
	}
	close_source(reader);
	reader->source = kwj_source_open(location, reader->context ? reader->context : CurrentMemoryContext);
}

char *
kwj_reader_open(KwjImportReader *reader, const char *location,
				KwjImportPosition *position, const KwjImportOptions *options,
				int64 bytes, const KwjImportEnd *end)
{
	char	   *remark = NULL;

	reader->position = position;
	open_source(reader, location);
	reader->path = reader->source->name;
	reader->ended = reader->began = false;
	reader->options = options;
	kwj_csv_scan_init(&reader->scan, options, position->line_end);
	kwj_trailing_init(&reader->trailing, options);

	if (position->opened)
	{
		check_identity(reader, &position->identity);
		/* While the source is open, the order is known: to go back to the header may take long. */
		if (options->header == KWJ_IMPORT_HEADER_MATCH && reader->order == NIL)
			read_header(reader, options);
	}
	else
	{
		if (end != NULL)
			check_identity(reader, &end->identity);
		if (reader->expected != NULL)
			check_identity(reader, reader->expected);
		remark = begin_file(reader, options, PG_INT64_MAX);
		set_line_end(reader);
	}
	reader->start = position->offset;
	reader->limit = position->offset + bytes;
	reader->end = end ? end->offset : PG_INT64_MAX;
	kwj_record_lines_begin(&reader->lines, &reader->scan, position->line);
	return remark;
}

void
kwj_reader_close(KwjImportReader *reader)
{
	reader->at_end = kwj_reader_at_end(reader);
	kwj_source_look(reader->source, reader->at_end);
	check_identity(reader, &reader->position->identity);
	if ((reader->at_end && !reader->keeps) || reader->context == NULL)
		close_source(reader);
}

int64
kwj_reader_keep_from(KwjImportReader *reader, int64 offset, int64 bytes)
{
	StringInfo	kept = reader->kept;
	MemoryContext caller;

	if (kwj_source_needs_one_reader(reader->source) == NULL)
		return bytes;
	if (kept == NULL)
	{
		caller = MemoryContextSwitchTo(reader->context);
		reader->kept = kept = makeStringInfo();
		reader->kept_from = offset;
		MemoryContextSwitchTo(caller);
	}
	else if (offset < reader->kept_from || offset > reader->kept_from + kept->len)
		resetStringInfo(kept);
	else
	{
		/* What lies before is done. */
		int			done = (int) (offset - reader->kept_from);

		memmove(kept->data, kept->data + done, kept->len - done);
		kept->len -= done;
	}
	reader->kept_from = offset;
	return Min(bytes, MOST_KEPT);
}

bool
kwj_reader_at_end(const KwjImportReader *reader)
{
	return kwj_source_ends_at(reader->source, reader->position->offset);
}

void
kwj_reader_set_source(KwjImportReader *reader)
{
	source = reader;
}

/*
 * Returns how many of the n bytes at the current offset belong to the batch. That is at least one
 * record, so that each batch makes progress.
 */
static size_t
take_bytes(KwjImportReader *reader, const char *p, size_t n)
{
	KwjCsvScan *scan = &reader->scan;
	int64		offset = reader->position->offset;
	size_t		over = Min(n, Max(reader->limit - offset, 0));

	kwj_csv_scan_over(scan, p, over);
	if (over == n || (scan->at_record_start && offset + over > reader->start))
		return over;
	return over + kwj_csv_scan_record(scan, p + over, n - over);
}

/* Reads the next piece of the batch, at most `max` bytes. Returns 0 if there is none. */
static int
read_piece(KwjImportReader *reader, char *buffer, int max)
{
	KwjImportPosition *position = reader->position;
	size_t		n;

	if (position->offset >= reader->end)
		n = 0;
	else if (position->offset > reader->start && position->offset >= reader->limit &&
			 reader->scan.at_record_start)
		n = 0;
	else
		n = read_text(reader, buffer, Min(Min(max, reader->piece), reader->end - position->offset),
					  position->offset);
	if (n == 0)
		return 0;
	n = take_bytes(reader, buffer, n);
	if (kwj_source_needs_one_reader(reader->source) != NULL && reader->options->format == KWJ_IMPORT_CSV)
		kwj_record_lines_add(&reader->lines, buffer, n);
	advance(reader, n);
	return n;
}

/*
 * As read_piece, but leaves out the delimiters at the ends of records. One that was held back at the
 * end of the last piece may come before this one.
 */
static int
read_filtered(KwjImportReader *reader, char *buffer, int max)
{
	KwjTrailing *trailing = &reader->trailing;
	int			left;

	/* COPY has room for whole pieces. */
	Assert(max > 1);
	do
	{
		int			before = kwj_trailing_held(trailing);
		int			n = read_piece(reader, buffer + before, max - before);

		/* A delimiter that is held at the end of the file is a trailing one. */
		if (n == 0)
			return 0;
		left = kwj_trailing_filter(trailing, buffer, n);
	} while (left == 0);
	return left;
}

int
kwj_reader_source(void *buffer, int min, int max)
{
	KwjImportReader *reader = source;
	int			n;

	CHECK_FOR_INTERRUPTS();
	reader->on_piece(reader);
	if (reader->options->format == KWJ_IMPORT_BINARY && !reader->began)
	{
		/* Each batch is a file to COPY. It may end without the trailer. */
		memcpy(buffer, KWJ_BINARY_HEADER, KWJ_BINARY_HEADER_SIZE);
		reader->began = true;
		return KWJ_BINARY_HEADER_SIZE;
	}
	if (reader->options->trailing_delimiter)
		n = read_filtered(reader, buffer, max);
	else
		n = read_piece(reader, buffer, max);
	if (n == 0)
		reader->ended = true;
	return n;
}

/* Scans n bytes that the position is at, and moves it behind them. */
static void
pass_over(KwjImportReader *reader, const char *p, size_t n)
{
	reader->position->line += kwj_csv_count_lines(&reader->scan, p, n);
	kwj_csv_scan_over(&reader->scan, p, n);
	advance(reader, n);
}

/* As pass_over, but stops at the end of the record, if that is among these n bytes. */
static void
pass_to_record_end(KwjImportReader *reader, const char *p, size_t n)
{
	const KwjCsvScan before = reader->scan;
	size_t		scanned = kwj_csv_scan_record(&reader->scan, p, n);

	reader->position->line += kwj_csv_count_lines(&before, p, scanned);
	advance(reader, scanned);
}

void
kwj_reader_refuse_one_reader(const KwjImportReader *reader)
{
	const char *reason = kwj_source_needs_one_reader(reader->source);

	if (reason != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("file \"%s\" cannot be imported by several workers: %s", reader->path, reason),
				errhint("Import it with thread_concurrency = '1'."));
}

/* Goes to the end of the file, whatever comes before it. */
static void
go_to_end(KwjImportReader *reader, char *buffer)
{
	KwjImportPosition *position = reader->position;
	size_t		n;

	if (kwj_source_needs_one_reader(reader->source) == NULL)
		advance(reader, position->identity.size - position->offset);
	else
		while ((n = read_text(reader, buffer, SCAN_SIZE, position->offset)) > 0)
		{
			CHECK_FOR_INTERRUPTS();
			advance(reader, n);
		}
}

void
kwj_reader_find_end(KwjImportReader *reader, int64 bytes)
{
	KwjImportPosition *position = reader->position;
	int64		target = position->offset + bytes;
	char	   *buffer;
	size_t		n;

	buffer = palloc(SCAN_SIZE);
	while (position->offset < target || !reader->scan.at_record_start)
	{
		CHECK_FOR_INTERRUPTS();
		if (position->line_end == KWJ_LINE_END_UNKNOWN || position->offset - target > (int64) MaxAllocSize)
		{
			go_to_end(reader, buffer);
			break;
		}
		n = read_text(reader, buffer, SCAN_SIZE, position->offset);
		if (n == 0)
			break;
		if (position->offset + n <= target)
			pass_over(reader, buffer, n);
		else
		{
			size_t		before = Max(target - position->offset, 0);

			pass_over(reader, buffer, before);
			if (before > 0 && reader->scan.at_record_start)
				break;
			pass_to_record_end(reader, buffer + before, n - before);
		}
	}
	pfree(buffer);
}

bool
kwj_reader_find_line(KwjImportReader *reader, int64 line, int64 end)
{
	KwjImportPosition *position = reader->position;
	KwjImportPosition record = *position;
	char	   *buffer = palloc(SCAN_SIZE);
	bool		found = false;
	size_t		n;

	while (!found && record.offset < end &&
		   (n = read_text(reader, buffer, SCAN_SIZE, position->offset)) > 0)
	{
		const int64 base = position->offset;

		CHECK_FOR_INTERRUPTS();
		while (!found && position->offset < base + (int64) n)
		{
			int64		done = position->offset - base;

			pass_to_record_end(reader, buffer + done, n - done);
			found = position->line >= line;
			if (!found && reader->scan.at_record_start)
				record = *position;
		}
	}
	pfree(buffer);
	/* The last record may have no line end. */
	found |= kwj_reader_at_end(reader) && record.offset < end;
	*position = record;
	kwj_csv_scan_init(&reader->scan, reader->options, position->line_end);
	return found && record.offset < end && record.line < line;
}

void
kwj_reader_read(const KwjImportReader *reader, char *buffer, int n)
{
	int			done = 0;

	while (done < n)
	{
		size_t		got = read_text(reader, buffer + done, n - done, reader->position->offset + done);

		if (got == 0)
			elog(ERROR, "file \"%s\" ends before byte %d of a record", reader->path, n);
		done += (int) got;
	}
}

/*
 * Lines are counted as COPY counts them: in CSV, also those inside an enclosed field. After an error, the
 * source is read only if it is a plain file, which needs nothing but the file.
 */
int64
kwj_reader_first_line(const KwjImportReader *reader, int64 line_before, int64 line)
{
	int64		offset = reader->start;
	KwjRecordLines lines = {0};
	KwjCsvScan	scan;
	char	   *buffer;
	ssize_t		n;

	/* In the other formats, each record is one line to COPY. */
	if (reader->options->format != KWJ_IMPORT_CSV)
		return line;
	if (kwj_source_needs_one_reader(reader->source) != NULL)
		return kwj_record_lines_first(&reader->lines, line);
	kwj_csv_scan_init(&scan, reader->options, reader->position->line_end);
	kwj_record_lines_begin(&lines, &scan, line_before);
	buffer = palloc(READ_SIZE);
	while (lines.line < line && (n = kwj_source_try_to_read(reader->source, buffer, READ_SIZE, offset)) > 0)
	{
		kwj_record_lines_add(&lines, buffer, n);
		offset += n;
	}
	pfree(buffer);
	return kwj_record_lines_first(&lines, line);
}

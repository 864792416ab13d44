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
 * The file is opened for each batch, as a transient file of its transaction. So nothing has to be
 * closed after an error, and each batch looks anew which file the path means. Before and after the
 * batch, it must be the same file as when the job opened it first.
 *
 * Process: worker; session, for kwj_import_check_file. Locks: none.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "type/files/directory.h"
#include "type/import/contents.h"
#include "type/import/header.h"
#include "type/import/reader.h"
#include "type/import/skip.h"

#define READ_SIZE 65536

/* The same where nothing is done but looking for the end of a record. */
#define SCAN_SIZE (256 * 1024)

/* A header that goes on within quotes for more bytes than this is no header. */
#define MAX_HEADER (16 * 1024 * 1024)

/* How much of a file the session that creates a job reads, to tell what skip leaves out. */
#define MAX_LOOKED_AT (1024 * 1024)

#ifdef __APPLE__
#define st_mtim st_mtimespec
#endif

static KwjImportReader *source = NULL;

/* Refuses a pipe or a device, because it cannot be read again from an offset. */
static void
refuse_special_file(const char *path)
{
	ereport(ERROR,
			errcode(ERRCODE_WRONG_OBJECT_TYPE),
			errmsg("\"%s\" is not a regular file", path),
			errdetail("An IMPORT must be able to go on reading at an offset after a pause or a crash."),
			errhint("Save the data as a file first."));
}

/* Opens a regular file. */
static int
open_file(const char *path, struct stat *st)
{
	KwjDirectoryId id;
	/* Before any look at the file: whether it exists in another directory is nobody's business. */
	bool		is_limited = kwj_file_find_allowed("IMPORT", path, &id);
	int			fd;

	/* This finds a pipe without opening it, which its writer would notice. */
	if (stat(path, st) == 0 && !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		refuse_special_file(path);
	/* If there is a pipe by now, O_NONBLOCK keeps the open from waiting for its writer. */
	fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not open file \"%s\" for reading: %m", path),
				errhint("IMPORT has the server process read a file: it must exist on the server's host and be readable by the operating system user of the server."));
	if (fstat(fd, st) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", path));
	/* Somebody may have put a link in its place since the check. */
	if (is_limited && !kwj_directory_is_same(kwj_directory_id(st), id))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("file \"%s\" was replaced while it was opened", path),
				errhint("Do not change the file while a job reads it."));
	if (S_ISDIR(st->st_mode))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is a directory", path),
				errhint("List the files to import, or give a pattern such as '/data/*.csv'."));
	if (!S_ISREG(st->st_mode))
		refuse_special_file(path);
	return fd;
}

static void
close_file(int fd, const char *path)
{
	if (CloseTransientFile(fd) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not close file \"%s\": %m", path));
}

static KwjFileIdentity
identity_of(const struct stat *st)
{
	KwjFileIdentity identity;

	identity.size = st->st_size;
	identity.mtime = (int64) st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	identity.inode = (int64) st->st_ino;
	return identity;
}

/*
 * Checks that the file is still the same. In another text, going on at an offset would import
 * wrong rows.
 */
static void
check_identity(const KwjImportReader *reader, const KwjFileIdentity *before, const struct stat *st)
{
	KwjFileIdentity now = identity_of(st);
	const char *what;

	if (now.size != before->size)
		what = "size";
	else if (now.mtime != before->mtime)
		what = "modification time";
	else if (now.inode != before->inode)
		what = "inode";
	else
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("file \"%s\" was changed while it was being imported", reader->path),
			errdetail("Its %s is not what it was when the job opened it.", what),
			errhint("Import the file again; what this job had imported is removed."));
}

static ssize_t
read_file(const KwjImportReader *reader, char *buffer, size_t size, int64 offset)
{
	ssize_t		n;

	/* Read no more than this, even if the file has grown; kwj_reader_close checks its size. */
	size = Min((int64) size, reader->position->identity.size - offset);
	if (size == 0)
		return 0;
	n = pg_pread(reader->fd, buffer, size, offset);
	if (n < 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not read file \"%s\": %m", reader->path));
	if (n == 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("file \"%s\" was truncated while it was being imported",
					   reader->path),
				errhint("Import the file again; what this job had imported is removed."));
	return n;
}

/* Returns how the first record that is imported ends, if the file has a line end after it. */
static KwjLineEnd
find_line_end(KwjImportReader *reader, char *buffer)
{
	KwjCsvScan	scan = reader->scan;
	int64		offset = reader->position->offset;
	bool		after_cr = false;
	ssize_t		n;

	while ((n = read_file(reader, buffer, READ_SIZE, offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		for (ssize_t i = 0; i < n; i++)
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
	ssize_t		n;

	while (!kwj_skip_is_done(skip) && offset < limit &&
		   (n = read_file(reader, buffer, READ_SIZE, offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		offset += kwj_skip_scan(skip, buffer, n);
	}
	if (offset == reader->position->identity.size)
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
	ssize_t		n;

	kwj_header_init(&header, options, reader->path);
	/* The \n that follows a \r may be in the next part of the file. */
	while ((!header.ended || header.after_cr) &&
		   (n = read_file(reader, buffer, READ_SIZE, position->offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		position->offset += kwj_header_scan(&header, buffer, n);
	}
	if (!header.ended)
		kwj_header_end_of_file(&header);
	position->line += header.lines;
	if (options->header == KWJ_IMPORT_HEADER_MATCH)
		reader->order = kwj_header_order(&header);
	pfree(header.text.data);
	pfree(buffer);
}

/*
 * Goes to the first record to import, if it begins within the first `limit` bytes. Returns a remark
 * for the user about the skipped lines, or NULL.
 */
static char *
begin_file(KwjImportReader *reader, const struct stat *st,
		   const KwjImportOptions *options, int64 limit)
{
	KwjImportPosition *position = reader->position;
	KwjSkipScan skip;

	position->opened = true;
	position->identity = identity_of(st);
	position->offset = kwj_import_check_contents(reader->fd, reader->path, st, options->charset);
	kwj_skip_init(&skip, options);
	skip_lines(reader, &skip, limit);
	if (options->header != KWJ_IMPORT_HEADER_NONE && !kwj_reader_at_end(reader))
		pass_header(reader, options);
	return kwj_skip_is_done(&skip) || kwj_reader_at_end(reader) ?
		kwj_skip_remark(&skip, reader->path) : NULL;
}

/* Reads the header of a file that is open in the middle. */
static void
read_header(KwjImportReader *reader, const struct stat *st, const KwjImportOptions *options)
{
	KwjImportPosition start = {0};
	KwjImportReader again = {.path = reader->path, .fd = reader->fd, .position = &start};

	(void) begin_file(&again, st, options, PG_INT64_MAX);
	reader->order = again.order;
}

/* Sets the line end: all records of a file end like the first one that is imported. */
static void
set_line_end(KwjImportReader *reader)
{
	char	   *buffer = palloc(READ_SIZE);

	reader->position->line_end = find_line_end(reader, buffer);
	reader->scan.line_end = reader->position->line_end;
	pfree(buffer);
}

char *
kwj_import_check_file(const char *path, const KwjImportOptions *options, int64 *size)
{
	KwjImportPosition position = {0};
	KwjImportReader reader = {.path = path, .position = &position, .options = options};
	struct stat st;
	char	   *remark;

	reader.fd = open_file(path, &st);
	*size = st.st_size;
	/* A header is checked wherever it stands, so that no job fails because of it. */
	remark = begin_file(&reader, &st, options,
						options->header == KWJ_IMPORT_HEADER_NONE ? MAX_LOOKED_AT : PG_INT64_MAX);
	close_file(reader.fd, path);
	return remark;
}

int64
kwj_import_file_size(const char *path)
{
	struct stat st;

	close_file(open_file(path, &st), path);
	return st.st_size;
}

char *
kwj_reader_open(KwjImportReader *reader, const char *path,
				KwjImportPosition *position, const KwjImportOptions *options,
				int64 bytes, const KwjImportEnd *end)
{
	struct stat st;
	char	   *remark = NULL;

	reader->path = path;
	reader->position = position;
	reader->fd = open_file(path, &st);
	reader->ended = false;
	reader->options = options;
	kwj_csv_scan_init(&reader->scan, options, position->line_end);
	kwj_trailing_init(&reader->trailing, options);

	reader->order = NIL;
	if (position->opened)
	{
		check_identity(reader, &position->identity, &st);
		if (options->header == KWJ_IMPORT_HEADER_MATCH)
			read_header(reader, &st, options);
	}
	else
	{
		if (end != NULL)
			check_identity(reader, &end->identity, &st);
		remark = begin_file(reader, &st, options, PG_INT64_MAX);
		set_line_end(reader);
	}
	reader->start = position->offset;
	reader->limit = position->offset + bytes;
	reader->end = end ? end->offset : PG_INT64_MAX;
	return remark;
}

void
kwj_reader_close(KwjImportReader *reader)
{
	struct stat st;

	if (fstat(reader->fd, &st) != 0)
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not stat file \"%s\": %m", reader->path));
	check_identity(reader, &reader->position->identity, &st);
	close_file(reader->fd, reader->path);
}

bool
kwj_reader_at_end(const KwjImportReader *reader)
{
	return reader->position->offset == reader->position->identity.size;
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
	ssize_t		n;

	if (position->offset >= reader->end)
		n = 0;
	else if (position->offset > reader->start && position->offset >= reader->limit &&
			 reader->scan.at_record_start)
		n = 0;
	else
		n = read_file(reader, buffer, Min(Min(max, reader->piece), reader->end - position->offset),
					  position->offset);
	if (n == 0)
		return 0;
	n = take_bytes(reader, buffer, n);
	position->offset += n;
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
	kwj_csv_scan_over(&reader->scan, p, n);
	reader->position->line += kwj_csv_count_lines(&reader->scan, p, n);
	reader->position->offset += n;
}

/* The same to the end of the record, but at most n bytes. */
static void
pass_to_record_end(KwjImportReader *reader, const char *p, size_t n)
{
	size_t		scanned = kwj_csv_scan_record(&reader->scan, p, n);

	reader->position->line += kwj_csv_count_lines(&reader->scan, p, scanned);
	reader->position->offset += scanned;
}

void
kwj_reader_find_end(KwjImportReader *reader, int64 bytes)
{
	KwjImportPosition *position = reader->position;
	int64		target = position->offset + bytes;
	char	   *buffer = palloc(SCAN_SIZE);
	ssize_t		n;

	while (position->offset < target || !reader->scan.at_record_start)
	{
		CHECK_FOR_INTERRUPTS();
		if (position->line_end == KWJ_LINE_END_UNKNOWN || position->offset - target > (int64) MaxAllocSize)
		{
			position->offset = position->identity.size;
			break;
		}
		n = read_file(reader, buffer, SCAN_SIZE, position->offset);
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

/* Lines are counted as COPY counts them: also those inside an enclosed field. */
int64
kwj_reader_first_line(const KwjImportReader *reader, int64 line_before, int64 line)
{
	char		line_end = reader->position->line_end == KWJ_LINE_END_LF ? '\n' : '\r';
	int64		record = line_before + 1;	/* the line in which the record begins */
	int64		here = record;
	int64		offset = reader->start;
	char	   *buffer = palloc(READ_SIZE);
	KwjCsvScan	scan;
	ssize_t		n;

	kwj_csv_scan_init(&scan, reader->options, reader->position->line_end);
	while (here <= line && (n = pg_pread(reader->fd, buffer, READ_SIZE, offset)) > 0)
	{
		for (ssize_t i = 0; i < n && here <= line; i++)
		{
			kwj_csv_scan_byte(&scan, buffer[i]);
			if (scan.at_record_start)
				here++;
			else if (scan.in_field && buffer[i] == line_end)
				here++;
			if (scan.at_record_start && here <= line)
				record = here;
		}
		offset += n;
	}
	pfree(buffer);
	return record;
}

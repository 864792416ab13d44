/*
 * src/type/export/output.c
 *	  The files into which an EXPORT writes the rows of one table or query.
 *
 * Callers: export.c and parallel.c. Process: worker. Locks: none.
 *
 *     row --> buffer --> [compressor] --> checksum, write()
 *
 * The worker opens a file with its first row, so there are no empty files. Each file has a memory context of
 * its own, which closes it and frees the compressor after an error, too. Threads make a file durable
 * while the worker writes the next one (type/files/sync.c). The worker has the kernel begin to write a large file
 * to the disk before it is complete, so that the wait at the end does not grow with the file.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "kwjobs.h"
#include "storage/fd.h"
#include "type/export/output.h"
#include "type/files/checksum.h"
#include "utils/memutils.h"

#define BUFFER_SIZE		(256 * 1024)
/* The kernel is asked to write a file to the disk each time this many bytes have been added to it. */
#define WRITE_OUT_SIZE	(16 * 1024 * 1024)

struct KwjExportOutput
{
	const KwjExportOptions *options;
	const KwjDirectory *directory;
	KwjSyncs   *syncs;
	pg_atomic_uint32 *next_chunk;
	KwjOutputReport report;
	void	   *arg;
	MemoryContext context;
	MemoryContext file_context; /* for one file */
	List	   *files;

	/* the header of the COPY that runs */
	bool		expects_header;
	char	   *header;
	size_t		header_size;

	/* the file that is open; name is NULL: none */
	char	   *name;
	KwjOpenFile *file;
	KwjCompressor *compressor;
	pg_checksum_context checksum;
	int64		rows;
	int64		bytes;
	int64		written_out;	/* the kernel was asked to write this part of the file to the disk */

	char	   *buffer;
	size_t		used;
	int64		rows_to_report;
	int64		bytes_to_report;
};

KwjExportOutput *
kwj_output_begin(const KwjExportOptions *options, const KwjDirectory *directory, KwjSyncs *syncs,
				 pg_atomic_uint32 *next_chunk, KwjOutputReport report, void *arg)
{
	KwjExportOutput *output = palloc0(sizeof(KwjExportOutput));

	output->options = options;
	output->directory = directory;
	output->syncs = syncs;
	output->next_chunk = next_chunk;
	output->report = report;
	output->arg = arg;
	output->context = CurrentMemoryContext;
	output->file_context = AllocSetContextCreate(CurrentMemoryContext, "kwjobs file",
												 ALLOCSET_DEFAULT_SIZES);
	output->buffer = palloc(BUFFER_SIZE);
	return output;
}

/*
 * Asks the kernel to write to the disk what is new in the file, and does not wait for it. If the disk fails, fsync
 * says so later, and the job fails. pg_flush_data() is not for this file: it would end the server with a PANIC,
 * as for a file of the database.
 */
static void
write_out(KwjExportOutput *output)
{
	if (enableFsync)
		(void) sync_file_range(output->file->fd, output->written_out, output->bytes - output->written_out,
							   SYNC_FILE_RANGE_WRITE);
	output->written_out = output->bytes;
}

/* Writes bytes as they are to be in the file. */
static void
write_bytes(void *arg, const char *data, size_t size)
{
	KwjExportOutput *output = arg;

	kwj_file_write(output->file, data, size, output->name);
	kwj_checksum_add(&output->checksum, data, size);
	output->bytes += size;
	output->bytes_to_report += size;
	if (output->bytes - output->written_out >= WRITE_OUT_SIZE)
		write_out(output);
}

static void
write_data(KwjExportOutput *output, const char *data, size_t size)
{
	if (output->compressor != NULL)
		kwj_compress(output->compressor, data, size);
	else
		write_bytes(output, data, size);
}

static void
report(KwjExportOutput *output)
{
	output->report(output->arg, output->rows_to_report, output->bytes_to_report);
	output->rows_to_report = output->bytes_to_report = 0;
}

static void
flush(KwjExportOutput *output)
{
	write_data(output, output->buffer, output->used);
	output->used = 0;
	report(output);
}

static void
add(KwjExportOutput *output, const char *data, size_t size)
{
	if (output->used + size > BUFFER_SIZE)
		flush(output);
	if (size > BUFFER_SIZE)
	{
		write_data(output, data, size);
		return;
	}
	memcpy(output->buffer + output->used, data, size);
	output->used += size;
}

static void
open_file(KwjExportOutput *output)
{
	MemoryContext caller = MemoryContextSwitchTo(output->file_context);

	output->name = psprintf("n%d.%u.csv%s", kwj_node_id, pg_atomic_fetch_add_u32(output->next_chunk, 1),
							kwj_compression_suffix(output->options->compression));
	output->file = kwj_file_open_in(output->directory, output->name, O_WRONLY | O_CREAT | O_EXCL);
	output->rows = output->bytes = output->written_out = 0;
	kwj_checksum_begin(output->options->checksum, &output->checksum);
	if (output->options->compression != KWJ_COMPRESSION_NONE)
		output->compressor = kwj_compress_begin(output->options->compression, write_bytes, output);
	MemoryContextSwitchTo(caller);
	if (output->header != NULL)
		add(output, output->header, output->header_size);
}

static void
close_file(KwjExportOutput *output)
{
	MemoryContext caller = MemoryContextSwitchTo(output->context);
	KwjExportFile *file = palloc(sizeof(KwjExportFile));

	flush(output);
	if (output->compressor != NULL)
		kwj_compress_end(output->compressor);
	file->name = pstrdup(output->name);
	file->rows = output->rows;
	file->bytes = output->bytes;
	file->checksum = kwj_checksum_end(&output->checksum);
	output->files = lappend(output->files, file);
	kwj_file_close(output->file, output->name);
	kwj_syncs_add(output->syncs, output->directory, output->name);
	output->name = NULL;
	output->compressor = NULL;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(output->file_context);
}

void
kwj_output_begin_copy(KwjExportOutput *output)
{
	output->expects_header = output->options->column_name;
}

/* Keeps the header, which is the same for all files. */
static void
take_header(KwjExportOutput *output, const char *data, size_t size)
{
	output->expects_header = false;
	if (output->header != NULL)
		return;
	output->header = MemoryContextAlloc(output->context, size);
	memcpy(output->header, data, size);
	output->header_size = size;
}

void
kwj_output_row(void *arg, const char *data, size_t size)
{
	KwjExportOutput *output = arg;

	if (output->expects_header)
	{
		take_header(output, data, size);
		return;
	}
	if (output->name == NULL)
		open_file(output);
	add(output, data, size);
	output->rows++;
	output->rows_to_report++;
	if (output->rows == output->options->chunk_rows)
		close_file(output);
}

List *
kwj_output_end(KwjExportOutput *output)
{
	if (output->name != NULL)
		close_file(output);
	return output->files;
}

KwjExportFile *
kwj_output_write_text(const KwjExportOptions *options, const KwjDirectory *directory, const char *name,
					  const char *text)
{
	KwjExportFile *result = palloc0(sizeof(KwjExportFile));
	KwjOpenFile *file = kwj_file_open_in(directory, name, O_WRONLY | O_CREAT | O_EXCL);
	pg_checksum_context checksum;

	result->name = pstrdup(name);
	result->bytes = strlen(text);
	kwj_checksum_begin(options->checksum, &checksum);
	kwj_checksum_add(&checksum, text, result->bytes);
	result->checksum = kwj_checksum_end(&checksum);
	kwj_file_write(file, text, result->bytes, name);
	kwj_file_close(file, name);
	kwj_file_sync_in(directory, name);
	return result;
}

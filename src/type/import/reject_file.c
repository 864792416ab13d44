/*
 * src/type/import/reject_file.c
 *	  The file into which an IMPORT with on_error = 'skip' writes the records that it has left out.
 *
 * Callers: validate.c in the session; import.c, parts.c, bad_records.c and revert.c in the worker;
 * reject_table.c in both. All call this as the owner of the job.
 *
 *     a batch leaves a record out  --->  a row in a table of kwjobs, in the transaction of the batch
 *
 *     all batches are committed    --->  COPY (these rows) TO .kwjobs-ID, fsync, rename, fsync
 *                                        DELETE the rows; the job has succeeded; COMMIT
 *
 * So nobody sees a part of the file. It has each record once, whichever process dies and however many workers
 * import, because the row of a record is committed with the batch that has left it out. If an entry of the
 * directory has the name of the file already, the job never replaces it.
 *
 * If the worker or the server dies before the last commit, or an error prevents it, the file or .kwjobs-ID may
 * be there. The next attempt, or the revert, removes both; the next attempt writes the file again. They know
 * that the file is the job's by its first record, which has the id of the job. (A job that has left out no
 * record writes no file.)
 *
 * If reject_limit ends the job, the worker writes the file before it raises the error. The revert leaves the
 * file, so that the user sees which records were left out. A RETRY removes it.
 *
 * Locks: none.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "job/progress.h"
#include "job/test_gate.h"
#include "lifecycle/attempt.h"
#include "mb/pg_wchar.h"
#include "type/export/copy.h"
#include "type/files/directory.h"
#include "type/import/reject_file.h"
#include "utils/builtins.h"

/* How many bytes of rows the worker collects before it writes them. */
#define BUFFER_SIZE		(64 * 1024)

/* A file that is being written. */
typedef struct Writing
{
	KwjOpenFile *file;
	const char *name;			/* the name that it has meanwhile */
	StringInfoData buffer;
	int64		lines;			/* what COPY has given: the header, and the records */
} Writing;

/* ---- the place ---- */

static const char *
name_of(const KwjImportOptions *options)
{
	return strrchr(options->reject_file, '/') + 1;
}

/* Returns the name that the file has while the worker writes it. */
static char *
name_aside(int64 job_id)
{
	return psprintf(KWJ_NAME_ASIDE, job_id);
}

static KwjDirectory *
open_directory(const KwjImportOptions *options)
{
	return kwj_directory_open("IMPORT", kwj_directory_parent(options->reject_file), false);
}

static void
refuse_taken(const KwjImportOptions *options)
{
	ereport(ERROR,
			errcode(ERRCODE_DUPLICATE_FILE),
			errmsg("reject file \"%s\" already exists", options->reject_file),
			errhint("Remove it, or name another file."));
}

/* Returns how the file of the job begins: with the header, and the job_id of the first record. */
static char *
beginning_of_own(int64 job_id)
{
	StringInfoData text;

	initStringInfo(&text);
	for (const char *c = KWJ_REJECTED_COLUMNS; *c; c++)
		if (*c != ' ')
			appendStringInfoChar(&text, *c);
	appendStringInfo(&text, "\n" INT64_FORMAT ",", job_id);
	return text.data;
}

/* Returns whether there is a file of this name that this job has written. */
static bool
is_own(const KwjDirectory *directory, const char *name, int64 job_id)
{
	char	   *expected = beginning_of_own(job_id);
	int			length = strlen(expected);
	char	   *found = palloc(length);
	struct stat st;
	KwjOpenFile *file;
	bool		result;

	if (fstatat(directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	file = kwj_file_open_in(directory, name, O_RDONLY | O_NONBLOCK);
	result = file->fd >= 0 && pread(file->fd, found, length, 0) == length && memcmp(found, expected, length) == 0;
	kwj_file_close(file, name);
	return result;
}

static void
remove_entry(const KwjDirectory *directory, const char *name)
{
	if (!kwj_directory_remove(directory->fd, name))
		ereport(ERROR,
				errcode_for_file_access(),
				errmsg("could not remove file \"%s/%s\": %m", directory->path, name),
				errhint("Remove it, or make the directory writable for the server."));
}

/* Removes what the job has begun to write, and the file itself unless keep is true. */
static void
remove_own(const KwjDirectory *directory, const KwjImportOptions *options, int64 job_id, bool keep)
{
	remove_entry(directory, name_aside(job_id));
	if (!keep && is_own(directory, name_of(options), job_id))
		remove_entry(directory, name_of(options));
	kwj_directory_sync(directory);
}

/* ---- checks ---- */

void
kwj_reject_file_check_right(const KwjImportOptions *options)
{
	if (options->reject_file == NULL)
		return;
	kwj_check_may_use_files(ROLE_PG_WRITE_SERVER_FILES,
							psprintf("write reject file \"%s\"", options->reject_file),
							"Or use the option reject_table.");
	(void) kwj_directory_check_path("IMPORT", options->reject_file);
}

static void
check_is_free(const KwjDirectory *directory, const KwjImportOptions *options)
{
	if (kwj_directory_has(directory, name_of(options)))
		refuse_taken(options);
	kwj_directory_check_writable(directory);
}

void
kwj_reject_file_check_place(const KwjImportOptions *options)
{
	KwjDirectory *directory;

	if (options->reject_file == NULL)
		return;
	directory = open_directory(options);
	check_is_free(directory, options);
	kwj_directory_close(directory);
}

void
kwj_reject_file_begin(const KwjImportOptions *options, int64 job_id)
{
	KwjDirectory *directory;

	if (options->reject_file == NULL)
		return;
	kwj_reject_file_check_right(options);
	directory = open_directory(options);
	remove_own(directory, options, job_id, false);
	check_is_free(directory, options);
	kwj_directory_close(directory);
}

/* ---- records ---- */

void
kwj_reject_file_keep(const KwjRejected *rejected, bool again)
{
	if (!kwj_rejected_keep(rejected) && !again)
		elog(ERROR, "line " INT64_FORMAT " of file %d of job " INT64_FORMAT " was left out already",
			 rejected->line, rejected->file_number, rejected->job_id);
}

/* ---- the file ---- */

static void
flush(Writing *writing)
{
	kwj_file_write(writing->file, writing->buffer.data, writing->buffer.len, writing->name);
	resetStringInfo(&writing->buffer);
}

/* A KwjRowSink: collects the rows, and writes them when the buffer is full. */
static void
take_line(void *arg, const char *data, size_t size)
{
	Writing    *writing = arg;

	appendBinaryStringInfo(&writing->buffer, data, size);
	writing->lines++;
	if (writing->buffer.len >= BUFFER_SIZE)
		flush(writing);
}

/* A KwjRejectedReader. Has COPY write the encoding of the database: another one might not have all characters. */
static void
copy_records(const char *query, void *arg)
{
	kwj_export_copy(query, psprintf("(FORMAT csv, HEADER, ENCODING %s)", quote_literal_cstr(GetDatabaseEncodingName())),
					take_line, arg);
}

/* Writes all of the file under this name, and makes it durable. */
static void
write_aside(const KwjDirectory *directory, const char *name, const KwjAttempt *attempt, int64 rejected)
{
	Writing		writing = {.name = name};

	writing.file = kwj_file_open_in(directory, name, O_WRONLY | O_CREAT | O_EXCL);
	initStringInfo(&writing.buffer);
	kwj_rejected_read(attempt, rejected, copy_records, &writing);
	flush(&writing);
	kwj_file_close(writing.file, name);
	pfree(writing.buffer.data);
	if (writing.lines != rejected + 1)
		elog(ERROR, "the reject file of job " INT64_FORMAT " would have " INT64_FORMAT " of " INT64_FORMAT " records",
			 attempt->job_id, writing.lines - 1, rejected);
	kwj_file_sync_in(directory, name);
}

void
kwj_reject_file_write(const KwjImportOptions *options, const KwjAttempt *attempt, int64 rejected)
{
	KwjDirectory *directory;
	char	   *aside;

	if (options->reject_file == NULL || rejected == 0)
		return;
	kwj_progress_set_status("writing the reject file");
	kwj_reject_file_check_right(options);
	directory = open_directory(options);
	remove_own(directory, options, attempt->job_id, false);
	aside = name_aside(attempt->job_id);
	write_aside(directory, aside, attempt, rejected);
	kwj_test_gate(4943);
	if (!kwj_directory_rename_new(directory, aside, name_of(options)))
		refuse_taken(options);
	kwj_directory_sync(directory);
	kwj_directory_close(directory);
	kwj_test_gate(4944);
}

void
kwj_reject_file_forget(const KwjImportOptions *options, const KwjAttempt *attempt)
{
	if (options->reject_file != NULL)
		kwj_rejected_forget(attempt);
}

void
kwj_reject_file_remove(const KwjImportOptions *options, const KwjAttempt *attempt)
{
	KwjDirectory *directory;
	struct stat st;

	if (options->reject_file == NULL)
		return;
	/* Where there is no directory, there is nothing to remove. */
	if (stat(kwj_directory_parent(options->reject_file), &st) != 0 && errno == ENOENT)
		return;
	directory = open_directory(options);
	remove_own(directory, options, attempt->job_id, kwj_attempt_failed_at_record(attempt));
	kwj_directory_close(directory);
}

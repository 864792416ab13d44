/*
 * src/type/import/verify.c
 *	  Comparing files with the checksums that a manifest has of them.
 *
 * Before the first row, the worker reads all files once and compares sizes and checksums. It notes by
 * which numbers a file is recognized (KwjSourceIdentity), and the reader refuses a file that is not the
 * same any more. So no row comes from a file that was not compared.
 *
 *     execution by one worker    before the first batch of an attempt: files that were not begun yet
 *     parts                      part 0 before it plans: files that were not planned yet; each piece
 *                                has the numbers of its files
 *
 * What was compared is not in the checkpoint of the job: another attempt compares again what is left.
 *
 * Callers: import.c, parts.c; validate.c for meta.sql. Process: worker, session. Locks: none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/json.h"
#include "job/progress.h"
#include "job/test_gate.h"
#include "miscadmin.h"
#include "type/files/checksum.h"
#include "type/import/records.h"
#include "type/import/verify.h"
#include "utils/memutils.h"

#define READ_SIZE	(256 * 1024)

bool
kwj_import_needs_check(const KwjImport *import, int first_file)
{
	return import->spec.checksums != NIL && !import->all_checked &&
		first_file < list_length(import->spec.files);
}

static void
differs(const char *path, const char *what)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("file \"%s\" is not as the EXPORT has written it", path),
			errdetail("Its %s is another one than the manifest has.", what),
			errhint("Export again. To import the file as it is, name it instead of the manifest."));
}

/* How much of the files of a job the worker has compared with their manifest. Both are numbers of bytes. */
typedef struct Progress
{
	int64		done;			/* read and compared so far */
	int64		total;			/* of all files that the worker compares in this attempt */
} Progress;

/* Shows that n more bytes are compared. Returns whether the job is to stop. */
static bool
note_progress(Progress *progress, size_t n)
{
	char	   *text;

	kwj_test_gate(4950);
	progress->done += n;
	text = psprintf("checking the files of the manifest: " INT64_FORMAT " MB of " INT64_FORMAT " MB",
					progress->done / 1000000, progress->total / 1000000);
	kwj_progress_set_status(text);
	pfree(text);
	return kwj_import_is_to_stop();
}

/*
 * Reads a file, and compares it with the size and the checksum that the manifest has. Sets *identity to
 * that of the file. progress: of the job that this process executes; NULL: there is no job yet. Returns
 * false if the job is to stop before it is through.
 */
static bool
compare_file(const char *path, const char *algorithm, int64 size, const char *checksum,
			 KwjSourceIdentity *identity, Progress *progress)
{
	KwjSource  *source = kwj_source_open(path, CurrentMemoryContext);
	char	   *buffer = palloc(READ_SIZE);
	pg_checksum_context context;
	pg_checksum_type type;
	int64		offset = 0;
	bool		stopped = false;
	size_t		n;

	*identity = source->identity;
	if (identity->size != size)
		differs(source->name, "size");
	if (!pg_checksum_parse_type(unconstify(char *, algorithm), &type))
		elog(ERROR, "unknown checksum \"%s\"", algorithm);
	kwj_checksum_begin(type, &context);
	while (!stopped && (n = kwj_source_read_stored(source, buffer, READ_SIZE, offset)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		kwj_checksum_add(&context, buffer, n);
		offset += n;
		stopped = progress != NULL && note_progress(progress, n);
	}
	if (strcmp(kwj_checksum_end(&context), checksum) != 0 && !stopped)
		differs(source->name, "checksum");
	kwj_source_close(source);
	pfree(buffer);
	return !stopped;
}

void
kwj_import_check_sum(const char *path, const char *algorithm, const char *size, const char *checksum)
{
	KwjSourceIdentity identity;

	(void) compare_file(path, algorithm, strtoll(size, NULL, 10), checksum, &identity, NULL);
}

bool
kwj_import_check_sums(KwjImport *import, int first_file)
{
	int			n = list_length(import->spec.files);
	KwjSourceIdentity *checked;
	Progress	progress = {0};

	Assert(IsTransactionState());
	for (int i = first_file; i < n; i++)
		progress.total += kwj_import_size_noted(&import->spec, i);
	checked = MemoryContextAllocZero(import->storage.context, Max(n, 1) * sizeof(KwjSourceIdentity));
	for (int i = first_file; i < n; i++)
	{
		if (compare_file(list_nth(import->spec.files, i), import->spec.checksum,
						 kwj_import_size_noted(&import->spec, i), list_nth(import->spec.checksums, i),
						 &checked[i], &progress))
			continue;
		pfree(checked);
		return false;
	}
	kwj_test_gate(4951);
	import->checked = checked;
	import->all_checked = true;
	return true;
}

void
kwj_import_write_checked(const KwjImport *import, int first_file, int last_file, StringInfo json)
{
	const char *separator = "";

	if (!import->all_checked)
		return;
	appendStringInfoString(json, ", \"checked\": [");
	for (int i = first_file; i <= last_file && i < list_length(import->spec.files); i++)
	{
		const KwjSourceIdentity *file = &import->checked[i];

		appendStringInfo(json, "%s" INT64_FORMAT ", " INT64_FORMAT ", " INT64_FORMAT, separator,
						 file->size, file->mtime, file->inode);
		separator = ", ";
	}
	appendStringInfoChar(json, ']');
}

void
kwj_import_read_checked(KwjImport *import, Jsonb *json)
{
	int			first_file = kwj_json_int64(json, "file");
	int			n;
	int64	   *numbers = kwj_json_int64s(json, "checked", &n);

	if (n > 0 && import->checked == NULL)
		import->checked = MemoryContextAllocZero(import->storage.context,
												 list_length(import->spec.files) * sizeof(KwjSourceIdentity));
	for (int i = 0; i + 2 < n && first_file + i / 3 < list_length(import->spec.files); i += 3)
		import->checked[first_file + i / 3] = (KwjSourceIdentity) {numbers[i], numbers[i + 1], numbers[i + 2]};
}

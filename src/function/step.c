/*
 * src/function/step.c
 *	  The step of a statement for which PostgreSQL keeps no progress counters.
 *
 * Caller: watch.c. Process: sessions that look at jobs. Locks: none.
 *
 * The file of a new table grows while rows are written into it, so its size tells how far the
 * statement is. The file may be gone when the session asks for its size; then nothing is known.
 * job/scan.c and track/validation.c say how a process knows how far a scan is.
 */
#include "postgres.h"

#include <math.h>
#include <sys/stat.h>

#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "common/relpath.h"
#include "compat.h"
#include "function/step.h"
#include "storage/proc.h"

/*
 * The share of the statement that is done when its scan is at the end. The rest is for triggers,
 * which run after the scan.
 */
#define SCAN_SHARE			0.98

/* Returns the size of the file with this path in bytes, or -1 if it does not exist. */
static int64
size_of_path(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (int64) status.st_size : -1;
}

/*
 * Returns the size of the table's data in bytes, or -1 if its first file does not exist. PostgreSQL
 * stores a table in files of RELSEG_SIZE blocks (1 GB): "number", "number.1", "number.2" and so on.
 */
static int64
size_of_file(const KwjNewFile *file)
{
	char	   *path = kwj_file_path(file->database, file->tablespace, file->number);
	int64		size = size_of_path(path);
	int64		segment = size;

	for (int n = 1; segment >= (int64) RELSEG_SIZE * BLCKSZ; n++)
	{
		segment = size_of_path(psprintf("%s.%d", path, n));
		size += Max(segment, 0);
	}
	return size;
}

static char *
size_text(int64 bytes)
{
	if (bytes < 10 * 1024 * 1024)
		return psprintf(INT64_FORMAT " kB", bytes / 1024);
	return psprintf(INT64_FORMAT " MB", bytes / (1024 * 1024));
}

static KwjCommand
growing_file(const KwjNewFile *file)
{
	KwjCommand	command = {.fraction = KWJ_NOT_KNOWN};
	int64		size = size_of_file(file);

	if (size < 0)
		return command;
	command.counters = hash_combine64(file->number, (uint64) size);
	command.phase = psprintf("writing new table: %s", size_text(size));
	if (file->expected == 0)
		return command;
	command.phase = psprintf("%s of about %s", command.phase, size_text((int64) file->expected));
	command.fraction = KWJ_WRITE_SHARE(file->has_indexes) *
		Min((double) size / (double) file->expected, 1);
	return command;
}

static KwjCommand
file_step(const KwjNewFile *file)
{
	KwjCommand	command = {.fraction = KWJ_NOT_KNOWN};

	if (file->state == KWJ_FILE_GROWS)
		return growing_file(file);
	if (file->state != KWJ_FILE_SWAPPED)
		return command;
	command.counters = hash_combine64(file->number, file->state);
	if (file->has_indexes)
		command.phase = "rebuilding indexes";
	if (file->expected > 0)
		command.fraction = KWJ_WRITE_SHARE(file->has_indexes);
	return command;
}

/*
 * Returns the step of a statement that validates a constraint. PostgreSQL does so while it rewrites
 * the table or afterwards, and no file tells how far that is.
 */
static KwjCommand
validation_step(const KwjNewFile *file)
{
	KwjCommand	command = file_step(file);

	command.fraction = KWJ_NOT_KNOWN;
	if (command.phase == NULL)
		command.phase = "validating constraint";
	return command;
}

KwjCommand
kwj_step_of(KwjCounts counts, const KwjNewFile *file)
{
	KwjCommand	command = {.fraction = KWJ_NOT_KNOWN};

	switch (counts)
	{
		case KWJ_COUNTS_FILE:
			return file_step(file);
		case KWJ_COUNTS_VALIDATION:
		case KWJ_COUNTS_CHECK:
			return validation_step(file);
		case KWJ_COUNTS_DROP:
			command.phase = "dropping: the files are removed after the commit";
			break;
		case KWJ_COUNTS_TRUNCATE:
			command.phase = "truncating: the old files are removed after the commit";
			break;
		case KWJ_COUNTS_DROP_DATABASE:
			command.phase = "dropping the database and its files";
			break;
		default:
			break;
	}
	return command;
}

void
kwj_step_add_scan(KwjCommand *step, uint32 block, uint32 blocks)
{
	char	   *text = psprintf("about %.0f %% of the scan done", floor(100.0 * block / blocks));

	step->phase = step->phase != NULL ? psprintf("%s, %s", step->phase, text) : text;
	step->counters = hash_combine64(step->counters, block);
	if (step->fraction < 0)
		step->fraction = SCAN_SHARE * Min((double) block / blocks, 1);
}

/*
 * src/job/progress.c
 *	  Live progress of the attempt that this process runs.
 *
 * Process: worker. Locks: the spinlock in the worker's own slot, for a few instructions. The text
 * is clipped before the spinlock is taken, as pg_mbcliplen may raise an error.
 */
#include "postgres.h"

#include "job/progress.h"
#include "mb/pg_wchar.h"
#include "storage/spin.h"

static KwjProgress *mine = NULL;

void
kwj_progress_attach(KwjProgress *progress)
{
	mine = progress;
}

void
kwj_progress_begin(bool reverting)
{
	if (mine != NULL)
		pg_atomic_write_u32(&mine->reverting, reverting);
}

void
kwj_progress_set(uint64 done, uint64 total, uint64 rows)
{
	if (mine == NULL)
		return;
	SpinLockAcquire(&mine->mutex);
	mine->done = done;
	mine->total = total;
	mine->rows = rows;
	SpinLockRelease(&mine->mutex);
}

/* Returns how many bytes of the text fit into running_status. */
static int
clipped_length(const char *text)
{
	return pg_mbcliplen(text, strlen(text), KWJ_RUNNING_STATUS_LEN - 1);
}

/* Copy the text. The caller holds the spinlock. */
static void
copy_status(const char *text, int length)
{
	memcpy(mine->running_status, text, length);
	mine->running_status[length] = '\0';
	mine->encoding = GetDatabaseEncoding();
}

void
kwj_progress_set_status(const char *text)
{
	int			length;

	if (mine == NULL)
		return;
	length = clipped_length(text);
	SpinLockAcquire(&mine->mutex);
	copy_status(text, length);
	SpinLockRelease(&mine->mutex);
}

void
kwj_progress_get_status(char *text)
{
	/* Only this process writes it. */
	strlcpy(text, mine != NULL ? mine->running_status : "", KWJ_RUNNING_STATUS_LEN);
}

void
kwj_progress_set_all(uint64 done, uint64 total, uint64 rows, const char *text)
{
	int			length;

	if (mine == NULL)
		return;
	length = clipped_length(text);
	SpinLockAcquire(&mine->mutex);
	mine->done = done;
	mine->total = total;
	mine->rows = rows;
	copy_status(text, length);
	SpinLockRelease(&mine->mutex);
}

void
kwj_progress_begin_statement(int number, int count, KwjCounts counts)
{
	if (mine == NULL)
		return;
	SpinLockAcquire(&mine->mutex);
	kwj_progress_forget_statement(mine);
	mine->statement = (KwjStatement) {.number = number, .count = count, .counts = counts};
	SpinLockRelease(&mine->mutex);
}

KwjCounts
kwj_progress_counts(void)
{
	/* Only this process writes it while it runs an attempt. */
	return mine != NULL ? mine->statement.counts : KWJ_COUNTS_PART;
}

KwjPosition *
kwj_progress_scan(void)
{
	return mine != NULL ? &mine->scan : NULL;
}

void
kwj_progress_set_file(const KwjNewFile *file)
{
	if (mine == NULL)
		return;
	SpinLockAcquire(&mine->mutex);
	kwj_new_file_store(&mine->file, file);
	SpinLockRelease(&mine->mutex);
}

KwjRequest
kwj_progress_request(void)
{
	return mine ? (KwjRequest) pg_atomic_read_u32(&mine->request) : KWJ_REQUEST_NONE;
}

bool
kwj_progress_stand(bool stands)
{
	return mine != NULL && pg_atomic_exchange_u32(&mine->stands, stands) != (uint32) stands;
}

void
kwj_progress_will_stand(void)
{
	if (mine != NULL)
		pg_atomic_write_u32(&mine->will_stand, 1);
}

bool
kwj_progress_interrupted(void)
{
	return mine != NULL && pg_atomic_read_u32(&mine->interrupted) != 0;
}

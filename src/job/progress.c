/*
 * src/job/progress.c
 *	  Live progress of the attempt that this process runs.
 *
 * Process: worker. Writes atomics in the worker's own slot; running_status
 * under the slot's spinlock.
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
	pg_atomic_write_u64(&mine->done, done);
	pg_atomic_write_u64(&mine->total, total);
	pg_atomic_write_u64(&mine->rows, rows);
}

void
kwj_progress_set_status(const char *text)
{
	int			len;

	if (mine == NULL)
		return;
	len = pg_mbcliplen(text, strlen(text), KWJ_RUNNING_STATUS_LEN - 1);
	SpinLockAcquire(&mine->mutex);
	memcpy(mine->running_status, text, len);
	mine->running_status[len] = '\0';
	mine->encoding = GetDatabaseEncoding();
	SpinLockRelease(&mine->mutex);
}

KwjRequest
kwj_progress_request(void)
{
	return mine ? (KwjRequest) pg_atomic_read_u32(&mine->request) : KWJ_REQUEST_NONE;
}

bool
kwj_progress_interrupted(void)
{
	return mine != NULL && pg_atomic_read_u32(&mine->interrupted) != 0;
}

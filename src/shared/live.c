/*
 * src/shared/live.c
 *	  Shared memory: what runs now, and how far it is.
 *
 * Process: sessions, which only read. kwj_shared->lock, shared, keeps the slots in place; the
 * spinlock in KwjProgress makes done, total, rows and running_status of one moment.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "shared/live.h"
#include "shared/memory.h"
#include "storage/spin.h"

double
kwj_live_fraction(const KwjLive *live)
{
	if (live->total == 0)
		return 0.0;
	return Min((double) live->done / (double) live->total, 1.0);
}

int
kwj_shared_live(KwjLive *live, bool everywhere)
{
	int			n = 0;

	LWLockAcquire(kwj_shared->lock, LW_SHARED);
	for (int i = 0; i < kwj_worker_slots; i++)
	{
		KwjSlot	   *slot = &kwj_slots[i];
		KwjProgress *progress = &slot->progress;

		if (!slot->in_use || slot->job_id == 0 ||
			(!everywhere && slot->dboid != MyDatabaseId))
			continue;
		live[n].dboid = slot->dboid;
		live[n].since = slot->since;
		strlcpy(live[n].job_type, slot->job_type, KWJ_JOB_TYPE_LEN);
		live[n].job_id = slot->job_id;
		live[n].attempt = slot->attempt;
		live[n].owner = slot->role;
		live[n].pid = slot->proc ? slot->proc->pid : 0;
		live[n].request = (KwjRequest) pg_atomic_read_u32(&progress->request);
		live[n].reverting = pg_atomic_read_u32(&progress->reverting) != 0;
		SpinLockAcquire(&progress->mutex);
		live[n].done = progress->done;
		live[n].total = progress->total;
		live[n].rows = progress->rows;
		memcpy(live[n].running_status, progress->running_status, KWJ_RUNNING_STATUS_LEN);
		live[n].encoding = progress->encoding;
		SpinLockRelease(&progress->mutex);
		n++;
	}
	LWLockRelease(kwj_shared->lock);
	return n;
}

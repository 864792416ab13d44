/*
 * src/job/canceler.c
 *	  Who has canceled work that gives way to sessions.
 *
 * Callers: track/autovacuum.c, in an autovacuum worker; type/stats/automatic.c, in a worker of ours.
 */
#include "postgres.h"

#include "job/backend.h"
#include "job/canceler.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

/*
 * Returns whether the process `proc` has canceled this one, because it waits for the lock with this
 * tag. The caller has locked the lock's partition of the lock table.
 */
static bool
has_canceled(const PGPROC *proc, const LOCKTAG *tag, TimestampTz now)
{
	const LOCK *lock = ((const volatile PGPROC *) proc)->waitLock;
	TimestampTz since;

	if (lock == NULL || memcmp(&lock->tag, tag, sizeof(LOCKTAG)) != 0 ||
		!DoLockModesConflict(proc->waitLockMode, ShareUpdateExclusiveLock))
		return false;
	since = (TimestampTz) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &proc->waitStart));
	return since != 0 && TimestampDifferenceExceeds(since, now, DeadlockTimeout);
}

/*
 * This function locks only the partition of this table's lock. Processes that wait for a lock in
 * another partition may begin or end their wait meanwhile. That is harmless: the locks for which they
 * wait are in shared memory that is never freed, and have other tags.
 */
int
kwj_canceler_of(Oid relid)
{
	TimestampTz now = GetCurrentTimestamp();
	LOCKTAG		tag;
	LWLock	   *partition;
	int			pid = 0;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	partition = LockHashPartitionLock(LockTagHashCode(&tag));
	LWLockAcquire(partition, LW_SHARED);
	for (int i = 0; i < ProcGlobal->allProcCount && pid == 0; i++)
		if (has_canceled(&ProcGlobal->allProcs[i], &tag, now))
			pid = ProcGlobal->allProcs[i].pid;
	LWLockRelease(partition);
	return pid;
}

void
kwj_canceler_describe(int pid, char *buffer, Size size)
{
	KwjBackend	backend;

	if (kwj_backend_copy(pid, &backend) && backend.application_name[0] != '\0')
		snprintf(buffer, size, "canceled by lock of pid %d (%s)", pid, backend.application_name);
	else
		snprintf(buffer, size, "canceled by lock of pid %d", pid);
}

/*
 * src/type/stats/automatic.c
 *	  How a job of the collector gives way to sessions.
 *
 * Caller: stats.c. Process: worker. Locks: ShareUpdateExclusiveLock on the table and AccessShareLock
 * on its children, until the end of the transaction; ProcArrayLock, exclusively, for moments.
 *
 *     session: waits for a lock of a process that has PROC_IS_AUTOVACUUM
 *         |  after deadlock_timeout (PostgreSQL's ProcSleep)
 *         v
 *     SIGINT to that process --> 57014 --> kwj_yield_explain: 55P03, the attempt is tried again
 *
 * PostgreSQL looks at this flag for three things. ProcSleep does what is drawn. Commands such as DROP
 * DATABASE terminate the processes in the database that have it; the processes of kwjobs have left the
 * database by then. And CREATE INDEX CONCURRENTLY does not wait for the snapshots of such processes:
 * it need not wait for ANALYZE here, as it need not wait for autovacuum's.
 *
 * The flag is not one of those that the end of a transaction takes away. If the process exits while
 * it has the flag, the next process in its place begins without.
 */
#include "postgres.h"

#include "job/canceler.h"
#include "job/progress.h"
#include "job/relation.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "type/stats/automatic.h"

/* name: of the table; NULL: look it up. */
static void
lock(Oid table, LOCKMODE mode, const char *name)
{
	if (ConditionalLockRelationOid(table, mode))
		return;
	if (name == NULL)
		name = kwj_name_of_relation(table);
	ereport(ERROR,
			errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			/* the table may have been dropped */
			errmsg("table %s is locked", name != NULL ? name : psprintf("with OID %u", table)),
			errdetail("Automatic statistics do not wait for a lock."),
			errhint("kwjobs tries again by itself."));
}

void
kwj_yield_lock(Oid table, const char *name)
{
	lock(table, ShareUpdateExclusiveLock, name);
}

void
kwj_yield_lock_children(List *tables)
{
	ListCell   *lc;

	for_each_from(lc, tables, 1)
		lock(lfirst_oid(lc), AccessShareLock, NULL);
}

static void
set_flags(uint8 flags)
{
	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	MyProc->statusFlags = flags;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = flags;
	LWLockRelease(ProcArrayLock);
}

void
kwj_yield_begin(void)
{
	Assert(!(MyProc->statusFlags & PROC_IS_AUTOVACUUM));
	set_flags(MyProc->statusFlags | PROC_IS_AUTOVACUUM);
}

void
kwj_yield_end(void)
{
	Assert(MyProc->statusFlags & PROC_IS_AUTOVACUUM);
	set_flags(MyProc->statusFlags & ~PROC_IS_AUTOVACUUM);
}

void
kwj_yield_explain(List *tables, const char *name)
{
	char		message[200];
	ListCell   *lc;
	int			pid = 0;

	/*
	 * If ANALYZE was not canceled, its error stays as it is. If the coordinator has canceled it because
	 * of a PAUSE or CANCEL, the error must stay, too, as the worker ends the attempt by it.
	 */
	if (geterrcode() != ERRCODE_QUERY_CANCELED || kwj_progress_interrupted())
		return;
	foreach(lc, tables)
	{
		pid = kwj_canceler_of(lfirst_oid(lc));
		if (pid != 0)
			break;
	}
	if (pid == 0)
		return;
	kwj_canceler_describe(pid, message, sizeof(message));
	FlushErrorState();
	ereport(ERROR,
			errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			errmsg("%s", message),
			errdetail("Automatic statistics of table %s give way to sessions.", name),
			errhint("kwjobs tries again by itself."));
}

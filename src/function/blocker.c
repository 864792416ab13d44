/*
 * src/function/blocker.c
 *	  The lock that another process waits for, and which processes make it wait.
 *
 * Caller: watch.c. Process: sessions that look at jobs. Locks: only if the other process waits for
 * a lock, the session takes all partitions of PostgreSQL's lock table twice, for a moment: first to
 * find the lock, then to find the processes that hold it or come before the other process in its
 * queue (pg_blocking_pids). The session does not lock the table that the other process waits for.
 *
 * The wait may end between these looks. Then kwj_wait_of() returns no wait, or names the lock but
 * no process.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "function/blocker.h"
#include "job/clip.h"
#include "job/relation.h"
#include "lib/stringinfo.h"
#include "lifecycle/control.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* The most bytes of an application_name that are shown. */
#define MOST_OF_A_NAME	NAMEDATALEN

/* ---- the lock ---- */

/* Copies the tag of the lock. Returns false if the process no longer waits for a lock. */
static bool
find_lock(int pid, LOCKTAG *tag)
{
	BlockedProcsData *blocked = GetBlockerStatusData(pid);

	/* The first one is the process itself, or a parallel worker of it. */
	if (blocked->nprocs == 0 || blocked->procs[0].num_locks == 0)
		return false;
	*tag = blocked->locks[blocked->procs[0].first_lock].locktag;
	return true;
}

/*
 * Returns the name of the table or index if the current user has a right on it, or may see all
 * jobs. Who sees all jobs also sees their statements, which name tables. Otherwise returns "a
 * table".
 */
static char *
relation_name(const LOCKTAG *tag)
{
	Oid			relation = (Oid) tag->locktag_field2;
	bool		missing = false;
	char	   *name;

	if ((Oid) tag->locktag_field1 != MyDatabaseId)
		return pstrdup("a table");
	if (!kwj_is_visible(InvalidOid) &&
		(pg_class_aclcheck_ext(relation, GetUserId(), ACL_ALL_RIGHTS_RELATION, &missing) != ACLCHECK_OK ||
		 missing))
		return pstrdup("a table");
	name = kwj_name_of_relation(relation);
	return name != NULL ? name : pstrdup("a table");
}

static char *
describe_lock(const LOCKTAG *tag, const char *phase)
{
	switch ((LockTagType) tag->locktag_type)
	{
		case LOCKTAG_RELATION:
			return psprintf("waiting for lock on %s", relation_name(tag));
		case LOCKTAG_RELATION_EXTEND:
			return psprintf("waiting for extension of %s", relation_name(tag));
		case LOCKTAG_PAGE:
		case LOCKTAG_TUPLE:
			return psprintf("waiting for a row of %s", relation_name(tag));
		case LOCKTAG_TRANSACTION:
			return pstrdup("waiting for a row that another transaction has changed");
		case LOCKTAG_VIRTUALTRANSACTION:
			return pstrdup(phase != NULL && strncmp(phase, "waiting ", 8) == 0 ? phase :
						   "waiting for the end of a transaction");
		case LOCKTAG_ADVISORY:
			return pstrdup("waiting for an advisory lock");
		default:
			return pstrdup("waiting for lock on an object");
	}
}

/* ---- the processes that make it wait ---- */

/* Appends how long ago that was, in one unit: " for 2 h" */
static void
append_duration(StringInfo text, TimestampTz since)
{
	int64		seconds = Max((GetCurrentTimestamp() - since) / USECS_PER_SEC, 0);

	if (seconds < 100)
		appendStringInfo(text, " for " INT64_FORMAT " s", seconds);
	else if (seconds < 100 * 60)
		appendStringInfo(text, " for " INT64_FORMAT " min", seconds / 60);
	else if (seconds < 100 * 3600)
		appendStringInfo(text, " for " INT64_FORMAT " h", seconds / 3600);
	else
		appendStringInfo(text, " for " INT64_FORMAT " d", seconds / 86400);
}

/* Returns the state of the process, in the words of pg_stat_activity; NULL: one of no interest. */
static const char *
state_of(const KwjBackend *blocker)
{
	switch (blocker->status.st_state)
	{
		case STATE_RUNNING:
		case STATE_FASTPATH:
			return "active";
		case STATE_IDLEINTRANSACTION:
			return "idle in transaction";
		case STATE_IDLEINTRANSACTION_ABORTED:
			return "idle in transaction (aborted)";
		case STATE_IDLE:
			return "idle";
		default:
			return NULL;
	}
}

static void
append_blocker(StringInfo text, int pid)
{
	KwjBackend	blocker;
	const char *state;

	if (pid == 0)
	{
		appendStringInfoString(text, "a prepared transaction");
		return;
	}
	appendStringInfo(text, "pid %d", pid);
	if (!kwj_backend_copy(pid, &blocker))
		return;
	if (blocker.status.st_backendType != B_BACKEND)
		appendStringInfo(text, " (%s)", GetBackendTypeDesc(blocker.status.st_backendType));
	else if (blocker.application_name[0] != '\0')
	{
		appendStringInfoString(text, " (");
		kwj_append_quoted(text, blocker.application_name, MOST_OF_A_NAME);
		appendStringInfoChar(text, ')');
	}
	state = kwj_backend_may_see(&blocker) ? state_of(&blocker) : NULL;
	if (state == NULL)
		return;
	appendStringInfo(text, ", %s", state);
	append_duration(text, blocker.status.st_state_start_timestamp);
}

/* Appends the first of the processes that make this one wait, and how many others there are. */
static void
append_blockers(StringInfo text, int pid)
{
	ArrayType  *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	const int32 *pids = (const int32 *) ARR_DATA_PTR(array);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	List	   *distinct = NIL;
	int			others;

	if (n == 0)
		return;
	appendStringInfoString(text, ": ");
	append_blocker(text, pids[0]);
	/* With parallel queries, pg_blocking_pids() may return the same pid several times. */
	for (int i = 0; i < n; i++)
		distinct = list_append_unique_int(distinct, pids[i]);
	others = list_length(distinct) - 1;
	if (others > 0)
		appendStringInfo(text, ", and %d %s", others, others == 1 ? "other" : "others");
}

KwjWait
kwj_wait_of(const KwjBackend *backend, const char *phase)
{
	KwjWait		wait = {0};
	int			pid = backend->status.st_procpid;
	bool		waits = ((const volatile PGPROC *) backend->proc)->waitLock != NULL;
	StringInfoData text;
	LOCKTAG		tag;

	/*
	 * The session has read waitLock without a lock. So `waits` may be outdated, or be about the
	 * next process with this PGPROC. find_lock() looks again, by the pid.
	 */
	if (!waits || !find_lock(pid, &tag))
		return wait;
	wait.since = (TimestampTz) pg_atomic_read_u64(&backend->proc->waitStart);
	initStringInfo(&text);
	appendStringInfoString(&text, describe_lock(&tag, phase));
	append_blockers(&text, pid);
	wait.text = text.data;
	wait.is_advisory = tag.locktag_type == LOCKTAG_ADVISORY;
	return wait;
}

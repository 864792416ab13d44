/*
 * src/function/blocker.c
 *	  The lock that another process waits for, and who makes it wait.
 *
 * Caller: watch.c. Process: sessions that look at jobs. Locks: only if the process waits for a
 * lock, all partitions of PostgreSQL's lock table, shared, twice for a moment: once for the lock,
 * once for those that hold it or come before it (pg_blocking_pids). The table that the process waits
 * for is not locked.
 *
 * The wait may end between these looks. Then nothing is returned, or the lock without a process.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "function/blocker.h"
#include "job/clip.h"
#include "lib/stringinfo.h"
#include "lifecycle/control.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* The most bytes of an application_name that are shown. */
#define MOST_OF_A_NAME	NAMEDATALEN

/* ---- the lock ---- */

/* Copies the tag of the lock. Returns false if the process waits for none any more. */
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
 * Returns the name of a table or index, for those who have a right on it or may see all jobs, whose
 * statements name tables, too.
 */
static char *
relation_name(const LOCKTAG *tag)
{
	Oid			relation = (Oid) tag->locktag_field2;
	bool		missing = false;
	char	   *name;
	char	   *schema;

	if ((Oid) tag->locktag_field1 != MyDatabaseId)
		return pstrdup("a table");
	if (!kwj_is_visible(InvalidOid) &&
		(pg_class_aclcheck_ext(relation, GetUserId(), ACL_ALL_RIGHTS_RELATION, &missing) != ACLCHECK_OK ||
		 missing))
		return pstrdup("a table");
	name = get_rel_name(relation);
	schema = name != NULL ? get_namespace_name(get_rel_namespace(relation)) : NULL;
	return schema != NULL ? quote_qualified_identifier(schema, name) : pstrdup("a table");
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

/* ---- those who have it ---- */

/* Appends a duration in one unit, as "for 2 h". */
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

/* Returns what the other process does, for those who may see it; NULL: nothing worth telling. */
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

/* Appends the first of those that make the process wait, and how many others there are. */
static void
append_blockers(StringInfo text, int pid)
{
	ArrayType  *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	const int32 *pids = (const int32 *) ARR_DATA_PTR(array);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int			others = 0;

	if (n == 0)
		return;
	appendStringInfoString(text, ": ");
	append_blocker(text, pids[0]);
	/* A process stands here once for each lock with which it is in the way. */
	for (int i = 1; i < n; i++)
	{
		bool		is_new = true;

		for (int k = 0; k < i && is_new; k++)
			is_new = pids[k] != pids[i];
		others += is_new;
	}
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

	/* Read without a lock, waits may be of a moment ago, or of the next process with this PGPROC. */
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

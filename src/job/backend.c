/*
 * src/job/backend.c
 *	  What PostgreSQL knows of another process: the entry that pg_stat_activity shows.
 *
 * Process: sessions that look at jobs; autovacuum workers that were canceled. Locks: ProcArrayLock,
 * shared, for a moment.
 *
 * The other process may write its entry while this process copies it. The entry has a counter by
 * which this process notices that: the other one makes it odd before it writes, and even afterwards.
 * This process copies again until the counter has been even and the same before and after the copy,
 * as PostgreSQL's own readers do.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "compat.h"
#include "job/backend.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/acl.h"

/*
 * Returns the entry of the process; NULL if it or this session has none. The entries are in an
 * array in the order of the processes' numbers. This session knows its own entry and its own
 * number, so the difference of the numbers leads to the other entry.
 */
static volatile PgBackendStatus *
entry_of(PGPROC *proc)
{
	int			mine = kwj_backend_number(MyProc);
	int			number = kwj_backend_number(proc);

	if (MyBEEntry == NULL || mine < 0 || number < 0)
		return NULL;
	return MyBEEntry + (number - mine);
}

static void
copy(KwjBackend *backend, volatile PgBackendStatus *entry)
{
	backend->status = *(const PgBackendStatus *) entry;
	strlcpy(backend->application_name,
			backend->status.st_appname != NULL ? backend->status.st_appname : "", NAMEDATALEN);
	backend->status.st_appname = backend->status.st_activity_raw = NULL;
	backend->status.st_clienthostname = NULL;
}

bool
kwj_backend_copy(int pid, KwjBackend *backend)
{
	volatile PgBackendStatus *entry;

	backend->proc = pid > 0 ? BackendPidGetProc(pid) : NULL;
	entry = backend->proc != NULL ? entry_of(backend->proc) : NULL;
	if (entry == NULL)
		return false;
	for (;;)
	{
		int			before;
		int			after;

		pgstat_begin_read_activity(entry, before);
		if (entry->st_procpid == pid)
			copy(backend, entry);
		else
			backend->status.st_procpid = 0;
		pgstat_end_read_activity(entry, after);
		if (pgstat_read_activity_complete(before, after))
			break;
		CHECK_FOR_INTERRUPTS();
	}
	return backend->status.st_procpid == pid;
}

bool
kwj_backend_may_see(const KwjBackend *backend)
{
	return has_privs_of_role(GetUserId(), backend->status.st_userid) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

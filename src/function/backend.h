/*
 * src/function/backend.h
 *	  What PostgreSQL knows of another process: the entry that pg_stat_activity shows.
 */
#ifndef KWJ_FUNCTION_BACKEND_H
#define KWJ_FUNCTION_BACKEND_H

#include "kwjobs.h"
#include "storage/proc.h"
#include "utils/backend_status.h"

typedef struct KwjBackend
{
	PGPROC	   *proc;			/* may be another process's by now */
	/* The pointers in it are into shared memory, and NULL where they point to texts. */
	PgBackendStatus status;
	char		application_name[NAMEDATALEN];
} KwjBackend;

/*
 * Copies the entry of the process with this pid. Returns false if there is none, as for 0 and for
 * the pid of a process that has exited. Takes ProcArrayLock, shared, for a moment. The copy is of
 * this moment, unlike that of pg_stat_activity, which is made once in a transaction.
 */
extern bool kwj_backend_copy(int pid, KwjBackend *backend);

/*
 * Returns whether the current user may see what the process does: pg_stat_activity shows it by the
 * same rule.
 */
extern bool kwj_backend_may_see(const KwjBackend *backend);

#endif

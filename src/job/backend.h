/*
 * src/job/backend.h
 *	  What PostgreSQL knows of another process: the entry that pg_stat_activity shows.
 */
#ifndef KWJ_JOB_BACKEND_H
#define KWJ_JOB_BACKEND_H

#include "kwjobs.h"
#include "storage/proc.h"
#include "utils/backend_status.h"

typedef struct KwjBackend
{
	PGPROC	   *proc;			/* another process may have it by now */
	/* The pointers to texts are NULL. Other pointers are still into shared memory. */
	PgBackendStatus status;
	char		application_name[NAMEDATALEN];
} KwjBackend;

/*
 * Copies the entry of the process with this pid. Returns false if there is no such process: the pid
 * is 0, or the process has exited. Takes ProcArrayLock, shared, for a moment. Each call makes a new
 * copy, whereas pg_stat_activity shows the same copy until the end of the transaction.
 */
extern bool kwj_backend_copy(int pid, KwjBackend *backend);

/*
 * Returns whether the current user may see what the process does: pg_stat_activity shows it by the
 * same rule.
 */
extern bool kwj_backend_may_see(const KwjBackend *backend);

#endif
